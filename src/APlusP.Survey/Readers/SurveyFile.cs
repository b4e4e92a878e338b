using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Captures;
using APlusP.Core.Connections;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;

namespace APlusP.Survey.Readers;

/// <summary>What came out of a file.</summary>
/// <param name="Ticks">Samples that were made of it.</param>
/// <param name="Faults">Lines that were not understood, and left out.</param>
/// <param name="LeftOut">Connections that take no port of an address.</param>
/// <param name="Beyond">Flows beyond the bound on memory.</param>
public sealed record FileResult(int Ticks, LineFaults Faults, long LeftOut, long Beyond)
{
    /// <summary>Of a capture that is damaged: where, and why. What came before was kept.</summary>
    public string? Damage { get; init; }
}

/// <summary>How files are read.</summary>
/// <param name="Rules">Which application a port is of.</param>
/// <param name="Inside">Whose connections count.</param>
/// <param name="Every">From one sample to the next, of what has a clock of its own.</param>
public sealed record SurveyReading(ApplicationRules Rules, InsideNetworks Inside, TimeSpan Every);

/// <summary>Takes each sample of a file. The time is null where the file does not say it.</summary>
public delegate void SampleSink(DateTimeOffset? at, TickCounts counts);

/// <summary>
/// Reads a saved file of any kind that is known: connection tables (one sample each), captures (a sample each period), page loads of a browser (the same), counts as in table I of the report (a sample each row). What
/// is sound is kept, whatever stands beside it.
/// </summary>
public static class SurveyFile
{
    /// <summary>Of counts nobody says whose they are, but the report's were of IPv4.</summary>
    static readonly HostAddress s_oneHost = HostAddress.Of(default(IPv4Address));

    /// <summary>Of a page; those with the contents of all answers are the largest.</summary>
    const long LongestHar = 512_000_000;

    /// <exception cref="APlusPException">AP7001: it cannot be read. AP7002: nothing in it is understood.</exception>
    public static FileResult Read(string path, SurveyReading reading, SampleSink sink)
    {
        try
        {
            FileStream file = File.OpenRead(path);
            Span<byte> beginning = stackalloc byte[64];
            beginning = Beginning(file, beginning);
            if (IsCapture(beginning)) return ReadCapture(file, path, reading, sink);
            if (HarFile.IsHar(beginning)) return ReadHar(file, path, reading, sink);
            using var reader = new LineReader(file);
            return ReadLines(reader, path, reading, sink);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new APlusPException(ErrorCodes.SurveyFileUnreadable, $"{(path.Length == 0 ? "''" : path)} cannot be read: {error.Message} Check the path and the rights.", error);
        }
    }

    /// <summary>What a file begins with, which is read again. Of a pipe it is nothing: it cannot be looked into and read from the beginning.</summary>
    static Span<byte> Beginning(FileStream file, Span<byte> buffer)
    {
        if (!file.CanSeek) return [];
        int read = file.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
        file.Position = 0;
        return buffer[..read];
    }

    /// <summary>pcap of both precisions and pcapng, each in both orders of octets.</summary>
    static bool IsCapture(ReadOnlySpan<byte> beginning) =>
        beginning is [0xa1, 0xb2, 0xc3, 0xd4, ..] or [0xd4, 0xc3, 0xb2, 0xa1, ..] or [0xa1, 0xb2, 0x3c, 0x4d, ..] or [0x4d, 0x3c, 0xb2, 0xa1, ..] or [0x0a, 0x0d, 0x0d, 0x0a, ..];

    static FileResult ReadHar(FileStream file, string path, SurveyReading reading, SampleSink sink)
    {
        using (file)
        {
            if (file.Length > LongestHar) throw new APlusPException(ErrorCodes.NotASurveyFile, $"{path} is JSON of {file.Length / 1_000_000:N0} MB; a HAR has at most {LongestHar / 1_000_000:N0}.");
            byte[] octets = new byte[file.Length];
            file.ReadExactly(octets);
            return HarFile.Read(octets, path, reading, sink);
        }
    }

    static FileResult ReadCapture(FileStream file, string path, SurveyReading reading, SampleSink sink)
    {
        using var capture = new CaptureReader(file, path);
        var tracker = new CaptureTracker(reading.Rules, reading.Inside, reading.Every, sink);
        byte[] packet = new byte[CaptureReader.MaxPacket];
        string? damage = null;
        bool any = false;
        try
        {
            while (capture.TryRead(out CapturedPacket captured))
            {
                any = true;
                captured.Bytes.CopyTo(packet);
                tracker.Hear(captured.Timestamp, packet.AsSpan(0, captured.Bytes.Length));
            }
        }
        catch (APlusPException error) when (any && error.Code == ErrorCodes.CaptureDamaged)
        {
            damage = error.Message;
        }

        if (!any) throw new APlusPException(ErrorCodes.NotASurveyFile, $"{path} is a capture without an IP packet.");
        tracker.Sample();
        return new FileResult(tracker.Ticks, new LineFaults(), tracker.LeftOut, tracker.Beyond) { Damage = damage };
    }

    static FileResult ReadLines(LineReader reader, string path, SurveyReading reading, SampleSink sink)
    {
        var faults = new LineFaults();
        var counter = new TickCounter(reading.Rules, reading.Inside);
        long connections = 0;
        while (reader.TryRead(out ReadOnlySpan<byte> line))
        {
            if (reader.Number == 1)
            {
                RefuseOtherForms(line, path);
                if (ReportTable.IsHeading(line)) return ReadRows(reader, ReportTable.OfHeading(line, path, reading.Rules), path, sink);
            }

            if (reader.IsTooLong) faults.Add(reader.Number, "it is longer than any line of a connection table");
            else if (ConntrackLine.IsBeside(line)) continue;
            else if (ConntrackLine.TryRead(line, out TrackedConnection connection, out string fault))
            {
                connections++;
                counter.Add(connection);
            }
            else faults.Add(reader.Number, fault);
        }

        if (connections == 0 && faults.Count > 0) throw NothingIn(path, faults, "connection table (/proc/net/nf_conntrack, conntrack -L) and no capture or HAR");
        TickCounts counts = counter.Finish();
        sink(null, counts);
        return new FileResult(1, faults, counts.LeftOut, counts.Beyond);
    }

    static FileResult ReadRows(LineReader reader, ReportTable table, string path, SampleSink sink)
    {
        var faults = new LineFaults();
        int ticks = 0;
        while (reader.TryRead(out ReadOnlySpan<byte> line))
        {
            if (!reader.IsTooLong && ConntrackLine.IsBeside(line)) continue;
            if (!table.TryRead(line, out DateTimeOffset at, out HostCounts counts, out string fault))
            {
                faults.Add(reader.Number, fault);
                continue;
            }

            sink(at, new TickCounts([(s_oneHost, counts)], 0, 0));
            ticks++;
        }

        if (ticks == 0) throw NothingIn(path, faults, "table of counts (Date Ports DNS HTTP HTTPS)");
        return new FileResult(ticks, faults, 0, 0);
    }

    static APlusPException NothingIn(string path, LineFaults faults, string what) => new(ErrorCodes.NotASurveyFile,
        faults.Count == 0 ? $"{path} has no row: it is an empty {what}."
        : $"{path} is no {what}: none of its {faults.Count:N0} lines is one of it. {path}:{faults.First[0].Line}: {faults.First[0].What}.");

    static void RefuseOtherForms(ReadOnlySpan<byte> line, string path)
    {
        string? other = line.StartsWith("<?xml"u8) ? "XML; write it without -o xml"
            : line is [0x1f, 0x8b, ..] ? "compressed by gzip; gunzip it first"
            : line is [0x28, 0xb5, 0x2f, 0xfd, ..] ? "compressed by zstd; unzstd it first"
            : null;
        if (other is not null) throw new APlusPException(ErrorCodes.NotASurveyFile, $"{path} is {other}.");
    }
}
