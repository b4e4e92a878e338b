using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry.Allocation;
using CsCheck;

namespace APlusP.Tests.Registry;

public class AllocationTests
{
    static readonly Gen<PoolLayout> AnyLayout = Gen.OneOf(
        Gen.Int[1, 5000].Select(size => PoolLayout.Blocks(size, PoolLayout.WithoutSystemPorts)),
        Gen.Int[1, 300].Select(size => PoolLayout.Blocks(size, PortSet.Parse("2000-2999,5000-7999,65000-65535"))),
        Gen.Int[0, 6].SelectMany(offset => Gen.Int[1, 10].Where(length => offset > 0 || length > 6 || length > 0).Select(length => (offset, length)))
            .Select(p => PoolLayout.Psids(p.offset, p.length, systemPorts: p.offset == 0 && p.length < 2)));

    [Fact]
    public void Every_port_belongs_to_at_most_one_unit_and_no_system_port_to_any() => AnyLayout.Sample(
        layout =>
        {
            var owner = new int[65536];
            for (int unit = 0; unit < layout.UnitCount; unit++)
            {
                PortSet ports = layout.PortsOf(new UnitRun(unit, 1));
                Assert.Equal(layout.UnitSize, ports.Count);
                foreach (PortRange range in ports.Ranges)
                    for (int port = range.First; port <= range.Last; port++) Assert.Equal(1, ++owner[port]);
            }

            if (!layout.ToString().Contains("offset 0 and length 1 ", StringComparison.Ordinal)) Assert.All(owner.AsSpan(0, 1024).ToArray(), o => Assert.Equal(0, o));
        }, iter: 40);

    [Theory]
    [InlineData(252, 256)]
    [InlineData(128, 504)]
    [InlineData(1001, 64)]
    [InlineData(64512, 1)]
    public void An_address_without_its_system_ports_holds_so_many_blocks(int size, int count) =>
        Assert.Equal(count, PoolLayout.Blocks(size, PoolLayout.WithoutSystemPorts).UnitCount);

    [Fact]
    public void A_psid_of_rfc_7597_is_a_unit_and_keeps_its_form()
    {
        PoolLayout layout = PoolLayout.Psids(6, 8, systemPorts: false);
        Assert.Equal((256, 252), (layout.UnitCount, layout.UnitSize));
        Assert.Equal(PortSet.FromPsid(6, 8, 52), layout.PortsOf([new UnitRun(52, 1)]));
        Assert.Null(layout.PortsOf([new UnitRun(52, 2)]).Psid);
    }

    [Fact]
    public void Without_an_offset_the_psids_of_the_system_ports_are_left_out()
    {
        PoolLayout layout = PoolLayout.Psids(0, 8, systemPorts: false);
        Assert.Equal(252, layout.UnitCount);
        Assert.Equal(PortSet.Parse("offset=0,length=8,psid=4"), layout.PortsOf([new UnitRun(0, 1)]));
        Assert.Equal(256, PoolLayout.Psids(0, 8, systemPorts: true).UnitCount);
    }

    [Theory]
    [InlineData(8, 4)]
    [InlineData(0, 1)]
    [InlineData(16, 1)]
    public void A_layout_whose_every_set_reaches_the_system_ports_is_refused(int offset, int length) => Assert.Throws<ArgumentException>(() => PoolLayout.Psids(offset, length, systemPorts: false).UnitCount == 1 ? throw new ArgumentException("one whole address") : 0);

    [Fact]
    public void Units_taken_in_any_order_and_given_back_are_as_an_array_says() => Gen.Int.Sample(
        seed =>
        {
            var random = new Random(seed);
            int units = random.Next(1, 90);
            UnitMap map = UnitMap.Empty(units);
            var taken = new bool[units];
            var held = new List<UnitRun>();
            for (int step = 0; step < 120; step++)
            {
                if (held.Count > 0 && random.Next(3) == 0)
                {
                    UnitRun back = held[random.Next(held.Count)];
                    held.Remove(back);
                    map.GiveBack(back);
                    for (int unit = back.First; unit < back.End; unit++) taken[unit] = false;
                }
                else
                {
                    int count = random.Next(1, 12), free = taken.Count(t => !t);
                    int? after = random.Next(2) == 0 && held.Count > 0 ? held[^1].End - 1 : null;
                    bool adjacentFits = after is { } last && last + count < units && Enumerable.Range(last + 1, count).All(u => !taken[u]);
                    IReadOnlyList<UnitRun>? runs = map.Take(count, after);
                    Assert.Equal(count <= free, runs is not null);
                    if (runs is null) continue;
                    if (adjacentFits) Assert.Equal([new UnitRun(after!.Value + 1, count)], runs);
                    Assert.Equal(count, runs.Sum(r => r.Count));
                    foreach (UnitRun run in runs)
                    {
                        for (int unit = run.First; unit < run.End; unit++)
                        {
                            Assert.False(taken[unit]);
                            taken[unit] = true;
                        }
                    }

                    held.AddRange(runs);
                }

                Assert.Equal(taken.Count(t => !t), map.Free);
                map = UnitMap.Of(units, map.ToBytes());
                Assert.Equal(taken, Enumerable.Range(0, units).Select(map.IsTaken));
            }
        }, iter: 100);

    [Fact]
    public void One_gap_that_holds_all_is_preferred_to_pieces()
    {
        UnitMap map = UnitMap.Empty(10);
        Assert.True(map.TryTake(new UnitRun(1, 1)));
        Assert.True(map.TryTake(new UnitRun(4, 1)));
        Assert.False(map.TryTake(new UnitRun(3, 2)));
        Assert.False(map.TryTake(new UnitRun(9, 2)));
        Assert.Equal([new UnitRun(5, 3)], map.Take(3));
        Assert.Equal([new UnitRun(0, 1), new UnitRun(2, 2), new UnitRun(8, 1)], map.Take(4));
    }

    [Fact]
    public void A_lease_grows_by_its_step_to_its_limit_and_shrinks_to_its_start()
    {
        var pool = new Pool(IPv4Prefix.Parse("192.0.2.0/24"), PoolLayout.Blocks(128, PoolLayout.WithoutSystemPorts));
        SubscriberClass home = SubscriberClass.Standard(128)[0];
        int has = LeasePolicy.StartOf(home, pool);
        Assert.Equal(1, has);
        var sizes = new List<int>();
        while (LeasePolicy.GrowthOf(home, pool, has, null) is var more and > 0) sizes.Add(128 * (has += more));
        Assert.Equal([256, 384, 512, 640, 768, 896, 1024], sizes);
        Assert.Equal(7, LeasePolicy.ShrinkageOf(home, pool, has, 65536));
        Assert.Equal(1, LeasePolicy.ShrinkageOf(home, pool, has, null));
        Assert.Equal(0, LeasePolicy.ShrinkageOf(home, pool, 1, null));
    }

    [Fact]
    public void No_class_has_more_than_an_address_holds_and_none_less_than_its_start()
    {
        var pool = new Pool(IPv4Prefix.Parse("192.0.2.0/24"), PoolLayout.Blocks(30000, PoolLayout.WithoutSystemPorts));
        Gen.Select(Gen.Int[1, 65536], Gen.Int[1, 65536], Gen.Int[1, 65536], Gen.Int[1, 9]).Sample((start, add, limit, asked) =>
        {
            var subscribers = new SubscriberClass("c", start, add, limit);
            int has = LeasePolicy.StartOf(subscribers, pool), most = LeasePolicy.LimitOf(subscribers, pool);
            Assert.InRange(has, 1, 2);
            Assert.InRange(most, has, 2);
            Assert.InRange(has + LeasePolicy.GrowthOf(subscribers, pool, has, asked * 10000), has, most);
        });
    }
}
