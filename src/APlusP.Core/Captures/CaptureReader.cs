using System.Buffers.Binary;

namespace APlusP.Core.Captures;

/// <summary>An IP packet out of a capture.</summary>
/// <param name="Bytes">From the IP header on, link layer and its padding taken off. Borrowed: valid until the next read.</param>
/// <param name="Timestamp">Nanoseconds since 1970-01-01 UTC.</param>
/// <param name="IsCut">The capture kept only the beginning of the packet (its snapshot length was too small).</param>
public readonly record struct CapturedPacket(ReadOnlyMemory<byte> Bytes, long Timestamp, bool IsCut);

/// <summary>
/// Reads IP packets out of a capture file, one after another, with the memory of one packet: pcap (micro- and nanoseconds) and
/// pcapng, each in both byte orders, of the link types in <see cref="LinkLayer"/>.
/// </summary>
/// <remarks>Formats: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.</remarks>
public sealed class CaptureReader : IDisposable
{
    /// <summary>Octets of the longest IP packet there is without a jumbo payload option: an IPv6 header and 65535 more.</summary>
    public const int MaxPacket = 40 + 65535;

    const uint PcapMicroseconds = 0xa1b2c3d4, PcapNanoseconds = 0xa1b23c4d, PcapModified = 0xa1b2cd34, Pcapng = 0x0a0d0d0a;

    readonly CaptureInput _input;
    readonly ICaptureFormat _format;
    readonly SortedDictionary<int, long> _skipped = [];

    /// <summary>Reads the beginning of the capture. The reader owns the stream from here on, also where this throws.</summary>
    /// <param name="stream">The capture; need not be able to seek.</param>
    /// <param name="name">The file's name, for messages.</param>
    /// <exception cref="APlusPException">AP4002: this is no capture. AP4003: it is damaged. AP4004: a link type without IP packets.</exception>
    public CaptureReader(Stream stream, string name)
    {
        _input = new CaptureInput(stream, name);
        try
        {
            _format = Recognise(_input);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    static ICaptureFormat Recognise(CaptureInput input)
    {
        if (!input.TryRead(4, out ReadOnlySpan<byte> magic))
        {
            throw new APlusPException(ErrorCodes.NotACapture, $"{input.Name} holds {input.Remaining} octets, which is no capture: "
                + "a pcap file has a header of 24 octets and a pcapng file one of 28. Did the program that wrote it finish?");
        }

        foreach (bool bigEndian in (ReadOnlySpan<bool>)[false, true])
        {
            uint value = bigEndian ? BinaryPrimitives.ReadUInt32BigEndian(magic) : BinaryPrimitives.ReadUInt32LittleEndian(magic);
            input.BigEndian = bigEndian;
            switch (value)
            {
                case PcapMicroseconds: return new PcapFormat(input, nanoseconds: false);
                case PcapNanoseconds: return new PcapFormat(input, nanoseconds: true);
                case Pcapng: return new PcapngFormat(input);
                case PcapModified:
                    throw new APlusPException(ErrorCodes.NotACapture,
                        $"{input.Name} is in the modified pcap form of old Linux distributions (magic a1b2cd34), which is not read here. "
                        + "Convert it: editcap -F pcap IN OUT.");
            }
        }

        string guess = magic is [0x1f, 0x8b, ..] ? "It is compressed by gzip: gunzip it first."
            : magic is [0x28, 0xb5, 0x2f, 0xfd] ? "It is compressed by zstd: unzstd it first."
            : "Captures are written by tcpdump -w, tshark -w or dumpcap, as pcap or pcapng.";
        throw new APlusPException(ErrorCodes.NotACapture,
            $"{input.Name} is no capture: it begins with {Convert.ToHexStringLower(magic)}, which is neither pcap nor pcapng. {guess}");
    }

    /// <summary>The file's name.</summary>
    public string Name => _input.Name;

    /// <summary>Whether timestamps are finer than a microsecond, as far as the capture has been read.</summary>
    public bool HasNanoseconds => _format.HasNanoseconds;

    /// <summary>Frames read so far: the IP packets given out, and those skipped.</summary>
    public long Frames { get; private set; }

    /// <summary>Frames skipped because they hold no IP packet.</summary>
    public long Skipped { get; private set; }

    /// <summary>
    /// Frames skipped by their EtherType. Those without one (IEEE 802.3 lengths, frames shorter than their link layer's header,
    /// other families on a loopback) stand under 0.
    /// </summary>
    public IReadOnlyDictionary<int, long> SkippedByEtherType => _skipped;

    /// <summary>Gives the next IP packet; false at the end of the capture.</summary>
    /// <exception cref="APlusPException">AP4003: the capture is damaged; file and offset are named. AP4004: link type.</exception>
    public bool TryRead(out CapturedPacket packet)
    {
        while (_format.TryReadFrame(out CapturedFrame frame))
        {
            Frames++;
            int start = LinkLayer.FindPacket(frame.LinkType, frame.Bytes.Span, out int etherType);
            if (start < 0)
            {
                Skipped++;
                _skipped[etherType] = _skipped.GetValueOrDefault(etherType) + 1;
                continue;
            }

            ReadOnlyMemory<byte> bytes = frame.Bytes[start..];
            int claimed = LengthByHeader(bytes.Span);
            bool isCut = frame.IsCut && (claimed == 0 || claimed > bytes.Length);
            if (LinkLayer.Pads(frame.LinkType) && claimed != 0 && claimed < bytes.Length) bytes = bytes[..claimed];
            if (bytes.Length > MaxPacket) bytes = bytes[..MaxPacket];
            packet = new CapturedPacket(bytes, frame.Timestamp, isCut);
            return true;
        }

        packet = default;
        return false;
    }

    /// <summary>What the IP header says of the packet's length, or 0 where it says nothing that could be right.</summary>
    static int LengthByHeader(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length >= 20 && bytes[0] >> 4 == 4)
        {
            int length = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
            return length >= 20 ? length : 0;
        }

        if (bytes.Length < 40 || bytes[0] >> 4 != 6) return 0;
        int payload = BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]);
        return payload == 0 && bytes[6] == 0 ? 0 : 40 + payload; // zero and hop-by-hop options: a jumbogram, RFC 2675
    }

    public void Dispose() => _input.Dispose();
}

/// <summary>A record of a capture file as the file's format knows it.</summary>
readonly record struct CapturedFrame(ReadOnlyMemory<byte> Bytes, long Timestamp, int LinkType, bool IsCut);

interface ICaptureFormat
{
    bool HasNanoseconds { get; }

    bool TryReadFrame(out CapturedFrame frame);
}
