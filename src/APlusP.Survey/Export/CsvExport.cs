namespace APlusP.Survey.Export;

/// <summary>A survey as comma-separated values, for spreadsheets; <c>survey import</c> reads the table of samples again.</summary>
public static class CsvExport
{
    public static void Write(ExportTable table, TextWriter output)
    {
        output.Write($"Date,{(table.HasHosts ? "Host,Family," : "")}{string.Join(',', table.Numbers)}\n");
        table.Read(row =>
        {
            output.Write($"{EpochSeconds.Write(row.At)},");
            if (row.Host is { } host) output.Write($"{host.Name},{(host.IsIPv6 ? 6 : 4)},");
            output.Write($"{string.Join(',', row.Numbers)}\n");
        });
    }
}
