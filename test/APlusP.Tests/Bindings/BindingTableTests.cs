using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;

namespace APlusP.Tests.Bindings;

public class BindingTableTests
{
    static readonly IPv4Address Shared = IPv4Address.Parse("192.0.2.1");
    static readonly IPv4Address Other = IPv4Address.Parse("192.0.2.2");
    static readonly IPv6Address Prr = IPv6Address.Parse("2001:db8::1");

    static IPv6Address Softwire(int number) => new(IPv6Address.Parse("2001:db8:1::").Value + (uint)number);

    static Binding Bind(IPv4Address address, string ports, int softwire, int mtu = 1460) =>
        new(address, PortSet.Parse(ports), Softwire(softwire), Prr, mtu);

    static void Belongs(BindingTable table, IPv4Address address, int port, int softwire)
    {
        Assert.Equal(BindingLookup.Found, table.Find(address, (ushort)port, out BindingHit hit));
        Assert.Equal(BindingLookup.Found, hit.Lookup);
        Assert.Equal(Softwire(softwire), hit.Softwire);
        Assert.Equal(Prr, hit.Prr);
    }

    static void Free(BindingTable table, IPv4Address address, int port)
    {
        Assert.Equal(BindingLookup.NoBinding, table.Find(address, (ushort)port, out BindingHit hit));
        Assert.Equal(BindingLookup.NoBinding, hit.Lookup);
    }

    [Fact]
    public void Plain_ranges_of_one_address_belong_to_their_subscribers()
    {
        BindingTable table = BindingTable.Build([Bind(Shared, "10000-11000", 1), Bind(Shared, "11001-12000", 2)]);
        Belongs(table, Shared, 10000, 1);
        Belongs(table, Shared, 11000, 1);
        Belongs(table, Shared, 11001, 2);
        Belongs(table, Shared, 12000, 2);
        Free(table, Shared, 9999);
        Free(table, Shared, 12001);
        Assert.Equal(BindingLookup.NotShared, table.Find(Other, 10000, out _));
        Assert.True(table.IsShared(Shared));
        Assert.False(table.IsShared(Other));
        Assert.Equal(2, table.Count);
    }

    [Fact]
    public void A_subscriber_with_several_ranges_has_the_ports_of_all_of_them_and_no_other()
    {
        BindingTable table = BindingTable.Build([Bind(Shared, "0,5000-5003,65535", 1), Bind(Shared, "1-4999", 2)]);
        foreach (int port in (int[])[0, 5000, 5003, 65535]) Belongs(table, Shared, port, 1);
        foreach (int port in (int[])[1, 4999]) Belongs(table, Shared, port, 2);
        foreach (int port in (int[])[5004, 65534]) Free(table, Shared, port);
    }

    [Fact]
    public void A_psid_set_and_plain_ranges_of_others_share_an_address()
    {
        BindingTable table = BindingTable.Build(
            [Bind(Shared, "offset=6,length=8,psid=52", 1), Bind(Shared, "80,443,1236-1239", 2), Bind(Shared, "offset=6,length=8,psid=0", 3)]);
        Belongs(table, Shared, 1232, 1);
        Belongs(table, Shared, 1235, 1);
        Belongs(table, Shared, 1236, 2);
        Belongs(table, Shared, 80, 2);
        Belongs(table, Shared, 1024, 3);
        Free(table, Shared, 208);
        Free(table, Shared, 1240);
    }

    [Theory]
    [InlineData("all")]
    [InlineData("offset=6,length=0,psid=0")]
    [InlineData("offset=0,length=0,psid=0")]
    public void A_whole_address_has_every_port_and_says_so(string ports)
    {
        BindingTable table = BindingTable.Build([Bind(Shared, ports, 1), Bind(Other, "0-65534", 2)]);
        foreach (int port in (int[])[0, 1, 1023, 1024, 65535])
        {
            Belongs(table, Shared, port, 1);
            table.Find(Shared, (ushort)port, out BindingHit whole);
            Assert.True(whole.WholeAddress);
        }

        table.Find(Other, 0, out BindingHit part);
        Assert.False(part.WholeAddress);
        Assert.True(table.TryFindSoftwire(Softwire(1), out BindingHit one, out _) && one.WholeAddress);
        Assert.True(table.TryFindSoftwire(Softwire(2), out BindingHit two, out _) && !two.WholeAddress);
    }

    [Fact]
    public void A_hit_carries_the_prr_and_mtu_of_its_own_binding()
    {
        IPv6Address secondPrr = IPv6Address.Parse("2001:db8::2");
        var table = new BindingTable();
        for (int i = 0; i < 100; i++)
            table.Add(Bind(Shared, $"{i * 10}-{i * 10 + 9}", i, mtu: 1240 + i) with { Prr = i % 2 == 0 ? Prr : secondPrr });
        for (int i = 0; i < 100; i++)
        {
            table.Find(Shared, (ushort)(i * 10), out BindingHit hit);
            Assert.Equal((Softwire(i), i % 2 == 0 ? Prr : secondPrr, 1240 + i), (hit.Softwire, hit.Prr, hit.PayloadMtu));
            Assert.True(table.TryFindSoftwire(Softwire(i), out BindingHit same, out IPv4Address address));
            Assert.Equal((hit.Softwire, hit.Prr, hit.PayloadMtu, Shared), (same.Softwire, same.Prr, same.PayloadMtu, address));
        }
    }

    [Fact]
    public void A_softwire_that_nobody_has_is_not_found()
    {
        BindingTable table = BindingTable.Build([Bind(Shared, "10000-11000", 1)]);
        Assert.False(table.TryFindSoftwire(Softwire(2), out _, out _));
        Assert.False(table.TryFindSoftwire(default, out _, out _));
        Assert.Equal(BindingLookup.NotShared, table.Find(default, 0, out _));
    }

    [Theory]
    [InlineData("10000-11000", "11000-12000", "port 11000")]
    [InlineData("10000-11000", "10500", "port 10500")]
    [InlineData("10500", "10000-11000", "port 10500")]
    [InlineData("offset=6,length=8,psid=52", "offset=6,length=8,psid=52", "port 1232")]
    [InlineData("offset=6,length=8,psid=52", "1235-1240", "port 1235")]
    [InlineData("2000-2256", "offset=6,length=8,psid=52", "port 2256")]
    [InlineData("offset=6,length=8,psid=52", "offset=6,length=4,psid=3", "port 1232")]
    [InlineData("offset=0,length=6,psid=0", "1023", "port 1023")]
    [InlineData("all", "80", "whole address")]
    [InlineData("80", "all", "whole address")]
    [InlineData("offset=6,length=8,psid=52", "all", "whole address")]
    [InlineData("offset=6,length=8,psid=52", "offset=6,length=0,psid=0", "whole address")]
    [InlineData("all", "offset=6,length=0,psid=0", "whole address")]
    [InlineData("offset=6,length=0,psid=0", "offset=4,length=0,psid=0", "whole address")]
    [InlineData("offset=6,length=8,psid=52", "offset=6,length=4,psid=4", "divide one address differently")]
    [InlineData("offset=6,length=8,psid=52", "offset=4,length=8,psid=52", "divide one address differently")]
    public void Contradicting_bindings_are_refused_and_both_are_named(string first, string second, string why)
    {
        Binding there = Bind(Shared, first, 1), added = Bind(Shared, second, 2);
        var table = BindingTable.Build([there, Bind(Other, "0-9", 3)]);
        foreach (Action change in (Action[])[() => table.Add(added), () => table.Replace(added with { Softwire = Softwire(3) })])
        {
            APlusPException error = Assert.Throws<APlusPException>(change);
            Assert.Equal(ErrorCodes.BindingConflict, error.Code);
            Assert.Contains(why, error.Message);
            foreach (Binding culprit in (Binding[])[there, added])
            {
                Assert.Contains("192.0.2.1", error.Message);
                Assert.Contains(culprit.Ports.IsWholeAddress ? "ports all" : $"ports {culprit.Ports} ", error.Message);
            }

            Assert.Contains(Softwire(1).ToString(), error.Message);
        }

        Assert.Equal(2, table.Count);
        Belongs(table, Shared, there.Ports.Ranges.First().First, 1);
        Belongs(table, Other, 9, 3);
    }

    [Fact]
    public void The_same_softwire_twice_is_refused_and_both_bindings_are_named()
    {
        APlusPException error = Assert.Throws<APlusPException>(
            () => BindingTable.Build([Bind(Shared, "10000-11000", 1), Bind(Other, "offset=6,length=8,psid=52", 1)]));
        Assert.Equal(ErrorCodes.BindingConflict, error.Code);
        foreach (string part in (string[])["same softwire", "192.0.2.1 ports 10000-11000", "192.0.2.2 ports offset=6,length=8,psid=52", "2001:db8:1::1"])
            Assert.Contains(part, error.Message);
    }

    [Theory]
    [InlineData("::", "2001:db8::1", "192.0.2.1", 1460)]
    [InlineData("ff02::1", "2001:db8::1", "192.0.2.1", 1460)]
    [InlineData("2001:db8:1::1", "::", "192.0.2.1", 1460)]
    [InlineData("2001:db8:1::1", "2001:db8::1", "0.0.0.0", 1460)]
    [InlineData("2001:db8:1::1", "2001:db8::1", "224.0.0.1", 1460)]
    [InlineData("2001:db8:1::1", "2001:db8::1", "192.0.2.1", 67)]
    [InlineData("2001:db8:1::1", "2001:db8::1", "192.0.2.1", 65536)]
    public void What_cannot_be_a_binding_is_refused(string softwire, string prr, string address, int mtu)
    {
        var table = new BindingTable();
        var binding = new Binding(IPv4Address.Parse(address), PortSet.WholeAddress, IPv6Address.Parse(softwire), IPv6Address.Parse(prr), mtu);
        Assert.Equal(ErrorCodes.BindingConflict, Assert.Throws<APlusPException>(() => table.Add(binding)).Code);
        Assert.Equal(0, table.Count);
    }

    [Fact]
    public void Replace_moves_a_subscriber_to_another_address_layout_prr_and_mtu()
    {
        var table = BindingTable.Build([Bind(Shared, "offset=6,length=8,psid=52", 1)]);
        table.Replace(Bind(Shared, "offset=6,length=4,psid=3", 1, mtu: 1240));
        Belongs(table, Shared, 1216, 1);
        table.Replace(Bind(Shared, "1000-2000,3000", 1));
        Belongs(table, Shared, 3000, 1);
        table.Replace(Bind(Other, "1500-3000", 1, mtu: 1300) with { Prr = IPv6Address.Parse("2001:db8::2") });
        Assert.False(table.IsShared(Shared));
        table.Find(Other, 3000, out BindingHit hit);
        Assert.Equal((Softwire(1), IPv6Address.Parse("2001:db8::2"), (ushort)1300), (hit.Softwire, hit.Prr, hit.PayloadMtu));
        Assert.Equal(1, table.Count);
        APlusPException error = Assert.Throws<APlusPException>(() => table.Replace(Bind(Shared, "1", 9)));
        Assert.Equal(ErrorCodes.BindingConflict, error.Code);
    }

    [Fact]
    public void Replace_may_keep_ports_that_the_subscriber_had()
    {
        var table = BindingTable.Build([Bind(Shared, "10000-11000", 1), Bind(Shared, "11001-12000", 2)]);
        table.Replace(Bind(Shared, "9000-10500,12001-12100", 1));
        Belongs(table, Shared, 9000, 1);
        Belongs(table, Shared, 12100, 1);
        Free(table, Shared, 10501);
        Belongs(table, Shared, 11001, 2);
    }

    [Fact]
    public void Remove_frees_the_ports_and_the_address_with_its_last_binding()
    {
        var table = BindingTable.Build([Bind(Shared, "offset=6,length=8,psid=52", 1), Bind(Shared, "80", 2)]);
        Assert.True(table.Remove(Softwire(1)));
        Assert.False(table.Remove(Softwire(1)));
        Free(table, Shared, 1232);
        Belongs(table, Shared, 80, 2);
        table.Add(Bind(Shared, "offset=4,length=8,psid=52", 3));
        Assert.True(table.Remove(Softwire(3)));
        Assert.True(table.Remove(Softwire(2)));
        Assert.Equal(BindingLookup.NotShared, table.Find(Shared, 80, out _));
        Assert.Equal(0, table.Count);
        Assert.Empty(table.Bindings);
    }

    [Fact]
    public void Who_listens_hears_of_each_change_when_lookups_see_it_and_of_nothing_that_was_refused()
    {
        BindingTable table = BindingTable.Build([Bind(Shared, "10000-11000", 1)]);
        var heard = new List<(BindingChange Change, BindingLookup Then)>();
        table.Changed += change => heard.Add((change, table.Find(Shared, 20000, out _)));

        table.Add(Bind(Shared, "20000-20999", 2));
        Assert.Throws<APlusPException>(() => table.Add(Bind(Shared, "20500", 3)));
        Assert.Throws<APlusPException>(() => table.Replace(Bind(Shared, "30000", 3)));
        Assert.False(table.Remove(Softwire(3)));
        table.Replace(Bind(Shared, "30000", 2));
        table.Remove(Softwire(1));

        Assert.Equal(
            [
                (new BindingChange(null, Bind(Shared, "20000-20999", 2)), BindingLookup.Found),
                (new BindingChange(Bind(Shared, "20000-20999", 2), Bind(Shared, "30000", 2)), BindingLookup.NoBinding),
                (new BindingChange(Bind(Shared, "10000-11000", 1), null), BindingLookup.NoBinding),
            ],
            heard);
    }

    [Fact]
    public void Who_listens_hears_that_the_rules_are_others()
    {
        var table = new BindingTable();
        var heard = new List<RuleTable?>();
        table.RulesChanged += () => heard.Add(table.Rules);
        table.SetRules([]);
        Assert.Equal([null], heard);
    }

    [Fact]
    public void The_table_tells_its_bindings_as_they_went_in()
    {
        Binding[] bindings =
        [
            Bind(Shared, "offset=6,length=8,psid=52", 1), Bind(Shared, "80,443,1236-1239", 2), Bind(Shared, "offset=6,length=8,psid=0", 3, 1240),
            Bind(Other, "all", 4), Bind(IPv4Address.Parse("192.0.2.3"), "offset=6,length=0,psid=0", 5),
            Bind(IPv4Address.Parse("192.0.2.4"), "offset=0,length=16,psid=65535", 6) with { Prr = IPv6Address.Parse("2001:db8::2") },
        ];
        Assert.Equal(bindings, BindingTable.Build(bindings).Bindings.OrderBy(binding => binding.Softwire));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(31)]
    [InlineData(32)]
    [InlineData(33)]
    [InlineData(100)]
    public void A_batch_answers_as_single_lookups_do(int size)
    {
        BindingTable table = BindingTable.Build(
            [Bind(Shared, "offset=6,length=8,psid=52", 1), Bind(Shared, "80,443,1236-1239", 2, 1300), Bind(Other, "all", 3)]);
        var random = new Random(size);
        IPv4Address[] addresses = [Shared, Shared, Other, IPv4Address.Parse("192.0.2.3")];
        var queries = new BindingQuery[size];
        for (int i = 0; i < size; i++) queries[i] = new BindingQuery(addresses[random.Next(4)], (ushort)random.Next(1500));
        var hits = new BindingHit[size + 1];
        table.Find(queries, hits);
        for (int i = 0; i < size; i++)
        {
            table.Find(queries[i].Address, queries[i].Port, out BindingHit single);
            Assert.Equal(single, hits[i]);
        }

        Assert.Equal(default, hits[size]);
    }

    [Fact]
    public void Lookups_allocate_nothing()
    {
        BindingTable table = BindingTable.Build([Bind(Shared, "offset=6,length=8,psid=52", 1), Bind(Shared, "80,443", 2, 1300)]);
        BindingQuery[] queries = [.. Enumerable.Range(0, 100).Select(i => new BindingQuery(Shared, (ushort)(i * 20)))];
        var hits = new BindingHit[100];
        IPv6Address softwire = Softwire(1);
        Lookups();
        Allocations.None(Lookups);

        void Lookups()
        {
            table.Find(queries, hits);
            table.Find(Shared, 80, out _);
            table.TryFindSoftwire(softwire, out _, out _);
            table.IsShared(Shared);
        }
    }
}
