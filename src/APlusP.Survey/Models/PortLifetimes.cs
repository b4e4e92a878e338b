using APlusP.Core.Forwarding;
using APlusP.Core.Wire;

namespace APlusP.Survey.Models;

/// <summary>How long a port stays in use after the flow that it was for: nobody tells a NAT that a UDP flow is over, and a closed TCP connection is kept for a while.</summary>
/// <param name="Udp">After the last packet.</param>
/// <param name="TcpClosed">After a connection was closed by both sides.</param>
public readonly record struct PortLifetimes(TimeSpan Udp, TimeSpan TcpClosed)
{
    /// <summary>A port is in use exactly as long as its socket.</summary>
    public static PortLifetimes OfSockets { get; } = new(TimeSpan.Zero, TimeSpan.Zero);

    /// <summary>Linux's connection tracking, with which the report counted: 30 s after a question and its answer, 120 s in TIME-WAIT.</summary>
    public static PortLifetimes OfConntrack { get; } = new(TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(120));

    /// <summary>After the last packet of a flow.</summary>
    public TimeSpan After(IpProtocol protocol) => protocol == IpProtocol.Udp ? Udp : TcpClosed;

    /// <summary>The same by a clock that runs so many times as fast.</summary>
    public static PortLifetimes operator /(PortLifetimes lifetimes, double scale) => new(lifetimes.Udp / scale, lifetimes.TcpClosed / scale);

    /// <summary>A SMAP's.</summary>
    public static PortLifetimes Of(NaptTimers timers) => new(TimeSpan.FromSeconds(timers.Udp), TimeSpan.FromSeconds(timers.TcpClosing));
}
