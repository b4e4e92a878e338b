using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;
using CsCheck;

namespace APlusP.Tests.Bindings;

/// <summary>Random changes, good and bad, to the table and to a model that writes every port's owner into an array.</summary>
public class BindingTableModelTests
{
    const int Addresses = 4, Softwires = 24;

    [Fact]
    public void After_any_changes_every_lookup_is_as_the_model_says() =>
        Gen.Int.Sample(seed => Run(new Random(seed)), iter: 20);

    static void Run(Random random)
    {
        // Large tables list the PSIDs of an address where they are few.
        var table = new BindingTable(random.Next(2) * 70_000);
        var model = new Model();
        var mirror = new Dictionary<IPv6Address, Binding>();
        table.Changed += change => Mirror(mirror, change);
        for (int step = 0; step < 150; step++)
        {
            Binding binding = Arbitrary(random);
            switch (random.Next(4))
            {
                case 0:
                    Assert.Equal(model.Bindings.ContainsKey(binding.Softwire), table.Remove(binding.Softwire));
                    model.Remove(binding.Softwire);
                    break;
                case 1:
                    Same(model.TryReplace(binding), () => table.Replace(binding), binding);
                    break;
                default:
                    Same(model.TryAdd(binding), () => table.Add(binding), binding);
                    break;
            }

            CompareSome(table, model, binding, random);
        }

        CompareAll(table, model);
        Assert.Equal(model.Bindings, mirror);
        foreach (IPv6Address softwire in model.Bindings.Keys.ToList())
        {
            Assert.True(table.Remove(softwire));
            model.Remove(softwire);
            CompareSome(table, model, Arbitrary(random), random);
        }

        Assert.Empty(table.Bindings);
        Assert.Empty(mirror);
    }

    static void Mirror(Dictionary<IPv6Address, Binding> mirror, BindingChange change)
    {
        if (change.Before is { } before)
        {
            Assert.True(mirror.Remove(before.Softwire, out Binding? was));
            Assert.Equal(was, before);
            if (change.After is { } replaced) Assert.Equal(before.Softwire, replaced.Softwire);
        }

        if (change.After is { } after) mirror.Add(after.Softwire, after);
    }

    static void Same(bool accepted, Action change, Binding binding)
    {
        Exception? refusal = Record.Exception(change);
        if (accepted) Assert.True(refusal is null, $"{binding} was refused: {refusal}");
        else Assert.Equal(ErrorCodes.BindingConflict, Assert.IsType<APlusPException>(refusal).Code);
    }

    static Binding Arbitrary(Random random) => new(AddressOf(random.Next(Addresses)), ArbitraryPorts(random), SoftwireOf(random.Next(Softwires)),
        new IPv6Address(IPv6Address.Parse("2001:db8::").Value + 1 + (uint)random.Next(3)), 1300 + random.Next(3));

    static PortSet ArbitraryPorts(Random random)
    {
        (int offset, int length) = (random.Next(8) switch { 0 => (4, 4), 1 => (0, 6), 2 => (6, 0), 3 => (15, 1), _ => (6, 3) });
        if (random.Next(20) == 0) return PortSet.WholeAddress;
        if (random.Next(2) == 0) return PortSet.FromPsid(offset, length, random.Next(1 << length));
        int at = random.Next(60_000);
        var ranges = new List<PortRange>();
        for (int pieces = random.Next(1, 6); pieces > 0 && at < 65536; pieces--)
        {
            int last = Math.Min(at + random.Next(random.Next(2) == 0 ? 3 : 700), ushort.MaxValue);
            ranges.Add(new PortRange((ushort)at, (ushort)last));
            at = last + 1 + random.Next(500);
        }

        return PortSet.FromRanges(ranges);
    }

    static IPv4Address AddressOf(int index) => new(IPv4Address.Parse("192.0.2.0").Value + (uint)index);

    static IPv6Address SoftwireOf(int index) => new(IPv6Address.Parse("2001:db8:1::").Value + (uint)index);

    static void CompareSome(BindingTable table, Model model, Binding last, Random random)
    {
        Assert.Equal(model.Bindings.Count, table.Count);
        foreach (PortRange range in last.Ports.Ranges.Take(20))
            foreach (int port in (int[])[range.First - 1, range.First, range.Last, range.Last + 1]) Compare(table, model, last.Address, (ushort)port);
        for (int i = 0; i < 20; i++) Compare(table, model, AddressOf(random.Next(Addresses + 1)), (ushort)random.Next(65536));
        CompareHolders(table, model, random);
        bool known = model.Bindings.TryGetValue(last.Softwire, out Binding? now);
        Assert.Equal(known, table.TryFindSoftwire(last.Softwire, out BindingHit hit, out IPv4Address address));
        if (!known) return;
        Assert.Equal(now!.Address, address);
        Expect(now, hit);
    }

    static void CompareHolders(BindingTable table, Model model, Random random)
    {
        SoftwireQuery[] queries = [.. Enumerable.Range(0, random.Next(1, BindingTable.BatchSize + 1)).Select(_ => new SoftwireQuery(SoftwireOf(random.Next(Softwires + 8)), default))];
        var holders = new SoftwireHolder[BindingTable.BatchSize];
        table.FindSoftwires(queries, holders);
        for (int i = 0; i < queries.Length; i++)
            Assert.Equal(model.Bindings.TryGetValue(queries[i].Softwire, out Binding? now) ? new SoftwireHolder(true, now.Prr, now.Address) : default, holders[i]);
    }

    static void CompareAll(BindingTable table, Model model)
    {
        Assert.Equal(model.Bindings.Values.OrderBy(binding => binding.Softwire), table.Bindings.OrderBy(binding => binding.Softwire));
        for (int index = 0; index < Addresses; index++)
            for (int port = 0; port < 65536; port++) Compare(table, model, AddressOf(index), (ushort)port);
    }

    static void Compare(BindingTable table, Model model, IPv4Address address, ushort port)
    {
        Binding? owner = model.Owner(address, port);
        BindingLookup expected = owner is not null ? BindingLookup.Found
            : model.IsShared(address) ? BindingLookup.NoBinding : BindingLookup.NotShared;
        BindingLookup answer = table.Find(address, port, out BindingHit hit);
        Assert.Equal(model.IsShared(address), table.IsShared(address));
        if (answer != expected) Assert.Fail($"{address}:{port} is {answer}, not {expected}");
        if (owner is not null) Expect(owner, hit);
    }

    static void Expect(Binding binding, in BindingHit hit)
    {
        if (hit.Softwire != binding.Softwire || hit.Prr != binding.Prr || hit.PayloadMtu != binding.PayloadMtu
            || hit.WholeAddress != binding.Ports.IsWholeAddress || hit.Lookup != BindingLookup.Found)
            Assert.Fail($"{binding} was found as {hit.Softwire} by {hit.Prr}, MTU {hit.PayloadMtu}, whole {hit.WholeAddress}");
    }

    /// <summary>What the table means, as plainly as can be.</summary>
    sealed class Model
    {
        readonly Dictionary<IPv4Address, Binding?[]> _owners = [];

        public Dictionary<IPv6Address, Binding> Bindings { get; } = [];

        public Binding? Owner(IPv4Address address, ushort port) => _owners.TryGetValue(address, out Binding?[]? owners) ? owners[port] : null;

        public bool IsShared(IPv4Address address)
        {
            foreach (Binding binding in Bindings.Values)
                if (binding.Address == address) return true;
            return false;
        }

        public bool TryAdd(Binding binding)
        {
            if (Bindings.ContainsKey(binding.Softwire) || Contradicts(binding)) return false;
            Bindings.Add(binding.Softwire, binding);
            Own(binding, binding);
            return true;
        }

        public bool TryReplace(Binding binding)
        {
            if (!Bindings.TryGetValue(binding.Softwire, out Binding? old)) return false;
            Remove(binding.Softwire);
            if (TryAdd(binding)) return true;
            Assert.True(TryAdd(old));
            return false;
        }

        public void Remove(IPv6Address softwire)
        {
            if (Bindings.Remove(softwire, out Binding? binding)) Own(binding, null);
        }

        bool Contradicts(Binding binding)
        {
            foreach (ushort port in PortsOf(binding))
                if (Owner(binding.Address, port) is not null) return true;
            return binding.Ports.Psid is { } psid && Bindings.Values.Any(other => other.Address == binding.Address
                && other.Ports.Psid is { } there && (there.Offset, there.Length) != (psid.Offset, psid.Length));
        }

        void Own(Binding binding, Binding? owner)
        {
            if (!_owners.TryGetValue(binding.Address, out Binding?[]? owners)) _owners.Add(binding.Address, owners = new Binding?[65536]);
            foreach (ushort port in PortsOf(binding)) owners[port] = owner;
        }

        static IEnumerable<ushort> PortsOf(Binding binding)
        {
            foreach (PortRange range in binding.Ports.Ranges)
                for (int port = range.First; port <= range.Last; port++) yield return (ushort)port;
        }
    }
}
