using System.Net;
using System.Net.Sockets;

namespace APlusP.Node.Names;

/// <summary>The name servers of this machine.</summary>
static class NameServers
{
    public const string Resolver = "/etc/resolv.conf";

    const int Port = 53, LargestAnswer = 4096;

    /// <summary>Reads a message; false where it is no answer to what was asked, and another may be.</summary>
    public delegate bool AnswerReader<T>(ReadOnlySpan<byte> answer, ReadOnlySpan<byte> question, out T value);

    /// <summary>Servers and search list of <see cref="Resolver"/>; both empty where there is none.</summary>
    public static (IReadOnlyList<IPAddress> Servers, IReadOnlyList<string> Search) Read() => Read(File.Exists(Resolver) ? File.ReadAllLines(Resolver) : []);

    /// <summary>The same of its lines, resolv.conf(5); the last <c>search</c> or <c>domain</c> counts.</summary>
    public static (IReadOnlyList<IPAddress> Servers, IReadOnlyList<string> Search) Read(IEnumerable<string> lines)
    {
        var servers = new List<IPAddress>();
        IReadOnlyList<string> search = [];
        foreach (string[] words in lines.Select(l => l.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)))
        {
            if (words is ["nameserver", var server, ..] && IPAddress.TryParse(server, out IPAddress? address)) servers.Add(address);
            else if (words is ["search" or "domain", ..]) search = [.. words[1..].Select(d => d.TrimEnd('.')).Where(d => d.Length > 0)];
        }

        return (servers, search);
    }

    /// <summary>One question to one server; the default of T where it does not answer in time.</summary>
    public static async Task<T?> Ask<T>(IPAddress server, byte[] question, AnswerReader<T> read, TimeSpan patience, CancellationToken cancel)
        where T : class
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(patience);
        try
        {
            byte[] answer = new byte[LargestAnswer];

            // Connected, so that nobody else's answer is heard.
            using var socket = new Socket(server.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            await socket.ConnectAsync(new IPEndPoint(server, Port), limit.Token);
            await socket.SendAsync(question, limit.Token);
            while (true)
            {
                int length = await socket.ReceiveAsync(answer, limit.Token);
                if (read(answer.AsSpan(0, length), question, out T value)) return value;
            }
        }
        catch (Exception error) when (error is SocketException || error is OperationCanceledException && !cancel.IsCancellationRequested)
        {
            return null;
        }
    }
}
