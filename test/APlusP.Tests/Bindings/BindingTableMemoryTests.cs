using System.Diagnostics;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;

namespace APlusP.Tests.Bindings;

/// <summary>Runs by itself, since it measures the memory of the whole process.</summary>
[CollectionDefinition(nameof(BindingTableMemoryTests), DisableParallelization = true)]
[Collection(nameof(BindingTableMemoryTests))]
public class BindingTableMemoryTests
{
    const int Million = 1_000_000;

    static readonly IPv6Address Prr = IPv6Address.Parse("2001:db8::1");
    static readonly UInt128 FirstSoftwire = IPv6Address.Parse("2001:db8:1::").Value;

    [Theory]
    [InlineData("63 PSIDs an address")]
    [InlineData("two ranges each, 30 subscribers an address")]
    [InlineData("whole addresses")]
    [InlineData("one of 256 PSIDs an address")]
    public void A_million_bindings_take_at_most_100_MB(string layout)
    {
        (int perAddress, Func<int, PortSet> portsOf) = layout switch
        {
            "63 PSIDs an address" => (63, i => PortSet.FromPsid(0, 6, i + 1)),
            "two ranges each, 30 subscribers an address" => (30, (Func<int, PortSet>)(i => PortSet.FromRanges(Range(i * 1000, 1000), Range(40000 + i * 500, 500)))),
            "one of 256 PSIDs an address" => (1, _ => PortSet.FromPsid(6, 8, 52)),
            _ => (1, _ => PortSet.WholeAddress),
        };
        long before = GC.GetTotalMemory(forceFullCollection: true);
        BindingTable table = BindingTable.Build(Enumerable.Range(0, Million).Select(i => new Binding(
            AddressOf(i / perAddress), portsOf(i % perAddress), SoftwireOf(i), Prr)));
        long taken = GC.GetTotalMemory(forceFullCollection: true) - before;

        Assert.InRange(taken, Million * 16, 100_000_000);
        Assert.Equal(Million, table.Count);
        for (int i = 0; i < Million; i += 9973)
        {
            table.Find(AddressOf(i / perAddress), portsOf(i % perAddress).Ranges.Last().Last, out BindingHit hit);
            Assert.Equal(SoftwireOf(i), hit.Softwire);
        }
    }

    [Fact]
    public void Among_a_million_bindings_ten_thousand_changes_take_less_than_loading_and_a_comparison_finds_each()
    {
        Binding Of(int i, int mtu = 1460) => new(AddressOf(i / 63), PortSet.FromPsid(0, 6, i % 63 + 1), SoftwireOf(i), Prr, mtu);
        var random = new Random(1);
        BindingTable before = BindingTable.Build(Enumerable.Range(0, Million).Select(i => Of(i)));
        long start = Stopwatch.GetTimestamp();
        BindingTable table = BindingTable.Build(Enumerable.Range(0, Million).Select(i => Of(i)));
        TimeSpan loading = Stopwatch.GetElapsedTime(start);

        int[] changed = [.. Enumerable.Range(0, 10_000).Select(_ => random.Next(Million)).Distinct()];
        TimeSpan changing = Timing.Least(3, round =>
        {
            foreach (int i in changed) table.Replace(Of(i, mtu: 1400 + round));
        });

        Assert.Equal(changed.Length, before.DifferencesTo(table).Count);
        Assert.True(changing < loading, $"{changed.Length} changes took {changing}, a million additions {loading}");
    }

    [Fact]
    public void Changes_that_leave_as_many_bindings_leave_as_much_memory()
    {
        const int Subscribers = 500;
        var random = new Random(1);
        BindingTable table = BindingTable.Build(Enumerable.Range(0, Subscribers).Select(i => Arbitrary(i)));
        for (int change = 0; change < 20_000; change++) table.Replace(Arbitrary(random.Next(Subscribers)));
        long before = GC.GetTotalMemory(forceFullCollection: true);
        for (int change = 0; change < 100_000; change++)
        {
            Binding binding = Arbitrary(random.Next(Subscribers));
            if (random.Next(2) == 0) table.Replace(binding);
            else Assert.True(table.Remove(binding.Softwire));
            if (table.Count < Subscribers) table.Add(binding);
        }

        // Were blocks lost, each change would take 24 octets at least, 2.4 MB in all.
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 1_000_000);
        Assert.Equal(Subscribers, table.Count);

        // A PSID of 16 on one address, or one to four ranges on one of four others; 16 subscribers share these five.
        Binding Arbitrary(int subscriber)
        {
            bool byPsid = random.Next(2) == 0;
            PortSet ports = byPsid ? PortSet.FromPsid(4, 4, subscriber % 16)
                : PortSet.FromRanges(Enumerable.Range(0, 1 + random.Next(4)).Select(piece => Range(subscriber % 16 * 100 + piece * 10_000, 50)));
            return new Binding(AddressOf(subscriber / 16 * 10 + (byPsid ? 0 : 1 + random.Next(4))), ports, SoftwireOf(subscriber), Prr);
        }
    }

    static PortRange Range(int first, int count) => new((ushort)first, (ushort)(first + count - 1));

    static IPv4Address AddressOf(int index) => new(IPv4Address.Parse("10.0.0.0").Value + (uint)index);

    static IPv6Address SoftwireOf(int index) => new(FirstSoftwire + ((UInt128)index << 64));
}
