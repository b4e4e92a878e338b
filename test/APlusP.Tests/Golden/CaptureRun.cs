using APlusP.Core.Captures;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Node.Configuration;
using APlusP.Node.Offline;

namespace APlusP.Tests.Golden;

/// <summary>A packet of a capture with its time in nanoseconds.</summary>
sealed record Timed(long Timestamp, byte[] Packet)
{
    /// <summary>One packet every ten microseconds from 2023-11-14 on.</summary>
    public static Timed[] Each(params IEnumerable<byte[]> packets) => [.. packets.Select((p, i) => new Timed(Start + i * 10_000L, p))];

    public const long Start = 1_700_000_000_000_000_000;
}

/// <summary>Captures in a directory of their own, run through <see cref="Replay"/>, and what came out.</summary>
sealed class CaptureRun : IDisposable
{
    readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("aplusp-golden-");

    public ReplayResult Result { get; private set; } = null!;

    /// <summary>What was sent as IPv4: to the Internet or to the LAN.</summary>
    public IReadOnlyList<Timed> IPv4 { get; private set; } = [];

    /// <summary>What was sent as IPv6: to the SMAPs or to the PRR.</summary>
    public IReadOnlyList<Timed> IPv6 { get; private set; } = [];

    public static CaptureRun OfPrr(PrrConfiguration configuration, Timed[]? fromInternet = null, Timed[]? fromSmap = null, bool nanoseconds = false)
    {
        var run = new CaptureRun();
        run.Run(files => Replay.OfPrr(configuration, files), fromInternet, fromSmap, nanoseconds);
        return run;
    }

    public static CaptureRun Of(Func<TimeProvider, IForwarder> make, Timed[]? fromInternet = null, Timed[]? fromSmap = null)
    {
        var run = new CaptureRun();
        run.Run(files => Replay.Of(files, [Origin.FromInternet, Origin.FromSmap], make), fromInternet, fromSmap, nanoseconds: true);
        return run;
    }

    public string PathOf(string name) => Path.Combine(_directory.FullName, name);

    void Run(Func<ReplayFiles, ReplayResult> replay, Timed[]? first, Timed[]? second, bool nanoseconds)
    {
        var files = new ReplayFiles(
            first is null ? null : WriteCapture("first.pcap", first, nanoseconds), second is null ? null : WriteCapture("second.pcap", second, nanoseconds),
            PathOf("ipv4.pcap"), PathOf("ipv6.pcap"));
        Result = replay(files);
        IPv4 = ReadCapture(files.IPv4Output!);
        IPv6 = ReadCapture(files.IPv6Output!);
    }

    public string WriteCapture(string name, IEnumerable<Timed> packets, bool nanoseconds = false)
    {
        using var writer = new CaptureWriter(File.Create(PathOf(name)), nanoseconds);
        foreach (Timed packet in packets) writer.Write(packet.Packet, packet.Timestamp);
        return PathOf(name);
    }

    public static IReadOnlyList<Timed> ReadCapture(string path)
    {
        using CaptureReader reader = CaptureFile.Open(path);
        var packets = new List<Timed>();
        while (reader.TryRead(out CapturedPacket packet)) packets.Add(new Timed(packet.Timestamp, packet.Bytes.ToArray()));
        return packets;
    }

    /// <summary>Exactly these packets were sent, octet by octet, in this order and with these times.</summary>
    public CaptureRun Sent(IEnumerable<Timed>? ipv4 = null, IEnumerable<Timed>? ipv6 = null)
    {
        Assert.Equal(Lines(ipv4 ?? []), Lines(IPv4));
        Assert.Equal(Lines(ipv6 ?? []), Lines(IPv6));
        return this;
    }

    static IEnumerable<string> Lines(IEnumerable<Timed> packets) => packets.Select(p => $"{p.Timestamp} {Convert.ToHexStringLower(p.Packet)}");

    /// <summary>Exactly these counters are not zero, of those that count packets.</summary>
    public CaptureRun Counted(params (string Name, long Value)[] expected)
    {
        var moved = Result.Named().Where(c => c.Value != 0 && !c.Key.EndsWith("-bytes", StringComparison.Ordinal));
        Assert.Equal(expected.Select(e => $"{e.Name} {e.Value}").Order(StringComparer.Ordinal), moved.Select(c => $"{c.Key} {c.Value}").Order(StringComparer.Ordinal));
        return this;
    }

    public void Dispose() => _directory.Delete(recursive: true);
}
