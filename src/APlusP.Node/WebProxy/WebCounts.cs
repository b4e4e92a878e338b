using APlusP.Node.Control;

namespace APlusP.Node.WebProxy;

/// <summary>How many connections went which way. One that goes by IPv6 saves a port of the shared address for as long as it lives.</summary>
sealed class WebCounts
{
    readonly Lock _lock = new();
    readonly long[] _ways = new long[Enum.GetValues<WebWay>().Length];
    int _open, _saving, _most;
    long _up, _down, _pooled;

    /// <summary>A connection has gone its way. With <see cref="End"/> it is open no more.</summary>
    public void Begin(WebWay way)
    {
        lock (_lock)
        {
            _ways[(int)way]++;
            if (way == WebWay.Unreachable) return;
            _open++;
            if (way == WebWay.IPv6) _most = Math.Max(_most, ++_saving);
        }
    }

    /// <summary>One of those by IPv4 shares connections.</summary>
    public void Pool() => Interlocked.Increment(ref _pooled);

    /// <summary>It has ended.</summary>
    public void End(WebWay way, long up, long down)
    {
        lock (_lock)
        {
            _open--;
            if (way == WebWay.IPv6) _saving--;
            _up += up;
            _down += down;
        }
    }

    /// <summary>As <c>aplusp status</c> tells it.</summary>
    /// <param name="living">Octets of connections that are open.</param>
    public WebProxyStatus Read(WebProxyPlan plan, (long Up, long Down) living)
    {
        lock (_lock)
        {
            return new WebProxyStatus
            {
                Devices = plan.Devices,
                Ports = plan.Ports,
                Connections = _ways.Sum(),
                Open = _open,
                PortsSaved = _saving,
                MostPortsSaved = _most,
                OverIPv6 = _ways[(int)WebWay.IPv6],
                NoName = _ways[(int)WebWay.NoName],
                NoAddress = _ways[(int)WebWay.NoAddress],
                NameLate = _ways[(int)WebWay.NameLate],
                NotAnswering = _ways[(int)WebWay.NotAnswering],
                Unreachable = _ways[(int)WebWay.Unreachable],
                Pooled = Interlocked.Read(ref _pooled),
                OctetsUp = _up + living.Up,
                OctetsDown = _down + living.Down,
            };
        }
    }
}
