using System.Net;
using System.Net.Sockets;
using APlusP.Core.PortSets;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>Three rooms of 252 ports each behind one address. One host may have a whole set; room 2 uses ports again towards other peers.</summary>
public sealed class PortSetLab() : LabFixture(LabPlan.Smaps("tports", 3)
    .With(1, room => room with { Napt = ["ports-per-host = 252"] })
    .With(2, room => room with { Napt = ["ports-per-host = 252", "mode = \"five-tuple\""] }));

/// <summary>Sets of (a=6, k=8): 252 ports in 63 pieces of 4.</summary>
public sealed class PortSetTests(PortSetLab lab) : IClassFixture<PortSetLab>
{
    const int Ports = 252;

    [Fact]
    public void All_252_ports_are_used_and_the_253rd_flow_is_refused_by_icmp() => lab.Test(() =>
    {
        using var server = new EchoServer(lab["www4"], LabTopology.Www4Address);
        List<Socket> clients = [];
        try
        {
            HashSet<int> seen = [];
            for (int i = 0; i < Ports; i++) seen.Add(Ask(Open("h1", server, clients)));
            Assert.Equal([.. SetOf(1)], seen.Order());

            // One more from the host that has the whole set, then one from the SMAP itself, which has none.
            IReadOnlyDictionary<string, long> moved = lab.Moved("smap1", () =>
            {
                SocketException refused = Assert.Throws<SocketException>(() => Ask(Open("h1", server, clients)));
                // What Linux makes of "communication administratively prohibited", type 3 code 13.
                Assert.Equal(SocketError.HostUnreachable, refused.SocketErrorCode);
                Assert.Throws<SocketException>(() => Ask(Open("smap1", server, clients), seconds: 2));
            });
            Assert.Equal(1, moved["from-lan-drop-host-limit"]);
            Assert.Equal(1, moved["from-lan-drop-ports-exhausted"]);

            // Who has a port keeps it, the neighbours have theirs, and TCP has ports of its own.
            Assert.Contains(Ask(clients[0]), seen);
            Assert.Contains(Ask(Open("h3", server, clients)), SetOf(3));
            lab["h1"].Do("curl", "-sS", "--fail", "--max-time", "5", "-o", "/dev/null", $"http://{LabTopology.Www4Address}/");
        }
        finally
        {
            clients.ForEach(client => client.Dispose());
        }
    });

    [Fact]
    public void By_five_tuple_the_253rd_flow_takes_a_port_again_towards_another_peer() => lab.Test(() =>
    {
        using var server = new EchoServer(lab["www4"], LabTopology.Www4Address);
        using var other = new EchoServer(lab["www6"], LabTopology.Www6Address);
        List<Socket> clients = [];
        try
        {
            HashSet<int> seen = [];
            for (int i = 0; i < Ports; i++) seen.Add(Ask(Open("h2", server, clients)));
            Assert.Equal([.. SetOf(2)], seen.Order());
            for (int i = 0; i < 20; i++) Assert.Contains(Ask(Open("h2", other, clients)), seen);
            Assert.Throws<SocketException>(() => Ask(Open("h2", server, clients), seconds: 2));
        }
        finally
        {
            clients.ForEach(client => client.Dispose());
        }
    });

    [Fact]
    public void All_rooms_fetch_at_once_each_from_its_own_set() => lab.Test(() =>
    {
        // Names are given, not asked for: a question takes a UDP port of the set, and the other tests count them.
        int before = lab.Lab.AccessLog("www4").Count;
        Task.WaitAll([.. lab.Lab.Plan.Rooms.Select(room => Task.Run(() => lab[room.Hosts[0].Name].Do(
            "curl", "-sS", "--fail", "--max-time", "20", "--parallel", "--resolve", $"www4.example:443:{LabTopology.Www4Address}", "--resolve", $"www4.example:80:{LabTopology.Www4Address}", "-A", room.Name, "--cacert", lab.Lab.Certificate,
            "https://www4.example/film.mp4", "-o", "/dev/null", "http://www4.example/picture.jpg", "-o", "/dev/null")))]);
        int requests = 2 * lab.Lab.Plan.Rooms.Count;
        IReadOnlyList<AccessLogEntry> log = lab.Logged("www4", before, requests);
        Assert.Equal(requests, log.Count);
        foreach (AccessLogEntry entry in log)
        {
            Assert.Equal(LabPlan.SharedAddress, entry.Address);
            RoomPlan room = Assert.Single(lab.Lab.Plan.Rooms, room => PortSet.Parse(room.Ports).Contains((ushort)entry.Port));
            Assert.Equal(room.Name, entry.Agent);
        }
    });

    // The expected ports by the definition of RFC 7597 section 5.1, not by the code under test.
    static IEnumerable<int> SetOf(int psid) => Enumerable.Range(0, 65536).Where(port => port >> 10 != 0 && (port >> 2 & 0xff) == psid);

    Socket Open(string host, EchoServer server, List<Socket> clients)
    {
        Socket client = lab[host].Call(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        clients.Add(client);
        client.Connect(server.EndPoint);
        return client;
    }

    // The port that the server saw.
    static int Ask(Socket client, int seconds = 20)
    {
        client.ReceiveTimeout = seconds * 1000;
        client.Send("which port?"u8);
        byte[] answer = new byte[2];
        Assert.Equal(2, client.Receive(answer));
        return answer[0] << 8 | answer[1];
    }

    /// <summary>Answers every datagram with the port that it came from.</summary>
    sealed class EchoServer : IDisposable
    {
        readonly Socket _socket;
        readonly Task _work;

        public EchoServer(NetworkNamespace host, string address)
        {
            _socket = host.Call(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
            _socket.Bind(new IPEndPoint(IPAddress.Parse(address), 0));
            EndPoint = (IPEndPoint)_socket.LocalEndPoint!;
            _work = Task.Run(AnswerAsync);
        }

        public IPEndPoint EndPoint { get; }

        public void Dispose()
        {
            _socket.Dispose();
            try
            {
                _work.Wait();
            }
            catch (AggregateException)
            {
                // It was waiting on the socket that is closed now.
            }
        }

        async Task AnswerAsync()
        {
            byte[] buffer = new byte[100];
            while (true)
            {
                SocketReceiveFromResult asked = await _socket.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.Any, 0));
                int port = ((IPEndPoint)asked.RemoteEndPoint).Port;
                await _socket.SendToAsync(new byte[] { (byte)(port >> 8), (byte)port }, asked.RemoteEndPoint);
            }
        }
    }
}
