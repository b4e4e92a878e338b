using System.Runtime.InteropServices;

namespace APlusP.Linux;

/// <summary>A netlink message, and all that came together.</summary>
readonly ref struct NetlinkMessage(ushort type, ReadOnlySpan<byte> body)
{
    public const int HeaderSize = 16;

    /// <summary>NLMSG_ERROR, NLMSG_DONE.</summary>
    public const ushort Error = 2, Done = 3;

    public ushort Type { get; } = type;

    /// <summary>What follows the header.</summary>
    public ReadOnlySpan<byte> Body { get; } = body;

    public static Row All(ReadOnlySpan<byte> octets) => new(octets);

    public ref struct Row(ReadOnlySpan<byte> octets)
    {
        ReadOnlySpan<byte> _rest = octets;

        public NetlinkMessage Current { get; private set; }

        public readonly Row GetEnumerator() => this;

        public bool MoveNext()
        {
            if (_rest.Length < HeaderSize) return false;
            int length = MemoryMarshal.Read<int>(_rest);
            if (length < HeaderSize || length > _rest.Length) return false;
            Current = new NetlinkMessage(MemoryMarshal.Read<ushort>(_rest[4..]), _rest[HeaderSize..length]);
            _rest = _rest[Math.Min(_rest.Length, (length + 3) / 4 * 4)..];
            return true;
        }
    }
}
