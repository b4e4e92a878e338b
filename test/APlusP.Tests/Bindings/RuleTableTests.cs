using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;

namespace APlusP.Tests.Bindings;

public class RuleTableTests
{
    static readonly IPv6Address s_prr = IPv6Address.Parse("2001:db8:ffff::1"), s_otherPrr = IPv6Address.Parse("2001:db8:ffff::2");

    static RuleBinding Rule(string rule6, string rule4, int ea, int offset = 6, int? length = null, int? psid = null, int mtu = 1460, IPv6Address? prr = null) =>
        new(new MappingRule(IPv6Prefix.Parse(rule6), IPv4Prefix.Parse(rule4), ea) { PsidOffset = offset, ExplicitPsidLength = length, ExplicitPsid = psid }, prr ?? s_prr, mtu);

    static Binding Bind(string address, string ports, string softwire, int mtu = 1460) =>
        new(IPv4Address.Parse(address), PortSet.Parse(ports), IPv6Address.Parse(softwire), s_prr, mtu);

    static readonly RuleBinding s_domain = Rule("2001:db8::/40", "192.0.2.0/24", 16);

    static (BindingLookup Lookup, string Softwire) Find(BindingTable table, string address, int port)
    {
        BindingLookup single = table.Find(IPv4Address.Parse(address), (ushort)port, out BindingHit hit);
        var hits = new BindingHit[40];
        table.Find([.. Enumerable.Repeat(new BindingQuery(IPv4Address.Parse(address), (ushort)port), hits.Length)], hits);
        Assert.All(hits, other => Assert.Equal((single, hit.Softwire, hit.Prr, hit.PayloadMtu, hit.WholeAddress), (other.Lookup, other.Softwire, other.Prr, other.PayloadMtu, other.WholeAddress)));
        return (single, single == BindingLookup.Found ? hit.Softwire.ToString() : "");
    }

    [Fact]
    public void A_rule_answers_for_every_address_and_port_of_its_domain()
    {
        var table = BindingTable.Build([], [s_domain]);
        Assert.Equal((BindingLookup.Found, "2001:db8:12:3400:0:c000:212:34"), Find(table, "192.0.2.18", 1232));
        Assert.Equal((BindingLookup.Found, "2001:db8:ff:ff00:0:c000:2ff:ff"), Find(table, "192.0.2.255", 65535));
        Assert.Equal((BindingLookup.NoBinding, ""), Find(table, "192.0.2.18", 1023));
        Assert.Equal((BindingLookup.NotShared, ""), Find(table, "192.0.3.0", 1232));
        Assert.True(table.IsShared(IPv4Address.Parse("192.0.2.0")));
        Assert.False(table.IsShared(IPv4Address.Parse("192.0.1.255")));
        Assert.True(table.TryFindSoftwire(IPv6Address.Parse("2001:db8:12:3400:0:c000:212:34"), out BindingHit hit, out IPv4Address address));
        Assert.Equal(("192.0.2.18", s_prr, 1460, false), (address.ToString(), hit.Prr, hit.PayloadMtu, hit.WholeAddress));
        Assert.False(table.TryFindSoftwire(IPv6Address.Parse("2001:db8:12:3400:0:c000:212:35"), out _, out _));
        Assert.Equal(0, table.Count);
    }

    [Fact]
    public void A_binding_goes_before_a_rule_and_the_rule_has_the_rest()
    {
        var table = BindingTable.Build(
            [Bind("192.0.2.18", "offset=6,length=8,psid=52", "2001:db8:aaaa::1", 1240), Bind("192.0.2.18", "80,443", "2001:db8:aaaa::2")], [s_domain]);
        Assert.Equal("2001:db8:aaaa::1", Find(table, "192.0.2.18", 1232).Softwire);
        Assert.Equal("2001:db8:aaaa::2", Find(table, "192.0.2.18", 443).Softwire);
        Assert.Equal("2001:db8:12:3500:0:c000:212:35", Find(table, "192.0.2.18", 1236).Softwire);
        Assert.Equal(BindingLookup.NoBinding, Find(table, "192.0.2.18", 81).Lookup);
        Assert.Equal("2001:db8:13:3400:0:c000:213:34", Find(table, "192.0.2.19", 1232).Softwire);
        Assert.Equal("2001:db8:aaaa::1", table.BindingOf(IPv6Address.Parse("2001:db8:aaaa::1"))!.Softwire.ToString());
        Assert.Equal(Bind("192.0.2.18", "offset=6,length=8,psid=53", "2001:db8:12:3500:0:c000:212:35"), table.BindingOf(IPv6Address.Parse("2001:db8:12:3500:0:c000:212:35")));
        Assert.Null(table.BindingOf(IPv6Address.Parse("2001:db8:12:3500:0:c000:212:36")));
    }

    [Fact]
    public void The_longest_ipv4_prefix_decides()
    {
        var table = BindingTable.Build([], [s_domain, Rule("2001:db8:1000::/44", "192.0.2.64/28", 12, prr: s_otherPrr, mtu: 1240), Rule("2001:db8:2000::/48", "192.0.2.66/32", 6)]);
        Assert.StartsWith("2001:db8:3f:", Find(table, "192.0.2.63", 5000).Softwire);
        Assert.StartsWith("2001:db8:1000:", Find(table, "192.0.2.64", 5000).Softwire);
        Assert.StartsWith("2001:db8:2000:", Find(table, "192.0.2.66", 5000).Softwire);
        Assert.StartsWith("2001:db8:1003:", Find(table, "192.0.2.67", 5000).Softwire);
        Assert.StartsWith("2001:db8:50:", Find(table, "192.0.2.80", 5000).Softwire);
        table.Find(IPv4Address.Parse("192.0.2.64"), 5000, out BindingHit hit);
        Assert.Equal((s_otherPrr, 1240), (hit.Prr, hit.PayloadMtu));
    }

    /// <summary>RFC 7597 section 8.1: the rule is the longest match of the source's IPv6 address, so an address inside another rule's prefix is that rule's.</summary>
    [Fact]
    public void A_ce_address_inside_the_prefix_of_a_nearer_rule_is_nobodys_by_the_wider_one()
    {
        var table = BindingTable.Build([], [s_domain, Rule("2001:db8:12::/48", "198.51.100.0/28", 12)]);
        Assert.Equal(BindingLookup.NoBinding, Find(table, "192.0.2.18", 1232).Lookup);
        Assert.Equal("2001:db8:13:3400:0:c000:213:34", Find(table, "192.0.2.19", 1232).Softwire);
        Assert.False(table.TryFindSoftwire(IPv6Address.Parse("2001:db8:12:3400:0:c000:212:34"), out _, out _));
        Assert.StartsWith("2001:db8:12:5", Find(table, "198.51.100.5", 5000).Softwire);
    }

    [Fact]
    public void Whole_addresses_and_prefixes_have_every_port_and_protocols_without()
    {
        var table = BindingTable.Build([], [Rule("2001:db8:1000::/48", "198.51.100.0/24", 8), Rule("2001:db8:2000::/48", "203.0.113.0/24", 6)]);
        Assert.Equal("2001:db8:1000:1200:0:c633:6412:0", Find(table, "198.51.100.18", 0).Softwire);
        foreach (string address in (string[])["203.0.113.16", "203.0.113.19"])
        {
            Assert.Equal("2001:db8:2000:1000:0:cb00:7110:0", Find(table, address, 80).Softwire);
            table.Find(IPv4Address.Parse(address), 0, out BindingHit hit);
            Assert.True(hit.WholeAddress);
        }

        Assert.NotEqual("2001:db8:2000:1000:0:cb00:7110:0", Find(table, "203.0.113.20", 80).Softwire);
    }

    [Theory]
    [InlineData("same Rule IPv6 prefix", "2001:db8::/40", "198.51.100.0/24", 16)]
    [InlineData("same Rule IPv4 prefix", "2001:db8:1000::/40", "192.0.2.0/24", 16)]
    [InlineData("AP1040", "2001:db8:1000::/40", "198.51.100.0/24", 19)]
    public void Rules_that_contradict_each_other_are_refused(string why, string rule6, string rule4, int ea)
    {
        APlusPException refused = Assert.Throws<APlusPException>(() => BindingTable.Build([], [s_domain, Rule(rule6, rule4, ea)]));
        Assert.Contains(why, $"{refused.Code} {refused.Message}");
    }

    [Fact]
    public void A_rule_inside_what_one_subscriber_has_whole_is_refused_and_one_inside_the_pool_is_not()
    {
        RuleBinding prefixes = Rule("2001:db8:2000::/48", "203.0.113.0/24", 6);
        Assert.Contains("a whole /30", Assert.Throws<APlusPException>(() => BindingTable.Build([], [Rule("2001:db8:1000::/48", "203.0.113.4/31", 8), prefixes])).Message);
        BindingTable.Build([], [Rule("2001:db8:1000::/48", "203.0.113.4/30", 8), prefixes]);
    }

    [Theory]
    [InlineData(null, "192.0.2.18", "offset=6,length=8,psid=52", "2001:db8:aaaa::1")]
    [InlineData(null, "192.0.2.18", "offset=6,length=8,psid=52", "2001:db8:12:3400:0:c000:212:34")]
    [InlineData(null, "192.0.2.18", "80,443", "2001:db8:aaaa::1")]
    [InlineData(null, "192.0.3.18", "offset=6,length=6,psid=5", "2001:db8:aaaa::1")]
    [InlineData(null, "198.51.100.1", "all", "2001:db8:aaaa::1")]
    [InlineData("cut across", "192.0.2.18", "offset=6,length=6,psid=5", "2001:db8:aaaa::1")]
    [InlineData("cut across", "192.0.2.18", "10000-11000", "2001:db8:aaaa::1")]
    [InlineData("cut across", "192.0.2.18", "1000-1024", "2001:db8:aaaa::1")]
    [InlineData("cut across", "192.0.2.18", "all", "2001:db8:aaaa::1")]
    [InlineData("has 192.0.2.18 ports offset=6,length=8,psid=52 already", "192.0.2.18", "offset=6,length=8,psid=53", "2001:db8:12:3400:0:c000:212:34")]
    [InlineData("has 192.0.2.18 ports offset=6,length=8,psid=52 already", "192.0.2.19", "offset=6,length=8,psid=52", "2001:db8:12:3400:0:c000:212:34")]
    [InlineData("whole address", "198.51.100.1", "10000-11000", "2001:db8:aaaa::1")]
    [InlineData("whole address", "203.0.113.1", "all", "2001:db8:aaaa::1")]
    public void A_binding_may_take_one_subscribers_place_but_not_cut_across(string? why, string address, string ports, string softwire)
    {
        var rules = new RuleTable([s_domain, Rule("2001:db8:1000::/48", "198.51.100.0/24", 8), Rule("2001:db8:2000::/48", "203.0.113.0/24", 6)]);
        string? conflict = rules.ConflictOf(Bind(address, ports, softwire));
        if (why is null) Assert.Null(conflict);
        else Assert.Contains(why, conflict);
    }

    /// <summary>The table against the definition: of all rules that contain the address, the one with the longest prefix.</summary>
    [Fact]
    public void Many_rules_answer_as_each_by_itself_would()
    {
        var random = new Random(7);
        for (int round = 0; round < 20; round++)
        {
            var rules = new List<RuleBinding>();
            for (int i = 0; i < 60; i++)
            {
                int r = random.Next(20, 33);
                var ipv4 = IPv4Prefix.Of(new IPv4Address(0xc0000000u | (uint)random.Next(1 << 14)), r);
                var ipv6 = IPv6Prefix.Of(new IPv6Address(IPv6Address.Parse("2001:db8::").Value | (UInt128)(uint)random.Next(1 << 10) << 80), random.Next(38, 49));
                var rule = new RuleBinding(new MappingRule(ipv6, ipv4, 32 - r + random.Next(1, 8)), s_prr, 1000 + i);
                if (!RuleTable.Conflicts([.. rules.Append(rule).Select(x => x.Rule)]).Any()) rules.Add(rule);
            }

            Assert.InRange(rules.Count, 10, 60);
            var table = new RuleTable(rules);
            int found = 0;
            for (int i = 0; i < 3000; i++)
            {
                var address = new IPv4Address(0xc0000000u | (uint)random.Next(1 << 14));
                ushort port = (ushort)random.Next(65536);
                RuleBinding? wanted = rules.Where(x => x.Rule.IPv4.Contains(address)).MaxBy(x => x.Rule.IPv4.Length);
                BindingLookup lookup = table.Find(address, port, out BindingHit hit);
                Assert.Equal(lookup, hit.Lookup);
                Assert.Equal(wanted is null, lookup == BindingLookup.NotShared);
                IPv6Address ce = default;
                bool bound = wanted is not null && wanted.Rule.TryFindCe(address, port, out ce) && rules.Where(x => x.Rule.IPv6.Contains(ce)).MaxBy(x => x.Rule.IPv6.Length) == wanted;
                Assert.Equal(bound, lookup == BindingLookup.Found);
                if (!bound) continue;
                found++;
                Assert.Equal((ce, wanted!.PayloadMtu), (hit.Softwire, hit.PayloadMtu));
                Assert.True(table.TryFindSoftwire(ce, default, out BindingHit back, out IPv4Address its));
                Assert.Equal((address, wanted.PayloadMtu), (its, back.PayloadMtu));
            }

            Assert.InRange(found, 100, 3000);
        }
    }

    [Fact]
    public void Who_moves_between_a_rule_and_a_binding_is_found_all_the_time()
    {
        var table = BindingTable.Build([], [s_domain]);
        Binding row = Bind("192.0.2.18", "offset=6,length=8,psid=52", "2001:db8:12:3400:0:c000:212:34");
        using var stop = new CancellationTokenSource();
        long lookups = 0;
        var reader = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                if (table.Find(row.Address, 1232, out BindingHit hit) == BindingLookup.Found && hit.Softwire == row.Softwire) Interlocked.Increment(ref lookups);
                else Interlocked.Add(ref lookups, long.MinValue / 2);
            }
        });
        reader.Start();
        RuleBinding elsewhere = Rule("2001:db8:1000::/40", "198.51.100.0/24", 16);
        for (int i = 0; i < 3000; i++)
        {
            table.SetRules([elsewhere], keepBefore: true);
            table.Add(row);
            table.SetRules([elsewhere]);
            table.SetRules([s_domain, elsewhere], keepBefore: true);
            table.Remove(row.Softwire);
            table.SetRules([s_domain, elsewhere]);
        }

        while (Interlocked.Read(ref lookups) is >= 0 and < 1000) Thread.Yield();
        stop.Cancel();
        reader.Join();
        Assert.True(lookups > 0, "A lookup found nobody");
    }

    [Fact]
    public void A_lookup_by_rule_allocates_nothing()
    {
        var table = BindingTable.Build([], [s_domain, Rule("2001:db8:12::/48", "198.51.100.0/28", 12)]);
        var queries = new BindingQuery[32];
        for (int i = 0; i < queries.Length; i++) queries[i] = new BindingQuery(new IPv4Address(0xc0000200u + (uint)i), (ushort)(i * 2000));
        var hits = new BindingHit[32];
        var softwire = IPv6Address.Parse("2001:db8:13:3400:0:c000:213:34");
        for (int i = 0; i < 100; i++) Work();
        Allocations.None(Work);
        Assert.Contains(hits, hit => hit.Lookup == BindingLookup.Found);

        void Work()
        {
            table.Find(queries, hits);
            table.TryFindSoftwire(softwire, out _, out _);
        }
    }
}
