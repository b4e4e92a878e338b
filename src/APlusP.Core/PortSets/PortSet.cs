using System.Globalization;
using System.Text.Json.Serialization;

namespace APlusP.Core.PortSets;

/// <summary>
/// All ports of one subscriber: either a PSID set (RFC 7597 section 5.1) or plain ranges, one or several. Two sets are equal when
/// they hold the same ports in the same form. Its text form is that of <see cref="TryParse"/>, its JSON form that of <see cref="PortSetJson"/>.
/// </summary>
[JsonConverter(typeof(PortSetJson))]
public sealed class PortSet : IEquatable<PortSet>
{
    readonly PortRange[]? _ranges;

    PortSet(Psid? psid, PortRange[]? ranges)
    {
        Psid = psid;
        _ranges = ranges;
        Count = psid?.Count ?? ranges!.Sum(r => r.Count);
    }

    /// <summary>Every port: the subscriber has the address for itself.</summary>
    public static PortSet WholeAddress { get; } = new(null, [PortRange.All]);

    /// <summary>The identifier, where the set has one.</summary>
    public Psid? Psid { get; }

    /// <summary>Ports in the set, 1 to 65536.</summary>
    public int Count { get; }

    public bool IsWholeAddress => Count == 65536;

    /// <summary>Whether the set is one of the 2^k into which PSIDs divide an address; a whole address is the one of k = 0.</summary>
    public bool IsByPsid => Psid is not null || IsWholeAddress;

    /// <exception cref="ArgumentException">The numbers are not a PSID; the message says which and why.</exception>
    public static PortSet FromPsid(int offset, int length, int psid)
    {
        var value = new Psid(offset, length, psid);
        if (value.Fault is { } fault) throw new ArgumentException(fault);
        return new PortSet(value, null);
    }

    /// <summary>Ranges in any order; those that touch are joined.</summary>
    /// <exception cref="ArgumentException">No range, one that ends before it begins, or two that overlap; the message names them.</exception>
    public static PortSet FromRanges(params IEnumerable<PortRange> ranges) =>
        TryFromRanges(ranges, out PortSet? set, out string error) ? set! : throw new ArgumentException(error);

    static bool TryFromRanges(IEnumerable<PortRange> ranges, out PortSet? set, out string error)
    {
        set = null;
        error = "";
        var joined = new List<PortRange>();
        foreach (PortRange range in ranges.Order())
        {
            if (range.First > range.Last)
            {
                error = $"the range {range} ends before it begins; write {range.Last}-{range.First}";
                return false;
            }

            if (joined.Count > 0 && joined[^1].Overlaps(range))
            {
                error = $"the ranges {joined[^1]} and {range} overlap";
                return false;
            }

            if (joined.Count > 0 && joined[^1].Last + 1 == range.First) joined[^1] = joined[^1] with { Last = range.Last };
            else joined.Add(range);
        }

        if (joined.Count == 0)
        {
            error = "a port set needs at least one range, such as 10000-11000";
            return false;
        }

        set = new PortSet(null, [.. joined]);
        return true;
    }

    /// <summary>The ports as ranges, ascending, none touching another.</summary>
    public IEnumerable<PortRange> Ranges => _ranges ?? RangesOf(Psid!.Value);

    static IEnumerable<PortRange> RangesOf(Psid psid)
    {
        if (psid.Length == 0)
        {
            yield return PortRange.All;
            yield break;
        }

        int size = 1 << psid.ContiguousLength;
        for (int block = psid.Offset == 0 ? 0 : 1; block < 1 << psid.Offset; block++)
        {
            int first = block << (16 - psid.Offset) | psid.Value << psid.ContiguousLength;
            yield return new PortRange((ushort)first, (ushort)(first + size - 1));
        }
    }

    public bool Contains(ushort port)
    {
        if (Psid is { } psid) return psid.Contains(port);
        int low = 0, high = _ranges!.Length - 1;
        while (low < high)
        {
            int middle = low + high >> 1;
            if (_ranges[middle].Last < port) low = middle + 1;
            else high = middle;
        }

        return _ranges[low].Contains(port);
    }

    /// <summary>Whether a port belongs to both sets.</summary>
    public bool Overlaps(PortSet other) => TryFindCommon(other, out _);

    /// <summary>The lowest port that belongs to both sets.</summary>
    public bool TryFindCommon(PortSet other, out ushort port)
    {
        using IEnumerator<PortRange> left = Ranges.GetEnumerator(), right = other.Ranges.GetEnumerator();
        bool more = left.MoveNext() && right.MoveNext();
        while (more)
        {
            port = Math.Max(left.Current.First, right.Current.First);
            if (left.Current.Overlaps(right.Current)) return true;
            more = left.Current.Last < right.Current.Last ? left.MoveNext() : right.MoveNext();
        }

        port = 0;
        return false;
    }

    /// <summary>The ports that another set does not have; null for none.</summary>
    public PortSet? Except(PortSet other)
    {
        var left = new List<PortRange>();
        PortRange[] taken = [.. other.Ranges];
        foreach (PortRange range in Ranges)
        {
            int from = range.First;
            foreach (PortRange gone in taken.Where(t => t.Overlaps(range)))
            {
                if (gone.First > from) left.Add(new PortRange((ushort)from, (ushort)(gone.First - 1)));
                from = gone.Last + 1;
            }

            if (from <= range.Last) left.Add(new PortRange((ushort)from, range.Last));
        }

        return left.Count > 0 ? FromRanges(left) : null;
    }

    /// <summary>
    /// Reads "10000-11000", "10000-11000,12001-12100", "offset=6,length=8,psid=52" or "all". On failure <paramref name="error"/>
    /// says what is wrong and what to write.
    /// </summary>
    public static bool TryParse(ReadOnlySpan<char> text, out PortSet? set, out string error)
    {
        set = null;
        text = text.Trim();
        if (text.Equals("all", StringComparison.OrdinalIgnoreCase))
        {
            set = WholeAddress;
            error = "";
            return true;
        }

        return text.Contains('=') ? TryParsePsid(text, out set, out error) : TryParseRanges(text, out set, out error);
    }

    public static PortSet Parse(ReadOnlySpan<char> text) =>
        TryParse(text, out PortSet? set, out string error) ? set! : throw new FormatException($"'{text}' is not a port set: {error}.");

    static bool TryParseRanges(ReadOnlySpan<char> text, out PortSet? set, out string error)
    {
        set = null;
        var ranges = new List<PortRange>();
        foreach (Range part in text.Split(','))
        {
            if (!PortRange.TryParse(text[part], out PortRange range, out error)) return false;
            ranges.Add(range);
        }

        return TryFromRanges(ranges, out set, out error);
    }

    static bool TryParsePsid(ReadOnlySpan<char> text, out PortSet? set, out string error)
    {
        set = null;
        int? offset = null, length = null, psid = null;
        foreach (Range part in text.Split(','))
        {
            ReadOnlySpan<char> field = text[part].Trim();
            int equals = field.IndexOf('=');
            ReadOnlySpan<char> name = equals < 0 ? field : field[..equals].Trim();
            if (equals < 0 || !int.TryParse(field[(equals + 1)..].Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out int number))
            {
                error = $"'{field}' is not a number with its name; write offset=6,length=8,psid=52";
                return false;
            }

            ref int? target = ref offset;
            if (name is "length") target = ref length;
            else if (name is "psid") target = ref psid;
            else if (name is not "offset")
            {
                error = $"'{name}' is none of offset, length and psid";
                return false;
            }

            if (target is not null)
            {
                error = $"'{name}' stands twice";
                return false;
            }

            target = number;
        }

        if (length is null || psid is null)
        {
            error = $"{(length is null ? "length" : "psid")} is missing; write offset=6,length=8,psid=52";
            return false;
        }

        var value = new Psid(offset ?? 0, length.Value, psid.Value);
        error = value.Fault ?? "";
        if (value.Fault is not null) return false;
        set = new PortSet(value, null);
        return true;
    }

    public bool Equals(PortSet? other) =>
        other is not null && Psid == other.Psid && (_ranges is null ? other._ranges is null : _ranges.AsSpan().SequenceEqual(other._ranges));

    public override bool Equals(object? obj) => Equals(obj as PortSet);

    public override int GetHashCode() => Psid?.GetHashCode() ?? HashCode.Combine(Count, _ranges![0], _ranges[^1]);

    /// <summary>The form that <see cref="TryParse"/> reads back to an equal set.</summary>
    public override string ToString() => Psid is { } psid ? psid.ToString() : string.Join(',', _ranges!);
}
