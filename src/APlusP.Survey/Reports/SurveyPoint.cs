using APlusP.Survey.Counting;

namespace APlusP.Survey.Reports;

/// <summary>Samples that follow each other, as one point of a chart: their mean, and the most of any of them.</summary>
/// <param name="from">When the first of them was.</param>
/// <param name="to">When the last was.</param>
/// <param name="afterGap">Nobody looked for a while before.</param>
/// <param name="applications">How many there are.</param>
public sealed class SurveyPoint(DateTimeOffset from, DateTimeOffset to, bool afterGap, int applications)
{
    readonly long[] _byApplication = new long[applications];
    long _hosts, _ports, _ports6;
    int _hostsNow, _portsNow;

    public DateTimeOffset From { get; } = from;

    /// <summary>The middle of its samples.</summary>
    public DateTimeOffset At { get; } = from + (to - from) / 2;

    public bool AfterGap { get; } = afterGap;

    public long Samples { get; private set; }

    /// <summary>Hosts that had a connection, of a sample in the mean.</summary>
    public double Hosts => (double)_hosts / Samples;

    public int MostHosts { get; private set; }

    /// <summary>Ports of all hosts, of a sample in the mean.</summary>
    public double Ports => (double)_ports / Samples;

    public int MostPorts { get; private set; }

    /// <summary>The share of ports that are IPv6's, in per cent; NaN where there are no ports.</summary>
    public double IPv6Share => 100.0 * _ports6 / _ports;

    public double PortsOf(int application) => (double)_byApplication[application] / Samples;

    /// <summary>A sample begins.</summary>
    internal void Begin() => (_hostsNow, _portsNow) = (0, 0);

    internal void Add(HostCounts counts, bool isIPv6)
    {
        _hostsNow++;
        _portsNow += counts.Ports;
        if (isIPv6) _ports6 += counts.Ports;
        for (int i = 0; i < _byApplication.Length; i++) _byApplication[i] += counts.ByApplication[i];
    }

    internal void End()
    {
        Samples++;
        _hosts += _hostsNow;
        _ports += _portsNow;
        MostHosts = Math.Max(MostHosts, _hostsNow);
        MostPorts = Math.Max(MostPorts, _portsNow);
    }

    internal void Add(SurveyPoint share)
    {
        Samples += share.Samples;
        _hosts += share._hosts;
        _ports += share._ports;
        _ports6 += share._ports6;
        MostHosts = Math.Max(MostHosts, share.MostHosts);
        MostPorts = Math.Max(MostPorts, share.MostPorts);
        for (int i = 0; i < _byApplication.Length; i++) _byApplication[i] += share._byApplication[i];
    }
}
