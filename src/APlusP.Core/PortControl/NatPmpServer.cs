using System.Buffers.Binary;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;

namespace APlusP.Core.PortControl;

/// <summary>How it went, RFC 6886 section 3.5.</summary>
public enum NatPmpResult : ushort
{
    Success = 0,
    UnsupportedVersion = 1,
    NotAuthorized = 2,
    NetworkFailure = 3,
    OutOfResources = 4,
    UnsupportedOpcode = 5,
}

/// <summary>
/// NAT-PMP, RFC 6886, without its socket. It has its port in common with PCP, which came of it; version 0 is this.
/// <code>
///  request   | 0 | opcode |                                              0: the external address, 1: map UDP, 2: map TCP
///            | reserved, 16 | internal port, 16 | suggested port, 16 | lifetime, 32 |            1 and 2 only
///  response  | 0 | 128 + opcode | result, 16 | epoch, 32 |
///            | external address, 32 |                                                             0 only
///            | internal port, 16 | mapped port, 16 | lifetime, 32 |                               1 and 2 only
/// </code>
/// </summary>
public sealed class NatPmpServer(IMappingDesk desk, Func<MappingLimits> limits, PortControlCounters counters)
{
    /// <summary>The first octet of a message.</summary>
    public const byte Version = 0;

    const byte ResponseBit = 0x80, ExternalAddress = 0, MapUdp = 1, MapTcp = 2;
    const int HeaderSize = 8, AddressSize = 12, MapRequestSize = 12, MapResponseSize = 16;

    /// <summary>The answer to a request of version 0; null where there is none.</summary>
    /// <param name="message">It, as it came.</param>
    /// <param name="source">Who sent it: a host of the LAN.</param>
    public byte[]? Answer(ReadOnlySpan<byte> message, IPv4Address source)
    {
        byte opcode = message.Length < 2 ? ResponseBit : message[1];
        if (opcode >= ResponseBit || (opcode is MapUdp or MapTcp && message.Length < MapRequestSize))
        {
            counters.Count(MappingProtocol.NatPmp, RequestFate.Discarded);
            return null;
        }

        byte[] answer = opcode switch
        {
            ExternalAddress => Announcement(desk.Ask((book, _, _) => book.Terms.Address), desk.Epoch),
            MapUdp => Map(message, source, IpProtocol.Udp),
            MapTcp => Map(message, source, IpProtocol.Tcp),
            _ => Write(HeaderSize, opcode, NatPmpResult.UnsupportedOpcode),
        };
        counters.Count(MappingProtocol.NatPmp, BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(2)) == 0 ? RequestFate.Granted : RequestFate.Refused);
        return answer;
    }

    /// <summary>The external address, asked for or announced (section 3.2.1).</summary>
    public static byte[] Announcement(IPv4Address? address, uint epoch)
    {
        byte[] answer = new byte[AddressSize];
        WriteHeader(answer, ExternalAddress, address is null ? NatPmpResult.NetworkFailure : NatPmpResult.Success, epoch);
        (address ?? default).Write(answer.AsSpan(HeaderSize));
        return answer;
    }

    byte[] Map(ReadOnlySpan<byte> message, IPv4Address source, IpProtocol protocol)
    {
        ushort hostPort = BinaryPrimitives.ReadUInt16BigEndian(message[4..]), suggested = BinaryPrimitives.ReadUInt16BigEndian(message[6..]);
        uint seconds = Math.Min(BinaryPrimitives.ReadUInt32BigEndian(message[8..]), limits().LongestSeconds);
        (NatPmpResult result, PortRange? ports) = seconds == 0 ? (Delete(source, protocol, hostPort), null)
            : hostPort == 0 ? (NatPmpResult.NotAuthorized, null)
            : Map(new MappingWish(MappingProtocol.NatPmp, protocol, source, hostPort, seconds) { Suggested = suggested });
        byte[] answer = Write(MapResponseSize, message[1], result);
        BinaryPrimitives.WriteUInt16BigEndian(answer.AsSpan(HeaderSize), hostPort);
        BinaryPrimitives.WriteUInt16BigEndian(answer.AsSpan(HeaderSize + 2), ports?.First ?? 0);
        BinaryPrimitives.WriteUInt32BigEndian(answer.AsSpan(HeaderSize + 4), ports is null ? 0 : seconds);
        return answer;
    }

    (NatPmpResult Result, PortRange? Ports) Map(MappingWish wish)
    {
        MappingGrant grant = desk.Ask((book, napt, now) => book.Map(wish, napt, now));
        return grant.Refusal switch
        {
            MappingRefusal.None => (NatPmpResult.Success, grant.Ports),
            MappingRefusal.NoAddress => (NatPmpResult.NetworkFailure, null),
            MappingRefusal.NotTheirs => (NatPmpResult.NotAuthorized, null),
            _ => (NatPmpResult.OutOfResources, null),
        };
    }

    /// <summary>Section 3.4: one mapping, or with port 0 all of the host's of this protocol.</summary>
    NatPmpResult Delete(IPv4Address source, IpProtocol protocol, ushort hostPort) => desk.Ask((book, _, _) =>
    {
        if (hostPort != 0) return book.Unmap(MappingProtocol.NatPmp, protocol, source, hostPort) == MappingRefusal.None ? NatPmpResult.Success : NatPmpResult.NotAuthorized;
        book.UnmapAll(MappingProtocol.NatPmp, protocol, source);
        return NatPmpResult.Success;
    });

    byte[] Write(int length, byte opcode, NatPmpResult result)
    {
        byte[] answer = new byte[length];
        WriteHeader(answer, opcode, result, desk.Epoch);
        return answer;
    }

    static void WriteHeader(Span<byte> answer, byte opcode, NatPmpResult result, uint epoch)
    {
        answer[0] = Version;
        answer[1] = (byte)(ResponseBit | opcode);
        BinaryPrimitives.WriteUInt16BigEndian(answer[2..], (ushort)result);
        BinaryPrimitives.WriteUInt32BigEndian(answer[4..], epoch);
    }
}
