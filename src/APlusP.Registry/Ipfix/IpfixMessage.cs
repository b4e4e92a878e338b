using System.Buffers.Binary;
using System.Text;

namespace APlusP.Registry.Ipfix;

/// <summary>
/// One IPFIX message (RFC 7011 section 3) of block records: its header, the template where it is wanted, and a data set.
/// <code>
/// version 10 | length | export time | sequence number | observation domain      16 octets
/// set 2: the template, number 256                                               40 octets
/// set 256: records, as many as fit
/// </code>
/// </summary>
sealed class IpfixMessage
{
    const int Version = 10, TemplateSet = 2, Template = 256, HeaderLength = 16, SetHeaderLength = 4, Variable = 65535;

    /// <summary>Information elements of a record and their lengths, as RFC 8158 section 5.2 (port block allocation) has them for a softwire; userName says whose it is.</summary>
    static readonly (ushort Element, ushort Length)[] s_fields =
    [
        (323, 8), // observationTimeMilliseconds
        (27, 16), // sourceIPv6Address
        (225, 4), // postNATSourceIPv4Address
        (361, 2), // portRangeStart
        (362, 2), // portRangeEnd
        (230, 1), // natEvent
        (371, Variable), // userName
    ];

    readonly byte[] _octets;
    readonly int _limit;
    int _length = HeaderLength;
    int _set;

    /// <param name="limit">Octets that it has at most.</param>
    /// <param name="withTemplate">Whether it tells what records look like.</param>
    public IpfixMessage(int limit, bool withTemplate)
    {
        _octets = new byte[limit];
        _limit = limit;
        if (withTemplate) WriteTemplate();
    }

    /// <summary>Records in it.</summary>
    public int Records { get; private set; }

    void WriteTemplate()
    {
        Number16(TemplateSet);
        Number16(SetHeaderLength + 4 + 4 * s_fields.Length);
        Number16(Template);
        Number16(s_fields.Length);
        foreach ((ushort element, ushort length) in s_fields)
        {
            Number16(element);
            Number16(length);
        }
    }

    /// <summary>Puts a record behind the others; false, and nothing changed, where it does not fit.</summary>
    public bool TryAdd(BlockRecord record)
    {
        int name = Encoding.UTF8.GetByteCount(record.Subscriber), fixedPart = s_fields.Sum(f => f.Length == Variable ? 0 : f.Length);
        if (_length + (Records == 0 ? SetHeaderLength : 0) + fixedPart + (name < 255 ? 1 : 3) + name > _limit) return false;
        if (Records++ == 0)
        {
            _set = _length;
            Number16(Template);
            Number16(0);
        }

        BinaryPrimitives.WriteInt64BigEndian(Next(8), record.At);
        BinaryPrimitives.WriteUInt128BigEndian(Next(16), record.Softwire.Value);
        BinaryPrimitives.WriteUInt32BigEndian(Next(4), record.Address.Value);
        Number16(record.Ports.First);
        Number16(record.Ports.Last);
        Next(1)[0] = (byte)record.Event;

        // RFC 7011 section 7: one octet of length, or 255 and two.
        if (name < 255) Next(1)[0] = (byte)name;
        else
        {
            Next(1)[0] = 255;
            Number16(name);
        }

        Encoding.UTF8.GetBytes(record.Subscriber, Next(name));
        return true;
    }

    /// <summary>The octets to send.</summary>
    /// <param name="sequence">Records that were sent in this session before this message.</param>
    public ReadOnlyMemory<byte> Finish(DateTimeOffset now, uint sequence, uint domain)
    {
        BinaryPrimitives.WriteUInt16BigEndian(_octets, Version);
        BinaryPrimitives.WriteUInt16BigEndian(_octets.AsSpan(2), (ushort)_length);
        BinaryPrimitives.WriteUInt32BigEndian(_octets.AsSpan(4), (uint)now.ToUnixTimeSeconds());
        BinaryPrimitives.WriteUInt32BigEndian(_octets.AsSpan(8), sequence);
        BinaryPrimitives.WriteUInt32BigEndian(_octets.AsSpan(12), domain);
        if (Records > 0) BinaryPrimitives.WriteUInt16BigEndian(_octets.AsSpan(_set + 2), (ushort)(_length - _set));
        return _octets.AsMemory(0, _length);
    }

    Span<byte> Next(int count)
    {
        _length += count;
        return _octets.AsSpan(_length - count, count);
    }

    void Number16(int number) => BinaryPrimitives.WriteUInt16BigEndian(Next(2), (ushort)number);
}
