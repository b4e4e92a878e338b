using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Wire;

namespace APlusP.Tests.Forwarding;

public class IcmpErrorTests
{
    const string Inside = "192.0.2.1:1000", Outside = "198.51.100.7:443";
    const string Home = "2001:db8:1::1", Border = "2001:db8::1";

    [Fact]
    public void A_burst_is_as_large_as_the_rate_and_then_errors_come_evenly()
    {
        var clock = new HandClock();
        var limiter = new RateLimiter(clock.TimestampFrequency);
        Assert.Equal(100, Enumerable.Range(0, 500).Count(_ => limiter.TryTake(100, 100, 7, clock.GetTimestamp())));
        clock.Advance(TimeSpan.FromMilliseconds(9));
        Assert.False(limiter.TryTake(100, 100, 7, clock.GetTimestamp()));
        clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.True(limiter.TryTake(100, 100, 7, clock.GetTimestamp()));
        Assert.False(limiter.TryTake(100, 100, 7, clock.GetTimestamp()));
        clock.Advance(TimeSpan.FromHours(100));
        Assert.Equal(100, Enumerable.Range(0, 500).Count(_ => limiter.TryTake(100, 100, 7, clock.GetTimestamp())));
    }

    [Fact]
    public void A_rate_of_zero_sends_nothing_and_a_new_rate_holds_at_once()
    {
        var clock = new HandClock();
        var limiter = new RateLimiter(clock.TimestampFrequency);
        Assert.False(limiter.TryTake(0, 100, 7, clock.GetTimestamp()));
        Assert.Equal(10, Enumerable.Range(0, 500).Count(_ => limiter.TryTake(10, 100, 7, clock.GetTimestamp())));
    }

    [Fact]
    public void One_hosts_flood_leaves_another_its_errors()
    {
        var clock = new HandClock();
        var limiter = new RateLimiter(clock.TimestampFrequency);
        Assert.Equal(20, Enumerable.Range(0, 500).Count(_ => limiter.TryTake(100, 20, 7, clock.GetTimestamp())));
        Assert.Equal(20, Enumerable.Range(0, 500).Count(_ => limiter.TryTake(100, 20, 8, clock.GetTimestamp())));
        clock.Advance(TimeSpan.FromMilliseconds(50));
        Assert.Equal(1, Enumerable.Range(0, 500).Count(_ => limiter.TryTake(100, 20, 7, clock.GetTimestamp())));
        Assert.Equal(66, Enumerable.Range(0, 500).Count(i => limiter.TryTake(100, 20, (ulong)(100 + i), clock.GetTimestamp())) + 2, 2.0);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(520)]
    [InlineData(521)]
    [InlineData(1400)]
    public void An_icmpv4_error_embeds_what_fits_in_576_octets(int payload)
    {
        byte[] offending = Packets.Udp(Outside, Inside, payload);
        var batch = new PacketBatch(2, 2000);
        batch.TryAdd(offending, Origin.FromInternet);
        batch.TryAdd(offending, Origin.FromInternet);
        for (int i = 0; i < 2; i++)
        {
            IcmpErrors.WriteV4(batch, i, IcmpV4Type.DestinationUnreachable, IcmpV4Header.FragmentationNeeded,
                IPv4Address.Parse("192.0.2.1"), IPv4Address.Parse("198.51.100.7"), rest: 1460);
            Span<byte> error = batch.Bytes(i);
            Assert.Equal(Math.Min(offending.Length + 28, 576), error.Length);
            Assert.True(Packets.HasRightChecksums(error));
            Assert.Equal([3, 4], error.Slice(20, 2).ToArray());
            Assert.Equal([0, 0, 1460 >> 8, 1460 & 255], error.Slice(24, 4).ToArray());
            Assert.Equal("192.0.2.1", IPv4Address.Read(error[12..]).ToString());
            Assert.Equal("198.51.100.7", IPv4Address.Read(error[16..]).ToString());
            Assert.Equal(offending[..(error.Length - 28)], error[28..].ToArray());
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1900)]
    public void An_icmpv6_error_embeds_what_fits_in_1280_octets(int payload)
    {
        byte[] offending = Packets.Encapsulate(Packets.Udp(Inside, Outside, payload), Home, Border);
        var batch = new PacketBatch(1, 2100);
        batch.TryAdd(offending, Origin.FromSmap);
        IcmpErrors.WriteV6(batch, 0, IcmpV6Type.DestinationUnreachable, IcmpV6Header.SourceAddressFailedPolicy, 64,
            IPv6Address.Parse(Border), IPv6Address.Parse(Home));
        Span<byte> error = batch.Bytes(0);
        Assert.Equal(Math.Min(offending.Length + 48, 1280), error.Length);
        Assert.Equal([1, 5], error.Slice(40, 2).ToArray());
        Assert.Equal(0, Packets.IcmpV6Checksum(error[40..], Border, Home));
        Assert.Equal(offending[..(error.Length - 48)], error[48..].ToArray());
    }

    [Fact]
    public void No_icmpv4_error_is_sent_about_errors_later_fragments_or_what_is_not_one_host()
    {
        byte[] udp = Packets.Udp(Outside, Inside, payload: 64);
        Assert.True(MayTell(udp));
        Assert.True(MayTell(Packets.Echo("198.51.100.7", "192.0.2.1", 5)));
        Assert.True(MayTell(Packets.Fragment(udp, 0, 32)));
        Assert.False(MayTell(Packets.Fragment(udp, 32, 32)));
        Assert.False(MayTell(Packets.IcmpError("198.51.100.7", "192.0.2.1", udp)));
        Assert.False(MayTell(Packets.Echo("198.51.100.7", "192.0.2.1", 0, IcmpV4Type.Redirect)));
        foreach (string martian in (string[])["0.0.0.0:1", "127.0.0.1:1", "224.0.0.1:1", "255.255.255.255:1"])
        {
            Assert.False(MayTell(Packets.Udp(martian, Inside)));
            Assert.False(MayTell(Packets.Udp(Outside, martian)));
        }
    }

    static bool MayTell(byte[] packet) => IPv4Header.TryRead(packet, out IPv4Header header) && IcmpErrors.MayTellSender(packet, header);
}
