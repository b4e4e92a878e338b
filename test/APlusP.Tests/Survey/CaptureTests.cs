using System.Text;
using APlusP.Core.Addresses;
using APlusP.Core.Captures;
using APlusP.Core.Connections;
using APlusP.Core.Wire;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;
using APlusP.Survey.Readers;

namespace APlusP.Tests.Survey;

/// <summary>Captures become samples, on their own clock.</summary>
public sealed class CaptureTests : IDisposable
{
    const string Host = "192.168.2.9", Web = "203.0.113.7", Resolver = "203.0.113.53";
    const long Second = 1_000_000_000, Start = 1_267_551_614 * Second;

    readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    List<(long At, TickCounts Counts)> Read(ApplicationRules rules, params (double At, byte[] Packet)[] packets)
    {
        using (var writer = new CaptureWriter(File.Create(_path), nanoseconds: true))
            foreach ((double at, byte[] packet) in packets) writer.Write(packet, Start + (long)(at * Second));
        var samples = new List<(long, TickCounts)>();
        SurveyFile.Read(_path, new SurveyReading(rules, InsideNetworks.Private, TimeSpan.FromSeconds(10)), (at, counts) => samples.Add((at!.Value.ToUnixTimeSeconds() - Start / Second, counts)));
        return samples;
    }

    List<(long At, HostCounts? Counts)> ReadHost(params (double At, byte[] Packet)[] packets) =>
        [.. Read(ApplicationRules.Standard, packets).Select(s => (s.At, s.Counts.Hosts.Where(h => h.Address.ToString() == Host).Select(h => h.Counts).SingleOrDefault()))];

    static byte[] Out(int port, TcpFlags flags, byte[]? payload = null)
    {
        byte[] packet = Packets.Tcp(Host, port, Web, 443, flags, payload?.Length ?? 0);
        payload?.CopyTo(packet, packet.Length - payload.Length);
        return packet;
    }

    static byte[] Back(int port, TcpFlags flags) => Packets.Tcp(Web, 443, Host, port, flags);

    [Fact]
    public void Each_period_of_a_capture_is_a_sample_and_the_last_one_too()
    {
        List<(long At, HostCounts? Counts)> samples = ReadHost((0, Packets.Udp(Host, 5000, Resolver, 53)), (12, Packets.Udp(Host, 5001, Resolver, 53)), (13, Packets.Udp(Resolver, 53, Host, 5001)));
        Assert.Equal([10L, 20L], samples.Select(s => s.At));
        Assert.Equal([1, 2], samples.Select(s => s.Counts!.Ports));
        Assert.Equal((2, 2), (samples[1].Counts!.MinimumPorts, samples[1].Counts!.Of("dns")));
    }

    [Fact]
    public void A_port_is_let_go_by_the_kernel_s_timers()
    {
        // Unanswered UDP after 30 s, a closed connection after 10 s, one that is open stays.
        List<(long At, HostCounts? Counts)> samples = ReadHost(
            (0, Packets.Udp(Host, 5000, Resolver, 53)), (1, Out(6000, TcpFlags.Syn)), (1.1, Back(6000, TcpFlags.Syn | TcpFlags.Ack)), (1.2, Out(6000, TcpFlags.Ack)), (2, Out(6001, TcpFlags.Syn)),
            (2.1, Back(6001, TcpFlags.Rst | TcpFlags.Ack)), (45, Packets.Echo("192.168.2.10", Web, 7)));
        Assert.Equal([3, 2, 2, 1, 1], samples.Select(s => s.Counts!.Ports));
        Assert.Equal((1, 1), (samples[0].Counts!.ByState[(int)TcpState.Established], samples[0].Counts!.ByState[(int)TcpState.Close]));
    }

    [Fact]
    public void A_connection_goes_through_its_states()
    {
        List<(long At, HostCounts? Counts)> samples = ReadHost(
            (0, Out(6000, TcpFlags.Syn)), (11, Back(6000, TcpFlags.Syn | TcpFlags.Ack)), (21, Out(6000, TcpFlags.Ack)), (31, Out(6000, TcpFlags.Fin | TcpFlags.Ack)), (41, Back(6000, TcpFlags.Fin | TcpFlags.Ack)), (42, Out(6000, TcpFlags.Ack)));
        TcpState[] states = [TcpState.SynSent, TcpState.SynReceived, TcpState.Established, TcpState.FinWait, TcpState.TimeWait];
        Assert.Equal(states, samples.Select(s => (TcpState)Array.IndexOf(s.Counts!.ByState, 1)));
    }

    [Fact]
    public void A_connection_that_the_capture_joins_later_is_that_of_the_host_inside()
    {
        List<(long At, HostCounts? Counts)> samples = ReadHost((0, Back(6000, TcpFlags.Ack)), (1, Packets.Tcp(Host, 6001, Web, 80, TcpFlags.Ack)));
        Assert.Equal((2, 1, 1), (samples[0].Counts!.Ports, samples[0].Counts!.Of("https"), samples[0].Counts!.Of("http")));
    }

    [Fact]
    public void A_burst_inside_a_period_is_its_peak()
    {
        (double, byte[])[] burst = [.. Enumerable.Range(0, 50).Select(i => (1 + i * 0.01, Packets.Udp(Host, 5000 + i, Resolver, 53))), (95, Packets.Udp(Host, 9000, Resolver, 53))];
        List<(long At, HostCounts? Counts)> samples = ReadHost(burst);
        Assert.Equal((50, 50), (samples[0].Counts!.Ports, samples[0].Counts!.PeakPorts));
        Assert.Equal((0, 50), (samples[3].Counts!.Ports, samples[3].Counts!.PeakPorts));
        Assert.Null(samples[4].Counts);
        Assert.Equal((1, 1), (samples[9].Counts!.Ports, samples[9].Counts!.PeakPorts));
    }

    [Fact]
    public void What_a_TLS_client_names_tells_the_application_before_its_port()
    {
        ApplicationRules rules = ApplicationRules.Check("rules.toml", "[[application]]\nname = \"video\"\nserver-names = [\"*.video.example\"]\n[[application]]\nname = \"mail\"\nalpn = [\"imap\"]\n[[application]]\nname = \"https\"\ntcp = \"443\"\n").Configuration!;
        HostCounts counts = Read(
            rules, (0, Out(6000, TcpFlags.Syn)), (0.1, Out(6000, TcpFlags.Ack | TcpFlags.Psh, Hello("cdn.video.example", "h2"))), (0.2, Out(6001, TcpFlags.Ack | TcpFlags.Psh, Hello(null, "http/1.1", "imap"))),
            (0.3, Out(6002, TcpFlags.Ack | TcpFlags.Psh, Hello("www.example", "h2"))), (0.4, Out(6003, TcpFlags.Ack | TcpFlags.Psh, [0x16, 3, 1]))).Single().Counts.Hosts.Single().Counts;
        Assert.Equal([1, 1, 2, 0], counts.ByApplication);
    }

    [Fact]
    public void Every_beginning_of_a_ClientHello_is_read_without_a_fault()
    {
        byte[] whole = Hello("cdn.video.example", "h2");
        for (int length = 0; length < whole.Length; length++) ClientHello.TryRead(whole.AsSpan(0, length), out _, out _);
        Assert.True(ClientHello.TryRead(whole, out string? name, out IReadOnlyList<string> alpn));
        Assert.Equal(("cdn.video.example", "h2"), (name, Assert.Single(alpn)));
    }

    [Fact]
    public void A_damaged_capture_is_told_and_what_came_before_is_kept()
    {
        Read(ApplicationRules.Standard, (0, Packets.Udp(Host, 5000, Resolver, 53)), (1, Packets.Udp(Host, 5001, Resolver, 53)));
        using (FileStream file = File.OpenWrite(_path)) file.SetLength(file.Length - 5);
        var samples = new List<TickCounts>();
        FileResult result = SurveyFile.Read(_path, new SurveyReading(ApplicationRules.Standard, InsideNetworks.Private, TimeSpan.FromSeconds(10)), (_, counts) => samples.Add(counts));
        Assert.Contains("offset", result.Damage, StringComparison.Ordinal);
        Assert.Equal(1, Assert.Single(samples).Hosts.Single().Counts.Ports);
    }

    static byte[] Hello(string? serverName, params string[] alpn)
    {
        static byte[] Vector(int lengthOctets, byte[] content) => lengthOctets == 1 ? [(byte)content.Length, .. content] : [(byte)(content.Length >> 8), (byte)content.Length, .. content];
        byte[] extensions = [0, 43, .. Vector(2, [2, 3, 4])];
        if (serverName is not null) extensions = [.. extensions, 0, 0, .. Vector(2, Vector(2, [0, .. Vector(2, Encoding.ASCII.GetBytes(serverName))]))];
        extensions = [.. extensions, 0, 16, .. Vector(2, Vector(2, [.. alpn.SelectMany(a => Vector(1, Encoding.ASCII.GetBytes(a)))]))];
        byte[] body = [3, 3, .. new byte[32], .. Vector(1, new byte[32]), .. Vector(2, [0x13, 0x01]), .. Vector(1, [0]), .. Vector(2, extensions)];
        return [0x16, 3, 1, .. Vector(2, [1, 0, (byte)(body.Length >> 8), (byte)body.Length, .. body])];
    }
}
