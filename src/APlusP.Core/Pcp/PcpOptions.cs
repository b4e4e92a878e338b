using System.Buffers.Binary;

namespace APlusP.Core.Pcp;

/// <summary>
/// Options one after the other behind what the opcode has, RFC 6887 section 7.3. The length is without the padding to whole words.
/// <code>
///  |  code, 8 bits  |  reserved, 8 bits  |  length, 16 bits  |  value ...  | padding
/// </code>
/// </summary>
public readonly ref struct PcpOptions
{
    /// <summary>Octets in front of a value.</summary>
    public const int HeaderSize = 4;

    readonly ReadOnlySpan<byte> _bytes;

    PcpOptions(ReadOnlySpan<byte> bytes) => _bytes = bytes;

    /// <summary>Reads options that are whole, each with its padding.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out PcpOptions options)
    {
        options = default;
        for (ReadOnlySpan<byte> rest = bytes; !rest.IsEmpty;)
        {
            if (rest.Length < HeaderSize || rest.Length < SizeOf(rest)) return false;
            rest = rest[SizeOf(rest)..];
        }

        options = new PcpOptions(bytes);
        return true;
    }

    static int SizeOf(ReadOnlySpan<byte> option) => HeaderSize + Padded(BinaryPrimitives.ReadUInt16BigEndian(option[2..]));

    /// <summary>Up to whole words.</summary>
    internal static int Padded(int length) => length + PcpNumbers.Word - 1 & -PcpNumbers.Word;

    /// <summary>The first option of this code.</summary>
    public bool TryFind(PcpOptionCode code, out ReadOnlySpan<byte> value)
    {
        foreach (Item item in this)
        {
            if (item.Code != code) continue;
            value = item.Value;
            return true;
        }

        value = default;
        return false;
    }

    public Enumerator GetEnumerator() => new(_bytes);

    /// <summary>Whether a server that processes these options may serve a request that has the present ones, RFC 6887 section 7.3 and 13; what is wrong otherwise.</summary>
    public PcpResult Check(PcpOptionSet processed)
    {
        var seen = PcpOptionSet.None;
        foreach (Item item in this)
        {
            (PcpOptionSet option, int length, bool mayRepeat) = item.Code switch
            {
                PcpOptionCode.ThirdParty => (PcpOptionSet.ThirdParty, 16, false),
                PcpOptionCode.PreferFailure => (PcpOptionSet.PreferFailure, 0, false),
                PcpOptionCode.Filter => (PcpOptionSet.Filter, 20, true),
                PcpOptionCode.PortSet => (PcpOptionSet.PortSet, PcpPortSet.Length, false),
                _ => (PcpOptionSet.None, 0, true),
            };
            if ((processed & option) == 0)
            {
                if ((byte)item.Code < PcpNumbers.FirstOptional) return PcpResult.UnsupportedOption;
                continue;
            }

            if (item.Value.Length != length || ((seen & option) != 0 && !mayRepeat)) return PcpResult.MalformedOption;
            seen |= option;
        }

        return PcpResult.Success;
    }

    /// <summary>One option.</summary>
    public readonly ref struct Item
    {
        internal Item(PcpOptionCode code, ReadOnlySpan<byte> value)
        {
            Code = code;
            Value = value;
        }

        public PcpOptionCode Code { get; }

        public ReadOnlySpan<byte> Value { get; }
    }

    public ref struct Enumerator
    {
        ReadOnlySpan<byte> _rest;

        internal Enumerator(ReadOnlySpan<byte> bytes) => _rest = bytes;

        public Item Current { get; private set; }

        public bool MoveNext()
        {
            if (_rest.IsEmpty) return false;
            Current = new Item((PcpOptionCode)_rest[0], _rest.Slice(HeaderSize, BinaryPrimitives.ReadUInt16BigEndian(_rest[2..])));
            _rest = _rest[SizeOf(_rest)..];
            return true;
        }
    }
}

/// <summary>
/// PORT_SET, RFC 7753 section 4.1: as many ports in a row as this, from the internal and from the external port of the mapping on.
/// <code>
///  |    port set size, 16 bits    |  first internal port, 16 bits  |  reserved, 7 bits  | P |
/// </code>
/// </summary>
/// <param name="Size">How many ports.</param>
/// <param name="FirstInternal">The internal port of the mapping again.</param>
/// <param name="KeepsParity">P: whether an even port is to be an even one outside.</param>
public readonly record struct PcpPortSet(ushort Size, ushort FirstInternal, bool KeepsParity)
{
    /// <summary>Octets of the value.</summary>
    public const int Length = 5;

    /// <summary>The size of a client that takes as many as it can have, RFC 7753 section 4.1.</summary>
    public const ushort AsManyAsThereAre = 0xffff;

    /// <summary>Reads a value whose length is right.</summary>
    public static PcpPortSet Read(ReadOnlySpan<byte> value) =>
        new(BinaryPrimitives.ReadUInt16BigEndian(value), BinaryPrimitives.ReadUInt16BigEndian(value[2..]), (value[4] & 1) != 0);

    public void Write(Span<byte> value)
    {
        BinaryPrimitives.WriteUInt16BigEndian(value, Size);
        BinaryPrimitives.WriteUInt16BigEndian(value[2..], FirstInternal);
        value[4] = KeepsParity ? (byte)1 : (byte)0;
    }
}
