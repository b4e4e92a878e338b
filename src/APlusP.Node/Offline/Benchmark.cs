using System.Diagnostics;
using System.Runtime.InteropServices;
using APlusP.Core;
using APlusP.Core.Bindings;
using APlusP.Core.Captures;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Node.Configuration;
using APlusP.Node.Daemons;

namespace APlusP.Node.Offline;

/// <summary>
/// Measures the PRR's data plane on one thread, or on several with a router each and one table, as a daemon's workers have: both directions in turn, a batch at a time. Every packet is copied out of the
/// capture's memory into the buffer of a batch, as a device would, and goes through the complete pipeline with its counters and
/// the inner TTL; what comes out is looked at, counted and dropped. The copy is part of the measured time; how long it takes alone is measured too,
/// in the same run.
/// </summary>
public sealed class Benchmark
{
    /// <summary>Packets of a batch: as many as a daemon's worker takes.</summary>
    public const int BatchSize = Worker.BatchSize;

    const int Slices = 10;

    // As in a daemon: flow labels are computed, and paths are asked what they carry.
    const ulong Secret = 0x9E3779B97F4A7C15;

    readonly Lane[] _lanes;

    /// <param name="configuration">The PRR's.</param>
    /// <param name="fromInternet">A capture of IPv4 packets; null leaves this direction out.</param>
    /// <param name="fromSmap">A capture of IPv6 packets; null leaves this direction out.</param>
    /// <param name="threads">Workers at once.</param>
    /// <exception cref="APlusPException">A capture cannot be read, or holds no whole packet (AP4001 to AP4005).</exception>
    public Benchmark(PrrConfiguration configuration, string? fromInternet, string? fromSmap, int threads = 1)
        : this(configuration, [
            .. fromInternet is null ? [] : (Traffic[])[new Traffic(ReadCapture(fromInternet), Origin.FromInternet)],
            .. fromSmap is null ? [] : (Traffic[])[new Traffic(ReadCapture(fromSmap), Origin.FromSmap)],
        ], threads)
    {
    }

    /// <param name="generator">Gives the configuration and the packets.</param>
    /// <param name="packets">Distinct packets of each direction.</param>
    /// <param name="octets">Of an IPv4 packet; from SMAPs 40 more are around it.</param>
    /// <param name="threads">Workers at once.</param>
    public Benchmark(TrafficGenerator generator, int packets, int octets, int threads = 1)
        : this(generator.Configuration, OfGenerator([.. generator.Packets(packets, octets)]), threads)
    {
    }

    Benchmark(PrrConfiguration configuration, Traffic[] directions, int threads)
    {
        if (directions.Length == 0)
            throw new APlusPException(ErrorCodes.NothingToReplay, "nothing to measure: give a capture by --from-internet or --from-smap, or both.");
        Bindings = configuration.Bindings.Count;
        var table = BindingTable.Build(configuration.Bindings, configuration.Rules);
        var paths = new PathMtuTable(configuration.Discovery, TimeProvider.System, Secret);
        PrrOptions options = configuration.Options with { TtlAlreadyTaken = false, Secret = Secret };
        _lanes = [.. Enumerable.Range(0, threads).Select(thread => new Lane(
            new PortRangeRouter(table, options, TimeProvider.System, paths),

            // What a device of this MTU would hand out; 1984 makes the stride 2112 octets.
            new PacketBatch(BatchSize, Math.Max(1984, directions.Max(d => d.Longest))),
            [.. directions.Select(d => d.From((double)thread / threads))]))];
    }

    static Traffic[] OfGenerator((byte[] FromInternet, byte[] FromSmap)[] pairs) =>
        [new(pairs.Select(p => p.FromInternet), Origin.FromInternet), new(pairs.Select(p => p.FromSmap), Origin.FromSmap)];

    static IEnumerable<byte[]> ReadCapture(string path)
    {
        const long most = 1 << 30;
        long octets = 0;
        using CaptureReader reader = CaptureFile.Open(path);
        while (reader.TryRead(out CapturedPacket packet))
        {
            if (packet.IsCut) continue;
            if ((octets += packet.Bytes.Length) > most)
                throw new APlusPException(ErrorCodes.NothingToReplay, $"{path} holds more than 1 GiB of packets, which is too much to keep in memory; measure with a part of it.");
            yield return packet.Bytes.ToArray();
        }

        if (octets == 0) throw new APlusPException(ErrorCodes.NothingToReplay, $"nothing to measure: {path} holds no whole IP packet.");
    }

    public int Bindings { get; }

    /// <summary>Runs for a second that is not counted, then for <paramref name="seconds"/> in ten slices.</summary>
    public BenchmarkResult Run(double seconds, double warmUp = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(seconds, 0);
        Together(lane => lane.RunSlice(TimeSpan.FromSeconds(warmUp)));
        foreach (Lane lane in _lanes) lane.Forget();
        ForwardingCounters before = Counters();
        TimeSpan processor = Environment.CpuUsage.TotalTime;
        long start = Stopwatch.GetTimestamp();
        for (int slice = 0; slice < Slices; slice++)
        {
            Together(lane => lane.RunSlice(TimeSpan.FromSeconds(seconds / Slices)));
            Together(lane => lane.EndSlice());
        }

        ForwardingCounters after = Counters();

        return new BenchmarkResult
        {
            Bindings = Bindings,
            Seconds = seconds,
            Slices = Slices,
            BatchSize = BatchSize,
            Threads = _lanes.Length,
            ProcessorShare = (Environment.CpuUsage.TotalTime - processor) / Stopwatch.GetElapsedTime(start) / _lanes.Length,
            Directions = [.. Enumerable.Range(0, _lanes[0].Directions.Length).Select(i => Traffic.Result([.. _lanes.Select(lane => lane.Directions[i])], before, after))],
        };
    }

    /// <summary>Lets every lane do something on a thread of its own, and waits for all; a lone one on this thread.</summary>
    void Together(Action<Lane> what)
    {
        Thread[] others = [.. _lanes.Skip(1).Select(lane => new Thread(() => what(lane)))];
        foreach (Thread other in others) other.Start();
        what(_lanes[0]);
        foreach (Thread other in others) other.Join();
    }

    ForwardingCounters Counters()
    {
        var sum = new ForwardingCounters();
        foreach (Lane lane in _lanes) sum.Add(lane.Router.Counters);
        return sum;
    }

    /// <summary>What one thread has.</summary>
    sealed class Lane(PortRangeRouter router, PacketBatch batch, Traffic[] directions)
    {
        public PortRangeRouter Router => router;

        public Traffic[] Directions => directions;

        public void RunSlice(TimeSpan length)
        {
            long start = Stopwatch.GetTimestamp(), end = start + (long)(length.TotalSeconds * Stopwatch.Frequency);
            do
            {
                foreach (Traffic direction in directions)
                {
                    direction.Receive(batch);
                    router.Process(batch);
                    direction.Send(batch);
                    long now = Stopwatch.GetTimestamp();
                    direction.Ticks += now - start;
                    start = now;
                }
            }
            while (start < end);
        }

        public void Forget()
        {
            foreach (Traffic direction in directions) direction.Forget();
        }

        public void EndSlice()
        {
            foreach (Traffic direction in directions)
            {
                direction.EndSlice();
                direction.CopyAlone(batch);
            }
        }
    }

    /// <summary>One direction: a device that hands out a capture's packets for ever, and drops what it is given.</summary>
    sealed class Traffic
    {
        readonly Origin _origin;
        readonly byte[] _memory;
        readonly (int Start, int Length)[] _packets;
        readonly List<double> _slices = [];
        readonly List<double> _copies = [];
        int _next;
        long _in, _out, _outOctets, _sliceIn;

        public Traffic(IEnumerable<byte[]> source, Origin origin)
        {
            _origin = origin;
            var memory = new MemoryStream();
            var packets = new List<(int, int)>();
            foreach (byte[] packet in source)
            {
                packets.Add(((int)memory.Length, packet.Length));
                memory.Write(packet);
            }

            _memory = memory.ToArray();
            _packets = [.. packets];
        }

        Traffic(Traffic same, int next) => (_origin, _memory, _packets, _next) = (same._origin, same._memory, same._packets, next);

        /// <summary>The same packets, from another place on, for another thread.</summary>
        public Traffic From(double part) => new(this, (int)(part * _packets.Length));

        public int Longest => _packets.Max(p => p.Length);

        public long Ticks { get; set; }

        public void Receive(PacketBatch batch)
        {
            batch.Clear();
            for (int i = 0; i < BatchSize; i++)
            {
                (int start, int length) = _packets[_next];
                if (++_next == _packets.Length) _next = 0;
                batch.TryAdd(_memory.AsSpan(start, length), _origin);
            }

            _in += BatchSize;
            _sliceIn += BatchSize;
        }

        public void Send(PacketBatch batch)
        {
            foreach (ref PacketSlot slot in batch.Slots)
            {
                if (!slot.Verdict.Sends) continue;
                _out++;
                _outOctets += slot.Length;
            }
        }

        public void Forget() => (_in, _out, _outOctets, _sliceIn, Ticks) = (0, 0, 0, 0, 0);

        /// <summary>What handing out packets costs with nobody behind.</summary>
        public void CopyAlone(PacketBatch batch)
        {
            const int batches = 2000;
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < batches; i++) Receive(batch);
            _copies.Add(Stopwatch.GetElapsedTime(start).TotalNanoseconds / (batches * BatchSize));
            _in -= batches * BatchSize;
            _sliceIn = 0;
        }

        public void EndSlice()
        {
            _slices.Add(Ticks * (1e9 / Stopwatch.Frequency) / _sliceIn);
            (Ticks, _sliceIn) = (0, 0);
        }

        /// <summary>One direction of all threads. Their times add up as rates do.</summary>
        public static BenchmarkDirection Result(Traffic[] threads, ForwardingCounters before, ForwardingCounters after)
        {
            Traffic first = threads[0];
            var drops = new SortedDictionary<string, long>(StringComparer.Ordinal);
            foreach (DropReason reason in Enum.GetValues<DropReason>())
            {
                long count = after.Drops(first._origin, reason) - before.Drops(first._origin, reason);
                if (count > 0) drops[ForwardingCounters.Kebab(reason)] = count;
            }

            return new BenchmarkDirection
            {
                Name = ForwardingCounters.Kebab(first._origin),
                DistinctPackets = first._packets.Length,
                MeanOctets = first._packets.Average(p => p.Length),
                NanosecondsPerPacket = Spread.Of(Enumerable.Range(0, first._slices.Count).Select(slice => 1 / threads.Sum(t => 1 / t._slices[slice]))),
                CopyNanoseconds = Spread.Of(threads.SelectMany(t => t._copies)),
                PacketsIn = threads.Sum(t => t._in),
                PacketsOut = threads.Sum(t => t._out),
                OctetsOut = threads.Sum(t => t._outOctets),
                Drops = drops,
            };
        }
    }
}

/// <summary>The middle, least and greatest of the slices of a run.</summary>
public readonly record struct Spread(double Median, double Min, double Max)
{
    public static Spread Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        int middle = sorted.Length / 2;
        return new Spread(sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2, sorted[0], sorted[^1]);
    }
}

/// <summary>What one direction did.</summary>
public sealed record BenchmarkDirection
{
    /// <summary>from-internet or from-smap.</summary>
    public required string Name { get; init; }

    /// <summary>Packets of the capture, handed out over and over.</summary>
    public required int DistinctPackets { get; init; }

    /// <summary>Octets of a packet as it comes in, from its IP header on.</summary>
    public required double MeanOctets { get; init; }

    /// <summary>Time of this direction over its packets in a slice: copy, pipeline and counting. Of several threads, the time between two packets that any of them has done.</summary>
    public required Spread NanosecondsPerPacket { get; init; }

    /// <summary>Of that, the copy into the batch, measured alone.</summary>
    public required Spread CopyNanoseconds { get; init; }

    /// <summary>Million packets a second if the threads did this direction alone; the least belongs to the longest time.</summary>
    public Spread Mpps => new(1000 / NanosecondsPerPacket.Median, 1000 / NanosecondsPerPacket.Max, 1000 / NanosecondsPerPacket.Min);

    public required long PacketsIn { get; init; }

    public required long PacketsOut { get; init; }

    public required long OctetsOut { get; init; }

    /// <summary>Packets dropped, by the public name of the reason.</summary>
    public required IReadOnlyDictionary<string, long> Drops { get; init; }
}

/// <summary>What a run of the benchmark found, and where.</summary>
public sealed record BenchmarkResult
{
    public required int Bindings { get; init; }

    public required double Seconds { get; init; }

    public required int Slices { get; init; }

    public required int BatchSize { get; init; }

    public required int Threads { get; init; }

    /// <summary>Processor time over wall time, 1 on a quiet machine. Where others took their part, every time above is too long by it.</summary>
    public required double ProcessorShare { get; init; }

    public required IReadOnlyList<BenchmarkDirection> Directions { get; init; }

    /// <summary>The machine that ran it, in words: processor, kernel, runtime.</summary>
    public string Machine { get; } = $"{Processor()}, {Environment.ProcessorCount} CPUs, Linux {Environment.OSVersion.Version}, "
        + $"{RuntimeInformation.FrameworkDescription}{(System.Runtime.JitInfo.GetCompiledMethodCount() > 0 ? ", compiled at run time" : ", native")}";

    static string Processor()
    {
        try
        {
            return File.ReadLines("/proc/cpuinfo").FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal))?.Split(':', 2)[1].Trim() ?? "unknown processor";
        }
        catch (IOException)
        {
            return "unknown processor";
        }
    }
}
