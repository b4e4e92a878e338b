using System.Diagnostics;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Node.Configuration;
using APlusP.Node.Offline;

namespace APlusP.Tests.Golden;

public class BenchmarkTests
{
    static PrrConfiguration ConfigurationOf(string bindings)
    {
        IPv6Address prr = IPv6Address.Parse("2001:db8::1");
        return new PrrConfiguration
        {
            Options = new PrrOptions { SoftwireAddresses = [prr] },
            Bindings = [.. File.ReadLines(bindings).Select(l => l.Split(' ')).Select(f => new Binding(IPv4Address.Parse(f[0]), PortSet.Parse(f[1]), IPv6Address.Parse(f[2]), prr))],
            Names = new Dictionary<IPv6Address, string>(),
        };
    }

    [Theory]
    [InlineData(1, 28)]
    [InlineData(12, 550)]
    [InlineData(700, 1460)]
    public void Generated_traffic_is_bound_and_its_checksums_are_right(int bindings, int size)
    {
        using var run = new CaptureRun();
        string directory = run.PathOf("bench");
        new TrafficGenerator(bindings, seed: 1).Write(directory, packets: 300, size);
        PrrConfiguration configuration = ConfigurationOf(Path.Combine(directory, "bindings.txt"));
        Assert.Equal(bindings, configuration.Bindings.Count);

        string ipv4 = Path.Combine(directory, "v4.pcap"), ipv6 = Path.Combine(directory, "v6.pcap");
        Assert.All(CaptureRun.ReadCapture(ipv4), p => Assert.True(p.Packet.Length == size && Packets.HasRightChecksums(p.Packet)));
        Assert.All(CaptureRun.ReadCapture(ipv6), p => Assert.True(p.Packet.Length == 40 + size && Packets.HasRightChecksums(p.Packet.AsSpan(40))));
        ReplayResult result = Replay.OfPrr(configuration, new ReplayFiles(ipv4, ipv6));
        Assert.Equal(300, result.Counters.Packets(Core.Devices.Origin.FromInternet, Fate.Forwarded));
        Assert.Equal(300, result.Counters.Packets(Core.Devices.Origin.FromSmap, Fate.Forwarded));
    }

    [Fact]
    public void One_seed_gives_the_same_traffic_and_another_gives_other()
    {
        using var run = new CaptureRun();
        foreach ((string name, int seed) in ((string, int)[])[("a", 1), ("b", 1), ("c", 2)]) new TrafficGenerator(12, seed).Write(run.PathOf(name), 20, 100);
        byte[] Of(string name) => File.ReadAllBytes(Path.Combine(run.PathOf(name), "v6.pcap"));
        Assert.Equal(Of("a"), Of("b"));
        Assert.NotEqual(Of("a"), Of("c"));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void A_run_counts_every_packet_of_both_directions_and_its_drops(int threads)
    {
        using var run = new CaptureRun();
        string directory = run.PathOf("bench");
        new TrafficGenerator(12, seed: 1).Write(directory, packets: 100, octets: 550);
        PrrConfiguration configuration = ConfigurationOf(Path.Combine(directory, "bindings.txt"));
        var benchmark = new Benchmark(configuration with { Bindings = [.. configuration.Bindings.Take(6)] }, Path.Combine(directory, "v4.pcap"), Path.Combine(directory, "v6.pcap"), threads);
        BenchmarkResult result = benchmark.Run(seconds: 0.1, warmUp: 0.01);

        Assert.Equal(threads, result.Threads);
        Assert.Equal(["from-internet", "from-smap"], result.Directions.Select(d => d.Name));
        Assert.Equal(["no-binding", "unknown-softwire"], result.Directions.SelectMany(d => d.Drops.Keys));
        Assert.All(result.Directions, d =>
        {
            Assert.True(d.PacketsOut > 0);
            Assert.Equal(d.PacketsIn, d.PacketsOut + d.Drops.Values.Sum());
            Assert.Equal(100, d.DistinctPackets);
            Assert.True(d.NanosecondsPerPacket.Min <= d.NanosecondsPerPacket.Median && d.NanosecondsPerPacket.Median <= d.NanosecondsPerPacket.Max);
            Assert.Equal(1000 / d.NanosecondsPerPacket.Max, d.Mpps.Min);
        });
        Assert.Equal([550, 590], result.Directions.Select(d => d.MeanOctets));
        Assert.Equal([590, 550], result.Directions.Select(d => (double)d.OctetsOut / d.PacketsOut));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Generated_traffic_needs_no_files_and_a_flood_of_it_belongs_to_nobody(bool unbound)
    {
        var benchmark = new Benchmark(new TrafficGenerator(300, seed: 1, unbound), packets: 50, octets: 80);
        long start = Stopwatch.GetTimestamp();
        BenchmarkResult result = benchmark.Run(seconds: 0.1, warmUp: 0.01);
        double elapsed = Stopwatch.GetElapsedTime(start).TotalSeconds;
        Assert.Equal(300, result.Bindings);
        Assert.Equal(unbound ? ["no-binding", "source-port-not-bound"] : Array.Empty<string>(), result.Directions.SelectMany(d => d.Drops.Keys));
        Assert.All(result.Directions, d =>
        {
            Assert.Equal(50, d.DistinctPackets);
            Assert.Equal(unbound ? d.PacketsIn : 0, d.Drops.Values.Sum());
            Assert.InRange(d.CopyNanoseconds.Median, 0.1, d.NanosecondsPerPacket.Median);
        });

        // Errors go out, and the limit holds: a burst of 100, and 100 a second of however long it took.
        if (unbound) Assert.InRange(result.Directions.Sum(d => d.PacketsOut), 0, 101 + (long)(100 * elapsed));
    }

    [Fact]
    public void Without_a_packet_there_is_nothing_to_measure()
    {
        using var run = new CaptureRun();
        string empty = run.WriteCapture("empty.pcap", []);
        var configuration = new PrrConfiguration { Options = new PrrOptions { SoftwireAddresses = [] }, Bindings = [], Names = new Dictionary<IPv6Address, string>() };
        Assert.Equal(ErrorCodes.NothingToReplay, Assert.Throws<APlusPException>(() => new Benchmark(configuration, empty, null)).Code);
        Assert.Equal(ErrorCodes.NothingToReplay, Assert.Throws<APlusPException>(() => new Benchmark(configuration, null, null)).Code);
    }
}
