using System.Net.Sockets;
using System.Text;

namespace APlusP.Node.WebNames;

/// <summary>Speaks to a running HAProxy over its socket: a command, its answer, and the end.</summary>
sealed class HaproxySocket(string path)
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    /// <summary>Lines of a map that go in one command, far below what HAProxy has room for (tune.bufsize, 16 KiB).</summary>
    const int MostOctets = 8000;

    /// <summary>Makes a map what these lines say; connections meet the old one or the new one, and those that stand stay.</summary>
    /// <exception cref="IOException">It is not there, or refuses.</exception>
    public void Replace(string map, string lines)
    {
        string answer = Ask($"prepare map {map}");
        string version = answer.Split(':') is [.., var number] && int.TryParse(number.Trim(), out int prepared) ? $"@{prepared}" : throw Refused($"prepare map {map}", answer);
        foreach (string part in Parts(lines)) Expect($"add map {version} {map} <<\n{part}");
        Expect($"commit map {version} {map}");
    }

    /// <summary>Counters of frontends and backends: what <c>show stat</c> says, by name of each and name of the counter.</summary>
    /// <exception cref="IOException">It is not there.</exception>
    public IReadOnlyDictionary<string, Dictionary<string, long>> Counters()
    {
        string[] lines = Ask("show stat").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length == 0 || !lines[0].StartsWith("# ", StringComparison.Ordinal)) throw Refused("show stat", string.Join(' ', lines));
        string[] names = lines[0][2..].Split(',');
        return lines[1..].Select(l => l.Split(',')).Where(f => f.Length >= names.Length - 1 && f[1] is "FRONTEND" or "BACKEND").ToDictionary(
            f => f[0], f => names.Zip(f).Where(c => long.TryParse(c.Second, out _)).ToDictionary(c => c.First, c => long.Parse(c.Second), StringComparer.Ordinal), StringComparer.Ordinal);
    }

    static IEnumerable<string> Parts(string lines)
    {
        var part = new StringBuilder();
        foreach (string line in lines.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part.Length + line.Length >= MostOctets)
            {
                yield return part.ToString();
                part.Clear();
            }

            part.Append(line).Append('\n');
        }

        if (part.Length > 0) yield return part.ToString();
    }

    void Expect(string command)
    {
        string answer = Ask(command).Trim();
        if (answer.Length > 0) throw Refused(command.Split('\n')[0], answer);
    }

    static IOException Refused(string command, string answer) => new($"HAProxy does not do '{command}': {answer.Trim()}");

    string Ask(string command)
    {
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { SendTimeout = (int)s_patience.TotalMilliseconds, ReceiveTimeout = (int)s_patience.TotalMilliseconds };
            socket.Connect(new UnixDomainSocketEndPoint(path));
            socket.Send(Encoding.ASCII.GetBytes($"{command}\n"));
            var answer = new MemoryStream();
            byte[] buffer = new byte[16384];
            while (socket.Receive(buffer) is var read and > 0) answer.Write(buffer, 0, read);
            return Encoding.ASCII.GetString(answer.GetBuffer(), 0, (int)answer.Length);
        }
        catch (SocketException error)
        {
            throw new IOException($"HAProxy does not answer at {path}: {error.Message}", error);
        }
    }
}
