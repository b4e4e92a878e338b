using APlusP.Registry.Api;
using APlusP.Registry.Configuration;
using APlusP.Registry.Memory;
using APlusP.Registry.Storage;

namespace APlusP.Registry.Ipfix;

/// <summary>
/// Tells an IPFIX collector of every block of ports that is given and taken back (RFC 8158), out of the memory: it remembers the last event that the collector has, and after an outage, of
/// the collector or of ours, goes on behind it. What was on its way then is told again.
/// </summary>
sealed class BlockExporter(Registrar registrar, IpfixSettings settings, TimeProvider clock, RegistryLog log)
{
    const int EventsAtOnce = 500;

    static readonly TimeSpan s_look = TimeSpan.FromSeconds(1), s_longestWait = TimeSpan.FromSeconds(30);

    readonly string _collector = settings.ToString();

    /// <summary>Goes on until it is stopped.</summary>
    public async Task Run(CancellationToken stop)
    {
        TimeSpan wait = s_look;
        try
        {
            while (true)
            {
                try
                {
                    long told = await Position();
                    using CollectorSession session = await CollectorSession.Begin(settings, clock, stop);
                    log.Exporting(_collector, told + 1);
                    wait = s_look;
                    while (true) told = await Tell(session, told, stop);
                }
                catch (Exception error) when (error is not OperationCanceledException)
                {
                    log.NotExporting(_collector, error.Message);
                }

                await Task.Delay(wait, clock, stop);
                wait = wait * 2 < s_longestWait ? wait * 2 : s_longestWait;
            }
        }
        catch (OperationCanceledException)
        {
            // We stop.
        }
    }

    /// <summary>The last event that the collector has; one that is new hears of what comes, not of the past.</summary>
    Task<long> Position() => registrar.Change(transaction =>
    {
        transaction.Session.Write("INSERT INTO export SELECT @collector, seq FROM chain WHERE one = 1 ON CONFLICT(collector) DO NOTHING", ("collector", _collector));
        return transaction.Session.One("SELECT seq FROM export WHERE collector = @collector", r => r.GetInt64(0), ("collector", _collector));
    });

    /// <summary>Tells what came after an event, waits a little where nothing did, and gives the last that was told.</summary>
    async Task<long> Tell(CollectorSession session, long told, CancellationToken stop)
    {
        List<(long Seq, BlockRecord[] Records)> news = registrar.Read(s => s.All(
            $"SELECT {RegistryEvent.Columns} FROM event WHERE seq > @told ORDER BY seq LIMIT {EventsAtOnce}", r => (r.GetInt64(0), BlockRecord.Of(r).ToArray()), ("told", told)));
        if (news.Count == 0)
        {
            await session.Idle(stop);
            await Task.Delay(s_look, clock, stop);
            return told;
        }

        await session.Send(news.SelectMany(n => n.Records), stop);
        long last = news[^1].Seq;
        await registrar.Change(t => t.Session.Execute("UPDATE export SET seq = @last WHERE collector = @collector", ("last", last), ("collector", _collector)));
        return last;
    }
}
