using System.Buffers.Binary;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding.Napt;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding.Gateways;

/// <summary>What a gateway knows of the text that it reads: who talks to whom, and by which of our ports.</summary>
/// <param name="Napt">The NAPT.</param>
/// <param name="Protocol">TCP or UDP.</param>
/// <param name="FromHome">Whether the home says it.</param>
/// <param name="Inside">The end in the home.</param>
/// <param name="Outside">What the world takes it for: the shared address and a port of the set.</param>
/// <param name="Remote">The other end.</param>
readonly record struct Talk(NaptTable Napt, NaptProtocol Protocol, bool FromHome, Endpoint Inside, Endpoint Outside, Endpoint Remote)
{
    public Endpoint Sender => FromHome ? Inside : Remote;

    /// <summary>Whom the sender believes to talk to.</summary>
    public Endpoint Called => FromHome ? Remote : Outside;
}

/// <summary>Reads and rewrites the units of a text.</summary>
interface ITextRewriter
{
    /// <summary>Whether every unit begins where the one before it ends, so that nothing can be read behind a gap.</summary>
    bool IsFramed { get; }

    /// <summary>Octets of the first unit of a text; 0 where its end has not come yet, less where it cannot be read and nothing is read from here on.</summary>
    int UnitOf(ReadOnlySpan<byte> text, in Talk talk);

    /// <summary>Writes a unit anew; gives its octets, or less than 0 where it stays as it is.</summary>
    int Rewrite(ReadOnlySpan<byte> unit, in Talk talk, Span<byte> to);

    /// <summary>Whether the two have agreed to go on in what cannot be read.</summary>
    bool EndsReading(ReadOnlySpan<byte> unit, in Talk talk);
}

/// <summary>
/// Rewrites the text of TCP connections, in both directions, and keeps their sequence numbers, acknowledgements and selective acknowledgements right. A unit split over segments is put together:
/// its beginning is kept, and acknowledged in the other end's place, until its end comes; then it goes on whole, in segments no larger than its sender's.
/// </summary>
/// <remarks>All memory is taken at construction; where connections run out the one longest idle goes.</remarks>
sealed class TcpTextEditor(ITextRewriter rewriter, int connections, int maxUnit, ForwardingCounters counters)
{
    const int HeaderSize = 20, TimestampsSize = 12, LeastSegment = 536;
    const byte EndOfOptions = 0, NoOperation = 1, Sack = 5, Timestamps = 8;

    readonly Connection[] _connections = [.. Enumerable.Range(0, connections).Select(_ => new Connection(maxUnit))];

    // What a unit becomes: no rewriter makes it longer than twice as long.
    readonly byte[] _written = new byte[maxUnit * 2];
    int _used;

    enum Outcome
    {
        GoesOn,
        Changed,

        /// <summary>It is the beginning of a unit.</summary>
        NeedsMore,

        /// <summary>It cannot go on now; its sender will send it again.</summary>
        ComesAgain,
    }

    /// <summary>
    /// A segment on its way, translated already, but for its text and numbers. What of its text does not fit into segments like its sender's follows in new packets at the end of the batch.
    /// </summary>
    /// <returns>The default where it goes on; an answer to its sender where the beginning of a unit was kept.</returns>
    public Verdict Edit(PacketBatch batch, int index, ref IPv4Header header, in Talk talk, long now)
    {
        if (header.IsFragment) return default;
        Span<byte> segment = batch.Bytes(index)[header.Size..];
        int textAt = (segment[12] >> 4) * 4, length = segment.Length - textAt;
        var flags = (TcpFlags)segment[13];
        uint sequence = BinaryPrimitives.ReadUInt32BigEndian(segment[4..]), acknowledged = BinaryPrimitives.ReadUInt32BigEndian(segment[8..]);
        Connection? connection = Find(talk);
        if ((flags & TcpFlags.Syn) != 0)
        {
            connection ??= Add();
            connection.Open(talk, sequence + 1 + (uint)length, isFirst: (flags & TcpFlags.Ack) == 0, now);
            return default;
        }

        // A segment damaged on its way is not to get a right checksum here.
        if (connection is null || !IsWhole(header, segment)) return default;
        connection.Touched = now;
        (EditedStream stream, EditedStream other) = talk.FromHome ? (connection.FromHome, connection.FromOutside) : (connection.FromOutside, connection.FromHome);
        stream.Window = BinaryPrimitives.ReadUInt16BigEndian(segment[14..]);
        bool changed = ReadOptions(segment[..textAt], stream, other) | ((flags & TcpFlags.Ack) != 0 && Translate(segment[8..], other.Acknowledge(other.Here(acknowledged))));
        bool ends = (flags & TcpFlags.Fin) != 0;
        if (!stream.Began || (length == 0 && !(ends && stream.KeptOctets > 0)))
        {
            // Of what is kept the other end knows nothing yet.
            if (stream.KeptOctets > 0 && !stream.KeptWent && sequence == stream.KeptEnd) sequence = stream.KeptAt;
        }
        else
        {
            switch (EditText(batch, index, header.Size + textAt, ref length, connection, stream, talk, ref sequence, ends))
            {
                case Outcome.ComesAgain: return Verdict.Consume;
                case Outcome.NeedsMore:
                    if (!stream.TryKeep(batch.Bytes(index)[(header.Size + textAt)..], sequence)) return Verdict.Consume;
                    return AnswerInPlace(batch, index, ref header, stream, other, talk, acknowledged);
                case Outcome.Changed:
                    changed = true;
                    segment = batch.Bytes(index)[header.Size..];
                    break;
            }
        }

        if (changed | Translate(segment[4..], stream.There(sequence))) Send(batch, index, ref header, textAt, Math.Max(stream.MostText, LeastSegment));
        return default;
    }

    static bool Translate(Span<byte> number, uint now)
    {
        bool changes = BinaryPrimitives.ReadUInt32BigEndian(number) != now;
        BinaryPrimitives.WriteUInt32BigEndian(number, now);
        return changes;
    }

    /// <summary>Translates selective acknowledgements (RFC 2018), and remembers the time stamp (RFC 7323).</summary>
    static bool ReadOptions(Span<byte> segment, EditedStream stream, EditedStream other)
    {
        bool changed = false;
        stream.HasTimestamp = false;
        for (int at = HeaderSize; at < segment.Length && segment[at] != EndOfOptions;)
        {
            int size = segment[at] == NoOperation ? 1 : at + 1 < segment.Length ? segment[at + 1] : 0;
            if (size == 0 || at + size > segment.Length) break;
            if (segment[at] == Sack)
            {
                // The middle of a unit that was rewritten is not there yet, for its sender.
                for (int edge = at + 2; edge + 8 <= at + size; edge += 8)
                {
                    changed |= Translate(segment[edge..], other.Here(BinaryPrimitives.ReadUInt32BigEndian(segment[edge..]), end: true));
                    changed |= Translate(segment[(edge + 4)..], other.Here(BinaryPrimitives.ReadUInt32BigEndian(segment[(edge + 4)..])));
                }
            }

            if (segment[at] == Timestamps && size == 10)
            {
                stream.HasTimestamp = true;
                stream.Timestamp = BinaryPrimitives.ReadUInt32BigEndian(segment[(at + 2)..]);
            }

            at += size;
        }

        return changed;
    }

    /// <summary>Puts what was kept in front, finds out what of it was read before, and edits the rest.</summary>
    Outcome EditText(PacketBatch batch, int index, int textAt, ref int length, Connection connection, EditedStream stream, in Talk talk, ref uint sequence, bool ends)
    {
        stream.MostText = Math.Max(stream.MostText, length);
        bool isRest = stream.KeptOctets > 0 && sequence == stream.KeptEnd;
        if (isRest)
        {
            if (!batch.TryReplace(index, textAt, 0, stream.Kept.AsSpan(0, stream.KeptOctets))) return Outcome.ComesAgain;
            length += stream.KeptOctets;
            sequence = stream.KeptAt;
        }

        bool isAside = stream.StandsAside && !EditedStream.IsBefore(sequence, stream.AsideFrom);
        if (isAside) return isRest ? Outcome.Changed : Outcome.GoesOn;

        // Behind a gap: what is missing must come first.
        if (stream.KeptOctets > 0 && !stream.KeptWent && EditedStream.IsBefore(stream.KeptEnd, sequence)) return Outcome.ComesAgain;
        if (rewriter.IsFramed && EditedStream.IsBefore(stream.Next, sequence)) return Outcome.ComesAgain;
        if (rewriter.IsFramed ? sequence != stream.Next && !stream.BeginsUnit(sequence) : stream.IsInside(sequence))
        {
            // It begins in the middle of what was read before, and has arrived. Without its text the other end answers with what it has.
            length = 0;
            Cut(batch, index, textAt, length);
            return Outcome.Changed;
        }

        Outcome outcome = EditUnits(batch, index, textAt, ref length, connection, stream, talk, sequence, ends);
        return outcome == Outcome.GoesOn && isRest ? Outcome.Changed : outcome;
    }

    Outcome EditUnits(PacketBatch batch, int index, int textAt, ref int length, Connection connection, EditedStream stream, in Talk talk, uint sequence, bool ends)
    {
        var outcome = Outcome.GoesOn;
        bool endsReading = false;
        int at = 0;
        while (at < length && !(stream.StandsAside && !EditedStream.IsBefore(sequence, stream.AsideFrom)))
        {
            Span<byte> rest = batch.Bytes(index)[(textAt + at)..];
            int size = rewriter.UnitOf(rest, talk);
            if (size < 0 || (size == 0 && (ends || rest.Length > maxUnit)))
            {
                counters.GatewayUnreadable++;
                (stream.StandsAside, stream.AsideFrom) = (true, sequence);
                break;
            }

            bool isFull = rewriter.IsFramed && stream.IsFull && !stream.BeginsUnit(sequence);
            if (size == 0 || isFull)
            {
                if (at == 0) return isFull ? Outcome.ComesAgain : Outcome.NeedsMore;
                length = at;
                Cut(batch, index, textAt, length);
                outcome = Outcome.Changed;
                break;
            }

            endsReading |= rewriter.EndsReading(rest[..size], talk);
            int now = size > maxUnit ? -1 : rewriter.Rewrite(rest[..size], talk, _written);
            bool rewritten = now >= 0 && batch.TryReplace(index, textAt + at, size, _written.AsSpan(0, now));
            if (rewritten) outcome = Outcome.Changed;
            else now = size;
            if (rewritten || rewriter.IsFramed) stream.Add(sequence, sequence + (uint)size, now - size);
            length += now - size;
            sequence += (uint)size;
            at += now;
        }

        sequence += (uint)(length - at);
        if (EditedStream.IsBefore(stream.Next, sequence)) stream.Next = sequence;
        stream.KeptWent |= stream.KeptOctets > 0 && EditedStream.IsBefore(stream.KeptEnd, sequence);
        if (endsReading) connection.StandAside();
        return outcome;
    }

    /// <summary>Leaves so much of the text, and with it no end of the connection.</summary>
    static void Cut(PacketBatch batch, int index, int textAt, int length)
    {
        batch.Resize(index, textAt + length);
        Span<byte> packet = batch.Bytes(index);
        packet[(packet[0] & 15) * 4 + 13] &= (byte)~TcpFlags.Fin;
    }

    /// <summary>Tells the sender of a unit's beginning, in the other end's place, that it has arrived.</summary>
    Verdict AnswerInPlace(PacketBatch batch, int index, ref IPv4Header header, EditedStream stream, EditedStream other, in Talk talk, uint next)
    {
        int size = stream.HasTimestamp ? HeaderSize + TimestampsSize : HeaderSize;
        batch.Resize(index, header.Size + size);
        Span<byte> segment = batch.Bytes(index)[header.Size..];
        segment[12] = (byte)(size / 4 << 4);
        segment[13] = (byte)TcpFlags.Ack;
        BinaryPrimitives.WriteUInt16BigEndian(segment, talk.Called.Port);
        BinaryPrimitives.WriteUInt16BigEndian(segment[2..], talk.Sender.Port);
        BinaryPrimitives.WriteUInt32BigEndian(segment[4..], next);
        BinaryPrimitives.WriteUInt32BigEndian(segment[8..], stream.KeptEnd);
        BinaryPrimitives.WriteUInt16BigEndian(segment[14..], other.Window);
        BinaryPrimitives.WriteUInt16BigEndian(segment[18..], 0);
        if (stream.HasTimestamp)
        {
            segment[HeaderSize] = segment[HeaderSize + 1] = NoOperation;
            segment[HeaderSize + 2] = Timestamps;
            segment[HeaderSize + 3] = 10;
            BinaryPrimitives.WriteUInt32BigEndian(segment[(HeaderSize + 4)..], other.Timestamp);
            BinaryPrimitives.WriteUInt32BigEndian(segment[(HeaderSize + 8)..], stream.Timestamp);
        }

        header.Source = new IPv4Address(talk.Called.Address);
        header.Destination = new IPv4Address(talk.Sender.Address);
        header.TimeToLive = 64;
        Finish(batch.Bytes(index), ref header);
        counters.GatewayHeld++;
        return Verdict.Answer;
    }

    /// <summary>Gives a segment its length and checksum; of more text than fits into one like its sender's, the rest goes into packets of its own.</summary>
    static void Send(PacketBatch batch, int index, ref IPv4Header header, int textAt, int most)
    {
        int headers = header.Size + textAt, text = batch[index].Length - headers, more = (text - 1) / most;
        if (more > batch.Capacity - batch.Count)
        {
            // No room: it goes whole, and whoever cannot carry it may fragment it.
            header.AllowFragments();
            more = 0;
        }

        for (int i = 1; i <= more; i++)
        {
            Span<byte> whole = batch.Bytes(index), part = whole.Slice(headers + i * most, Math.Min(most, text - i * most));
            int added = batch.Count;
            batch.TryAdd(whole[..headers], batch[index].Origin);
            batch.Resize(added, headers + part.Length);
            Span<byte> packet = batch.Bytes(added);
            part.CopyTo(packet[headers..]);
            IPv4Header.TryRead(packet, out IPv4Header its);
            Span<byte> segment = packet[its.Size..];
            BinaryPrimitives.WriteUInt32BigEndian(segment[4..], BinaryPrimitives.ReadUInt32BigEndian(segment[4..]) + (uint)(i * most));
            if (i < more) segment[13] &= (byte)~(TcpFlags.Fin | TcpFlags.Psh);
            Finish(packet, ref its);
        }

        if (more > 0)
        {
            batch.Resize(index, headers + most);
            batch.Bytes(index)[header.Size + 13] &= (byte)~(TcpFlags.Fin | TcpFlags.Psh);
        }

        Finish(batch.Bytes(index), ref header);
    }

    static bool IsWhole(in IPv4Header header, Span<byte> segment) =>
        Checksum.Of(segment, Checksum.PseudoHeader(header.Source, header.Destination, IpProtocol.Tcp, segment.Length)) == 0;

    static void Finish(Span<byte> packet, ref IPv4Header header)
    {
        header.TotalLength = (ushort)packet.Length;
        Span<byte> segment = packet[header.Size..];
        BinaryPrimitives.WriteUInt16BigEndian(segment[16..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(segment[16..], Checksum.Of(segment, Checksum.PseudoHeader(header.Source, header.Destination, IpProtocol.Tcp, segment.Length)));
    }

    Connection? Find(in Talk talk)
    {
        for (int i = 0; i < _used; i++)
            if (_connections[i].Is(talk)) return _connections[i];
        return null;
    }

    Connection Add()
    {
        if (_used < _connections.Length) return _connections[_used++];
        Connection idlest = _connections[0];
        foreach (Connection connection in _connections)
            if (connection.Touched < idlest.Touched) idlest = connection;
        return idlest;
    }

    sealed class Connection(int maxUnit)
    {
        Endpoint _inside, _remote;

        public readonly EditedStream FromHome = new(maxUnit), FromOutside = new(maxUnit);
        public long Touched;

        public bool Is(in Talk talk) => _remote == talk.Remote && _inside == talk.Inside;

        /// <summary>One end says where its numbers begin; the first to speak begins anew.</summary>
        public void Open(in Talk talk, uint first, bool isFirst, long now)
        {
            if (isFirst || !Is(talk))
            {
                FromHome.Forget();
                FromOutside.Forget();
            }

            (_inside, _remote, Touched) = (talk.Inside, talk.Remote, now);
            (talk.FromHome ? FromHome : FromOutside).Begin(first);
        }

        /// <summary>From here on there is nothing to read.</summary>
        public void StandAside()
        {
            foreach (EditedStream stream in (ReadOnlySpan<EditedStream>)[FromHome, FromOutside])
            {
                if (stream.StandsAside) continue;
                (stream.StandsAside, stream.AsideFrom) = (true, stream.Next);
            }
        }
    }
}
