using APlusP.Core.Wire;
using APlusP.Lab.Traffic;
using APlusP.Survey.Models;

namespace APlusP.Tests.Lab;

/// <summary>What whoever looks must have counted of flows that were played.</summary>
public class PlayedPortsTests
{
    static readonly PortLifetimes s_lifetimes = new(Udp: TimeSpan.FromSeconds(6), TcpClosed: TimeSpan.FromSeconds(24));

    static readonly RemoteEnd s_resolver = new("dns", Number: 0, IpProtocol.Udp, Port: 53, IsIPv6: false), s_elsewhere = s_resolver with { Application = "http" };

    static PlayedFlow Question(double opening, double opened, RemoteEnd end)
    {
        TimeSpan at = TimeSpan.FromSeconds(opening);
        return new PlayedFlow(new TimedFlow(end, at, at)) { Opening = at, Opened = TimeSpan.FromSeconds(opened), Closing = at, Closed = TimeSpan.FromSeconds(opened) };
    }

    // One question, asked 1 s after the beginning and answered 10 ms later: its port is kept until 7 s.
    [Theory]
    [InlineData(0.50, 0.99, 0, 0)] // nobody had asked yet
    [InlineData(0.99, 1.02, 0, 1)] // it was asked while one looked
    [InlineData(1.005, 1.02, 0, 1)] // the answer is not there; the kernel has seen the question, or not
    [InlineData(1.02, 1.05, 1, 1)]
    [InlineData(6.90, 6.96, 1, 1)]
    [InlineData(6.99, 6.998, 0, 1)] // the kernel counts in ticks, and forgets up to a tick early
    [InlineData(7.00, 7.01, 0, 1)]
    [InlineData(7.40, 7.50, 0, 0)] // it was gone before one looked
    public void A_port_counts_for_certain_only_while_neither_its_beginning_nor_its_end_is_near(double from, double to, int least, int most)
    {
        var played = new PlayedPorts([Question(1, 1.01, s_resolver), Question(1, 1.01, s_elsewhere)], s_lifetimes);
        Assert.Equal((least, most), played.Between(TimeSpan.FromSeconds(from), TimeSpan.FromSeconds(to), end => end.Application == "dns"));
    }
}
