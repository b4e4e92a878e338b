using System.Buffers.Text;
using System.Text;
using APlusP.Core.Addresses;
using APlusP.Core.Connections;
using APlusP.Core.Wire;

namespace APlusP.Survey.Readers;

/// <summary>
/// A line of /proc/net/nf_conntrack or of what <c>conntrack -L</c> prints, with and without <c>-o extended</c>, of kernels since 2.6.
/// </summary>
/// <remarks>
/// <code>
/// [ipv4     2] tcp      6 431999 ESTABLISHED src=A dst=B sport=1 dport=2 [packets= bytes=] [UNREPLIED] src=B dst=C sport=2 dport=3 [ASSURED] mark=0 use=1
/// [ipv4     2] icmp     1 29 src=A dst=B type=8 code=0 id=7 src=B dst=C type=0 code=0 id=7 mark=0 use=1
/// </code>
/// </remarks>
static class ConntrackLine
{
    static readonly (byte[] Name, TcpState State)[] s_states =
        [.. Enum.GetValues<TcpState>().Select(state => (Encoding.ASCII.GetBytes(TcpStates.NameOf(state)), state)), ("LISTEN"u8.ToArray(), TcpState.SynSentTwice)];

    /// <summary>Whether a line is none of the table, and nobody's fault: empty, a comment, or the sum that conntrack prints at the end.</summary>
    public static bool IsBeside(ReadOnlySpan<byte> line) => line.Trim((byte)' ').IsEmpty || line[0] == '#' || line.StartsWith("conntrack v"u8);

    /// <summary>Reads a line; where it is none, <paramref name="fault"/> says what is wrong with it.</summary>
    public static bool TryRead(ReadOnlySpan<byte> line, out TrackedConnection connection, out string fault)
    {
        connection = default;
        var words = new Words(line);
        if (!words.TryTake(out ReadOnlySpan<byte> word))
        {
            fault = "the line is empty";
            return false;
        }

        if (word.SequenceEqual("ipv4"u8) || word.SequenceEqual("ipv6"u8))
        {
            words.TryTake(out _);
            words.TryTake(out word);
        }

        fault = "it does not begin as a line of a connection table: 'tcp      6 431999 ESTABLISHED src=...'";
        if (word.Contains((byte)'=') || !words.TryTake(out word) || !TryNumber(word, byte.MaxValue, out uint protocol)) return false;
        return TryReadTuples(words, (IpProtocol)protocol, out connection, out fault);
    }

    static bool TryReadTuples(Words words, IpProtocol protocol, out TrackedConnection connection, out string fault)
    {
        connection = default;
        Span<ConnectionTuple> tuples = stackalloc ConnectionTuple[2];
        int tuple = -1, addresses = 0, ports = 0;
        TcpState state = TcpState.None;
        while (words.TryTake(out ReadOnlySpan<byte> word))
        {
            int equals = word.IndexOf((byte)'=');
            if (equals < 0)
            {
                if (protocol == IpProtocol.Tcp && tuple < 0 && char.IsAsciiLetterUpper((char)word[0]) && !TryReadState(word, out state))
                {
                    fault = "it has a TCP state that there is not";
                    return false;
                }

                continue;
            }

            ReadOnlySpan<byte> key = word[..equals], value = word[(equals + 1)..];
            bool isSource = key.SequenceEqual("src"u8), isSourcePort = key.SequenceEqual("sport"u8), isId = key.SequenceEqual("id"u8);
            if (isSource) tuple++;
            if (tuple is < 0 or > 1) continue;
            ref ConnectionTuple at = ref tuples[tuple];
            if (isSource || key.SequenceEqual("dst"u8))
            {
                if (!TryReadAddress(value, out HostAddress address))
                {
                    fault = "it has an address that is none";
                    return false;
                }

                at = isSource ? at with { Source = address } : at with { Destination = address };
                addresses++;
            }
            else if (isSourcePort || key.SequenceEqual("dport"u8) || (isId && protocol is IpProtocol.Icmp or IpProtocol.IcmpV6 && ports < 4))
            {
                if (!TryNumber(value, ushort.MaxValue, out uint port))
                {
                    fault = "it has a port that is none";
                    return false;
                }

                if (isId) at = at with { SourcePort = (ushort)port, DestinationPort = (ushort)port };
                else at = isSourcePort ? at with { SourcePort = (ushort)port } : at with { DestinationPort = (ushort)port };
                ports += isId ? 2 : 1;
            }
        }

        bool takesPorts = TransportHeader.HasPorts(protocol) || protocol is IpProtocol.Icmp or IpProtocol.IcmpV6;
        fault = addresses < 4 || (takesPorts && ports < 4) ? "it ends before both directions are told" : "";
        connection = new TrackedConnection(protocol, tuples[0], tuples[1], state);
        return fault.Length == 0;
    }

    static bool TryReadState(ReadOnlySpan<byte> word, out TcpState state)
    {
        foreach ((byte[] name, TcpState known) in s_states)
        {
            if (!word.SequenceEqual(name)) continue;
            state = known;
            return true;
        }

        state = TcpState.None;
        return false;
    }

    static bool TryReadAddress(ReadOnlySpan<byte> text, out HostAddress address)
    {
        address = default;
        const int longest = 45;
        if (text.Length is 0 or > longest) return false;
        Span<char> characters = stackalloc char[text.Length];
        Encoding.Latin1.GetChars(text, characters);
        return HostAddress.TryParse(characters, out address);
    }

    static bool TryNumber(ReadOnlySpan<byte> text, uint most, out uint number) =>
        Utf8Parser.TryParse(text, out number, out int read) && read == text.Length && number <= most && char.IsAsciiDigit((char)text[0]);

    /// <summary>The words of a line, between spaces.</summary>
    ref struct Words(ReadOnlySpan<byte> line)
    {
        ReadOnlySpan<byte> _rest = line;

        public bool TryTake(out ReadOnlySpan<byte> word)
        {
            _rest = _rest.TrimStart(" \t"u8);
            int end = _rest.IndexOfAny((byte)' ', (byte)'\t');
            word = end < 0 ? _rest : _rest[..end];
            _rest = _rest[word.Length..];
            return !word.IsEmpty;
        }
    }
}
