using System.Text.Json;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using CsCheck;

namespace APlusP.Tests.PortSets;

public class MappingRuleTests
{
    public static TheoryData<string> VectorNames => [.. Vectors().Select(vector => vector.GetProperty("name").GetString()!)];

    static List<JsonElement> Vectors()
    {
        using Stream stream = typeof(MappingRuleTests).Assembly.GetManifestResourceStream("mappingrules.json")!;
        return [.. JsonDocument.Parse(stream).RootElement.EnumerateArray()];
    }

    static JsonElement Vector(string name) => Vectors().Single(vector => vector.GetProperty("name").GetString() == name);

    static MappingRule RuleOf(JsonElement vector)
    {
        int length = vector.GetProperty("psidLength").GetInt32(), ea = vector.GetProperty("ea").GetInt32();
        return new MappingRule(IPv6Prefix.Parse(vector.GetProperty("rule6").GetString()), IPv4Prefix.Parse(vector.GetProperty("rule4").GetString()), ea)
        {
            PsidOffset = vector.GetProperty("offset").GetInt32(),
            ExplicitPsidLength = ea == 0 ? length : null,
            ExplicitPsid = ea == 0 ? vector.GetProperty("psid").GetInt32() : null,
            Form = vector.GetProperty("draft03").GetBoolean() ? InterfaceIdentifierForm.Draft03 : InterfaceIdentifierForm.Rfc7597,
        };
    }

    static MappingRule Rule(string rule6, string rule4, int ea, int offset = 6, int? length = null, int? psid = null) =>
        new(IPv6Prefix.Parse(rule6), IPv4Prefix.Parse(rule4), ea) { PsidOffset = offset, ExplicitPsidLength = length, ExplicitPsid = psid };

    [Fact]
    public void The_vectors_are_all_there() => Assert.Equal(8, Vectors().Count);

    [Theory]
    [MemberData(nameof(VectorNames))]
    public void A_published_end_user_prefix_has_its_address_psid_ports_and_ce_address(string name)
    {
        JsonElement vector = Vector(name);
        MappingRule rule = RuleOf(vector);
        Assert.Null(rule.Fault);
        Assert.True(rule.TryMapEndUser(IPv6Prefix.Parse(vector.GetProperty("endUser").GetString()), out MappedSubscriber? subscriber, out string error), error);
        Assert.Equal(vector.GetProperty("address").GetString(), subscriber!.AddressText);
        Assert.Equal(vector.GetProperty("psidLength").GetInt32(), subscriber.PsidLength);
        Assert.Equal(vector.GetProperty("psid").GetInt32(), subscriber.Psid);
        Assert.Equal(vector.GetProperty("ce").GetString(), subscriber.Ce.ToString());
        Assert.Equal(vector.GetProperty("ports").GetInt32(), subscriber.Ports.Count);
        Assert.Equal(vector.GetProperty("ranges").EnumerateArray().Select(range => new PortRange(range[0].GetUInt16(), range[1].GetUInt16())), subscriber.Ports.Ranges);
    }

    [Theory]
    [MemberData(nameof(VectorNames))]
    public void Each_published_port_leads_back_to_the_ce_and_no_other_port_does(string name)
    {
        JsonElement vector = Vector(name);
        MappingRule rule = RuleOf(vector);
        Assert.True(rule.TryMapEndUser(IPv6Prefix.Parse(vector.GetProperty("endUser").GetString()), out MappedSubscriber? subscriber, out _));

        // The rule knows nothing of bits that an End-user prefix has beyond its EA bits.
        IPv6Prefix known = IPv6Prefix.Of(subscriber!.EndUser.Address, rule.EndUserLength);
        IPv6Address ce = known.Address == subscriber.EndUser.Address ? subscriber.Ce : new IPv6Address(known.Address.Value | (ulong)subscriber.Ce.Value);
        Assert.Equal(name == "v4-prefix", ce != subscriber.Ce);
        for (int port = 0; port < 65536; port++)
        {
            bool found = rule.TryFindCe(subscriber.Prefix.Last, (ushort)port, out IPv6Address there) && there == ce;
            if (found != subscriber.Ports.Contains((ushort)port)) Assert.Fail($"Port {port} leads to {there}");
        }

        Assert.True(rule.TryReadCe(ce, out IPv4Prefix prefix, out int psid));
        Assert.Equal((subscriber.Prefix, subscriber.Psid), (prefix, psid));
        Assert.False(rule.TryReadCe(new IPv6Address(ce.Value ^ 1), out _, out _));
        Assert.False(rule.TryReadCe(new IPv6Address(ce.Value ^ (UInt128)1 << 100), out _, out _));
    }

    /// <summary>RFC 7599 appendix A example 5 prints PSID 0x20 for what is 0x34: erratum 5324. The rule is that of RFC 7597 example 5.</summary>
    [Fact]
    public void The_psid_of_the_fifth_example_is_0x34_as_the_erratum_says()
    {
        MappingRule rule = Rule("2001:db8:12:3400::/56", "192.0.2.18/32", 0, 6, 8, 0x34);
        Assert.True(rule.TryMapPort(IPv4Address.Parse("192.0.2.18"), 1232, out MappedSubscriber? subscriber, out _));
        Assert.Equal((52, "2001:db8:12:3400:0:c000:212:34"), (subscriber!.Psid, subscriber.Ce.ToString()));
        Assert.False(rule.TryMapPort(IPv4Address.Parse("192.0.2.18"), 1024 + (0x20 << 2), out _, out string error));
        Assert.Contains("PSID 32, but the rule is for 52 alone", error);
    }

    [Theory]
    [InlineData("must be 4, not 8*5.2", "2001:db8::/32", "192.0.0.0/16", 20, 6, 8)]
    [InlineData("must be 0, not 8*5.2", "2001:db8::/32", "192.0.0.0/16", 16, 6, 8)]
    [InlineData("whole prefix, which has no PSID*5.2", "2001:db8::/32", "192.0.0.0/16", 0, 6, 8, 52)]
    [InlineData("PSID must be given*RFC 7598 section 4.5", "2001:db8::/56", "192.0.2.18/32", 0, 6, 8)]
    [InlineData("needs its length*RFC 7598 section 4.5", "2001:db8::/56", "192.0.2.18/32", 0, 6, null, 52)]
    [InlineData("PSID length is 0*RFC 7598 section 4.5", "2001:db8::/56", "192.0.2.18/32", 0, 6, 0, 52)]
    [InlineData("from 0 to 255*5.1", "2001:db8::/56", "192.0.2.18/32", 0, 6, 8, 256)]
    [InlineData("from 0 to 255*5.1", "2001:db8::/40", "192.0.2.0/24", 16, 6, 8, 256)]
    [InlineData("PSID of 11 bits*offset of 6*5.1", "2001:db8::/40", "192.0.2.0/24", 19)]
    [InlineData("from 0 to 10 (16 less the offset 6)*5.1", "2001:db8::/56", "192.0.2.18/32", 0, 6, 11, 1)]
    [InlineData("offset 16 is not*5.1", "2001:db8::/40", "192.0.2.0/24", 16, 16)]
    [InlineData("offset -1 is not*5.1", "2001:db8::/40", "192.0.2.0/24", 16, -1)]
    [InlineData("EA-bits length 49*5.2", "2001:db8::/40", "0.0.0.0/0", 49, 0)]
    [InlineData("EA-bits length -1*5.2", "2001:db8::/40", "192.0.2.0/24", -1)]
    [InlineData("136 bits*5.2", "2001:db8::/120", "192.0.2.0/24", 16)]
    [InlineData("PSID length 17 is not*5.1", "2001:db8::/40", "192.0.2.0/24", 16, 6, 17)]
    [InlineData("is not unicast", "ff00::/40", "192.0.2.0/24", 16)]
    [InlineData("is not unicast", "2001:db8::/40", "224.0.0.0/24", 16)]
    [InlineData("is not unicast", "2001:db8::/40", "127.0.0.0/24", 16)]
    public void A_rule_that_contradicts_itself_is_refused_with_the_section(string why, string rule6, string rule4, int ea, int offset = 6, int? length = null, int? psid = null)
    {
        string? fault = Rule(rule6, rule4, ea, offset, length, psid).Fault;
        Assert.NotNull(fault);
        int at = 0;
        foreach (string part in why.Split('*'))
        {
            at = fault.IndexOf(part, at, StringComparison.Ordinal);
            Assert.True(at >= 0, $"'{part}' is not in '{fault}'");
        }
    }

    [Theory]
    [InlineData("0.0.0.0/0", 48, 0)]
    [InlineData("0.0.0.0/0", 32, 6)]
    [InlineData("192.0.2.1/32", 16, 0)]
    [InlineData("192.0.2.1/32", 0, 6)]
    [InlineData("192.0.0.0/2", 31, 15)]
    public void A_rule_at_the_edge_of_what_the_rfc_allows_is_a_rule(string rule4, int ea, int offset) =>
        Assert.Null(Rule("2001:db8::/40", rule4, ea, offset).Fault);

    [Fact]
    public void An_end_user_prefix_that_is_not_the_rules_has_nothing()
    {
        MappingRule rule = Rule("2001:db8::/40", "192.0.2.0/24", 16);
        Assert.False(rule.TryMapEndUser(IPv6Prefix.Parse("2001:db8:12::/48"), out _, out string error));
        Assert.Contains("together have 56 bits, more than the End-user IPv6 prefix 2001:db8:12::/48 has (RFC 7597 section 5.2)", error);
        Assert.False(rule.TryMapEndUser(IPv6Prefix.Parse("2001:db8:112:3400::/56"), out _, out error));
        Assert.Contains("does not begin with the Rule IPv6 prefix 2001:db8::/40", error);
        rule = Rule("2001:db8::/40", "192.0.2.0/24", 16, psid: 51);
        Assert.False(rule.TryMapEndUser(IPv6Prefix.Parse("2001:db8:12:3400::/56"), out _, out error));
        Assert.Contains("say PSID 52, but the rule says 51", error);
        Assert.False(Rule("2001:db8::/32", "0.0.0.0/0", 32).TryMapEndUser(IPv6Prefix.Parse("2001:db8:e000:1::/64"), out _, out error));
        Assert.Contains("224.0.0.1, which no host can have", error);
    }

    [Fact]
    public void A_port_that_is_not_the_rules_is_nobodys()
    {
        MappingRule rule = Rule("2001:db8::/40", "192.0.2.0/24", 16);
        Assert.False(rule.TryMapPort(IPv4Address.Parse("192.0.3.1"), 5000, out _, out string error));
        Assert.Contains("192.0.3.1 is not in the Rule IPv4 prefix 192.0.2.0/24", error);
        Assert.False(rule.TryMapPort(IPv4Address.Parse("192.0.2.1"), 1023, out _, out error));
        Assert.Contains("port 1023 is one of 0 to 1023, which a PSID offset of 6 keeps from everybody", error);
    }

    [Fact]
    public void Beyond_64_bits_the_prefix_overwrites_the_interface_identifier()
    {
        // RFC 7597 section 6: n + o = 80, so the 16 zero bits give way and the IPv4 address and PSID stay.
        MappingRule rule = Rule("2001:db8:0:1::/64", "192.0.2.0/24", 16);
        Assert.True(rule.TryMapEndUser(IPv6Prefix.Parse("2001:db8:0:1:1234::/80"), out MappedSubscriber? subscriber, out _));
        Assert.Equal("2001:db8:0:1:1234:c000:212:34", subscriber!.Ce.ToString());
        Assert.True(rule.TryFindCe(IPv4Address.Parse("192.0.2.18"), 1232, out IPv6Address ce));
        Assert.Equal(subscriber.Ce, ce);
        Assert.True(rule.TryReadCe(ce, out IPv4Prefix prefix, out int psid));
        Assert.Equal(("192.0.2.18/32", 52), (prefix.ToString(), psid));
    }

    /// <summary>Rules of every layout: every (a, k), IPv4 prefixes short and long, beyond 64 bits, both interface identifiers.</summary>
    static Gen<MappingRule> AnyRule { get; } =
        from offset in Gen.Int[0, 15]
        from k in Gen.Int[0, 16 - offset]
        from r in Gen.Int[8, 32]
        from short4 in Gen.Int[0, 4]
        from n in Gen.Int[20, 80]
        from draft in Gen.Bool
        from address in Gen.UInt
        from network in Gen.ULong
        let ea = k > 0 ? 32 - r + k : Math.Max(0, 32 - r - short4)
        select new MappingRule(
            IPv6Prefix.Of(new IPv6Address((UInt128)(network >> 3 | 1ul << 61) << 64 | network), n),
            IPv4Prefix.Of(new IPv4Address(address % (223u << 24 - 1) | 1u << 24), r), ea)
        {
            PsidOffset = offset,
            Form = draft ? InterfaceIdentifierForm.Draft03 : InterfaceIdentifierForm.Rfc7597,
        };

    [Fact]
    public void From_any_port_to_the_ce_and_back_is_the_identity() =>
        (from rule in AnyRule where rule.Fault is null from host in Gen.UInt from port in Gen.UShort select (rule, host, port)).Sample(sample =>
        {
            (MappingRule rule, uint host, ushort port) = sample;
            var address = new IPv4Address(rule.IPv4.Address.Value | host & ~IPv4Prefix.MaskOf(rule.IPv4.Length));
            bool nobody = rule.PsidLength > 0 && rule.PsidOffset > 0 && port >> 16 - rule.PsidOffset == 0;
            Assert.Equal(!nobody, rule.TryFindCe(address, port, out IPv6Address ce));
            if (nobody) return;
            Assert.True(rule.TryMapPort(address, port, out MappedSubscriber? byPort, out string error), error);
            Assert.Equal(ce, byPort!.Ce);
            Assert.True(byPort.Prefix.Contains(address) && byPort.Ports.Contains(port));
            Assert.True(rule.IPv6.Contains(ce) && byPort.EndUser.Contains(ce));
            Assert.Equal(rule.EndUserLength, byPort.EndUser.Length);
            Assert.True(rule.TryReadCe(ce, out IPv4Prefix prefix, out int psid));
            Assert.Equal((byPort.Prefix, byPort.Psid), (prefix, psid));
            if (!byPort.Prefix.Address.IsUnicast) return;
            Assert.True(rule.TryMapEndUser(byPort.EndUser, out MappedSubscriber? byPrefix, out error), error);
            Assert.Equal(byPort, byPrefix);
        }, iter: 20_000);

    [Fact]
    public void Every_psid_of_every_layout_has_an_end_user_prefix_of_its_own()
    {
        var address = IPv4Address.Parse("192.0.2.18");
        for (int offset = 0; offset < 16; offset++)
        {
            for (int k = 1; k <= 16 - offset; k++)
            {
                MappingRule rule = Rule("2001:db8::/40", "192.0.2.0/24", 8 + k, offset);
                Assert.Null(rule.Fault);
                for (int psid = 0; psid < 1 << k; psid += Math.Max(1, (1 << k) / 64 - 1))
                {
                    var endUser = IPv6Prefix.Of(new IPv6Address(rule.IPv6.Address.Value | (UInt128)(0x12u << k | (uint)psid) << 128 - rule.EndUserLength), rule.EndUserLength);
                    if (!rule.TryMapEndUser(endUser, out MappedSubscriber? subscriber, out string error)) Assert.Fail(error);
                    if (subscriber!.Psid != psid || subscriber.PsidLength != k || subscriber.Prefix.Address != address) Assert.Fail($"{endUser} has {subscriber}");
                    foreach (PortRange range in subscriber.Ports.Ranges)
                        foreach (ushort port in (ReadOnlySpan<ushort>)[range.First, range.Last])
                            if (!rule.TryFindCe(address, port, out IPv6Address ce) || ce != subscriber.Ce) Assert.Fail($"Port {port} leads to {ce}, not {subscriber.Ce}");
                }
            }
        }
    }
}

public class PrefixTests
{
    [Theory]
    [InlineData("192.0.2.0/24", null)]
    [InlineData("0.0.0.0/0", null)]
    [InlineData("192.0.2.1/32", null)]
    [InlineData("192.0.2.18/24", "write 192.0.2.0/24")]
    [InlineData("192.0.2.0/33", "not from 0 to 32")]
    [InlineData("192.0.2.0", "such as 192.0.2.0/24")]
    [InlineData("192.0.2/24", "such as 192.0.2.0/24")]
    [InlineData("192.0.2.0/", "such as 192.0.2.0/24")]
    [InlineData("192.0.2.0/-1", "such as 192.0.2.0/24")]
    public void An_ipv4_prefix_reads_back_or_says_what_to_write(string text, string? fault)
    {
        Assert.Equal(fault is null, IPv4Prefix.TryParse(text, out IPv4Prefix prefix, out string error));
        if (fault is null) Assert.Equal(text, prefix.ToString());
        else Assert.Contains(fault, error);
    }

    [Theory]
    [InlineData("2001:db8::/40", null)]
    [InlineData("::/0", null)]
    [InlineData("2001:db8::1/128", null)]
    [InlineData("2001:db8:12:3400::/40", "write 2001:db8::/40")]
    [InlineData("2001:db8::/129", "not from 0 to 128")]
    [InlineData("2001:db8::", "such as 2001:db8::/32")]
    [InlineData("2001:db8::%1/64", "such as 2001:db8::/32")]
    public void An_ipv6_prefix_reads_back_or_says_what_to_write(string text, string? fault)
    {
        Assert.Equal(fault is null, IPv6Prefix.TryParse(text, out IPv6Prefix prefix, out string error));
        if (fault is null) Assert.Equal(text, prefix.ToString());
        else Assert.Contains(fault, error);
    }

    [Fact]
    public void A_prefix_contains_its_first_and_last_address_and_none_beside_them()
    {
        var four = IPv4Prefix.Parse("192.0.2.16/30");
        Assert.Equal("192.0.2.19", four.Last.ToString());
        Assert.True(four.Contains(four.Address) && four.Contains(four.Last));
        Assert.False(four.Contains(new IPv4Address(four.Address.Value - 1)) || four.Contains(new IPv4Address(four.Last.Value + 1)));
        Assert.True(IPv4Prefix.Parse("192.0.2.0/24").Overlaps(four) && four.Overlaps(IPv4Prefix.Parse("192.0.2.0/24")));
        Assert.False(four.Contains(IPv4Prefix.Parse("192.0.2.0/24")));
        var six = IPv6Prefix.Parse("2001:db8::/127");
        Assert.Equal("2001:db8::1", six.Last.ToString());
        Assert.True(six.Contains(six.Last));
        Assert.False(six.Contains(new IPv6Address(six.Last.Value + 1)));
        Assert.True(IPv6Prefix.Parse("::/0").Overlaps(six));
    }
}
