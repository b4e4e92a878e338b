using System.Data.Common;
using APlusP.Core.PortSets;

namespace APlusP.Registry.Storage;

/// <summary>Values of columns.</summary>
static class Rows
{
    public static string? Text(this DbDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    public static long? Number(this DbDataReader row, int column) => row.IsDBNull(column) ? null : row.GetInt64(column);

    public static byte[] Bytes(this DbDataReader row, int column) => (byte[])row.GetValue(column);

    public static DateTimeOffset Time(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);

    /// <summary>Ports as PostgreSQL writes an int4multirange: {[1024,1280),[2048,2304)}. SQLite keeps the same text.</summary>
    public static string Multirange(PortSet ports) => $"{{{string.Join(',', ports.Ranges.Select(r => $"[{r.First},{r.Last + 1})"))}}}";

    /// <summary>The inverse of <see cref="Multirange"/>.</summary>
    public static PortSet Ports(string multirange) => PortSet.FromRanges(
        multirange.Trim('{', '}').Split("),", StringSplitOptions.RemoveEmptyEntries).Select(part =>
        {
            string[] ends = part.Trim('[', ')').Split(',');
            return new PortRange(ushort.Parse(ends[0]), (ushort)(int.Parse(ends[1]) - 1));
        }));
}
