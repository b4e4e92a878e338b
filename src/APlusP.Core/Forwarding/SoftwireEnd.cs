using System.Runtime.CompilerServices;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

/// <summary>
/// What one of our ends of softwires knows and does when it sends (RFC 2473 section 3.1: the tunnel entry-point), and when IPv6 speaks to it: encapsulation, outer fragments, path MTU, ICMPv6.
/// One for each worker.
/// </summary>
/// <param name="secret">Makes flow labels and identifications unforeseeable; 0 leaves labels 0 and counts from 1, so that captures repeat.</param>
/// <param name="paths">What the paths carry; null where the configuration alone says so.</param>
/// <param name="clock">The worker's clock.</param>
/// <param name="counters">Told of answers sent.</param>
sealed class SoftwireEnd(ulong secret, PathMtuTable? paths, BatchClock clock, ForwardingCounters counters)
{
    /// <summary>Octets that the softwire's header takes of the path MTU.</summary>
    public const int Overhead = IPv6Header.Size;

    /// <summary>IPv4 and TCP header without options, which the maximum segment size does not count (RFC 6691).</summary>
    const int TcpOverhead = 40;

    // Identifier of the echo requests that are probes, and where their nonce stands.
    const ushort ProbeIdentifier = 0xA99;
    const int NonceAt = 8, NonceSize = 8;

    uint _identification = (uint)Mix.Of(secret, secret);

    /// <inheritdoc cref="PayloadMtu(in Softwire.Path, int, int)"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int PayloadMtu(in BindingHit hit, int length) =>
        paths is null || length <= PathMtuTable.Least - Overhead ? hit.PayloadMtu : PayloadMtu(new Softwire.Path(hit.Prr, hit.Softwire), hit.PayloadMtu, length);

    /// <summary>Largest IPv4 packet that goes into a softwire whole now, noting that one of this length does.</summary>
    /// <param name="path">From us to the other end.</param>
    /// <param name="configured">By configuration.</param>
    /// <param name="length">Octets of the packet; what fits any IPv6 path needs no look.</param>
    public int PayloadMtu(in Softwire.Path path, int configured, int length) =>
        paths is null || length <= PathMtuTable.Least - Overhead ? configured : paths.Use(path, configured + Overhead, clock.Now) - Overhead;

    /// <summary>
    /// Lowers the maximum segment size of a SYN to what the softwire carries, in whichever direction it goes: the other end may not do its part.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void ClampMss(Span<byte> packet, IPv4Header header, IPv6Address other, int configured)
    {
        const int flagsAt = 13;
        if (header.Protocol != IpProtocol.Tcp || header.IsLaterFragment) return;
        Span<byte> segment = packet[header.Size..];
        if (segment.Length > flagsAt && ((TcpFlags)segment[flagsAt] & TcpFlags.Syn) != 0)
            TcpOptions.TryClampMss(segment, (paths?.Of(other, configured + Overhead) - Overhead ?? configured) - TcpOverhead);
    }

    /// <summary>
    /// Puts the outer header in front of a checked IPv4 packet. The traffic class is copied whole (RFC 6040 section 4.1, RFC 2983 section 4). A packet larger than the path carries goes in IPv6
    /// fragments (RFC 2473 section 7.2 (b)).
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Encapsulate(PacketBatch batch, int index, byte trafficClass, byte hopLimit, in Softwire.Path path, int payloadMtu)
    {
        Span<byte> packet = batch.Prepend(index, IPv6Header.Size);
        uint label = secret == 0 ? 0 : FlowLabel(packet[IPv6Header.Size..]);
        IPv6Header.Write(packet, trafficClass, packet.Length - IPv6Header.Size, IpProtocol.IPv4, hopLimit, path.From, path.To, label);
        if (packet.Length > payloadMtu + Overhead) Divide(ref batch[index], payloadMtu + Overhead);
    }

    void Divide(ref PacketSlot slot, int size)
    {
        slot.FragmentSize = size;
        slot.FragmentIdentification = ++_identification;
    }

    /// <summary>
    /// The flow label of what goes between two hosts (RFC 6438). It is keyed: who sends us an ICMPv6 error about a packet of ours must have seen the packet. Fragments have
    /// the label of the rest, so ports do not enter.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    uint FlowLabel(ReadOnlySpan<byte> inner)
    {
        const int sourceAt = 12;
        ulong hosts = System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(inner[sourceAt..]);
        return (uint)(Mix.Of(secret, hosts) >> 44) | 1;
    }

    // What IPv6 says to us

    /// <summary>Reads an ICMPv6 message to one of our ends: answers pings, hears the answers to probes, and finds out what errors are about.</summary>
    /// <param name="batch">The batch of the packet.</param>
    /// <param name="index">The packet.</param>
    /// <param name="offset">Where the message begins.</param>
    /// <param name="outer">Its IPv6 header.</param>
    /// <param name="hopLimit">Of an answer.</param>
    /// <param name="error">An error about a packet that we sent into a softwire.</param>
    /// <returns>The default where there is an error to pass on.</returns>
    public Verdict HearIcmpV6(PacketBatch batch, int index, int offset, IPv6Header outer, byte hopLimit, out SoftwireError error)
    {
        error = default;
        Span<byte> message = batch.Bytes(index)[offset..];
        if (!IcmpV6Header.TryRead(message, out IcmpV6Header icmp)
            || Checksum.Of(message, Checksum.PseudoHeader(outer.Source, outer.Destination, IpProtocol.IcmpV6, message.Length)) != 0)
            return Verdict.Drop(DropReason.BadTransportHeader);
        if (icmp.IsError) return TryReadError(message, out error) ? default : Verdict.Consume;
        if (icmp.Type == IcmpV6Type.EchoReply) HearEchoReply(message, outer.Source);
        return icmp.Type == IcmpV6Type.EchoRequest ? AnswerPing(batch, index, offset, outer, hopLimit) : Verdict.Consume;
    }

    /// <summary>
    /// An echo request for this end of the softwire becomes its reply (RFC 4443 section 4.2). A large one goes back in fragments that fit every path, so that who probes the path
    /// to us learns of that one alone.
    /// </summary>
    Verdict AnswerPing(PacketBatch batch, int index, int offset, IPv6Header outer, byte hopLimit)
    {
        if (!outer.Source.IsUnicast) return Verdict.Drop(DropReason.MartianSource);
        Span<byte> packet = batch.Bytes(index);
        if (offset > IPv6Header.Size)
        {
            // The reply has no extension headers: the addresses move up to the message. Only they are read from this copy.
            Span<byte> header = packet[..IPv6Header.Size];
            packet = batch.TrimFront(index, offset - IPv6Header.Size);
            header.CopyTo(packet);
            IPv6Header.TryReadCut(packet, out outer);
        }

        IcmpErrors.AnswerEchoV6(packet, IPv6Header.Size, hopLimit, outer.Destination, outer.Source);
        if (packet.Length > PathMtuTable.Least) Divide(ref batch[index], PathMtuTable.Least);
        counters.IcmpV6Sent++;
        return Verdict.Answer;
    }

    void HearEchoReply(ReadOnlySpan<byte> message, IPv6Address from)
    {
        if (paths is null || message.Length < NonceAt + NonceSize || (message[4] << 8 | message[5]) != ProbeIdentifier) return;
        ulong nonce = System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(message[NonceAt..]);
        paths.HearAnswer(from, (ushort)(message[6] << 8 | message[7]), nonce);
    }

    /// <summary>Whether an ICMPv6 error is about a packet that we sent into a softwire, and what it says.</summary>
    bool TryReadError(Span<byte> message, out SoftwireError error)
    {
        error = default;
        Span<byte> about = message[IcmpV6Header.Size..];
        if (!IPv6Header.TryReadCut(about, out IPv6Header outer)) return false;
        int at = IPv6Header.Size;
        IpProtocol next = outer.NextHeader;
        if (next == IpProtocol.Fragment)
        {
            // Of our fragments the first has the inner header; the others are no larger.
            if (!IPv6FragmentHeader.TryRead(about[at..], out IPv6FragmentHeader fragment) || fragment.Offset != 0) return false;
            next = fragment.NextHeader;
            at += IPv6FragmentHeader.Size;
        }

        if (next != IpProtocol.IPv4 || !IPv4Header.TryReadEmbedded(about[at..], out _)) return false;
        if (secret != 0 && outer.FlowLabel != FlowLabel(about[at..])) return false;
        IcmpV6Header.TryRead(message, out IcmpV6Header icmp);
        error = new SoftwireError(new Softwire.Path(outer.Source, outer.Destination), icmp.Type, icmp.Code, (int)Math.Min(icmp.Rest, int.MaxValue), at);
        return true;
    }

    /// <summary>The ICMPv4 error that an error about a softwire becomes for the sender of the packet inside, RFC 2473 section 8.3; after a Packet Too Big the path MTU is lower.</summary>
    /// <param name="error">What was heard.</param>
    /// <param name="inner">The header of the packet inside.</param>
    /// <param name="configured">Payload MTU of the softwire by configuration.</param>
    /// <param name="code">Code of the destination unreachable.</param>
    /// <param name="rest">The next-hop MTU, or 0.</param>
    /// <returns>False where the sender has nothing to hear.</returns>
    public bool Hear(in SoftwireError error, in IPv4Header inner, int configured, out byte code, out uint rest)
    {
        code = IcmpV4Header.HostUnreachable;
        rest = 0;
        if (error.IsLoss) return false;
        if (error.Type != IcmpV6Type.PacketTooBig) return true;
        if (error.Mtu < PathMtuTable.Least) return false;
        paths?.HearTooBig(error.Path, error.Mtu, configured + Overhead);

        // Who may be fragmented is, from now on.
        code = IcmpV4Header.FragmentationNeeded;
        rest = (uint)(Math.Min(paths?.Of(error.Path.To, configured + Overhead) ?? error.Mtu, error.Mtu) - Overhead);
        return inner.DontFragment && inner.TotalLength > rest;
    }

    // Probes

    /// <summary>Adds the probes that are due to a batch.</summary>
    public void TakeProbes(PacketBatch batch, Origin origin, byte hopLimit)
    {
        if (paths is null) return;
        while (batch.Count < batch.Capacity && paths.TryTakeProbe(clock.Now, out Probe probe))
        {
            Span<byte> packet = batch.Receive(batch.Count)[..probe.Octets];
            packet.Clear();
            Span<byte> message = packet[IPv6Header.Size..];
            IPv6Header.Write(packet, trafficClass: 0, message.Length, IpProtocol.IcmpV6, hopLimit, probe.Path.From, probe.Path.To);
            IcmpV6Header.Write(message, IcmpV6Type.EchoRequest, 0, (uint)ProbeIdentifier << 16 | probe.Sequence);
            System.Buffers.Binary.BinaryPrimitives.WriteUInt64BigEndian(message[NonceAt..], probe.Nonce);
            IcmpErrors.FinishV6(message, probe.Path.From, probe.Path.To);
            batch.Received(batch.Count, probe.Octets, origin);
            batch[batch.Count].Verdict = Verdict.Own;
            batch.Count++;
        }
    }

    public int MillisecondsUntilDue(int most) => paths?.MillisecondsUntilDue(most) ?? most;
}

/// <summary>An ICMPv6 error about a packet of ours in a softwire.</summary>
/// <param name="Path">The softwire, as that packet travelled it.</param>
/// <param name="Type">Type of the error.</param>
/// <param name="Code">Its code.</param>
/// <param name="Mtu">What a Packet Too Big says.</param>
/// <param name="Inner">Where in the packet that it embeds the inner packet begins.</param>
readonly record struct SoftwireError(Softwire.Path Path, IcmpV6Type Type, byte Code, int Mtu, int Inner)
{
    /// <summary>The other end has no binding for us, or the like, RFC 7596 section 5.1.</summary>
    public bool IsRefusal => Type == IcmpV6Type.DestinationUnreachable && Code == IcmpV6Header.SourceAddressFailedPolicy;

    /// <summary>A fragment was lost: a loss like any other, of which the packet's sender is not told (RFC 2473 section 8.1 has the hop limit alone).</summary>
    public bool IsLoss => Type == IcmpV6Type.TimeExceeded && Code == IcmpV6Header.ReassemblyTimeExceeded;
}
