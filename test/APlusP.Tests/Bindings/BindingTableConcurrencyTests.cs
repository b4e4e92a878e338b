using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;

namespace APlusP.Tests.Bindings;

public class BindingTableConcurrencyTests
{
    static readonly UInt128 Softwires = IPv6Address.Parse("2001:db8:1::").Value;
    static readonly UInt128 Prrs = IPv6Address.Parse("2001:db8::1:0").Value;

    /// <summary>A binding whose every part follows from its softwire, so that a reader recognises parts that do not belong together.</summary>
    static Binding Consistent(int number)
    {
        PortSet ports = number % 3 == 0 ? PortSet.FromPsid(6, 4, number / 30 % 16)
            : PortSet.FromRanges(OwnRange(number, 0), OwnRange(number, 20_000), OwnRange(number, 40_000));
        return new Binding(AddressOf(number), ports, new IPv6Address(Softwires + (uint)number),
            new IPv6Address(Prrs + (uint)(number % 7)), 1000 + number);
    }

    // PSID sets and ranges are given to different addresses, since they would overlap.
    static IPv4Address AddressOf(int number) => new(IPv4Address.Parse("198.51.100.0").Value + (uint)(number % 30));

    static PortRange OwnRange(int number, int start) => new((ushort)(start + number * 20), (ushort)(start + number * 20 + 19));

    [Fact]
    public void Readers_never_see_parts_of_different_bindings_while_slots_are_freed_and_used_again()
    {
        const int Numbers = 480;
        Binding[] bindings = [.. Enumerable.Range(0, Numbers).Select(Consistent)];
        // Large enough for PSIDs to be listed while they are few.
        var table = new BindingTable(70_000);
        long found = Reading(() => Churn(table, bindings), (random, hits) =>
        {
            Span<BindingQuery> queries = stackalloc BindingQuery[hits.Length];
            for (int i = 0; i < queries.Length; i++)
            {
                Binding wanted = bindings[random.Next(Numbers)];
                queries[i] = new BindingQuery(wanted.Address, wanted.Ports.Ranges.ElementAt(random.Next(2)).First);
            }

            table.Find(queries, hits);
            int seen = 0;
            for (int i = 0; i < queries.Length; i++)
            {
                if (hits[i].Lookup != BindingLookup.Found) continue;
                seen++;
                Binding owner = bindings[(int)(hits[i].Softwire.Value - Softwires)];
                Assert.Equal((owner.Address, owner.Prr, owner.PayloadMtu), (queries[i].Address, hits[i].Prr, hits[i].PayloadMtu));
                Assert.True(owner.Ports.Contains(queries[i].Port));
            }

            Binding one = bindings[random.Next(Numbers)];
            if (table.TryFindSoftwire(one.Softwire, out BindingHit hit, out IPv4Address address))
                Assert.Equal((one.Address, one.Softwire, one.Prr, one.PayloadMtu), (address, hit.Softwire, hit.Prr, hit.PayloadMtu));
            if (table.Find(one.Address, one.Ports.Ranges.First().First, out hit) == BindingLookup.Found)
                Assert.Equal((one.Softwire, one.Prr, one.PayloadMtu), (hit.Softwire, hit.Prr, hit.PayloadMtu));
            Span<SoftwireQuery> senders = stackalloc SoftwireQuery[hits.Length];
            Span<SoftwireHolder> holders = stackalloc SoftwireHolder[hits.Length];
            foreach (ref SoftwireQuery sender in senders) sender = new SoftwireQuery(bindings[random.Next(Numbers)].Softwire, default);
            table.FindSoftwires(senders, holders);
            for (int i = 0; i < holders.Length; i++)
            {
                Binding sender = bindings[(int)(senders[i].Softwire.Value - Softwires)];
                if (holders[i].IsKnown) Assert.Equal(new SoftwireHolder(true, sender.Prr, sender.Address), holders[i]);
            }

            return seen;
        });
        Assert.True(found > 0, "The readers never found a binding, so they have shown nothing.");
    }

    static void Churn(BindingTable table, Binding[] bindings)
    {
        var random = new Random(1);
        var inside = new bool[bindings.Length];
        for (int change = 0; change < 200_000; change++)
        {
            int number = random.Next(bindings.Length);
            if (inside[number]) Assert.True(table.Remove(bindings[number].Softwire));
            else table.Add(bindings[number]);
            inside[number] = !inside[number];
        }

        Assert.Equal(inside.Count(there => there), table.Count);
    }

    [Fact]
    public void A_replaced_binding_is_in_its_old_or_its_new_place_and_never_in_both_or_neither()
    {
        var softwire = new IPv6Address(Softwires);
        Binding[] states =
        [
            new(IPv4Address.Parse("192.0.2.1"), PortSet.Parse("10000-11000"), softwire, new IPv6Address(Prrs), 1460),
            new(IPv4Address.Parse("192.0.2.2"), PortSet.Parse("offset=6,length=8,psid=52"), softwire, new IPv6Address(Prrs + 1), 1240),
            new(IPv4Address.Parse("192.0.2.3"), PortSet.WholeAddress, softwire, new IPv6Address(Prrs + 2), 1300),
        ];
        ushort[] ports = [10500, 1233, 7];
        var table = BindingTable.Build([states[0]]);
        long found = Reading(Flip, (_, hits) =>
        {
            Span<BindingQuery> queries = stackalloc BindingQuery[states.Length];
            for (int i = 0; i < queries.Length; i++) queries[i] = new BindingQuery(states[i].Address, ports[i]);
            table.Find(queries, hits);
            int seen = 0;
            for (int i = 0; i < queries.Length; i++)
            {
                if (hits[i].Lookup != BindingLookup.Found) continue;
                seen++;
                Assert.Equal((softwire, states[i].Prr, states[i].PayloadMtu, i == 2), (hits[i].Softwire, hits[i].Prr, hits[i].PayloadMtu, hits[i].WholeAddress));
            }

            Assert.Equal(1, seen);
            Assert.True(table.TryFindSoftwire(softwire, out BindingHit hit, out IPv4Address address));
            Binding now = states.Single(state => state.Address == address);
            Assert.Equal((now.Prr, now.PayloadMtu, now.Ports.IsWholeAddress), (hit.Prr, hit.PayloadMtu, hit.WholeAddress));
            return seen;
        });
        Assert.True(found > 0);

        void Flip()
        {
            for (int change = 1; change <= 200_000; change++) table.Replace(states[change % states.Length]);
        }
    }

    [Fact]
    public void A_binding_is_found_all_the_while_that_the_table_grows_around_it()
    {
        Binding constant = Consistent(1);
        var table = BindingTable.Build([constant]);
        Reading(Grow, (_, _) =>
        {
            Assert.Equal(BindingLookup.Found, table.Find(constant.Address, constant.Ports.Ranges.First().First, out BindingHit hit));
            Assert.Equal((constant.Softwire, constant.Prr, constant.PayloadMtu), (hit.Softwire, hit.Prr, hit.PayloadMtu));
            return 1;
        });

        void Grow()
        {
            for (int i = 0; i < 30_000; i++)
            {
                PortSet ports = (i % 3) switch { 0 => PortSet.WholeAddress, 1 => PortSet.FromPsid(6, 4, 3), _ => PortSet.FromRanges(new PortRange(5, 9)) };
                table.Add(new Binding(new IPv4Address(0x0a000000u + (uint)i), ports, new IPv6Address(Softwires + 100_000 + (uint)i), constant.Prr, 1300));
            }
        }
    }

    /// <summary>Runs readers, each over and over, while the writer writes; rethrows what any of them met. The sum of what readers gave.</summary>
    static long Reading(Action write, Func<Random, BindingHit[], int> read)
    {
        long sum = 0;
        bool written = false;
        Task[] readers = [.. Enumerable.Range(0, 3).Select(number => Task.Factory.StartNew(() =>
        {
            var random = new Random(number);
            var hits = new BindingHit[BindingTable.BatchSize];
            do Interlocked.Add(ref sum, read(random, hits));
            while (!Volatile.Read(ref written));
        }, TaskCreationOptions.LongRunning))];
        try
        {
            write();
        }
        finally
        {
            Volatile.Write(ref written, true);
        }

        Task.WaitAll(readers);
        return sum;
    }
}
