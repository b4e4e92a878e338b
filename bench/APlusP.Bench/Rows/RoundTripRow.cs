using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.Bench.Rows;

/// <summary>How much longer a datagram and its answer take through SMAP and PRR than through two routers.</summary>
sealed class RoundTripRow : IRow
{
    const int Port = 7, PerRound = 5000, PayloadOctets = 64;

    public string Name => "rtt";

    public string Title => $"round trip of a datagram of {PayloadOctets} octets, {PerRound:N0} a round, added by SMAP and PRR to that of two routers";

    public IReadOnlyList<Line> Measure(Workplace place)
    {
        var chain = new Chain(place, fast: true);
        foreach (string address in (string[])[Chain.Ours, Chain.Routed]) place.Hold(new Echo(chain.Server, new IPEndPoint(IPAddress.Parse(address), Port)));
        Line[] lines =
        [
            new Line { What = "p50, added", Unit = "µs", BaselineName = "two routers' own", Goal = new Goal(30, IsMost: true) },
            new Line { What = "p99, added", Unit = "µs", BaselineName = "two routers' own", Goal = new Goal(200, IsMost: true) },
        ];
        Carried before = chain.Forwarded();
        place.EachRound(() =>
        {
            (double Median, double High) routed = RoundTrips(chain.Client, Chain.Routed), ours = RoundTrips(chain.Client, Chain.Ours);
            lines[0].Measured.Add(ours.Median - routed.Median);
            lines[0].Baseline.Add(routed.Median);
            lines[1].Measured.Add(ours.High - routed.High);
            lines[1].Baseline.Add(routed.High);
        });
        foreach (Line line in lines) line.CarriedBy = $"{chain.Forwarded() - before}";
        return lines;
    }

    /// <summary>Microseconds, the middle one and the 99th of 100.</summary>
    static (double Median, double High) RoundTrips(NetworkNamespace client, string server) => client.Call(() =>
    {
        Processors.Pin(0);
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 1000 };
        socket.Connect(new IPEndPoint(IPAddress.Parse(server), Port));
        byte[] datagram = new byte[PayloadOctets];
        double[] times = new double[PerRound];

        // A datagram that is lost counts as the second that it was waited for.
        for (int i = -PerRound / 10; i < PerRound; i++)
        {
            long start = Stopwatch.GetTimestamp();
            socket.Send(datagram);
            try
            {
                socket.Receive(datagram);
            }
            catch (SocketException error) when (error.SocketErrorCode == SocketError.TimedOut)
            {
            }

            if (i >= 0) times[i] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
        }

        Array.Sort(times);
        return (times[PerRound / 2], times[PerRound * 99 / 100]);
    });

    /// <summary>Sends back what comes, from one of the server's addresses, on processor 1.</summary>
    sealed class Echo : IDisposable
    {
        readonly Socket _socket;
        readonly Thread _thread;

        public Echo(NetworkNamespace at, IPEndPoint address)
        {
            _socket = at.Call(() =>
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
                socket.Bind(address);
                return socket;
            });
            _thread = new Thread(Run) { Name = "echo", IsBackground = true };
            _thread.Start();
        }

        void Run()
        {
            Processors.Pin(1);
            byte[] datagram = new byte[PayloadOctets];
            EndPoint from = new IPEndPoint(IPAddress.Any, 0);
            try
            {
                while (true)
                {
                    int length = _socket.ReceiveFrom(datagram, ref from);
                    _socket.SendTo(datagram.AsSpan(0, length), from);
                }
            }
            catch (Exception closed) when (closed is SocketException or ObjectDisposedException)
            {
            }
        }

        public void Dispose()
        {
            _socket.Dispose();
            _thread.Join();
        }
    }
}
