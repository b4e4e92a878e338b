using System.Globalization;

namespace APlusP.Core.PortSets;

/// <summary>Ports from first to last, both included.</summary>
public readonly record struct PortRange(ushort First, ushort Last) : IComparable<PortRange>
{
    public static PortRange All => new(0, ushort.MaxValue);

    /// <summary>1 to 65536.</summary>
    public int Count => Last - First + 1;

    public bool Contains(ushort port) => port >= First && port <= Last;

    public bool Overlaps(PortRange other) => First <= other.Last && other.First <= Last;

    public int CompareTo(PortRange other) => First.CompareTo(other.First);

    public static bool operator <(PortRange left, PortRange right) => left.CompareTo(right) < 0;

    public static bool operator <=(PortRange left, PortRange right) => left.CompareTo(right) <= 0;

    public static bool operator >(PortRange left, PortRange right) => left.CompareTo(right) > 0;

    public static bool operator >=(PortRange left, PortRange right) => left.CompareTo(right) >= 0;

    /// <summary>Reads "10000-11000" or "10000". On failure <paramref name="error"/> says what is wrong and what to write.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out PortRange range, out string error)
    {
        range = default;
        text = text.Trim();
        int dash = text.IndexOf('-');
        ReadOnlySpan<char> first = dash < 0 ? text : text[..dash].Trim();
        ReadOnlySpan<char> last = dash < 0 ? text : text[(dash + 1)..].Trim();
        if (!TryParsePort(first, out ushort from, out error) || !TryParsePort(last, out ushort to, out error)) return false;
        if (from > to)
        {
            error = $"the range {from}-{to} ends before it begins; write {to}-{from}";
            return false;
        }

        range = new PortRange(from, to);
        return true;
    }

    static bool TryParsePort(ReadOnlySpan<char> text, out ushort port, out string error)
    {
        error = "";
        if (ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port)) return true;
        error = text.IsEmpty ? "a port is missing; write a range such as 10000-11000"
            : $"'{text}' is not a port; ports are numbers from 0 to 65535";
        return false;
    }

    public override string ToString() => First == Last ? $"{First}" : $"{First}-{Last}";
}
