using System.Buffers.Binary;

namespace APlusP.Core.Dhcpv6;

/// <summary>
/// Options one after the other, RFC 8415 section 21.1: those of a message, or those inside of another option.
/// <code>
///  |   code, 16 bits   |  length, 16 bits  |  value ...
/// </code>
/// </summary>
public readonly ref struct DhcpOptions
{
    /// <summary>Octets in front of a value.</summary>
    public const int HeaderSize = 4;

    readonly ReadOnlySpan<byte> _bytes;

    DhcpOptions(ReadOnlySpan<byte> bytes) => _bytes = bytes;

    /// <summary>Whether these octets are options to the last one, none of which reaches beyond the end.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out DhcpOptions options)
    {
        options = new DhcpOptions(bytes);
        while (!bytes.IsEmpty)
        {
            if (bytes.Length < HeaderSize) return false;
            int size = HeaderSize + BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
            if (bytes.Length < size) return false;
            bytes = bytes[size..];
        }

        return true;
    }

    /// <summary>The value of the first option of this code.</summary>
    public bool TryFind(DhcpOption code, out ReadOnlySpan<byte> value)
    {
        foreach (Item option in this)
        {
            if (option.Code != code) continue;
            value = option.Value;
            return true;
        }

        value = default;
        return false;
    }

    public bool Has(DhcpOption code) => TryFind(code, out _);

    /// <summary>A number of 32 bits; null where the option is absent, or of another size.</summary>
    public uint? Number(DhcpOption code) => TryFind(code, out ReadOnlySpan<byte> value) && value.Length == sizeof(uint) ? BinaryPrimitives.ReadUInt32BigEndian(value) : null;

    /// <summary>The codes that an option lists: the Option Request option, and S46_PRIORITY. None where it is absent; an odd octet at the end does not count.</summary>
    public IReadOnlyList<DhcpOption> Codes(DhcpOption list)
    {
        if (!TryFind(list, out ReadOnlySpan<byte> value)) return [];
        var codes = new DhcpOption[value.Length / 2];
        for (int i = 0; i < codes.Length; i++) codes[i] = (DhcpOption)BinaryPrimitives.ReadUInt16BigEndian(value[(2 * i)..]);
        return codes;
    }

    /// <summary>The status that a message or an option bears, RFC 8415 section 21.13: without the option it is Success.</summary>
    public DhcpStatus Status =>
        TryFind(DhcpOption.StatusCode, out ReadOnlySpan<byte> value) && value.Length >= 2
            ? new DhcpStatus((DhcpStatusCode)BinaryPrimitives.ReadUInt16BigEndian(value), DhcpStatus.Clean(value[2..]))
            : default;

    public Enumerator GetEnumerator() => new(_bytes);

    public readonly ref struct Item(DhcpOption code, ReadOnlySpan<byte> value)
    {
        public DhcpOption Code { get; } = code;

        public ReadOnlySpan<byte> Value { get; } = value;
    }

    public ref struct Enumerator(ReadOnlySpan<byte> rest)
    {
        ReadOnlySpan<byte> _rest = rest;

        public Item Current { get; private set; }

        public bool MoveNext()
        {
            if (_rest.IsEmpty) return false;
            int size = BinaryPrimitives.ReadUInt16BigEndian(_rest[2..]);
            Current = new Item((DhcpOption)BinaryPrimitives.ReadUInt16BigEndian(_rest), _rest.Slice(HeaderSize, size));
            _rest = _rest[(HeaderSize + size)..];
            return true;
        }
    }
}

/// <summary>How something went, RFC 8415 section 21.13.</summary>
/// <param name="Code">What became of it.</param>
/// <param name="Message">The same for people; null where nothing is said.</param>
public readonly record struct DhcpStatus(DhcpStatusCode Code, string? Message)
{
    /// <summary>A stranger's text goes into a log: one line, and not long.</summary>
    internal static string? Clean(ReadOnlySpan<byte> utf8)
    {
        string text = System.Text.Encoding.UTF8.GetString(utf8.Length > 200 ? utf8[..200] : utf8);
        return text.Length == 0 ? null : string.Create(text.Length, text, (span, from) =>
        {
            for (int i = 0; i < span.Length; i++) span[i] = char.IsControl(from[i]) ? ' ' : from[i];
        });
    }

    public override string ToString() => Message is null ? $"{Code}" : $"{Code}: {Message}";
}
