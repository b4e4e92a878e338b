using System.Buffers.Binary;
using APlusP.Core.Addresses;

namespace APlusP.Core.Pcp;

/// <summary>
/// A request that a server may serve, RFC 6887 section 7.1.
/// <code>
///  | version = 2 |R| opcode |     reserved, 16 bits      |
///  |             requested lifetime, 32 bits             |
///  |             the client's address, 128 bits          |
///  |   what the opcode has   |   options ...             |
/// </code>
/// </summary>
public readonly ref struct PcpRequest
{
    PcpRequest(ReadOnlySpan<byte> bytes, PcpOptions options)
    {
        Opcode = (PcpOpcode)bytes[1];
        Lifetime = BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]);
        Client = IPv6Address.Read(bytes[8..]);
        if (Opcode == PcpOpcode.Map) Map = PcpMap.Read(bytes[PcpNumbers.HeaderSize..]);
        Options = options;
    }

    public PcpOpcode Opcode { get; }

    /// <summary>How long the mapping is wanted, in seconds; 0 to delete it.</summary>
    public uint Lifetime { get; }

    public IPv6Address Client { get; }

    /// <summary>What is to be mapped, where the opcode is MAP.</summary>
    public PcpMap Map { get; }

    public PcpOptions Options { get; }

    /// <summary>Whether it must be left without an answer: no request, or too short to be answered (section 8.3).</summary>
    public static bool IsDiscarded(ReadOnlySpan<byte> bytes) =>
        bytes.Length < 2 || (bytes[1] & PcpNumbers.ResponseBit) != 0 || (bytes[0] == PcpNumbers.Version && bytes.Length < PcpNumbers.HeaderSize);

    /// <summary>Reads a request that is not discarded, in the order of section 8.3; gives what is wrong with it.</summary>
    /// <param name="bytes">It, as it came.</param>
    /// <param name="source">Whom the packet was from.</param>
    /// <param name="processed">Options that the server processes.</param>
    /// <param name="request">The request, where nothing is wrong.</param>
    public static PcpResult Read(ReadOnlySpan<byte> bytes, IPv6Address source, PcpOptionSet processed, out PcpRequest request)
    {
        request = default;
        if (bytes[0] != PcpNumbers.Version) return PcpResult.UnsupportedVersion;
        if (bytes.Length > PcpNumbers.LongestMessage || bytes.Length % PcpNumbers.Word != 0) return PcpResult.MalformedRequest;

        // Between them is an IPv4 NAT that knows nothing of PCP, or somebody else than the client.
        if (IPv6Address.Read(bytes[8..]) != source) return PcpResult.AddressMismatch;
        int size = (PcpOpcode)bytes[1] switch
        {
            PcpOpcode.Announce => 0,
            PcpOpcode.Map => PcpMap.Size,
            _ => -1,
        };
        if (size < 0) return PcpResult.UnsupportedOpcode;
        if (bytes.Length < PcpNumbers.HeaderSize + size) return PcpResult.MalformedRequest;
        if (!PcpOptions.TryRead(bytes[(PcpNumbers.HeaderSize + size)..], out PcpOptions options)) return PcpResult.MalformedOption;
        if (options.Check((PcpOpcode)bytes[1] == PcpOpcode.Map ? processed : PcpOptionSet.None) is not PcpResult.Success and var fault) return fault;
        request = new PcpRequest(bytes, options);
        return PcpResult.Success;
    }

    /// <summary>The port set that a mapping asks for, RFC 7753 section 4.2; null for a mapping of one port.</summary>
    /// <param name="fault">What is wrong with the option, or <see cref="PcpResult.Success"/>.</param>
    public PcpPortSet? PortSet(out PcpResult fault)
    {
        fault = PcpResult.Success;
        if (!Options.TryFind(PcpOptionCode.PortSet, out ReadOnlySpan<byte> value)) return null;
        PcpPortSet set = PcpPortSet.Read(value);
        if (Lifetime > 0 && (set.Size == 0 || Options.TryFind(PcpOptionCode.PreferFailure, out _))) fault = PcpResult.MalformedOption;

        // One port needs no set: such an option is left out.
        return set.Size == 1 ? null : set;
    }

    /// <summary>Asks for a mapping, or for its end; gives the length.</summary>
    /// <param name="bytes">Where it is written.</param>
    /// <param name="client">Who asks: the packet's source.</param>
    /// <param name="lifetime">In seconds.</param>
    /// <param name="map">What.</param>
    /// <param name="set">How many ports; null for one.</param>
    public static int WriteMap(Span<byte> bytes, IPv6Address client, uint lifetime, PcpMap map, PcpPortSet? set)
    {
        WriteHeader(bytes, PcpOpcode.Map, client, lifetime);
        map.Write(bytes[PcpNumbers.HeaderSize..]);
        return PcpNumbers.HeaderSize + PcpMap.Size + PcpResponse.WritePortSet(bytes[(PcpNumbers.HeaderSize + PcpMap.Size)..], set);
    }

    static void WriteHeader(Span<byte> bytes, PcpOpcode opcode, IPv6Address client, uint lifetime)
    {
        bytes[..PcpNumbers.HeaderSize].Clear();
        bytes[0] = PcpNumbers.Version;
        bytes[1] = (byte)opcode;
        BinaryPrimitives.WriteUInt32BigEndian(bytes[4..], lifetime);
        client.Write(bytes[8..]);
    }
}
