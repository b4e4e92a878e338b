using Parquet;
using Parquet.Schema;

namespace APlusP.Survey.Export;

/// <summary>A survey as Parquet, for programs that calculate with all of it: the columns of the CSV, with the date as a timestamp in UTC.</summary>
public static class ParquetExport
{
    /// <summary>Rows written together, which bounds the memory whatever the survey's size.</summary>
    const int GroupRows = 1 << 16;

    public static async Task Write(ExportTable table, Stream output)
    {
        var date = new DateTimeDataField("Date", DateTimeFormat.Timestamp, isAdjustedToUTC: true, unit: DateTimeTimeUnit.Millis);
        var host = new DataField<string>("Host", nullable: false);
        var family = new DataField<int>("Family");
        DataField<int?>[] numbers = [.. table.Numbers.Select(name => new DataField<int?>(name))];
        var schema = new ParquetSchema(table.HasHosts ? [date, host, family, .. numbers] : [date, .. numbers]);
        await using ParquetWriter writer = await ParquetWriter.CreateAsync(schema, output);
        var dates = new List<DateTime>();
        var hosts = new List<string>();
        var families = new List<int>();
        List<int?>[] columns = [.. numbers.Select(_ => new List<int?>())];

        // The survey is read by calls, and Parquet.Net written by tasks: on this thread both.
        table.Read(row =>
        {
            dates.Add(row.At.UtcDateTime);
            if (row.Host is { } of)
            {
                hosts.Add(of.Name);
                families.Add(of.IsIPv6 ? 6 : 4);
            }

            for (int i = 0; i < columns.Length; i++) columns[i].Add(row.Numbers[i]);
            if (dates.Count == GroupRows) WriteGroup().GetAwaiter().GetResult();
        });
        if (dates.Count > 0) await WriteGroup();

        async Task WriteGroup()
        {
            using ParquetRowGroupWriter group = writer.CreateRowGroup();
            await group.WriteAsync<DateTime>(date, dates.ToArray());
            if (table.HasHosts)
            {
                await group.WriteAsync(host, hosts);
                await group.WriteAsync<int>(family, families.ToArray());
            }

            for (int i = 0; i < columns.Length; i++)
            {
                await group.WriteAsync<int>(numbers[i], columns[i].ToArray());
                columns[i].Clear();
            }

            group.CompleteValidate();
            dates.Clear();
            hosts.Clear();
            families.Clear();
        }
    }
}
