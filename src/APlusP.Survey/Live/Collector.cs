using APlusP.Core.Connections;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;
using APlusP.Survey.Storage;

namespace APlusP.Survey.Live;

/// <summary>What a survey of this machine is to do.</summary>
/// <param name="Every">From one sample to the next.</param>
/// <param name="Duration">How long; null for until it is stopped.</param>
public sealed record CollectorSettings(TimeSpan Every, TimeSpan? Duration);

/// <summary>A sample that was just taken.</summary>
/// <param name="At">When.</param>
/// <param name="Elapsed">Since the start.</param>
/// <param name="Taken">How long the dump and its counting took.</param>
/// <param name="Counts">What it counted.</param>
/// <param name="EventsMissed">Whether the kernel dropped events since the sample before: its peaks may be too low.</param>
public sealed record CollectedSample(DateTimeOffset At, TimeSpan Elapsed, TimeSpan Taken, TickCounts Counts, bool EventsMissed);

/// <summary>
/// Takes a sample of this machine's connections at each tick, and hears between ticks which come and go. Ticks are on the monotonic clock, at whole periods from the start, so that
/// neither the work nor a clock that is set makes them drift; a sample's time is the wall clock's.
/// </summary>
public sealed class Collector
{
    readonly SurveyStore _store;
    readonly IConnectionSource _source;
    readonly ApplicationRules _rules;
    readonly CollectorSettings _settings;
    readonly TimeProvider _time;
    readonly TickCounter _counter;

    // The ledger since the last dump, and the next one, which a dump fills.
    PortLedger _ledger, _next;

    // Long enough to be seldom, short enough that Ctrl-C is heard at once.
    static readonly TimeSpan s_longestWait = TimeSpan.FromMilliseconds(200);

    public Collector(SurveyStore store, IConnectionSource source, ApplicationRules rules, InsideNetworks inside, CollectorSettings settings, TimeProvider time)
    {
        _store = store;
        _source = source;
        _rules = rules;
        _settings = settings;
        _time = time;
        _counter = new TickCounter(rules, inside);
        _ledger = new PortLedger(inside);
        _next = new PortLedger(inside);
    }

    /// <summary>Samples until the duration is over or somebody stops it; each is in the store when it is told.</summary>
    public void Run(Action<CollectedSample> tell, CancellationToken stop)
    {
        long start = _time.GetTimestamp();
        DateTimeOffset last = _store.Last ?? DateTimeOffset.MinValue;
        for (long tick = 0; ; tick = Math.Max(tick + 1, (long)Math.Ceiling(_time.GetElapsedTime(start) / _settings.Every)))
        {
            TimeSpan due = tick * _settings.Every;
            if (due > _settings.Duration || !WaitFor(start, due, stop, out bool missed)) return;

            // A clock that was set back must not give two samples one time.
            DateTimeOffset now = _time.GetUtcNow(), at = now > last ? now : last.AddMilliseconds(1);
            long began = _time.GetTimestamp();
            TickCounts counts = Sample();
            _store.Add(new SampleTime(at, _settings.Every), counts, _rules);
            last = DateTimeOffset.FromUnixTimeMilliseconds(at.ToUnixTimeMilliseconds());
            tell(new CollectedSample(at, _time.GetElapsedTime(start), _time.GetElapsedTime(began), counts, missed));
        }
    }

    /// <summary>Hears events until the tick is due; false where it was stopped before.</summary>
    bool WaitFor(long start, TimeSpan due, CancellationToken stop, out bool missed)
    {
        missed = false;
        while (!stop.IsCancellationRequested)
        {
            TimeSpan left = due - _time.GetElapsedTime(start);
            missed |= !_source.Wait(left < s_longestWait ? left : s_longestWait, Hear);
            if (_time.GetElapsedTime(start) >= due) return true;
        }

        return false;
    }

    void Hear(bool comes, TrackedConnection connection)
    {
        if (comes) _ledger.Come(connection);
        else _ledger.Go(connection);
    }

    TickCounts Sample()
    {
        _next.Clear();
        _source.Dump(connection =>
        {
            _counter.Add(connection);
            _next.Come(connection);
        });
        TickCounts counts = _ledger.RaisePeaks(_counter.Finish(), _rules);
        (_ledger, _next) = (_next, _ledger);
        return counts;
    }
}
