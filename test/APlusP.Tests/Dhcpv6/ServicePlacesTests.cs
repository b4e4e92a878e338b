using APlusP.Core.Addresses;
using APlusP.Core.Dhcpv6;

namespace APlusP.Tests.Dhcpv6;

/// <summary>Where services are, as DHCPv6 servers tell it: domains (RFC 3646) and PCP servers (RFC 7291).</summary>
public class ServicePlacesTests
{
    static ServicePlaces Read(string hex)
    {
        Assert.True(DhcpOptions.TryRead(Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal)), out DhcpOptions options));
        return ServicePlaces.Read(options);
    }

    [Fact]
    public void Domains_and_servers_are_read_in_their_order()
    {
        ServicePlaces places = Read("0018 001b 07 6578616d706c65 03 6e6574 00 03 697370 07 6578616d706c65 00 00" + "0056 0020 20010db8000000000000000000000001 20010db8000000000000000000000002" + "0056 0010 20010db8000000000000000000000003");
        Assert.Equal(["example.net", "isp.example"], places.Domains);
        Assert.Equal(["2001:db8::1", "2001:db8::2", "2001:db8::3"], places.PcpServers.Select(s => $"{s}"));
    }

    [Fact]
    public void Resolvers_are_read_in_their_order_and_tell_places_apart()
    {
        ServicePlaces places = Read("0017 0020 20010db8000000000000000000000053 20010db8000000000000000000000054" + "0017 0010 ff020000000000000000000000000001");
        Assert.Equal(["2001:db8::53", "2001:db8::54"], places.Resolvers.Select(s => $"{s}"));
        Assert.NotEqual(ServicePlaces.None, places);
    }

    [Theory]
    [InlineData("")]
    [InlineData("0018 0000")]
    [InlineData("0018 0008 07 6578616d706c65")] // The name does not end.
    [InlineData("0018 0003 05 6162")] // Nor the label.
    [InlineData("0018 0003 c000 00")] // A pointer.
    [InlineData("0018 0004 02 6120 00")] // A blank.
    [InlineData("0018 0005 03 612e62 00")] // A dot in a label.
    [InlineData("0056 0000")]
    [InlineData("0056 0008 20010db800000000")]
    [InlineData("0017 0011 20010db8000000000000000000000053 00")]
    [InlineData("0056 0010 ff020000000000000000000000000001")] // Many hosts.
    [InlineData("0056 0010 00000000000000000000000000000001")] // This one.
    public void What_is_damaged_or_no_place_is_left_out(string options) => Assert.Equal(ServicePlaces.None, Read(options));

    [Fact]
    public void Whatever_octets_come_nothing_is_thrown()
    {
        var random = new Random(3646);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] value = new byte[random.Next(60)];
            random.NextBytes(value);
            if (i % 2 == 0)
                for (int j = 0; j < value.Length; j++) value[j] = (byte)(value[j] % 8 == 0 ? random.Next(6) : 'a' + value[j] % 26);
            var writer = new DhcpWriter();
            writer.Option(i % 3 == 0 ? DhcpOption.PcpServer : DhcpOption.DomainList, value);
            Assert.True(DhcpOptions.TryRead(writer.ToArray(), out DhcpOptions options));
            Assert.All(ServicePlaces.Read(options).Domains, d => Assert.InRange(d.Length, 1, 255));
        }
    }

    [Fact]
    public void A_client_asks_for_them_and_tells_them_with_what_it_has()
    {
        var scene = new DhcpClientScene(new DhcpClientOptions { Duid = DhcpClientScene.Ours, Requested = [DhcpOption.PcpServer] });
        scene.UntilSent();
        Assert.Contains(DhcpOption.PcpServer, scene.Options.Codes(DhcpOption.Requested));
        scene.Hear(DhcpMessageType.Advertise, more: DhcpClientScene.Give);
        scene.UntilSent();
        scene.Hear(DhcpMessageType.Reply, more: writer =>
        {
            DhcpClientScene.Give(writer);
            using DhcpWriter.Scope option = writer.Open(DhcpOption.PcpServer);
            writer.Address(IPv6Address.Parse("2001:db8::9"));
        });
        Assert.Equal([IPv6Address.Parse("2001:db8::9")], scene.Client.Binding!.Places.PcpServers);
    }
}
