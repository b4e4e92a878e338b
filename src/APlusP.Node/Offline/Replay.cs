using System.Globalization;
using APlusP.Core;
using APlusP.Core.Bindings;
using APlusP.Core.Captures;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Node.Configuration;

namespace APlusP.Node.Offline;

/// <summary>The captures of a replay; each may be left out, but one input must be there.</summary>
/// <param name="FirstInput">From the Internet, or from the LAN.</param>
/// <param name="SecondInput">From the SMAPs, or from the PRR.</param>
/// <param name="IPv4Output">To the Internet, or to the LAN.</param>
/// <param name="IPv6Output">To the SMAPs, or to the PRR.</param>
public sealed record ReplayFiles(string? FirstInput = null, string? SecondInput = null, string? IPv4Output = null, string? IPv6Output = null);

/// <summary>
/// Runs captures through the data plane and writes what it would send. The same captures give the same octets every time: the
/// clock is that of the captures, and nothing is left to chance.
/// </summary>
/// <remarks>
/// <list type="bullet">
/// <item>Packets of both inputs are merged by timestamp, each input in its own order; at one time the first input goes first.</item>
/// <item>The clock stands at the timestamp of the packet, and never runs backwards. Packets less than a millisecond apart are
/// handed over together, at most 32, with the time of the first.</item>
/// <item>Whatever is sent is written with the timestamp of the packet that caused it: IPv4 into one output, IPv6 into the other,
/// errors and answers too. Outputs have nanoseconds where an input had them before its first packet.</item>
/// <item>Packets that the capture has cut are counted and not judged: their fate would say nothing.</item>
/// </list>
/// </remarks>
public sealed class Replay
{
    const int BatchSize = 32;
    const long BatchTime = 1_000_000;

    static readonly Origin[] s_prr = [Origin.FromInternet, Origin.FromSmap];
    static readonly Origin[] s_smap = [Origin.FromLan, Origin.FromPrr];

    readonly CaptureClock _clock = new();
    readonly PacketBatch _batch = new(BatchSize, CaptureReader.MaxPacket);
    readonly long[] _timestamps = new long[BatchSize];
    readonly ForwardingCounters _seen = new();
    readonly List<Input> _inputs = [];
    IForwarder _forwarder = null!;
    CaptureWriter? _ipv4, _ipv6;
    long _sent, _ipv4Sent, _ipv6Sent, _told;

    Replay()
    {
    }

    /// <summary>Runs captures through a PRR.</summary>
    /// <exception cref="APlusPException">A capture cannot be read or written (AP4001 to AP4004), no input is given (AP4005), the
    /// bindings contradict each other (AP1003), or packets went unaccounted for (AP4006).</exception>
    public static ReplayResult OfPrr(PrrConfiguration configuration, ReplayFiles files)
    {
        var table = BindingTable.Build(configuration.Bindings, configuration.Rules);
        PrrOptions options = configuration.Options with { TtlAlreadyTaken = false };
        return new Replay().Run(files, s_prr, clock => new PortRangeRouter(table, options, clock));
    }

    /// <summary>Runs captures through a SMAP.</summary>
    /// <inheritdoc cref="OfPrr"/>
    public static ReplayResult OfSmap(SmapConfiguration configuration, ReplayFiles files)
    {
        SmapOptions options = configuration.Options with { TtlAlreadyTaken = false };
        return new Replay().Run(files, s_smap, clock => new Smap(options, clock, seed: 1));
    }

    /// <summary>Runs captures through any data plane, which is made when the clock stands at the first packet.</summary>
    internal static ReplayResult Of(ReplayFiles files, Origin[] origins, Func<TimeProvider, IForwarder> make) => new Replay().Run(files, origins, make);

    ReplayResult Run(ReplayFiles files, Origin[] origins, Func<TimeProvider, IForwarder> make)
    {
        RefuseOverwriting(files);
        try
        {
            Open(files.FirstInput, origins[0]);
            Open(files.SecondInput, origins[1]);
            if (_inputs.Count == 0)
            {
                throw new APlusPException(ErrorCodes.NothingToReplay,
                    $"nothing to replay: give a capture by --{ForwardingCounters.Kebab(origins[0])} or --{ForwardingCounters.Kebab(origins[1])}, or both.");
            }

            foreach (Input input in _inputs) input.Advance();
            if (Next() is { } first) _clock.AdvanceTo(first.Packet.Timestamp);
            _forwarder = make(_clock);

            bool nanoseconds = _inputs.Any(i => i.Reader.HasNanoseconds);
            if (files.IPv4Output is { } ipv4) _ipv4 = CaptureFile.Create(ipv4, nanoseconds);
            if (files.IPv6Output is { } ipv6) _ipv6 = CaptureFile.Create(ipv6, nanoseconds);
            CaptureFile.Guarded(files.IPv4Output ?? files.IPv6Output ?? "output", "written", () =>
            {
                try
                {
                    ReplayAll();
                }
                finally
                {
                    _ipv4?.Dispose();
                    _ipv6?.Dispose();
                }

                return true;
            });
        }
        finally
        {
            foreach (Input input in _inputs) input.Reader.Dispose();
        }

        var result = new ReplayResult(origins, [.. _inputs.Select(i => i.Result())], _forwarder.Counters, _ipv4Sent, _ipv6Sent);
        CheckAccounts(result);
        return result;
    }

    static void RefuseOverwriting(ReplayFiles files)
    {
        string?[] inputs = [files.FirstInput, files.SecondInput], outputs = [files.IPv4Output, files.IPv6Output];
        foreach (string? output in outputs)
        {
            if (output is null || !inputs.Any(i => i is not null && SameFile(i, output))) continue;
            throw new APlusPException(ErrorCodes.CaptureUnreadable, $"{output} is an input and an output at once, and would be overwritten before it is read.");
        }

        if (outputs is [{ } one, { } other] && SameFile(one, other))
            throw new APlusPException(ErrorCodes.CaptureUnreadable, $"{one} is given for both outputs; each needs a file of its own.");
    }

    static bool SameFile(string left, string right) => string.Equals(Target(left), Target(right), StringComparison.Ordinal);

    static string Target(string path) =>
        File.Exists(path) && File.ResolveLinkTarget(path, returnFinalTarget: true) is { } target ? target.FullName : Path.GetFullPath(path, Environment.CurrentDirectory);

    void Open(string? path, Origin origin)
    {
        if (path is not null) _inputs.Add(new Input(CaptureFile.Open(path), origin));
    }

    /// <summary>The input whose packet comes next, or null where all have ended.</summary>
    Input? Next()
    {
        Input? next = null;
        foreach (Input input in _inputs)
            if (input.HasPacket && (next is null || input.Packet.Timestamp < next.Packet.Timestamp)) next = input;
        return next;
    }

    void ReplayAll()
    {
        try
        {
            while (Next() is { } input)
            {
                long timestamp = input.Packet.Timestamp;
                if (_batch.Count == BatchSize || (_batch.Count > 0 && timestamp - _timestamps[0] >= BatchTime)) Flush();
                if (_batch.Count == 0) _clock.AdvanceTo(timestamp);
                _timestamps[_batch.Count] = timestamp;
                _batch.TryAdd(input.Packet.Bytes.Span, input.Origin);
                input.Advance();
            }
        }
        catch (APlusPException)
        {
            Flush(); // a capture is damaged, but what stood before is whole
            throw;
        }

        Flush();
    }

    void Flush()
    {
        if (_batch.Count == 0) return;
        Span<int> lengths = stackalloc int[BatchSize];
        for (int i = 0; i < _batch.Count; i++) lengths[i] = _batch[i].Length;
        _forwarder.Process(_batch);
        for (int i = 0; i < _batch.Count; i++) _seen.Count(_batch[i].Origin, _batch[i].Verdict, lengths[i]);
        long last = _timestamps[_batch.Count - 1];
        for (int i = 0; i < _batch.Count; i++) Write(i, _timestamps[i]);

        // Fragments that waited go on with the time of the one that they waited for.
        while (_forwarder.Continue(_batch))
        {
            for (int i = 0; i < _batch.Count; i++)
            {
                if (_batch[i].Verdict != Verdict.Own) _seen.Settle(_batch[i].Origin, _batch[i].Verdict);
                Write(i, last);
            }
        }

        _batch.Clear();
    }

    void Write(int index, long timestamp)
    {
        PacketSlot slot = _batch[index];
        if (!slot.Verdict.Sends) return;
        if (slot.Verdict.Fate is Fate.Answered or Fate.Dropped) _told++;
        _sent++;
        for (int taken = 0; _batch.TryTakePiece(index, ref taken, out ReadOnlySpan<byte> packet);)
        {
            if (packet[0] >> 4 == 4)
            {
                _ipv4Sent++;
                _ipv4?.Write(packet, timestamp);
            }
            else
            {
                _ipv6Sent++;
                _ipv6?.Write(packet, timestamp);
            }
        }
    }

    /// <summary>
    /// Every packet handed over must have met one fate, counted by the data plane as it was seen here, and everything sent must
    /// be forwarded, hairpinned, answered or an ICMP error.
    /// </summary>
    void CheckAccounts(ReplayResult result)
    {
        ForwardingCounters counted = result.Counters;
        foreach (ReplayInput input in result.Inputs)
        {
            Origin origin = input.Origin;
            string side = ForwardingCounters.Kebab(origin);
            Balance($"{side}: packets handed over", input.HandedOver, "received", counted.Received(origin));
            Balance($"{side}: packets handed over", input.HandedOver, "frames less those skipped and cut", input.Frames - input.NotIP - input.Cut);
            Balance($"{side}: octets seen", _seen.ReceivedOctets(origin), "octets counted", counted.ReceivedOctets(origin));
            Balance($"{side}: packets without a fate", counted.Packets(origin, Fate.None), "none", 0);

            // A fragment that was held may have been dropped since, or found its place in a whole packet: that is counted but not seen.
            foreach (Fate fate in (Fate[])[Fate.Forwarded, Fate.Hairpinned, Fate.Answered])
                Balance($"{side}: packets seen {ForwardingCounters.Kebab(fate)}", _seen.Packets(origin, fate), "counted", counted.Packets(origin, fate));
            Balance($"{side}: packets seen held, consumed or dropped", Quiet(_seen, origin), "counted", Quiet(counted, origin));
            foreach (DropReason reason in Enum.GetValues<DropReason>())
                Balance($"{side}: drops seen as {ForwardingCounters.Kebab(reason)}", Math.Min(_seen.Drops(origin, reason), counted.Drops(origin, reason)), "at most counted", _seen.Drops(origin, reason));
            long reasons = Enum.GetValues<DropReason>().Where(r => r != DropReason.None).Sum(r => counted.Drops(origin, r));
            Balance($"{side}: packets dropped", counted.Packets(origin, Fate.Dropped), "dropped by a named reason", reasons);
        }

        Balance("answers and errors sent", _told, "ICMP messages and acknowledgements counted", counted.IcmpV4Sent + counted.IcmpV6Sent + counted.GatewayHeld);
        long delivered = result.Origins.Sum(o => counted.Packets(o, Fate.Forwarded) + counted.Packets(o, Fate.Hairpinned));
        Balance("packets sent", _sent, "forwarded, hairpinned, answered or told", delivered + _told);
    }

    static long Quiet(ForwardingCounters counters, Origin origin) =>
        counters.Packets(origin, Fate.Held) + counters.Packets(origin, Fate.Consumed) + counters.Packets(origin, Fate.Dropped);

    static void Balance(string left, long one, string right, long other)
    {
        if (one == other) return;
        throw new APlusPException(ErrorCodes.ReplayUnbalanced, string.Create(CultureInfo.InvariantCulture,
            $"the accounts do not balance: {left}: {one}, {right}: {other}. This is a fault of aplusp; please report it with the captures."));
    }

    /// <summary>A capture with its next whole packet.</summary>
    sealed class Input(CaptureReader reader, Origin origin)
    {
        CapturedPacket _packet;
        long _cut, _taken;

        public CaptureReader Reader => reader;

        public Origin Origin => origin;

        public bool HasPacket { get; private set; }

        public CapturedPacket Packet => _packet;

        public void Advance()
        {
            do
            {
                HasPacket = reader.TryRead(out _packet);
                if (HasPacket && _packet.IsCut) _cut++;
            }
            while (HasPacket && _packet.IsCut);
            if (HasPacket) _taken++;
        }

        public ReplayInput Result() => new(origin, reader.Name, reader.Frames, reader.Skipped, reader.SkippedByEtherType, _cut, _taken);
    }
}
