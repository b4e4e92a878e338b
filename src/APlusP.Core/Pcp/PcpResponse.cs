using System.Buffers.Binary;

namespace APlusP.Core.Pcp;

/// <summary>
/// A response, RFC 6887 section 7.2.
/// <code>
///  | version = 2 |R| opcode | reserved, 8 bits | result, 8 bits |
///  |                  lifetime, 32 bits                         |
///  |                 epoch time, 32 bits                        |
///  |                  reserved, 96 bits                         |
///  |   what the opcode has   |   options ...                    |
/// </code>
/// </summary>
public readonly ref struct PcpResponse
{
    PcpResponse(ReadOnlySpan<byte> bytes)
    {
        Version = bytes[0];
        Opcode = (PcpOpcode)(bytes[1] & ~PcpNumbers.ResponseBit);
        Result = (PcpResult)bytes[3];
        Lifetime = BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]);
        Epoch = BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]);
        Rest = bytes[PcpNumbers.HeaderSize..];
    }

    /// <summary>The server's; where it is not ours, the result says so too.</summary>
    public byte Version { get; }

    public PcpOpcode Opcode { get; }

    public PcpResult Result { get; }

    /// <summary>How long the mapping stands, or the error, in seconds.</summary>
    public uint Lifetime { get; }

    /// <summary>How long the server has known what it knows, in seconds.</summary>
    public uint Epoch { get; }

    /// <summary>What comes after the header.</summary>
    public ReadOnlySpan<byte> Rest { get; }

    /// <summary>Reads what a client need not throw away, section 8.3 of RFC 6887 the other way around.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out PcpResponse response)
    {
        response = default;
        if (bytes.Length < PcpNumbers.HeaderSize || bytes.Length > PcpNumbers.LongestMessage || bytes.Length % PcpNumbers.Word != 0 || (bytes[1] & PcpNumbers.ResponseBit) == 0) return false;
        response = new PcpResponse(bytes);
        return response.Version == PcpNumbers.Version || response.Result == PcpResult.UnsupportedVersion;
    }

    /// <summary>The mapping that it is about, and the size of its set; false where it is not about one.</summary>
    public bool TryReadMap(out PcpMap map, out int size)
    {
        (map, size) = (default, 0);
        if (Opcode != PcpOpcode.Map || Rest.Length < PcpMap.Size) return false;
        map = PcpMap.Read(Rest);
        size = 1;
        if (!PcpOptions.TryRead(Rest[PcpMap.Size..], out PcpOptions options)) return false;
        if (!options.TryFind(PcpOptionCode.PortSet, out ReadOnlySpan<byte> value)) return true;
        if (value.Length != PcpPortSet.Length) return false;
        size = PcpPortSet.Read(value).Size;
        return size > 0;
    }

    // ---- The server's side

    /// <summary>Refuses a request: all of it goes back, cut or filled up to a message, with the error in the header (sections 7.2 and 8.3); gives the length.</summary>
    /// <param name="bytes">Where it is written; <see cref="PcpNumbers.LongestMessage"/> octets are enough.</param>
    /// <param name="request">It, as it came.</param>
    /// <param name="error">Why.</param>
    /// <param name="lifetime">For how long, in seconds.</param>
    /// <param name="epoch">The server's.</param>
    public static int WriteError(Span<byte> bytes, ReadOnlySpan<byte> request, PcpResult error, uint lifetime, uint epoch)
    {
        int copied = Math.Min(request.Length, PcpNumbers.LongestMessage), length = Math.Max(PcpNumbers.HeaderSize, PcpOptions.Padded(copied));
        bytes[..length].Clear();
        request[..copied].CopyTo(bytes);

        // The last 96 bits of the client's address stay where they are when the request could not be read.
        bool wasRead = error is not (PcpResult.UnsupportedVersion or PcpResult.MalformedRequest or PcpResult.MalformedOption or PcpResult.UnsupportedOption or PcpResult.UnsupportedOpcode);
        WriteHeader(bytes, (PcpOpcode)request[1], error, lifetime, epoch, clearReserved: wasRead);
        return length;
    }

    /// <summary>Answers an ANNOUNCE, or announces that the server began anew (section 14.1); gives the length.</summary>
    public static int WriteAnnounce(Span<byte> bytes, uint epoch)
    {
        WriteHeader(bytes, PcpOpcode.Announce, PcpResult.Success, 0, epoch, clearReserved: true);
        return PcpNumbers.HeaderSize;
    }

    /// <summary>Grants a mapping, or its end; gives the length.</summary>
    /// <param name="bytes">Where it is written.</param>
    /// <param name="lifetime">How long it stands, in seconds.</param>
    /// <param name="epoch">The server's.</param>
    /// <param name="map">What, with what is assigned.</param>
    /// <param name="set">How many ports; null for one.</param>
    public static int WriteMap(Span<byte> bytes, uint lifetime, uint epoch, PcpMap map, PcpPortSet? set)
    {
        WriteHeader(bytes, PcpOpcode.Map, PcpResult.Success, lifetime, epoch, clearReserved: true);
        map.Write(bytes[PcpNumbers.HeaderSize..]);
        return PcpNumbers.HeaderSize + PcpMap.Size + WritePortSet(bytes[(PcpNumbers.HeaderSize + PcpMap.Size)..], set);
    }

    static void WriteHeader(Span<byte> bytes, PcpOpcode opcode, PcpResult result, uint lifetime, uint epoch, bool clearReserved)
    {
        bytes[0] = PcpNumbers.Version;
        bytes[1] = (byte)(PcpNumbers.ResponseBit | (byte)opcode);
        bytes[2] = 0;
        bytes[3] = (byte)result;
        BinaryPrimitives.WriteUInt32BigEndian(bytes[4..], lifetime);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[8..], epoch);
        if (clearReserved) bytes[12..PcpNumbers.HeaderSize].Clear();
    }

    /// <summary>The option with its padding, where there is a set; gives the length.</summary>
    internal static int WritePortSet(Span<byte> bytes, PcpPortSet? set)
    {
        if (set is not { } ports) return 0;
        int length = PcpOptions.HeaderSize + PcpOptions.Padded(PcpPortSet.Length);
        bytes[..length].Clear();
        bytes[0] = (byte)PcpOptionCode.PortSet;
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], PcpPortSet.Length);
        ports.Write(bytes[PcpOptions.HeaderSize..]);
        return length;
    }
}
