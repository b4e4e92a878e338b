using System.Buffers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using APlusP.Core;
using APlusP.Core.Connections;
using APlusP.Core.Wire;

namespace APlusP.Node.Control;

/// <summary>The flows of a SMAP as lines of the form in which the kernel tells its connections; any line that is sent asks for all of them.</summary>
/// <param name="list">Gives a piece of the table, and where the next begins; 0 behind the last.</param>
sealed class FlowStream(Func<int, List<TrackedFlow>, int> list) : ILineStream
{
    public void Answer(ReadOnlySpan<byte> line, IBufferWriter<byte> answers)
    {
        var flows = new List<TrackedFlow>();
        int next = 0;
        do
        {
            flows.Clear();
            next = list(next, flows);
            foreach (TrackedFlow flow in flows) Write(flow, answers);
        }
        while (next > 0);
    }

    public void AnswerTooLong(IBufferWriter<byte> answers)
    {
    }

    static void Write(in TrackedFlow flow, IBufferWriter<byte> answers)
    {
        (IpProtocol protocol, ConnectionTuple original, ConnectionTuple reply, TcpState state) = flow.Connection;
        string head = $"{protocol.ToString().ToLowerInvariant(),-8} {(int)protocol} {flow.Seconds} ";
        if (protocol == IpProtocol.Tcp) head += $"{TcpStates.NameOf(state)} ";
        Encoding.ASCII.GetBytes($"{head}{Direction(protocol, original, 8)} {Direction(protocol, reply, 0)}\n", answers);
    }

    static string Direction(IpProtocol protocol, ConnectionTuple tuple, int icmpType) => protocol == IpProtocol.Icmp
        ? $"src={tuple.Source} dst={tuple.Destination} type={icmpType} code=0 id={tuple.SourcePort}"
        : $"src={tuple.Source} dst={tuple.Destination} sport={tuple.SourcePort} dport={tuple.DestinationPort}";
}

/// <summary>Asks a SMAP for its flows.</summary>
public static class FlowList
{
    /// <summary>The flows, to be read to the end: the SMAP goes through its table while they are read, and packets go on between.</summary>
    /// <exception cref="APlusPException">AP3002: no daemon answers. AP3004: it is no SMAP.</exception>
    public static Stream Open(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 30_000 };
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            var flows = new NetworkStream(socket, ownsSocket: true);
            flows.Write("flows\nall\n"u8);
            socket.Shutdown(SocketShutdown.Send);

            // What is no flow is why there are none.
            Span<byte> first = stackalloc byte[1];
            if (socket.Receive(first, SocketFlags.Peek) == 0 || first[0] != '{') return flows;
            using (flows)
            {
                ControlAnswer refusal = JsonSerializer.Deserialize(flows, ControlJson.Default.ControlAnswer)!;
                throw new APlusPException(refusal.Code!, refusal.Message ?? "");
            }
        }
        catch (Exception error) when (error is SocketException or IOException or ArgumentException)
        {
            socket.Dispose();
            throw ControlClient.NoDaemon(path, error);
        }
    }
}
