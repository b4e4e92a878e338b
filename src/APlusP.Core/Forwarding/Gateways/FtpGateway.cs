using System.Buffers.Binary;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding.Napt;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding.Gateways;

/// <summary>
/// The gateway for FTP (RFC 5382 REQ-6 lets a NAT have this one): rewrites the endpoints that a host of the home names for data connections, whether it is the client (PORT, EPRT) or
/// the server (227, 229), opens a port of the set for them, and keeps the sequence numbers of the control connection right on both sides. What comes in needs no rewriting.
/// </summary>
/// <remarks>
/// A line split over segments is kept, and acknowledged in the other end's place, until its end comes; then it goes on whole. So the bytes kept are ours to deliver: they stay until the other
/// end has acknowledged the line. All memory is taken at construction; where sessions run out the one longest idle goes.
/// </remarks>
sealed class FtpGateway(ForwardingCounters counters)
{
    /// <summary>Port of control connections, RFC 959 section 8.</summary>
    public const ushort ControlPort = 21;

    const int MaxSessions = 256, MaxShifts = 8, TcpHeader = 20, LeastPort = 1024;

    readonly Session[] _sessions = [.. Enumerable.Range(0, MaxSessions).Select(_ => new Session())];
    readonly byte[] _line = new byte[FtpText.MaxLine * 2];
    int _used;

    /// <summary>Whether a flow is a control connection.</summary>
    public static bool Concerns(NaptProtocol protocol, Endpoint inside, Endpoint remote) =>
        protocol == NaptProtocol.Tcp && (remote.Port == ControlPort || inside.Port == ControlPort);

    /// <summary>A segment from the home, translated already, but for its text and numbers.</summary>
    /// <returns>The default where it goes on; an answer to the home where the beginning of a line was kept.</returns>
    public Verdict FromLan(PacketBatch batch, int index, ref IPv4Header header, NaptTable napt, Endpoint inside, Endpoint remote, IPv4Address shared, long now)
    {
        if (header.IsFragment) return default;
        Span<byte> segment = batch.Bytes(index)[header.Size..];
        int text = (segment[12] >> 4) * 4, length = segment.Length - text;
        var flags = (TcpFlags)segment[13];
        Session? session = Find(inside, remote);
        if ((flags & TcpFlags.Syn) != 0)
        {
            (session ?? Add(now)).Begin(inside, remote, now);
            return default;
        }

        if (session is null) return default;
        session.Touched = now;
        uint sequence = BinaryPrimitives.ReadUInt32BigEndian(segment[4..]);
        bool changed = false;
        if (length > 0 && !session.StandsAside && IsWhole(header, segment))
        {
            if (session.KeptOctets > 0 && sequence == session.KeptSequence + (uint)session.KeptOctets)
            {
                // The rest of a line: what was kept goes in front.
                int kept = session.KeptOctets;
                batch.Resize(index, batch[index].Length + kept);
                segment = batch.Bytes(index)[header.Size..];
                segment.Slice(text, length).CopyTo(segment[(text + kept)..]);
                session.Kept.AsSpan(0, kept).CopyTo(segment[text..]);
                sequence = session.KeptSequence;
                length += kept;
                changed = true;
            }

            Span<byte> lines = segment.Slice(text, length);
            int tail = lines.LastIndexOf((byte)'\n') + 1;
            if (FtpText.MayBecome(lines[tail..], inside.Port == ControlPort))
            {
                if (tail == 0) return Keep(batch, index, ref header, session, segment, text, length, sequence);

                // Whole lines go on; the sender comes again with the rest.
                batch.Resize(index, header.Size + text + tail);
                segment = batch.Bytes(index)[header.Size..];
                length = tail;
                changed = true;
            }

            changed |= Rewrite(batch, index, header.Size, text, ref length, session, napt, shared, sequence);
            segment = batch.Bytes(index)[header.Size..];
        }

        uint shifted = sequence + (uint)session.ShiftOf(sequence);
        changed |= shifted != BinaryPrimitives.ReadUInt32BigEndian(segment[4..]);
        BinaryPrimitives.WriteUInt32BigEndian(segment[4..], shifted);
        if (changed) Finish(batch, index, ref header);
        return default;
    }

    /// <summary>A segment from outside, before it is delivered to the home: it acknowledges in our numbers what the home counts in its own.</summary>
    public void FromPrr(PacketBatch batch, int index, ref IPv4Header header, Endpoint inside, Endpoint remote, long now)
    {
        if (header.IsFragment || Find(inside, remote) is not { } session) return;
        session.Touched = now;
        Span<byte> segment = batch.Bytes(index)[header.Size..];
        var flags = (TcpFlags)segment[13];
        session.Window = BinaryPrimitives.ReadUInt16BigEndian(segment[14..]);
        int text = (segment[12] >> 4) * 4;

        // The server agrees to speak TLS (RFC 4217): from here on there is nothing to read.
        if (segment.Length > text + 3 && segment.Slice(text, 3).SequenceEqual("234"u8)) session.StandsAside = true;
        bool changed = false;
        if ((flags & TcpFlags.Ack) != 0)
        {
            changed = Unshift(segment[8..], session);
            uint acknowledged = BinaryPrimitives.ReadUInt32BigEndian(segment[8..]);

            // What was acknowledged in its place is not taken back.
            if (session.KeptOctets > 0)
            {
                uint end = session.KeptSequence + (uint)session.KeptOctets;
                if ((int)(acknowledged - end) > 0) session.KeptOctets = 0;
                else if ((int)(acknowledged - session.KeptSequence) >= 0)
                {
                    BinaryPrimitives.WriteUInt32BigEndian(segment[8..], end);
                    changed = true;
                }
            }

            for (int at = TcpHeader; at + 1 < text && segment[at] != 0;)
            {
                const byte noOperation = 1, sack = 5;
                int size = segment[at] == noOperation ? 1 : segment[at + 1];
                if (size == 0 || at + size > text) break;
                if (segment[at] == sack)
                    for (int edge = at + 2; edge + 4 <= at + size; edge += 4) changed |= Unshift(segment[edge..], session);
                at += size;
            }
        }

        if (changed) Finish(batch, index, ref header);
    }

    static bool Unshift(Span<byte> number, Session session)
    {
        uint theirs = BinaryPrimitives.ReadUInt32BigEndian(number), ours = session.Unshifted(theirs);
        BinaryPrimitives.WriteUInt32BigEndian(number, ours);
        return ours != theirs;
    }

    /// <summary>Keeps the beginning of a line, and tells its sender that it has arrived.</summary>
    Verdict Keep(PacketBatch batch, int index, ref IPv4Header header, Session session, Span<byte> segment, int text, int length, uint sequence)
    {
        segment.Slice(text, length).CopyTo(session.Kept);
        session.KeptSequence = sequence;
        session.KeptOctets = length;
        batch.Resize(index, header.Size + TcpHeader);
        segment = batch.Bytes(index)[header.Size..];
        segment[12] = TcpHeader / 4 << 4;
        segment[13] = (byte)TcpFlags.Ack;
        uint next = BinaryPrimitives.ReadUInt32BigEndian(segment[8..]);
        BinaryPrimitives.WriteUInt32BigEndian(segment[4..], next);
        BinaryPrimitives.WriteUInt32BigEndian(segment[8..], sequence + (uint)length);
        BinaryPrimitives.WriteUInt16BigEndian(segment[14..], session.Window);
        BinaryPrimitives.WriteUInt16BigEndian(segment[18..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(segment, session.Remote.Port);
        BinaryPrimitives.WriteUInt16BigEndian(segment[2..], session.Inside.Port);
        header.Source = new IPv4Address(session.Remote.Address);
        header.Destination = new IPv4Address(session.Inside.Address);
        header.TimeToLive = 64;
        Finish(batch, index, ref header);
        counters.GatewayHeld++;
        return Verdict.Answer;
    }

    /// <summary>Gives every line that names an endpoint of the home one of ours.</summary>
    bool Rewrite(PacketBatch batch, int index, int headerSize, int text, ref int length, Session session, NaptTable napt, IPv4Address shared, uint sequence)
    {
        bool any = false, fromServer = session.Inside.Port == ControlPort;
        int grown = 0;
        for (int at = 0; at < length;)
        {
            Span<byte> rest = batch.Bytes(index).Slice(headerSize + text + at, length - at);
            int end = rest.IndexOf((byte)'\n');
            if (end < 0) break;
            int next = at + end + 1;
            if (end < FtpText.MaxLine && FtpText.TryRead(rest[..end], fromServer, out Endpoint named, out int start, out int size) is var form and not FtpForm.None)
            {
                // Nobody else's endpoint (the bounce attack, RFC 2577 section 3), and no well-known port.
                if (form == FtpForm.ExtendedPassive) named = named with { Address = session.Inside.Address };
                if (named.Address != session.Inside.Address || named.Port < LeastPort
                    || napt.Expect(named, session.Remote.Address, out ushort external) != DropReason.None)
                {
                    counters.GatewayRefused++;
                }
                else
                {
                    int now = FtpText.Write(form, new Endpoint(shared.Value, external), rest[start], _line);
                    int change = now - size, place = at + start;
                    if (change > 0) batch.Resize(index, batch[index].Length + change);
                    Span<byte> whole = batch.Bytes(index)[(headerSize + text)..];
                    whole[(place + size)..length].CopyTo(whole[(place + now)..]);
                    _line.AsSpan(0, now).CopyTo(whole[place..]);
                    if (change < 0) batch.Resize(index, batch[index].Length + change);
                    length += change;
                    next += change;
                    if (change != 0) session.Shift(sequence + (uint)(place + size - grown), change);
                    grown += change;
                    any = true;
                    counters.GatewayRewritten++;
                }
            }

            at = next;
        }

        return any;
    }

    static bool IsWhole(in IPv4Header header, Span<byte> segment) =>
        Checksum.Of(segment, Checksum.PseudoHeader(header.Source, header.Destination, IpProtocol.Tcp, segment.Length)) == 0;

    static void Finish(PacketBatch batch, int index, ref IPv4Header header)
    {
        Span<byte> packet = batch.Bytes(index);
        header.TotalLength = (ushort)packet.Length;
        Span<byte> segment = packet[header.Size..];
        BinaryPrimitives.WriteUInt16BigEndian(segment[16..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(segment[16..], Checksum.Of(segment, Checksum.PseudoHeader(header.Source, header.Destination, IpProtocol.Tcp, segment.Length)));
    }

    Session? Find(Endpoint inside, Endpoint remote)
    {
        for (int i = 0; i < _used; i++)
            if (_sessions[i].Remote == remote && _sessions[i].Inside == inside) return _sessions[i];
        return null;
    }

    Session Add(long now)
    {
        if (_used < MaxSessions) return _sessions[_used++];
        Session idlest = _sessions[0];
        foreach (Session session in _sessions)
            if (session.Touched < idlest.Touched) idlest = session;
        return idlest;
    }

    /// <summary>A control connection.</summary>
    sealed class Session
    {
        readonly (uint At, int By)[] _shifts = new (uint, int)[MaxShifts];
        int _count, _before;

        public Endpoint Inside, Remote;
        public long Touched;
        public bool StandsAside;
        public ushort Window;
        public readonly byte[] Kept = new byte[FtpText.MaxLine];
        public int KeptOctets;
        public uint KeptSequence;

        public void Begin(Endpoint inside, Endpoint remote, long now)
        {
            (Inside, Remote, Touched) = (inside, remote, now);
            (StandsAside, KeptOctets, _count, _before) = (false, 0, 0, 0);
            Window = ushort.MaxValue;
        }

        /// <summary>From this number of the home's on, the other end counts so many more. What comes again changes nothing.</summary>
        public void Shift(uint at, int by)
        {
            for (int i = 0; i < _count; i++)
                if (_shifts[i].At == at) return;
            if (_count == MaxShifts)
            {
                // The other end has long acknowledged what stood before the oldest.
                _before += _shifts[0].By;
                Array.Copy(_shifts, 1, _shifts, 0, --_count);
            }

            _shifts[_count++] = (at, by);
        }

        /// <summary>By how much the other end counts more at a number of the home's.</summary>
        public int ShiftOf(uint sequence)
        {
            int by = _before;
            for (int i = 0; i < _count; i++)
                if ((int)(sequence - _shifts[i].At) >= 0) by += _shifts[i].By;
            return by;
        }

        /// <summary>A number of the other end's as the home counts; inside a text that was rewritten, that is where the text begins to differ.</summary>
        public uint Unshifted(uint theirs)
        {
            int by = _before;
            uint ours = theirs - (uint)by;
            for (int i = 0; i < _count; i++)
            {
                (uint at, int more) = _shifts[i];
                uint boundary = at + (uint)(by + more);
                if ((int)(theirs - boundary) < 0) break;
                by += more;
                ours = theirs - (uint)by;
            }

            return ours;
        }
    }
}
