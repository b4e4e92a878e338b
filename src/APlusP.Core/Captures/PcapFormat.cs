namespace APlusP.Core.Captures;

/// <summary>The classic capture file: a header of 24 octets, then records of a header of 16 octets and a frame.</summary>
/// <remarks>
/// <code>
///  magic 4 | major 2 | minor 2 | reserved 8 | snapshot length 4 | link type 4
///  seconds 4 | fraction 4 | captured length 4 | original length 4 | frame
/// </code>
/// </remarks>
sealed class PcapFormat : ICaptureFormat
{
    /// <summary>libpcap's own limit of a frame (MAXIMUM_SNAPLEN); a longer one is taken for damage.</summary>
    public const int MaxFrame = 262144;

    readonly CaptureInput _input;
    readonly int _linkType;

    /// <summary>Reads the rest of the header, behind the magic.</summary>
    public PcapFormat(CaptureInput input, bool nanoseconds)
    {
        _input = input;
        HasNanoseconds = nanoseconds;
        if (!input.TryRead(20, out ReadOnlySpan<byte> header))
            throw input.Damaged(4, $"the header of a pcap file has 24 octets, and the file ends after {4 + input.Remaining}");
        if (input.UInt16(header) != 2)
        {
            throw new APlusPException(ErrorCodes.NotACapture, $"{input.Name} says that it is pcap of version {input.UInt16(header)}."
                + $"{input.UInt16(header[2..])}; only version 2 is read here. Convert it: editcap -F pcap IN OUT.");
        }

        _linkType = (int)(input.UInt32(header[16..]) & 0xffff); // the upper bits speak of the frame check sequence
        LinkLayer.Require(_linkType, input.Name);
    }

    public bool HasNanoseconds { get; }

    public bool TryReadFrame(out CapturedFrame frame)
    {
        frame = default;
        long offset = _input.Offset;
        if (!_input.TryRead(16, out ReadOnlySpan<byte> header))
        {
            if (_input.Remaining == 0) return false;
            throw _input.Damaged(offset, $"the file ends within a record's header, after {_input.Remaining} of its 16 octets");
        }

        uint seconds = _input.UInt32(header), fraction = _input.UInt32(header[4..]);
        uint captured = _input.UInt32(header[8..]), original = _input.UInt32(header[12..]);
        if (captured > MaxFrame)
            throw _input.Damaged(offset + 8, $"a record claims {captured} octets, more than the {MaxFrame} that a frame can have");
        if (!_input.TryReadMemory((int)captured, out ReadOnlyMemory<byte> bytes))
            throw _input.Damaged(offset + 16, $"a record of {captured} octets is cut short: the file ends after {_input.Remaining} of them");
        long timestamp = seconds * 1_000_000_000L + fraction * (HasNanoseconds ? 1 : 1000L);
        frame = new CapturedFrame(bytes, timestamp, _linkType, captured < original);
        return true;
    }
}
