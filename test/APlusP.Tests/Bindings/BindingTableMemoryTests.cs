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
    public void A_million_bindings_take_at_most_100_MB(string layout)
    {
        (int perAddress, Func<int, PortSet> portsOf) = layout switch
        {
            "63 PSIDs an address" => (63, i => PortSet.FromPsid(0, 6, i + 1)),
            "two ranges each, 30 subscribers an address" => (30, (Func<int, PortSet>)(i => PortSet.FromRanges(Range(i * 1000, 1000), Range(40000 + i * 500, 500)))),
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

    static PortRange Range(int first, int count) => new((ushort)first, (ushort)(first + count - 1));

    static IPv4Address AddressOf(int index) => new(IPv4Address.Parse("10.0.0.0").Value + (uint)index);

    static IPv6Address SoftwireOf(int index) => new(FirstSoftwire + ((UInt128)index << 64));
}
