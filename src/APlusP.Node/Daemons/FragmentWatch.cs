using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.Fragments;

namespace APlusP.Node.Daemons;

/// <summary>Tells the administrator that what fragments may hold runs short, before some are lost for it (RFC 6333 section 6.3).</summary>
sealed class FragmentWatch : IDisposable
{
    static readonly TimeSpan s_period = TimeSpan.FromSeconds(1), s_silence = TimeSpan.FromMinutes(1);

    readonly IReadOnlyList<DataPlane> _dataPlanes;
    readonly int _percent;
    readonly DaemonLog _log;
    readonly TimeProvider _time;
    readonly ITimer _timer;
    long? _toldOfOuter, _toldOfInner;

    /// <param name="dataPlanes">One for each worker.</param>
    /// <param name="percent">Of what one worker may hold.</param>
    /// <param name="log">Where it is told.</param>
    /// <param name="time">The clock.</param>
    public FragmentWatch(IReadOnlyList<DataPlane> dataPlanes, int percent, DaemonLog log, TimeProvider time)
    {
        (_dataPlanes, _percent, _log, _time) = (dataPlanes, percent, log, time);
        _timer = time.CreateTimer(static watch => ((FragmentWatch)watch!).Look(), this, s_period, s_period);
    }

    /// <summary>Once a second.</summary>
    internal void Look()
    {
        FragmentUse outer = default, inner = default;
        foreach (DataPlane dataPlane in _dataPlanes)
        {
            (FragmentUse ofSoftwires, FragmentUse inside) = dataPlane.TakeFragmentPeak();
            if (ofSoftwires.Percent >= outer.Percent) outer = ofSoftwires;
            if (inside.Percent >= inner.Percent) inner = inside;
        }

        Tell("softwire packets", outer, ref _toldOfOuter);
        Tell("IPv4 packets", inner, ref _toldOfInner);
    }

    void Tell(string kind, FragmentUse use, ref long? told)
    {
        if (use.Percent < _percent || (told is { } last && _time.GetElapsedTime(last) < s_silence)) return;
        told = _time.GetTimestamp();
        _log.FragmentsRunShort(kind, use.Percent, use.Packets, use.MaxPackets, use.Octets / 1024, use.MaxOctets / 1024);
    }

    public void Dispose() => _timer.Dispose();
}
