using System.Buffers.Binary;
using APlusP.Core.Addresses;

namespace APlusP.Core.Dhcpv6;

/// <summary>Writes a message octet by octet; options may stand in options.</summary>
public sealed class DhcpWriter
{
    byte[] _bytes = new byte[256];
    int _length;

    public byte[] ToArray() => _bytes[.._length];

    Span<byte> Take(int count)
    {
        if (_length + count > _bytes.Length) Array.Resize(ref _bytes, Math.Max(2 * _bytes.Length, _length + count));
        _length += count;
        return _bytes.AsSpan(_length - count, count);
    }

    public void Number8(byte value) => Take(1)[0] = value;

    public void Number16(ushort value) => BinaryPrimitives.WriteUInt16BigEndian(Take(sizeof(ushort)), value);

    public void Number32(uint value) => BinaryPrimitives.WriteUInt32BigEndian(Take(sizeof(uint)), value);

    public void Octets(ReadOnlySpan<byte> value) => value.CopyTo(Take(value.Length));

    public void Address(IPv4Address address) => address.Write(Take(IPv4Address.Size));

    public void Address(IPv6Address address) => address.Write(Take(IPv6Address.Size));

    /// <summary>Length and as many octets as it has bits in, as the softwire options have it (RFC 7598 section 4.1).</summary>
    public void ShortPrefix(IPv6Prefix prefix)
    {
        Span<byte> address = stackalloc byte[IPv6Address.Size];
        prefix.Address.Write(address);
        Number8((byte)prefix.Length);
        Octets(address[..((prefix.Length + 7) / 8)]);
    }

    /// <summary>Begins an option, which ends where the scope is disposed.</summary>
    public Scope Open(DhcpOption code)
    {
        Number16((ushort)code);
        Number16(0);
        return new Scope(this, _length);
    }

    public void Option(DhcpOption code, ReadOnlySpan<byte> value)
    {
        Number16((ushort)code);
        Number16(checked((ushort)value.Length));
        Octets(value);
    }

    public void Option(DhcpOption code, uint value)
    {
        using Scope option = Open(code);
        Number32(value);
    }

    /// <summary>A list of codes: the Option Request option, and S46_PRIORITY.</summary>
    public void Option(DhcpOption list, IEnumerable<DhcpOption> codes)
    {
        using Scope option = Open(list);
        foreach (DhcpOption code in codes) Number16((ushort)code);
    }

    public void Status(DhcpStatusCode code, string message)
    {
        using Scope option = Open(DhcpOption.StatusCode);
        Number16((ushort)code);
        Octets(System.Text.Encoding.UTF8.GetBytes(message));
    }

    /// <summary>An option that is being written.</summary>
    public readonly ref struct Scope(DhcpWriter writer, int begin)
    {
        public void Dispose() => BinaryPrimitives.WriteUInt16BigEndian(writer._bytes.AsSpan(begin - sizeof(ushort)), checked((ushort)(writer._length - begin)));
    }
}
