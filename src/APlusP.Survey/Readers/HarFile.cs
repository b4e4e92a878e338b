using System.Text.Json;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Connections;
using APlusP.Core.Wire;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;
using APlusP.Survey.Models;

namespace APlusP.Survey.Readers;

/// <summary>
/// A page load as a browser saved it (HAR): the connections that it took, each from its first request on. A browser keeps connections for minutes, so one that nobody closed
/// counts until the load is over; a question to a resolver counts for as long as Linux tracks it.
/// </summary>
sealed class HarFile(SurveyReading reading)
{
    // Own ports, which a HAR does not tell: any that no rule names.
    const ushort FirstPort = 20_000, Ports = 30_000;

    static readonly TimeSpan s_longest = TimeSpan.FromDays(1);

    readonly List<HarEntry> _entries = [];
    readonly List<Use> _uses = [];
    readonly LineFaults _faults = new();
    long _leftOut;

    /// <summary>A port in use.</summary>
    readonly record struct Use(Flow Flow, DateTimeOffset From, DateTimeOffset Until);

    /// <summary>Whether a file begins as JSON does.</summary>
    public static bool IsHar(ReadOnlySpan<byte> beginning) => beginning.TrimStart(" \t\r\n\uFEFF"u8) is [(byte)'{', ..];

    /// <exception cref="APlusPException">AP7002: it is JSON, and no HAR, or has no connection.</exception>
    public static FileResult Read(byte[] octets, string path, SurveyReading reading, SampleSink sink)
    {
        var file = new HarFile(reading);
        file.ReadEntries(octets);
        if (file._entries.Count == 0)
        {
            string why = file._faults.Count > 0 ? $"{path}:{file._faults.First[0].Line}: {file._faults.First[0].What}" : "a HAR has its requests in log.entries, each with serverIPAddress";
            throw new APlusPException(ErrorCodes.NotASurveyFile, $"{path} is JSON without a request that took a connection; {why}.");
        }

        file.FindConnections();
        return new FileResult(file.Sample(sink), file._faults, file._leftOut, 0);
    }

    /// <summary>Reads log.entries one by one, so that of a file that was cut what came before is kept.</summary>
    void ReadEntries(byte[] octets)
    {
        ReadOnlySpan<byte> json = octets.AsSpan().TrimStart("\uFEFF"u8);
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
        long line = 1;
        int counted = 0;
        try
        {
            if (!Enter(ref reader, "log") || !Enter(ref reader, "entries") || !reader.Read() || reader.TokenType != JsonTokenType.StartArray) return;
            while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
            {
                int at = (int)reader.TokenStartIndex;
                line += json[counted..at].Count((byte)'\n');
                counted = at;
                using JsonDocument entry = JsonDocument.ParseValue(ref reader);
                Keep(entry.RootElement, line);
            }
        }
        catch (JsonException error)
        {
            _faults.Add((error.LineNumber ?? 0) + 1, "the JSON is damaged, or ends, here");
        }
    }

    void Keep(JsonElement entry, long line)
    {
        string? fault;
        try
        {
            if (HarEntry.TryRead(entry, out HarEntry read, out fault))
            {
                if (_entries.Count > 0 && (read.Start - _entries[0].Start).Duration() > s_longest) fault = "it began more than a day before or after the first";
                else _entries.Add(read);
            }
            else if (fault is null) _leftOut++;
        }
        catch (Exception error) when (error is InvalidOperationException or UriFormatException)
        {
            fault = "its text is none";
        }

        if (fault is not null) _faults.Add(line, fault);
    }

    /// <summary>Goes to a property of the object that comes next.</summary>
    static bool Enter(ref Utf8JsonReader reader, string property)
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) return false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals(property)) return true;
            reader.Skip();
        }

        return false;
    }

    void FindConnections()
    {
        DateTimeOffset over = _entries.Max(entry => entry.End);
        foreach (IGrouping<(HostAddress, ushort, IpProtocol), HarEntry> server in _entries.OrderBy(entry => entry.Start).GroupBy(entry => (entry.Server, entry.Port, entry.Protocol)))
        {
            // Named connections are what they are called; of others one that is free is taken again, and HTTP/2 and HTTP/3 need one.
            var open = new List<(string? Name, HarEntry First, HarEntry Last)>();
            foreach (HarEntry entry in server)
            {
                int at = open.FindIndex(c => entry.Connection is { } name ? c.Name == name : c.Name is null && !c.Last.Closes && (entry.Shares || c.Last.End <= entry.Start));
                if (at < 0) open.Add((entry.Connection, entry, entry));
                else if (entry.End >= open[at].Last.End) open[at] = open[at] with { Last = entry };
            }

            foreach ((_, HarEntry first, HarEntry last) in open) Take(FlowOf(first), first.Start, last.Closes ? last.End : over);
        }

        // By which family a resolver was asked nobody wrote down; the report's were asked by IPv4.
        foreach (HarEntry entry in _entries)
        {
            if (!entry.Resolved) continue;
            HostAddress resolver = HostOf(isIPv6: false);
            Take(new Flow(resolver, 0, resolver, 53, 53, IpProtocol.Udp, TcpState.None), entry.Start, entry.Start + PortLifetimes.OfConntrack.Udp);
        }
    }

    /// <summary>Whose page it was a HAR does not tell: one host of each family.</summary>
    static HostAddress HostOf(bool isIPv6) => isIPv6 ? HostAddress.Of(default(IPv6Address)) : HostAddress.Of(default(IPv4Address));

    Flow FlowOf(in HarEntry entry) =>
        new(HostOf(entry.Server.IsIPv6), 0, entry.Server, entry.Port, entry.Port, entry.Protocol, entry.Protocol == IpProtocol.Tcp ? TcpState.Established : TcpState.None)
        {
            Named = entry.IsSecure ? reading.Rules.ByName(entry.Host, []) : (byte)0,
        };

    void Take(Flow flow, DateTimeOffset from, DateTimeOffset until) => _uses.Add(new Use(flow with { Port = (ushort)(FirstPort + _uses.Count % Ports) }, from, until));

    /// <summary>A sample each period from the first request on, and one when the load is over, with the peaks between them.</summary>
    int Sample(SampleSink sink)
    {
        DateTimeOffset first = _entries.Min(entry => entry.Start), over = _entries.Max(entry => entry.End), before = first;
        var counter = new TickCounter(reading.Rules, reading.Inside);
        int ticks = 0;
        while (before < over || ticks == 0)
        {
            DateTimeOffset at = before + reading.Every < over ? before + reading.Every : over;
            foreach (Use use in _uses)
                if (use.From <= at && use.Until >= at) counter.Add(use.Flow);
            TickCounts counts = counter.Finish();
            foreach ((HostAddress host, HostCounts ofHost) in counts.Hosts) ofHost.PeakPorts = Math.Max(ofHost.Ports, Peak(host, before, at));
            sink(at, counts);
            ticks++;
            before = at;
            if (at == over) break;
        }

        return ticks;
    }

    /// <summary>The most ports of a host at once between two moments: at one at which a use begins.</summary>
    int Peak(HostAddress host, DateTimeOffset from, DateTimeOffset to)
    {
        Use[] uses = [.. _uses.Where(use => use.Flow.Host == host && use.From <= to && use.Until >= from)];
        return uses.Select(use => use.From > from ? use.From : from).Distinct().Max(at => (int?)uses.Count(use => use.From <= at && use.Until >= at)) ?? 0;
    }
}
