namespace APlusP.Core.Captures;

/// <summary>
/// The newer capture file: blocks, of which sections, interfaces and packets are read here and all others passed over.
/// </summary>
/// <remarks>
/// <code>
///  type 4 | total length 4 | body, padded to a multiple of 4 | total length 4
/// </code>
/// A section header says the byte order of all that follows and forgets the interfaces of the section before.
/// </remarks>
sealed class PcapngFormat : ICaptureFormat
{
    const uint Section = 0x0a0d0d0a, Interface = 1, ObsoletePacket = 2, SimplePacket = 3, EnhancedPacket = 6;
    const uint LittleEndianMark = 0x1a2b3c4d, BigEndianMark = 0x4d3c2b1a;

    /// <summary>Octets of the longest block that is held in memory: a frame with more options than anybody writes.</summary>
    const int MaxHeld = PcapFormat.MaxFrame + (1 << 18);

    /// <summary>Interfaces of one section; a file with more is taken for damaged, so that memory stays bounded.</summary>
    const int MaxInterfaces = 4096;

    readonly CaptureInput _input;
    readonly List<CaptureInterface> _interfaces = [];
    long _timestamp;

    /// <param name="LinkType">As registered for captures.</param>
    /// <param name="SnapLength">Octets kept of a frame; 0 is all.</param>
    /// <param name="Resolution">if_tsresol: a negative power of ten or, where the highest bit is set, of two.</param>
    /// <param name="Offset">if_tsoffset: seconds to add.</param>
    readonly record struct CaptureInterface(int LinkType, uint SnapLength, byte Resolution, long Offset);

    /// <summary>Reads the first section header behind its block type.</summary>
    public PcapngFormat(CaptureInput input)
    {
        _input = input;
        ReadSection(0);
    }

    public bool HasNanoseconds { get; private set; }

    public bool TryReadFrame(out CapturedFrame frame)
    {
        while (true)
        {
            frame = default;
            long offset = _input.Offset;
            if (!_input.TryRead(4, out ReadOnlySpan<byte> header))
            {
                if (_input.Remaining == 0) return false;
                throw _input.Damaged(offset, $"the file ends within a block's type, after {_input.Remaining} octets");
            }

            uint type = _input.UInt32(header);
            if (type == Section)
            {
                ReadSection(offset);
                continue;
            }

            uint length = ReadLength(offset);
            if (type is not (Interface or ObsoletePacket or SimplePacket or EnhancedPacket))
            {
                if (!_input.TrySkip(length - 12)) throw CutShort(offset, length);
                ReadTrailer(offset, length);
                continue;
            }

            if (length > MaxHeld) throw _input.Damaged(offset + 4, $"a block of type {type} claims {length} octets, more than {MaxHeld}");
            if (!_input.TryReadMemory((int)length - 8, out ReadOnlyMemory<byte> rest)) throw CutShort(offset, length);
            CheckTrailer(offset, length, _input.UInt32(rest.Span[^4..]));
            ReadOnlyMemory<byte> body = rest[..^4];
            if (type == Interface)
            {
                ReadInterface(offset, body.Span);
                continue;
            }

            frame = type switch
            {
                EnhancedPacket => ReadEnhanced(offset, body),
                SimplePacket => ReadSimple(offset, body),
                _ => ReadObsolete(offset, body),
            };
            return true;
        }
    }

    /// <summary>The length comes before the mark that tells its byte order.</summary>
    void ReadSection(long offset)
    {
        if (!_input.TryRead(8, out ReadOnlySpan<byte> head))
            throw _input.Damaged(offset, $"the file ends within a section header, after {4 + _input.Remaining} of at least 28 octets");
        _input.BigEndian = false;
        switch (_input.UInt32(head[4..]))
        {
            case LittleEndianMark: break;
            case BigEndianMark:
                _input.BigEndian = true;
                break;
            default:
                throw _input.Damaged(offset + 8, $"a section header's byte order mark is {Convert.ToHexStringLower(head[4..8])}, which is neither 4d3c2b1a nor 1a2b3c4d");
        }

        uint length = _input.UInt32(head);
        if (length < 28 || length % 4 != 0) throw _input.Damaged(offset + 4, $"a section header claims {length} octets; it has at least 28, in fours");
        if (!_input.TryRead(4, out ReadOnlySpan<byte> version)) throw CutShort(offset, length);
        int major = _input.UInt16(version);
        if (major != 1)
        {
            throw new APlusPException(ErrorCodes.NotACapture,
                $"{_input.Name} says at offset {offset + 12} that it is pcapng of version {major}; only version 1 is read here.");
        }

        if (!_input.TrySkip(length - 20)) throw CutShort(offset, length);
        ReadTrailer(offset, length);
        _interfaces.Clear();
    }

    uint ReadLength(long offset)
    {
        if (!_input.TryRead(4, out ReadOnlySpan<byte> bytes))
            throw _input.Damaged(offset + 4, $"the file ends within a block's length, after {_input.Remaining} octets");
        uint length = _input.UInt32(bytes);
        if (length < 12 || length % 4 != 0) throw _input.Damaged(offset + 4, $"a block claims {length} octets; it has at least 12, in fours");
        return length;
    }

    void ReadTrailer(long offset, uint length)
    {
        if (!_input.TryRead(4, out ReadOnlySpan<byte> bytes)) throw CutShort(offset, length);
        CheckTrailer(offset, length, _input.UInt32(bytes));
    }

    void CheckTrailer(long offset, uint length, uint trailer)
    {
        if (trailer != length)
            throw _input.Damaged(offset + length - 4, $"a block claims {length} octets at its beginning and {trailer} at its end");
    }

    APlusPException CutShort(long offset, uint length) =>
        _input.Damaged(offset, $"a block of {length} octets is cut short: the file ends before");

    void ReadInterface(long offset, ReadOnlySpan<byte> body)
    {
        if (body.Length < 8) throw _input.Damaged(offset, $"an interface description has {body.Length} octets, less than 8");
        if (_interfaces.Count == MaxInterfaces) throw _input.Damaged(offset, $"a section describes more than {MaxInterfaces} interfaces");
        byte resolution = 6;
        long seconds = 0;
        ReadOnlySpan<byte> options = body[8..];
        while (options.Length >= 4)
        {
            int code = _input.UInt16(options), length = _input.UInt16(options[2..]);
            if (code == 0) break;
            if (length > options.Length - 4) throw _input.Damaged(offset, $"an interface's option {code} claims {length} octets, and {options.Length - 4} are left");
            if (code == 9 && length == 1) resolution = options[4];
            if (code == 14 && length == 8) seconds = (long)_input.UInt64(options[4..]);
            options = options[Math.Min(4 + (length + 3) / 4 * 4, options.Length)..];
        }

        _interfaces.Add(new CaptureInterface(_input.UInt16(body), _input.UInt32(body[4..]), resolution, seconds));
        HasNanoseconds |= (resolution & 0x80) == 0 ? resolution > 6 : (resolution & 0x7f) > 20;
    }

    /// <summary>interface 4 | time, upper half 4 | time, lower half 4 | captured 4 | original 4 | frame | options</summary>
    CapturedFrame ReadEnhanced(long offset, ReadOnlyMemory<byte> body)
    {
        ReadOnlySpan<byte> bytes = body.Span;
        if (bytes.Length < 20) throw _input.Damaged(offset, $"an enhanced packet block has {bytes.Length} octets, less than 20");
        return Frame(offset, _input.UInt32(bytes), _input.UInt32(bytes[4..]), _input.UInt32(bytes[8..]), _input.UInt32(bytes[12..]),
            _input.UInt32(bytes[16..]), body[20..]);
    }

    /// <summary>interface 2 | drops 2 | time, upper half 4 | time, lower half 4 | captured 4 | original 4 | frame | options</summary>
    CapturedFrame ReadObsolete(long offset, ReadOnlyMemory<byte> body)
    {
        ReadOnlySpan<byte> bytes = body.Span;
        if (bytes.Length < 20) throw _input.Damaged(offset, $"a packet block has {bytes.Length} octets, less than 20");
        return Frame(offset, _input.UInt16(bytes), _input.UInt32(bytes[4..]), _input.UInt32(bytes[8..]), _input.UInt32(bytes[12..]),
            _input.UInt32(bytes[16..]), body[20..]);
    }

    /// <summary>original 4 | frame. Without a time of its own it takes that of the packet before; without an interface, the first.</summary>
    CapturedFrame ReadSimple(long offset, ReadOnlyMemory<byte> body)
    {
        ReadOnlySpan<byte> bytes = body.Span;
        if (bytes.Length < 4) throw _input.Damaged(offset, "a simple packet block has no length");
        CaptureInterface device = InterfaceOf(offset, 0);
        uint original = _input.UInt32(bytes);
        uint captured = device.SnapLength == 0 ? original : Math.Min(original, device.SnapLength);
        return new CapturedFrame(Cut(offset, captured, body[4..]), _timestamp, device.LinkType, captured < original);
    }

    CapturedFrame Frame(long offset, uint number, uint high, uint low, uint captured, uint original, ReadOnlyMemory<byte> rest)
    {
        CaptureInterface device = InterfaceOf(offset, number);
        _timestamp = Nanoseconds((ulong)high << 32 | low, device);
        return new CapturedFrame(Cut(offset, captured, rest), _timestamp, device.LinkType, captured < original);
    }

    ReadOnlyMemory<byte> Cut(long offset, uint captured, ReadOnlyMemory<byte> rest)
    {
        if (captured > rest.Length) throw _input.Damaged(offset, $"a packet claims {captured} octets, and its block has {rest.Length}");
        return rest[..(int)captured];
    }

    CaptureInterface InterfaceOf(long offset, uint number)
    {
        if (number >= _interfaces.Count)
            throw _input.Damaged(offset, $"a packet is of interface {number}, and the section has described {_interfaces.Count} so far");
        CaptureInterface device = _interfaces[(int)number];
        LinkLayer.Require(device.LinkType, _input.Name);
        return device;
    }

    /// <summary>Nanoseconds since 1970, held within what 64 bits can say, whatever the file claims.</summary>
    static long Nanoseconds(ulong ticks, CaptureInterface device)
    {
        int power = device.Resolution & 0x7f;
        Int128 value = (device.Resolution & 0x80) != 0 ? (Int128)(((UInt128)ticks * 1_000_000_000) >> power)
            : power <= 9 ? (Int128)ticks * PowerOfTen(9 - power)
            : power - 9 >= 20 ? 0
            : (Int128)((UInt128)ticks / PowerOfTen(power - 9));
        value += (Int128)device.Offset * 1_000_000_000;
        return (long)Int128.Clamp(value, 0, long.MaxValue);
    }

    static ulong PowerOfTen(int power)
    {
        ulong value = 1;
        while (power-- > 0) value *= 10;
        return value;
    }
}
