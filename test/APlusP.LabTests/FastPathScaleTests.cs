using System.Diagnostics;
using System.Globalization;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;
using APlusP.Linux.Bpf;
using APlusP.Tests;
using APlusP.Tests.Forwarding;

namespace APlusP.LabTests;

/// <summary>The maps of the PRR's programs with a million bindings, and under changes: run by the kernel on no device.</summary>
[Collection(Alone.Name)]
public sealed class FastPathScaleTests(ITestOutputHelper output)
{
    const int Million = 1_000_000;

    static readonly IPv6Address s_border = IPv6Address.Parse(PrrScene.Border);

    static readonly int s_seed = int.TryParse(Environment.GetEnvironmentVariable("APLUSP_SEED"), out int seed) ? seed : Environment.TickCount;

    static Binding Bind(uint address, PortSet ports, int subscriber) =>
        new(new IPv4Address(0x0b00_0000u + address), ports, new IPv6Address((UInt128)0x2001_0db8_0100_0000ul << 64 | (uint)subscriber), s_border);

    /// <summary>Ways to divide addresses among a million: full and sparse PSID layouts, ranges, and whole addresses.</summary>
    static IEnumerable<Binding> Layout(string name, int count)
    {
        for (int i = 0; i < count; i++)
        {
            yield return name switch
            {
                "64 of 64 psids" => Bind((uint)i / 64, PortSet.FromPsid(6, 6, i % 64), i),
                "8 of 256 psids" => Bind((uint)i / 8, PortSet.FromPsid(6, 8, i % 8 * 31), i),
                "1 of 256 psids" => Bind((uint)i, PortSet.FromPsid(6, 8, i & 255), i),
                "50 ranges" => Bind((uint)i / 50, PortSet.FromRanges(new PortRange((ushort)(2000 + i % 50 * 1000), (ushort)(2999 + i % 50 * 1000))), i),
                _ => Bind((uint)i, PortSet.WholeAddress, i),
            };
        }
    }

    [Theory]
    [InlineData("64 of 64 psids", 80)]
    [InlineData("8 of 256 psids", 100)]
    [InlineData("1 of 256 psids", 100)]
    [InlineData("50 ranges", 100)]
    [InlineData("whole addresses", 100)]
    public void A_million_bindings_take_less_than_a_hundred_megabytes_in_any_layout_and_each_is_found(string layout, int megabytes)
    {
        Dictionary<string, uint> sizes = APlusP.Linux.FastPath.PrrMaps.EntriesFor(Layout(layout, Million));
        long start = Stopwatch.GetTimestamp();
        using var programs = new FastPathPrograms(BpfHook.Xdp, PrrScene.Options, Layout(layout, Million), sizes: sizes);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{layout}: {programs.MapOctets / 1e6:f1} MB of maps, filled in {Stopwatch.GetElapsedTime(start).TotalMilliseconds:f0} ms"));
        Assert.Equal(Million, programs.Maps.Count);
        Assert.InRange(programs.MapOctets, 60_000_000, megabytes * 1_000_000L);

        var random = new Random(s_seed);
        foreach (Binding binding in Layout(layout, Million).Where(_ => random.Next(1000) == 0)) Assert.Equal(binding.Softwire, Reached(programs, binding.Address, FirstPort(binding)));
    }

    static ushort FirstPort(Binding binding) => binding.Ports.Ranges.First().First;

    /// <summary>The SMAP that a packet to this port is sent to; null where it is passed up.</summary>
    static IPv6Address? Reached(FastPathPrograms programs, IPv4Address address, ushort port) =>
        programs.Run(Packets.Udp("198.51.100.7:53", $"{address}:{port}", 20), out ReadOnlySpan<byte> after) is FastPathPrograms.RedirectXdp or FastPathPrograms.RedirectTc ? IPv6Address.Read(after[24..]) : null;

    [Fact]
    public void After_any_changes_the_programs_find_what_the_table_finds()
    {
        // One address whose slots stand in a row, until somebody has a range of it too.
        IEnumerable<Binding> full = Enumerable.Range(0, 30).Select(i => Bind(2, PortSet.FromPsid(6, 5, i), i));
        using var programs = new FastPathPrograms(BpfHook.Tc, PrrScene.Options, full, sizes: new() { ["addresses"] = 4, ["softwires"] = 400, ["places"] = 1 << 16 });
        var table = BindingTable.Build(full);
        programs.Maps.IsRead = true;
        table.Changed += change => programs.Maps.Take(change, discovers: false);
        var random = new Random(s_seed);
        for (int i = 0; i < 20_000; i++)
        {
            // Few addresses, so that lists grow, become indexes, mix with ranges and shrink again.
            uint address = (uint)random.Next(4);
            int subscriber = random.Next(100);
            PortSet ports = random.Next(8) switch
            {
                < 4 => PortSet.FromPsid(6, (int)address + 3, random.Next(1 << (int)address + 3)),
                < 7 => PortSet.FromRanges(Enumerable.Range(0, random.Next(1, 4)).Select(n => new PortRange((ushort)(1 + n * 300 + random.Next(100)), (ushort)(101 + n * 300 + random.Next(100))))),
                _ => PortSet.WholeAddress,
            };
            Binding binding = Bind(address, ports, subscriber);
            try
            {
                if (random.Next(3) == 0) table.Remove(binding.Softwire);
                else if (table.HasBinding(binding.Softwire)) table.Replace(binding);
                else table.Add(binding);
            }
            catch (APlusP.Core.APlusPException conflict)
            {
                Assert.Equal(APlusP.Core.ErrorCodes.BindingConflict, conflict.Code);
            }

            ushort port = (ushort)(random.Next(2) == 0 ? FirstPort(binding) : random.Next(65536));
            IPv6Address? expected = table.Find(binding.Address, port, out BindingHit hit) == BindingLookup.Found ? hit.Softwire : null;
            Assert.True(expected == Reached(programs, binding.Address, port), $"change {i} (APLUSP_SEED={s_seed}): port {port} of {binding}, expected {expected}");
        }

        Assert.Equal((table.Count, 0), (programs.Maps.Count, programs.Maps.LeftOut));
        foreach (Binding binding in table.Bindings.ToArray()) table.Remove(binding.Softwire);
        Assert.Equal(0, programs.Maps.Count);
    }

    [Fact]
    public void Changes_among_a_million_are_in_effect_at_once_and_leave_the_counters_of_others_alone()
    {
        const string layout = "64 of 64 psids";
        Dictionary<string, uint> sizes = APlusP.Linux.FastPath.PrrMaps.EntriesFor(Layout(layout, Million));
        using var programs = new FastPathPrograms(BpfHook.Xdp, PrrScene.Options, Layout(layout, Million), sizes: sizes);
        var table = BindingTable.Build(Layout(layout, Million));
        programs.Maps.IsRead = true;
        table.Changed += change => programs.Maps.Take(change, discovers: false);
        Binding other = Layout(layout, 1000).Last();
        Assert.Equal(other.Softwire, Reached(programs, other.Address, FirstPort(other)));

        // Removed, added with another's end, changed back: each seen by the next packet.
        Binding[] some = [.. Layout(layout, 900).Take(500)];
        long worst = 0, start = Stopwatch.GetTimestamp();
        foreach (Binding binding in some)
        {
            Binding moved = binding with { Softwire = new IPv6Address(binding.Softwire.Value + ((UInt128)1 << 64)) };
            worst = Math.Max(worst, Timed(() => table.Remove(binding.Softwire)));
            Assert.Null(Reached(programs, binding.Address, FirstPort(binding)));
            worst = Math.Max(worst, Timed(() => table.Add(moved)));
            Assert.Equal(moved.Softwire, Reached(programs, binding.Address, FirstPort(binding)));
            table.Remove(moved.Softwire);
            table.Add(binding);
            worst = Math.Max(worst, Timed(() => table.Replace(binding with { PayloadMtu = 1400 })));
            Assert.Equal(1400, programs.Maps[programs.Maps.Find(binding)].PayloadMtu);
        }

        output.WriteLine($"the slowest of {3 * some.Length} changes took {worst} µs");
        start = Stopwatch.GetTimestamp();
        for (int i = 0; i < 100; i++)
            foreach (Binding binding in some) table.Replace(binding with { PayloadMtu = 1300 + i });
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{100 * some.Length / seconds:f0} changes a second"));
        Assert.InRange(100 * some.Length / seconds, 10_000, double.MaxValue);

        Assert.Equal(other.Softwire, Reached(programs, other.Address, FirstPort(other)));
        Assert.Equal(2u, programs.Maps[programs.Maps.Find(other)].InPackets);

        static long Timed(Action change)
        {
            long start = Stopwatch.GetTimestamp();
            change();
            return (long)Stopwatch.GetElapsedTime(start).TotalMicroseconds;
        }
    }
}
