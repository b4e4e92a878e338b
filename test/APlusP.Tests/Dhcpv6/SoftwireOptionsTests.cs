using APlusP.Core.Addresses;
using APlusP.Core.Dhcpv6;
using APlusP.Core.PortSets;
using CsCheck;

namespace APlusP.Tests.Dhcpv6;

/// <summary>RFC 7598 and RFC 8026 to the octet.</summary>
public class SoftwireOptionsTests
{
    // From wire vectors that were computed from the RFCs by hand.
    const string MapERule = "005e0025" + "0059000d011018c00002002820010db800" + "005a001020010db8ffff00000000000000000001",
        MapEPsid = "005e002f" + "00590017000020c00002123820010db8001234" + "005d000406083400" + "005a001020010db8ffff00000000000000000001",
        MapT = "005f001e" + "0059000d011018c00002002820010db800" + "005b00094020010db8ffff0000",
        Lightweight = "0060002d" + "005a001020010db8ffff00000000000000000001" + "005c0015cb0071074020010db800010001" + "005d000400062800",
        Priority = "006f0008" + "0060005e005f0040";

    static readonly IPv6Address s_relay = IPv6Address.Parse("2001:db8:ffff::1");

    static SoftwireOptions Read(string hex)
    {
        Assert.True(DhcpOptions.TryRead(Convert.FromHexString(hex), out DhcpOptions options), hex);
        return SoftwireOptions.Read(options);
    }

    static string Written(Action<DhcpWriter> write)
    {
        var writer = new DhcpWriter();
        write(writer);
        return Convert.ToHexStringLower(writer.ToArray());
    }

    static MappingRule Rule(string v6, string v4, int ea) => new(IPv6Prefix.Parse(v6), IPv4Prefix.Parse(v4), ea);

    [Fact]
    public void A_map_e_container_has_its_rule_and_its_border_relay()
    {
        var expected = new SoftwireRule(Rule("2001:db8::/40", "192.0.2.0/24", 16), Forwarding: true);
        MapDomain domain = Assert.Single(Read(MapERule).MapE);
        Assert.Equal(expected, Assert.Single(domain.Rules));
        Assert.Equal([s_relay], domain.BorderRelays);
        Assert.Equal(MapERule, Written(domain.Write));
    }

    [Fact]
    public void An_explicit_psid_stands_on_the_left_of_its_field()
    {
        MapDomain domain = Assert.Single(Read(MapEPsid).MapE);
        SoftwireRule rule = Assert.Single(domain.Rules);
        Assert.Equal(Rule("2001:db8:12:3400::/56", "192.0.2.18/32", 0) with { ExplicitPsidLength = 8, ExplicitPsid = 0x34 }, rule.Rule);
        Assert.False(rule.Forwarding);
        Assert.Equal(MapEPsid, Written(domain.Write));
    }

    [Fact]
    public void A_lightweight_container_has_relay_address_prefix_and_ports()
    {
        LightweightSoftwire softwire = Read(Lightweight).Lightweight!;
        Assert.Equal([s_relay], softwire.BorderRelays);
        Assert.Equal(new AddressBinding(IPv4Address.Parse("203.0.113.7"), IPv6Prefix.Parse("2001:db8:1:1::/64"), new Psid(0, 6, 10)), softwire.Binding);
        Assert.Equal(Lightweight, Written(softwire.Write));
    }

    /// <summary>An option in hexadecimal digits.</summary>
    static string Option(DhcpOption code, params string[] content) => Written(w => w.Option(code, Convert.FromHexString(string.Concat(content))));

    static string Relay(string address = "20010db8ffff00000000000000000001") => Option(DhcpOption.S46Br, address);

    /// <summary>192.0.2.1 and 2001:db8::/32.</summary>
    static string Binding(params string[] options) => Option(DhcpOption.S46V4V6Bind, ["c0000201", "20", "20010db8", .. options]);

    static string Ports(string content) => Option(DhcpOption.S46PortParameters, content);

    static string Rule(params string[] options) => Option(DhcpOption.S46Rule, ["00", "10", "18", "c0000200", "28", "20010db800", .. options]);

    [Fact]
    public void Kea_and_we_mean_the_same_by_port_parameters()
    {
        // The vector of Kea's own unit test.
        Assert.Equal(new Psid(8, 6, 63), Read(Option(DhcpOption.S46Lightweight, Relay(), Binding(Ports("0806fc00")))).Lightweight!.Binding!.Ports);
    }

    [Fact]
    public void Without_a_psid_length_the_psid_says_nothing()
    {
        Assert.Null(Read(Option(DhcpOption.S46Lightweight, Relay(), Binding(Ports("0600ffff")))).Lightweight!.Binding!.Ports);
        Assert.Equal(Rule("2001:db8::/40", "192.0.2.0/24", 16) with { PsidOffset = 4 }, Read(Option(DhcpOption.S46MapE, Relay(), Rule(Ports("0400ffff")))).MapE[0].Rules[0].Rule);
    }

    [Fact]
    public void Beside_ea_bits_a_psid_of_zero_is_only_a_length_and_another_names_one_home()
    {
        Assert.Equal(Rule("2001:db8::/40", "192.0.2.0/24", 16) with { ExplicitPsidLength = 8 }, Read(Option(DhcpOption.S46MapE, Relay(), Rule(Ports("06080000")))).MapE[0].Rules[0].Rule);
        Assert.Equal(52, Read(Option(DhcpOption.S46MapE, Relay(), Rule(Ports("06083400")))).MapE[0].Rules[0].Rule.ExplicitPsid);
    }

    [Fact]
    public void A_psid_is_discarded_where_the_home_has_a_whole_ipv4_prefix()
    {
        // RFC 7598 section 4.5: 2 EA bits over a /24 make a /26.
        string rule = Option(DhcpOption.S46Rule, "00", "02", "18", "c0000200", "28", "20010db800", Ports("06083400"));
        MappingRule read = Read(Option(DhcpOption.S46MapE, Relay(), rule)).MapE[0].Rules[0].Rule;
        Assert.Equal((26, 0, null), (read.SubscriberLength, read.PsidLength, read.ExplicitPsid));
    }

    [Fact]
    public void Bits_behind_a_prefix_are_nobodys()
    {
        string rule = Option(DhcpOption.S46Rule, "fe", "10", "18", "c00002ff", "23", "20010db8ff");
        SoftwireRule read = Read(Option(DhcpOption.S46MapE, Relay(), rule)).MapE[0].Rules[0];
        Assert.Equal(new SoftwireRule(Rule("2001:db8:e000::/35", "192.0.2.0/24", 16), Forwarding: false), read);
    }

    [Fact]
    public void Options_that_nobody_knows_yet_may_stand_in_a_container_and_several_relays_too()
    {
        string unknown = Option((DhcpOption)4711, "0102");
        LightweightSoftwire softwire = Read(Option(DhcpOption.S46Lightweight, unknown, Relay(), Relay("20010db8ffff00000000000000000002"), Binding(unknown))).Lightweight!;
        Assert.Equal([s_relay, IPv6Address.Parse("2001:db8:ffff::2")], softwire.BorderRelays);
    }

    [Fact]
    public void A_message_may_have_several_map_domains_and_one_lightweight_softwire()
    {
        SoftwireOptions read = Read(MapERule + Lightweight + MapEPsid + Option(DhcpOption.S46Lightweight, Relay()));
        Assert.Equal(2, read.MapE.Count);
        Assert.NotNull(read.Lightweight!.Binding);
        Assert.Equal(["a second S46_CONT_LW"], read.Ignored);
    }

    public static TheoryData<string, string> Broken => new()
    {
        { Option(DhcpOption.S46Lightweight, Binding()), "S46_CONT_LW without S46_BR" },
        { Option(DhcpOption.S46Lightweight, Relay(), Binding(), Binding()), "more than one S46_V4V6BIND" },
        { Option(DhcpOption.S46Lightweight, Relay(), Rule()), "S46_RULE does not belong there" },
        { Option(DhcpOption.S46Lightweight, Relay(), Ports("00062800")), "S46_PORTPARAMS does not belong there" },
        { Option(DhcpOption.S46Lightweight, Relay(), Option(DhcpOption.S46Lightweight, Relay())), "a container (96) does not belong there" },
        { Option(DhcpOption.S46Lightweight, Relay(), Option(DhcpOption.S46Dmr, "00")), "S46_DMR does not belong there" },
        { Option(DhcpOption.S46MapE, Rule()), "S46_CONT_MAPE without S46_BR" },
        { Option(DhcpOption.S46MapE, Relay()), "S46_CONT_MAPE without S46_RULE" },
        { Option(DhcpOption.S46MapE, Relay(), Rule(), Binding()), "S46_V4V6BIND does not belong there" },
        { Option(DhcpOption.S46MapT, Rule()), "S46_CONT_MAPT with 0 S46_DMR" },
        { Option(DhcpOption.S46MapT, Rule(), Option(DhcpOption.S46Dmr, "00"), Option(DhcpOption.S46Dmr, "00")), "S46_CONT_MAPT with 2 S46_DMR" },
        { Option(DhcpOption.S46MapT, Rule(), Option(DhcpOption.S46Dmr, "00"), Relay()), "S46_BR does not belong there" },
        { Option(DhcpOption.S46MapT, Rule(), Option(DhcpOption.S46Dmr, "0800", "00")), "octets too many" },
        { Option(DhcpOption.S46Lightweight, Relay(), Binding(Ports("00062800"), Ports("00062800"))), "S46_PORTPARAMS twice" },
        { Option(DhcpOption.S46Lightweight, Relay(), Binding(Ports("0006280000"))), "5 octets in place of 4" },
        { Option(DhcpOption.S46Lightweight, Relay(), Binding(Ports("10000000"))), "PSID offset 16" },
        { Option(DhcpOption.S46Lightweight, Relay(), Binding(Ports("060b0000"))), "PSID length 11" },
        { Option(DhcpOption.S46Lightweight, Relay(), Binding(Ports("00ff0000"))), "PSID length 255" },
        { Option(DhcpOption.S46Lightweight, Relay(), Binding(Relay())), "S46_BR, which does not belong there" },
        { Option(DhcpOption.S46Lightweight, Relay("20010db8")), "4 octets in place of 16" },
        { Option(DhcpOption.S46Lightweight, Relay("ff020000000000000000000000000001")), "no unicast address" },
        { Option(DhcpOption.S46Lightweight, Relay(), Option(DhcpOption.S46V4V6Bind, "e0000001", "00")), "224.0.0.1" },
        { Option(DhcpOption.S46Lightweight, Relay(), Option(DhcpOption.S46V4V6Bind, "c00002")), "cut short" },
        { Option(DhcpOption.S46Lightweight, Relay(), Option(DhcpOption.S46V4V6Bind, "c0000201", "81", new string('0', 34))), "129 bits" },
        { Option(DhcpOption.S46Lightweight, Relay(), Option(DhcpOption.S46V4V6Bind, "c0000201", "40", "20010db8")), "cut short" },
        { Option(DhcpOption.S46Lightweight, Relay(), "005c0020c0000201"), "cut short" },
        { Option(DhcpOption.S46MapE, Relay(), Option(DhcpOption.S46Rule, "00", "31", "18", "c0000200", "20", "20010db8")), "EA-bits length 49" },
        { Option(DhcpOption.S46MapE, Relay(), Option(DhcpOption.S46Rule, "00", "10", "21", "c0000200", "20", "20010db8")), "IPv4 prefix of 33 bits" },
        { Option(DhcpOption.S46MapE, Relay(), Option(DhcpOption.S46Rule, "00", "10", "18", "c0000200", "81", new string('0', 34))), "IPv6 prefix of 129 bits" },
        { Option(DhcpOption.S46MapE, Relay(), Option(DhcpOption.S46Rule, "00", "10", "18", "c000")), "cut short" },
        { Option(DhcpOption.S46MapE, Relay(), Rule(Ports("06070000"))), "PSID length must be 8" },
        { Option(DhcpOption.S46MapE, Relay(), Option(DhcpOption.S46Rule, "00", "00", "20", "c0000212", "20", "20010db8", Ports("06080000")), Option(DhcpOption.S46Rule, "00", "10", "10", "c0000000", "78", new string('2', 30))), "together have 136 bits" },
        { Binding(), "S46_V4V6BIND outside of a container" },
        { Relay() + Rule() + Ports("00062800"), "S46_BR outside of a container" },
    };

    /// <summary>RFC 7598 section 6: ignored whole; section 8: and logged.</summary>
    [Theory]
    [MemberData(nameof(Broken))]
    public void A_container_that_breaks_the_rules_is_left_out_whole_and_the_log_hears_why(string hex, string why)
    {
        SoftwireOptions read = Read(hex);
        Assert.Null(read.Lightweight);
        Assert.Empty(read.MapE);
        Assert.Empty(read.MapT);
        Assert.Contains(read.Ignored, i => i.Contains(why, StringComparison.Ordinal));

        // And nothing else with it.
        Assert.NotNull(Read(hex + Lightweight).Lightweight);
    }

    static readonly Gen<IPv6Prefix> s_prefix = Gen.Select(Gen.ULong, Gen.Int[3, 128]).Select(g => IPv6Prefix.Of(new IPv6Address((UInt128)g.Item1 << 63 | (UInt128)1 << 125), g.Item2));

    [Fact]
    public void What_is_written_is_read_again() =>
        Gen.Select(s_prefix, Gen.Int[0, 15], Gen.Int[0, 16], Gen.Int[0, 65535], Gen.UInt).Sample((prefix, offset, length, psid, address) =>
        {
            length = Math.Min(length, 16 - offset);
            psid &= (1 << length) - 1;
            var v4 = new IPv4Address(0xc0000000 | address & 0xffffff);
            var binding = new AddressBinding(v4, prefix, length == 0 ? null : new Psid(offset, length, psid));
            Assert.Equal(binding, Read(Written(new LightweightSoftwire([s_relay], binding).Write)).Lightweight!.Binding);

            var rule = new SoftwireRule(new MappingRule(prefix, new IPv4Prefix(v4, 32), 0) { PsidOffset = offset }, Forwarding: (psid & 1) != 0);
            if (length > 0) rule = rule with { Rule = rule.Rule with { ExplicitPsidLength = length, ExplicitPsid = psid } };
            Assert.Equal(rule, Assert.Single(Read(Written(new MapDomain([rule], [s_relay]).Write)).MapE).Rules[0]);
        });

    [Fact]
    public void Mangled_octets_are_refused_or_understood_and_never_throw()
    {
        byte[] whole = Convert.FromHexString(MapERule + Lightweight + MapEPsid + MapT + Priority);
        Gen.Select(Gen.Int[0, whole.Length], Gen.Select(Gen.Int[0, whole.Length - 1], Gen.Byte).Array[0, 6]).Sample((length, changes) =>
        {
            byte[] mangled = [.. whole];
            foreach ((int at, byte value) in changes) mangled[at] = value;
            if (!DhcpOptions.TryRead(mangled.AsSpan(0, length), out DhcpOptions options)) return;
            SoftwireOptions read = SoftwireOptions.Read(options);
            SoftwireParameters.Choose(read, [IPv6Prefix.Parse("2001:db8:12:3400::/56"), IPv6Prefix.Parse("2001:db8:1:1::/64")], out _);
        }, iter: 20_000);
        Gen.Byte.Array[0, 80].Sample(random =>
        {
            if (DhcpOptions.TryRead(random, out DhcpOptions options)) SoftwireOptions.Read(options);
            SoftwireOptions.Read(Inside(random));
        }, iter: 20_000);

        static DhcpOptions Inside(byte[] content)
        {
            var writer = new DhcpWriter();
            writer.Option(DhcpOption.S46Lightweight, content);
            writer.Option(DhcpOption.S46MapE, content);
            Assert.True(DhcpOptions.TryRead(writer.ToArray(), out DhcpOptions options));
            return options;
        }
    }

    [Fact]
    public void A_map_t_container_is_understood()
    {
        MapTDomain domain = Assert.Single(Read(MapT).MapT);
        Assert.Equal(IPv6Prefix.Parse("2001:db8:ffff::/64"), domain.DefaultRule);
        Assert.Equal(MapT, Written(domain.Write));
    }

    [Fact]
    public void Priority_lists_containers_and_codes_that_nobody_knows()
    {
        DhcpOption[] order = [DhcpOption.S46Lightweight, DhcpOption.S46MapE, DhcpOption.S46MapT, DhcpOption.AftrName];
        Assert.Equal(order, Read(Priority).Priority);
        Assert.Equal(Priority, Written(w => w.Option(DhcpOption.S46Priority, order)));
        Assert.Equal([(DhcpOption)999, DhcpOption.S46MapE], Read("006f0004" + "03e7005e").Priority);
        Assert.Empty(Read(Priority + Priority).Priority);
    }
}
