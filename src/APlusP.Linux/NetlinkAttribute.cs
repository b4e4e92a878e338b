using System.Runtime.InteropServices;

namespace APlusP.Linux;

/// <summary>A netlink attribute, and all of them in a row.</summary>
readonly ref struct NetlinkAttribute(ushort type, ReadOnlySpan<byte> value)
{
    const int TypeMask = 0x3fff;

    public int Type { get; } = type & TypeMask;

    public ReadOnlySpan<byte> Value { get; } = value;

    public static Row All(ReadOnlySpan<byte> octets) => new(octets);

    public ref struct Row(ReadOnlySpan<byte> octets)
    {
        ReadOnlySpan<byte> _rest = octets;

        public NetlinkAttribute Current { get; private set; }

        public readonly Row GetEnumerator() => this;

        public bool MoveNext()
        {
            if (_rest.Length < 4) return false;
            int length = MemoryMarshal.Read<ushort>(_rest);
            if (length < 4 || length > _rest.Length) return false;
            Current = new NetlinkAttribute(MemoryMarshal.Read<ushort>(_rest[2..]), _rest[4..length]);
            _rest = _rest[Math.Min(_rest.Length, (length + 3) / 4 * 4)..];
            return true;
        }
    }
}
