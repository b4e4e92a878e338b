using APlusP.Core.Addresses;
using APlusP.Core.Dhcpv6;
using CsCheck;

namespace APlusP.Tests.Dhcpv6;

/// <summary>RFC 8415's messages and options to the octet.</summary>
public class DhcpWireTests
{
    const string Solicit = "01123456" + "0001000a00030001525400123456" + "000800020000" + "0006000a0060005e006f00520053" + "000e0000"
        + "0019000c" + "00000001" + "00000000" + "00000000";

    static readonly Duid s_duid = Duid.OfEthernet([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

    [Fact]
    public void A_solicit_is_read_option_by_option()
    {
        Assert.True(DhcpMessage.TryRead(Convert.FromHexString(Solicit), out DhcpMessage message));
        Assert.Equal((DhcpMessageType.Solicit, 0x123456u), (message.Type, message.Transaction));
        Assert.True(Duid.TryRead(message.Options, DhcpOption.ClientId, out Duid? duid));
        Assert.Equal(s_duid, duid);
        Assert.Equal([DhcpOption.S46Lightweight, DhcpOption.S46MapE, DhcpOption.S46Priority, DhcpOption.SolMaxRt, DhcpOption.InfMaxRt], message.Options.Codes(DhcpOption.Requested));
        Assert.True(message.Options.Has(DhcpOption.RapidCommit));
        Assert.False(message.Options.Has(DhcpOption.ServerId));
        IdentityAssociation association = Assert.Single(IdentityAssociation.ReadAll(message.Options));
        Assert.Equal((DhcpOption.IaPd, 1u), (association.Kind, association.Id));
        Assert.Empty(association.Leases);
    }

    [Fact]
    public void A_reply_is_written_as_the_rfc_draws_it()
    {
        DhcpWriter writer = DhcpMessage.Begin(DhcpMessageType.Reply, 0x00abcdef);
        writer.Option(DhcpOption.ServerId, s_duid.Bytes);
        new IdentityAssociation(DhcpOption.IaNa, 7, [new DhcpLease(IPv6Prefix.Parse("2001:db8::5/128"), 100, 200)]) { T1 = 50, T2 = 80 }.Write(writer);
        new IdentityAssociation(DhcpOption.IaPd, 8, [new DhcpLease(IPv6Prefix.Parse("2001:db8:1200::/40"), 100, IdentityAssociation.Infinity)]) { T1 = 50, T2 = 80 }.Write(writer);
        new IdentityAssociation(DhcpOption.IaPd, 9, []) { Status = new DhcpStatus(DhcpStatusCode.NoPrefixAvail, "none") }.Write(writer);
        writer.Option(DhcpOption.SolMaxRt, 3600u);
        Assert.Equal("07abcdef" + "0002000a00030001525400123456"
            + "00030028" + "00000007" + "00000032" + "00000050" + "00050018" + "20010db8000000000000000000000005" + "00000064" + "000000c8"
            + "00190029" + "00000008" + "00000032" + "00000050" + "001a0019" + "00000064" + "ffffffff" + "28" + "20010db8120000000000000000000000"
            + "00190016" + "00000009" + "00000000" + "00000000" + "000d0006" + "0006" + "6e6f6e65"
            + "00520004" + "00000e10", Convert.ToHexStringLower(writer.ToArray()));
        Assert.True(DhcpMessage.TryRead(writer.ToArray(), out DhcpMessage read));
        List<IdentityAssociation> associations = IdentityAssociation.ReadAll(read.Options);
        Assert.Equal(new DhcpLease(IPv6Prefix.Parse("2001:db8:1200::/40"), 100, IdentityAssociation.Infinity), Assert.Single(associations[1].Leases));
        Assert.Equal((50u, 80u), (associations[0].T1, associations[0].T2));
        Assert.Equal(new DhcpStatus(DhcpStatusCode.NoPrefixAvail, "none"), associations[2].Status);
        Assert.Equal(3600u, read.Options.Number(DhcpOption.SolMaxRt));
    }

    [Fact]
    public void A_relays_message_holds_another()
    {
        byte[] inner = Convert.FromHexString(Solicit);
        byte[] relayed = RelayMessage.Write(DhcpMessageType.RelayForward, 1, IPv6Address.Parse("2001:db8:7::1"), IPv6Address.Parse("fe80::9"), "eth0"u8, inner);
        Assert.Equal("0c01" + "20010db8000700000000000000000001" + "fe800000000000000000000000000009" + "0012000465746830" + $"0009{inner.Length:x4}" + Solicit, Convert.ToHexStringLower(relayed));
        Assert.True(RelayMessage.TryRead(relayed, out RelayMessage read));
        Assert.Equal((1, "2001:db8:7::1", "fe80::9"), (read.HopCount, $"{read.LinkAddress}", $"{read.PeerAddress}"));
        Assert.True(read.Options.TryFind(DhcpOption.RelayMessage, out ReadOnlySpan<byte> content));
        Assert.Equal(inner, content);
        Assert.False(RelayMessage.TryRead(inner, out _));
        Assert.False(DhcpMessage.TryRead(relayed, out _));
    }

    [Theory]
    [InlineData("00030001525400123456", true)]
    [InlineData("0004" + "00112233445566778899aabbccddeeff", true)]
    [InlineData("000a01", true)]
    [InlineData("0003", false)]
    [InlineData("", false)]
    public void A_duid_has_a_type_and_from_1_to_128_octets_more(string hex, bool isOne)
    {
        Assert.Equal(isOne, Duid.TryRead(Convert.FromHexString(hex), out Duid? duid));
        if (!isOne) return;
        Assert.True(Duid.TryParse($"{duid}", out Duid? again));
        Assert.Equal(duid, again);
        Assert.Equal(hex, Convert.ToHexStringLower(duid!.Bytes));
        Assert.False(Duid.TryRead(new byte[131], out _));
        Assert.True(Duid.TryRead(new byte[130], out _));
    }

    [Fact]
    public void A_duid_of_a_uuid_has_its_octets_in_the_order_in_which_it_is_written() =>
        Assert.Equal("00:04:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff", $"{Duid.OfUuid(Guid.Parse("00112233-4455-6677-8899-aabbccddeeff"))}");

    [Theory]
    [InlineData("01", "shorter than a header")]
    [InlineData("00123456", "no type")]
    [InlineData("0c123456", "a relay's type")]
    [InlineData("01123456" + "0001", "an option header cut short")]
    [InlineData("01123456" + "0001000500030001", "an option that reaches beyond the end")]
    public void What_is_no_message_is_refused(string hex, string why) => Assert.False(DhcpMessage.TryRead(Convert.FromHexString(hex), out _), why);

    [Theory]
    [InlineData("0019000b" + "0000000100000000000000")]
    [InlineData("00190010" + "000000010000000000000000" + "001a0019")]
    public void An_association_that_is_cut_short_is_left_out(string hex)
    {
        Assert.True(DhcpOptions.TryRead(Convert.FromHexString(hex), out DhcpOptions options));
        Assert.Empty(IdentityAssociation.ReadAll(options));
    }

    [Fact]
    public void Of_leases_those_that_are_impossible_or_failed_are_left_out()
    {
        string lease = "00000064" + "000000c8" + "38" + "20010db8000000000000000000000000";
        string body = "000000010000000000000000" + "001a0018" + lease[..48] + "001a0019" + lease.Replace("38" + "2001", "81" + "2001", StringComparison.Ordinal)
            + "001a001f" + lease + "000d00020006" + "001a0019" + lease;
        Assert.True(DhcpOptions.TryRead(Convert.FromHexString($"0019{body.Length / 2:x4}" + body), out DhcpOptions options));
        Assert.Equal(new DhcpLease(IPv6Prefix.Parse("2001:db8::/56"), 100, 200), Assert.Single(Assert.Single(IdentityAssociation.ReadAll(options)).Leases));
    }

    [Fact]
    public void What_a_stranger_says_is_one_line_in_a_log()
    {
        Assert.True(DhcpOptions.TryRead([0, 13, 0, 9, 0, 1, (byte)'a', (byte)'\n', 0x1b, (byte)'[', 0xff, (byte)'b', 0], out DhcpOptions options));
        Assert.DoesNotContain(options.Status.Message!, char.IsControl);
        Assert.StartsWith("a  [", options.Status.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Random_and_mangled_octets_never_throw()
    {
        byte[] whole = RelayMessage.Write(DhcpMessageType.RelayForward, 0, default, default, [1], Convert.FromHexString(Solicit));
        Gen.Select(Gen.Int[0, whole.Length], Gen.Select(Gen.Int[0, whole.Length - 1], Gen.Byte).Array[0, 6]).Sample((length, changes) =>
        {
            byte[] mangled = [.. whole];
            foreach ((int at, byte value) in changes) mangled[at] = value;
            Look(mangled.AsSpan(0, length));
            if (length > 40) Look(mangled.AsSpan(40, length - 40));
        }, iter: 20_000);
        Gen.Byte.Array[0, 100].Sample(random => Look(random), iter: 20_000);

        static void Look(ReadOnlySpan<byte> bytes)
        {
            if (RelayMessage.TryRead(bytes, out RelayMessage relay)) relay.Options.Has(DhcpOption.RelayMessage);
            if (!DhcpMessage.TryRead(bytes, out DhcpMessage message)) return;
            foreach (DhcpOptions.Item option in message.Options) Assert.True(option.Value.Length <= bytes.Length);
            IdentityAssociation.ReadAll(message.Options);
            Duid.TryRead(message.Options, DhcpOption.ClientId, out _);
            _ = message.Options.Status;
            _ = message.Options.Codes(DhcpOption.Requested);
        }
    }
}
