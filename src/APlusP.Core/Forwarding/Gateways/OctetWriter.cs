using System.Buffers.Text;
using APlusP.Core.Forwarding.Napt;

namespace APlusP.Core.Forwarding.Gateways;

/// <summary>Writes text into a buffer; what does not fit is told at the end.</summary>
ref struct OctetWriter(Span<byte> to)
{
    readonly Span<byte> _to = to;

    public int Length { get; private set; }

    public bool HasFailed { get; private set; }

    public void Add(scoped ReadOnlySpan<byte> text)
    {
        if (HasFailed |= text.Length > _to.Length - Length) return;
        text.CopyTo(_to[Length..]);
        Length += text.Length;
    }

    public void Add(int number)
    {
        if (HasFailed |= !Utf8Formatter.TryFormat(number, _to[Length..], out int written)) return;
        Length += written;
    }

    public void AddAddress(uint address) => AddAddress(address, "."u8);

    public void AddAddress(uint address, scoped ReadOnlySpan<byte> between)
    {
        for (int shift = 24; shift >= 0; shift -= 8)
        {
            Add((byte)(address >> shift));
            if (shift > 0) Add(between);
        }
    }

    public void Add(Endpoint endpoint)
    {
        AddAddress(endpoint.Address);
        Add(":"u8);
        Add(endpoint.Port);
    }
}
