using System.Buffers.Binary;
using APlusP.Core.Addresses;

namespace APlusP.Core.Dhcpv6;

/// <summary>
/// A message between client and server, RFC 8415 section 8.
/// <code>
///  | type, 8 bits |    transaction id, 24 bits    |  options ...
/// </code>
/// </summary>
public readonly ref struct DhcpMessage
{
    public const int HeaderSize = 4;

    /// <summary>UDP ports of clients, and of servers and relays, RFC 8415 section 7.2.</summary>
    public const int ClientPort = 546, ServerPort = 547;

    /// <summary>All_DHCP_Relay_Agents_and_Servers, RFC 8415 section 7.1.</summary>
    public static IPv6Address ServersAndRelays { get; } = IPv6Address.Parse("ff02::1:2");

    DhcpMessage(DhcpMessageType type, uint transaction, DhcpOptions options)
    {
        Type = type;
        Transaction = transaction;
        Options = options;
    }

    /// <summary>Reads a message whose type is known, and whose options are whole.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out DhcpMessage message)
    {
        message = default;
        if (bytes.Length < HeaderSize || (DhcpMessageType)bytes[0] is < DhcpMessageType.Solicit or > DhcpMessageType.InformationRequest
            || !DhcpOptions.TryRead(bytes[HeaderSize..], out DhcpOptions options)) return false;
        message = new DhcpMessage((DhcpMessageType)bytes[0], BinaryPrimitives.ReadUInt32BigEndian(bytes) & MostTransaction, options);
        return true;
    }

    /// <summary>The greatest transaction id.</summary>
    public const uint MostTransaction = 0xffffff;

    public DhcpMessageType Type { get; }

    public uint Transaction { get; }

    public DhcpOptions Options { get; }

    /// <summary>A writer that has written the header.</summary>
    public static DhcpWriter Begin(DhcpMessageType type, uint transaction)
    {
        var writer = new DhcpWriter();
        writer.Number32((uint)type << 24 | transaction & MostTransaction);
        return writer;
    }
}

/// <summary>
/// A message that a relay agent has put around another, RFC 8415 section 9.
/// <code>
///  | type, 8 bits | hop count, 8 bits |  link address, 128 bits  |  peer address, 128 bits  |  options ...
/// </code>
/// </summary>
public readonly ref struct RelayMessage
{
    public const int HeaderSize = 34;

    /// <summary>RFC 8415 section 7.6: relay agents around each other.</summary>
    public const int HopCountLimit = 8;

    RelayMessage(ReadOnlySpan<byte> bytes, DhcpOptions options)
    {
        Type = (DhcpMessageType)bytes[0];
        HopCount = bytes[1];
        LinkAddress = IPv6Address.Read(bytes[2..]);
        PeerAddress = IPv6Address.Read(bytes[18..]);
        Options = options;
    }

    public static bool TryRead(ReadOnlySpan<byte> bytes, out RelayMessage message)
    {
        message = default;
        if (bytes.Length < HeaderSize || (DhcpMessageType)bytes[0] is not (DhcpMessageType.RelayForward or DhcpMessageType.RelayReply)
            || !DhcpOptions.TryRead(bytes[HeaderSize..], out DhcpOptions options)) return false;
        message = new RelayMessage(bytes, options);
        return true;
    }

    public DhcpMessageType Type { get; }

    public byte HopCount { get; }

    /// <summary>An address of the link on which the client is.</summary>
    public IPv6Address LinkAddress { get; }

    /// <summary>The client, or the relay agent from which this one had it.</summary>
    public IPv6Address PeerAddress { get; }

    public DhcpOptions Options { get; }

    /// <summary>A relay's message to a relay or client: what came in the same wrapping goes back in it (RFC 8415 section 19.3).</summary>
    /// <param name="type">Which way.</param>
    /// <param name="hopCount">Relay agents below this one.</param>
    /// <param name="link">See <see cref="LinkAddress"/>.</param>
    /// <param name="peer">See <see cref="PeerAddress"/>.</param>
    /// <param name="interfaceId">What the relay agent calls the client's link, where it does.</param>
    /// <param name="inner">The message inside.</param>
    public static byte[] Write(DhcpMessageType type, byte hopCount, IPv6Address link, IPv6Address peer, ReadOnlySpan<byte> interfaceId, ReadOnlySpan<byte> inner)
    {
        var writer = new DhcpWriter();
        writer.Number8((byte)type);
        writer.Number8(hopCount);
        writer.Address(link);
        writer.Address(peer);
        if (!interfaceId.IsEmpty) writer.Option(DhcpOption.InterfaceId, interfaceId);
        writer.Option(DhcpOption.RelayMessage, inner);
        return writer.ToArray();
    }
}
