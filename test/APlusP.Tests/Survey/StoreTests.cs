using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Survey;
using APlusP.Survey.Counting;
using APlusP.Survey.Export;
using APlusP.Survey.Flows;
using APlusP.Survey.Readers;
using APlusP.Survey.Statistics;
using APlusP.Survey.Storage;
using CsCheck;
using ParquetSharp;

namespace APlusP.Tests.Survey;

public sealed class StoreTests : IDisposable
{
    static readonly SurveyReading s_reading = new(ApplicationRules.Standard, InsideNetworks.Private, TimeSpan.FromSeconds(10));

    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-").FullName;

    string Store => Path.Combine(_directory, "survey.db");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    string Put(string name, string text)
    {
        string path = Path.Combine(_directory, name);
        File.WriteAllText(path, text);
        return path;
    }

    List<FileResult> Import(DateTimeOffset? first, params string[] files) => Import(first, byAddress: false, files);

    List<FileResult> Import(DateTimeOffset? first, bool byAddress, params string[] files)
    {
        var results = new List<FileResult>();
        using SurveyStore store = SurveyStore.OpenToAdd(Store, ApplicationRules.Standard, byAddress);
        Importer.Import(store, files, first, s_reading, (_, result) => results.Add(result));
        return results;
    }

    StatisticsDocument Statistics(bool? isIPv6 = null, string? host = null)
    {
        using SurveyStore store = SurveyStore.Open(Store);
        return StatisticsDocument.Of(SurveyStatistics.Of(store, new SurveyPart(isIPv6, host is null ? null : store.HostOf(host))));
    }

    static DateTimeOffset At(long seconds) => DateTimeOffset.FromUnixTimeSeconds(seconds);

    [Fact]
    public void The_report_s_rows_give_the_report_s_percentages()
    {
        // Table II is of twenty samples, 414 ports in all; the report prints four of them, so these are others with its sums: 312 DNS, 42 HTTP, 47 HTTPS, 13 others.
        int[] dns = [0, 8, 40, 40, .. Enumerable.Repeat(14, 16)], http = [1, 1, 2, 2, .. Enumerable.Repeat(2, 12), 3, 3, 3, 3], https = [4, 4, 4, 4, .. Enumerable.Repeat(2, 15), 1], others = [0, 1, 1, 1, .. Enumerable.Repeat(0, 6), .. Enumerable.Repeat(1, 10)];
        Assert.Equal((312, 42, 47, 13), (dns.Sum(), http.Sum(), https.Sum(), others.Sum()));
        string rows = string.Concat(Enumerable.Range(0, 20).Select(i => $"{1267551614 + 11 * i} {dns[i] + http[i] + https[i] + others[i]} {dns[i]} {http[i]} {https[i]}\n"));
        Import(At(0), Put("table1.txt", $"Date Ports DNS HTTP HTTPS\n\n{rows}"));
        StatisticsDocument report = Statistics(isIPv6: false);
        Assert.Equal((20, 20.7), (report.Samples, report.Ports.Mean));
        Assert.Equal((15.6, 2.1, 2.35, 0.65), (report.Applications["dns"].Mean, report.Applications["http"].Mean, report.Applications["https"].Mean, report.Applications["other"].Mean));
        Assert.Equal(
            ("75.36", "10.14", "11.35", "3.14"),
            ($"{report.Applications["dns"].Share:0.00}", $"{report.Applications["http"].Share:0.00}", $"{report.Applications["https"].Share:0.00}", $"{report.Applications["other"].Share:0.00}"));
        Assert.Null(report.MinimumPorts);
    }

    [Fact]
    public void Each_file_is_a_sample_and_each_host_in_it_a_value()
    {
        string Web(string host, int ports) => string.Concat(Enumerable.Range(0, ports).Select(i => Tables.Tcp(host, 40000 + i, "203.0.113.7", 443)));
        Import(At(1000), Put("1", Web("192.168.2.1", 10) + Web("192.168.2.2", 2)), Put("2", Web("192.168.2.1", 30)), Put("3", ""));
        StatisticsDocument all = Statistics();
        Assert.Equal((3, 2), (all.Samples, all.Hosts));
        Assert.Equal(new DistributionDocument(14, 30, 10, 30, 30), all.Ports);
        Assert.Equal(all.Ports, all.MinimumPorts);
        Assert.Equal(new ApplicationDocument(14, 100), all.Applications["https"]);
        Assert.Equal(new DistributionDocument(20, 30, 10, 30, 30), Statistics(host: "192.168.2.1").Ports);
        Assert.Equal(0, Statistics(isIPv6: true).Hosts);
        using SurveyStore store = SurveyStore.Open(Store);
        var times = new List<long>();
        store.Read((time, _) => times.Add(time.At.ToUnixTimeSeconds()));
        Assert.Equal([1000, 1010, 1020], times);
    }

    [Fact]
    public void Samples_without_a_time_follow_the_last_and_none_is_taken_twice()
    {
        string file = Put("1", Tables.Udp("192.168.2.1", 1, "203.0.113.7", 53));
        Import(At(1000), file);
        Import(null, file);
        Assert.Equal(2, Statistics().Samples);
        APlusPException refused = Assert.Throws<APlusPException>(() => Import(At(1000), file, file));
        Assert.Equal(ErrorCodes.SampleExists, refused.Code);
        Assert.Contains("(1000)", refused.Message, StringComparison.Ordinal);
        Assert.Equal(2, Statistics().Samples);
    }

    [Fact]
    public void Hosts_are_pseudonyms_that_lead_back_with_the_key_alone_and_remote_addresses_are_nowhere()
    {
        Import(At(1000), Put("1", Tables.Tcp("192.168.2.1", 1, "203.0.113.7", 443)));
        byte[] octets = File.ReadAllBytes(Store);
        foreach (string text in new[] { "192.168.2.1", "203.0.113.7" }) Assert.Equal(-1, octets.AsSpan().IndexOf(System.Text.Encoding.ASCII.GetBytes(text)));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode($"{Store}.key"));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Store));
        Assert.Equal(1, Statistics(host: "192.168.2.1").Hosts);
        Assert.Equal(ErrorCodes.NoSuchHost, Assert.Throws<APlusPException>(() => Statistics(host: "192.168.2.2")).Code);

        File.Move($"{Store}.key", $"{Store}.away");
        using (SurveyStore store = SurveyStore.Open(Store)) Assert.Equal(1, Statistics(host: store.Hosts[0].Name).Hosts);
        Assert.Contains("key", Assert.Throws<APlusPException>(() => Statistics(host: "192.168.2.1")).Message, StringComparison.Ordinal);
        Assert.Equal(ErrorCodes.SurveySettings, Assert.Throws<APlusPException>(() => Import(At(2000), Put("1", Tables.Tcp("192.168.2.1", 1, "203.0.113.7", 443)))).Code);
        File.WriteAllText($"{Store}.key", new string('0', 64));
        Assert.Contains("not the key", Assert.Throws<APlusPException>(() => Statistics()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Hosts_are_addresses_where_that_is_asked_for()
    {
        string file = Put("1", Tables.Tcp("2001:db8::1", 1, "2001:db8::2", 443));
        Import(At(1000), byAddress: true, file);
        using (SurveyStore store = SurveyStore.Open(Store)) Assert.Equal(new StoredHost(1, true, "2001:db8::1"), Assert.Single(store.Hosts));
        Assert.False(File.Exists($"{Store}.key"));
        Assert.Equal(ErrorCodes.SurveySettings, Assert.Throws<APlusPException>(() => Import(At(2000), file)).Code);
    }

    [Fact]
    public void Of_a_bad_file_sound_lines_are_kept_and_the_others_told_by_number()
    {
        string good = Tables.Tcp("192.168.2.1", 1, "203.0.113.7", 443);
        FileResult result = Assert.Single(Import(At(1000), Put("1", $"# a comment\n{good}rubbish\n\n{new string('x', 200_000)}\n{Tables.Tcp("192.168.2.1", 2, "203.0.113.7", 443).Replace("\n", "\r\n", StringComparison.Ordinal)}conntrack v1.4.7 (conntrack-tools): 2 flow entries have been shown.\n{good[..60]}")));
        Assert.Equal([3, 5, 8], result.Faults.First.Select(f => (int)f.Line));
        Assert.Equal(2, Statistics().Ports.Max);
    }

    [Fact]
    public void A_million_odd_lines_take_no_memory_and_the_good_one_is_kept()
    {
        string path = Path.Combine(_directory, "odd");
        using (StreamWriter writer = File.CreateText(path))
        {
            for (int i = 0; i < 1_000_000; i++) writer.Write("an odd line\n");
            writer.Write(Tables.Tcp("192.168.2.1", 1, "203.0.113.7", 443));
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        FileResult result = SurveyFile.Read(path, s_reading, (_, counts) => Assert.Single(counts.Hosts));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 2_000_000);
        Assert.Equal((1_000_000, LineFaults.Told), (result.Faults.Count, result.Faults.First.Count));
    }

    [Theory]
    [InlineData("nothing\nof it\n", "2 lines")]
    [InlineData("<?xml version=\"1.0\"?>\n", "XML")]
    [InlineData("\u001f\u008b\n", "gzip")]
    [InlineData("Date Ports DNS\n", "no row")]
    [InlineData("Date Ports Doom\n1 2 3\n", "'Doom' is no application")]
    [InlineData("Date Ports DNS\n1 2 3\n", ":2: its applications have more ports")]
    public void A_file_of_nothing_that_is_known_is_refused_and_adds_no_sample(string text, string why)
    {
        string path = Path.Combine(_directory, "1");
        File.WriteAllText(path, text, System.Text.Encoding.Latin1);
        APlusPException refused = Assert.Throws<APlusPException>(() => Import(At(1000), path));
        Assert.Equal(ErrorCodes.NotASurveyFile, refused.Code);
        Assert.Contains(why, refused.Message, StringComparison.Ordinal);
        Assert.Equal(0, Statistics().Samples);
    }

    [Fact]
    public void Where_one_file_is_missing_none_is_added()
    {
        string file = Put("1", Tables.Udp("192.168.2.1", 1, "203.0.113.7", 53));
        Assert.Equal(ErrorCodes.SurveyFileUnreadable, Assert.Throws<APlusPException>(() => Import(At(1000), file, Path.Combine(_directory, "none"))).Code);
        Assert.Equal((0, 0), (Statistics().Samples, Statistics().Hosts));
    }

    [Fact]
    public void What_is_no_store_is_refused()
    {
        Assert.Equal(ErrorCodes.SurveyStorage, Assert.Throws<APlusPException>(() => SurveyStore.Open(Store)).Code);
        File.WriteAllText(Store, new string('x', 4096));
        Assert.Equal(ErrorCodes.SurveyStorage, Assert.Throws<APlusPException>(() => SurveyStore.Open(Store)).Code);
    }

    static readonly Gen<HostCounts> s_counts = Gen.Select(Gen.Int[0, 5].Array[4], Gen.Int[0, 300], Gen.Int[-1, 300], Gen.Int[0, 500], Gen.Int[0, 500]).Select((protocols, first, minimum, peak, flows) =>
    {
        int ports = protocols.Sum();
        var counts = new HostCounts { Ports = ports, MinimumPorts = minimum, PeakPorts = ports + peak, Flows = ports + flows, ByApplication = new int[9] };
        for (int i = 0; i < ports; i++) counts.ByApplication[(first + i * i) % 9]++;
        protocols.CopyTo(counts.ByProtocol, 0);
        for (int i = 0; i < protocols[0]; i++) counts.ByState[(first + i) % HostCounts.States]++;
        return counts;
    });

    [Fact]
    public void What_a_tick_is_written_as_is_read_again() => s_counts.Array[0, 60].Sample(drawn =>
    {
        var codec = new TickCodec();
        var hosts = drawn.Select((counts, i) => (Host: 1 + i * 3, Counts: counts)).ToList();
        var read = new List<(int Host, HostCounts Counts)>();
        codec.Read(codec.Write(hosts, [0, 1, 2, 3, 4, 5, 6, 7, 8]).ToArray(), 9, read);
        Assert.Equal(hosts.Count, read.Count);
        foreach (((int number, HostCounts wrote), (int again, HostCounts got)) in hosts.Zip(read))
        {
            Assert.Equal((number, wrote.Ports, wrote.MinimumPorts, wrote.PeakPorts, wrote.Flows), (again, got.Ports, got.MinimumPorts, got.PeakPorts, got.Flows));
            Assert.Equal(wrote.ByApplication, got.ByApplication);
            Assert.Equal(wrote.ByProtocol, got.ByProtocol);
            Assert.Equal(wrote.ByState, got.ByState);
        }
    });

    [Fact]
    public void A_damaged_store_is_told_whichever_way_it_is_read()
    {
        Import(At(1000), Put("1", Tables.Tcp("192.168.2.1", 1, "203.0.113.7", 443)));
        using (var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={Store};Pooling=False"))
        {
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "UPDATE tick SET counts = x'0102030405'";
            command.ExecuteNonQuery();
        }

        Assert.Equal(ErrorCodes.SurveyStorage, Assert.Throws<APlusPException>(() => Statistics()).Code);
        using SurveyStore store = SurveyStore.Open(Store);
        Assert.Equal(ErrorCodes.SurveyStorage, Assert.Throws<APlusPException>(() => store.Read((_, _) => { })).Code);
    }

    [Fact]
    public void What_is_added_while_a_store_is_read_does_not_disturb_the_reader()
    {
        Import(At(1000), Put("1", Tables.Tcp("192.168.2.1", 1, "203.0.113.7", 443)));
        using SurveyStore reader = SurveyStore.Open(Store);
        Import(At(2000), Put("2", Tables.Tcp("192.168.2.2", 1, "203.0.113.7", 443)));
        SurveyStatistics statistics = SurveyStatistics.Of(reader, new SurveyPart());
        Assert.Equal((1, 1, 1), (reader.Samples, statistics.Samples, statistics.Hosts));
        Assert.Equal((2, 2), (Statistics().Samples, Statistics().Hosts));
    }

    [Fact]
    public void A_sample_is_added_while_others_are_read_and_does_not_wait()
    {
        using (SurveyStore store = SurveyStore.OpenToAdd(Store, ApplicationRules.Standard, byAddress: false))
        {
            TickCounts counts = Tables.Count(Tables.Tcp("192.168.2.1", 1, "203.0.113.7", 443));
            store.Together(() =>
            {
                for (int i = 0; i < 600; i++) store.Add(new SampleTime(At(1000 + i), TimeSpan.FromSeconds(1)), counts, ApplicationRules.Standard);
            });
        }

        string file = Put("1", Tables.Tcp("192.168.2.2", 1, "203.0.113.7", 443));
        using SurveyStore reader = SurveyStore.Open(Store);
        var times = new List<long>();
        reader.Read((time, _) =>
        {
            // Where the reader kept the store locked, this would wait a minute and fail.
            if (times.Count is 0 or 300) Import(At(100_000 + times.Count), file);
            times.Add(time.At.ToUnixTimeSeconds());
        });
        Assert.Equal(Enumerable.Range(1000, 600).Select(i => (long)i), times);
        Assert.Equal(602, Statistics().Samples);
    }

    [Fact]
    public void What_is_exported_is_what_was_imported()
    {
        const string rows = "Date,Ports,dns,http,https,quic,mail,messaging,p2p,games,other\n1267551614,5,0,1,4,0,0,0,0,0,0\n1267551625.5,14,8,1,4,0,0,0,0,0,1\n1267551636,47,40,2,4,0,0,0,0,0,1\n";
        Import(At(0), Put("1", rows));
        using SurveyStore store = SurveyStore.Open(Store);
        var samples = new StringWriter();
        CsvExport.Write(ExportTable.OfSamples(store, new SurveyPart()), samples);
        Assert.Equal(rows, samples.ToString());
        var hosts = new StringWriter();
        CsvExport.Write(ExportTable.OfHosts(store, new SurveyPart()), hosts);
        string[] lines = hosts.ToString().TrimEnd().Split('\n');
        Assert.Equal(4, lines.Length);
        Assert.All(lines, line => Assert.Equal(lines[0].Count(c => c == ','), line.Count(c => c == ',')));
        Assert.StartsWith($"1267551614,{store.Hosts[0].Name},4,5,,5,5,0,0,0,5,0,1,4,", lines[1], StringComparison.Ordinal);
    }

    /// <summary>Reads a column by Apache Arrow's own library, which others use too.</summary>
    static T[] Column<T>(ParquetFileReader file, string name)
    {
        int column = Enumerable.Range(0, file.FileMetaData.NumColumns).Single(i => file.FileMetaData.Schema.Column(i).Name == name);
        var values = new List<T>();
        for (int i = 0; i < file.FileMetaData.NumRowGroups; i++)
        {
            using RowGroupReader group = file.RowGroup(i);
            using ColumnReader reader = group.Column(column);
            using LogicalColumnReader<T> logical = reader.LogicalReader<T>();
            values.AddRange(logical.ReadAll((int)group.MetaData.NumRows));
        }

        return [.. values];
    }

    [Fact]
    public async Task Parquet_has_what_the_csv_has()
    {
        Import(At(0), Put("1", "Date Ports DNS HTTP HTTPS\n1267551614 5 0 1 4\n1267551625 14 8 1 4\n1267551636 47 40 2 4\n"));
        Import(At(1267551700), Put("2", $"{Tables.Udp("192.168.2.9", 4000, "1.1.1.1", 53)}\n{Tables.Tcp("2001:db8::9", 4001, "2001:db8:1::1", 443)}\n"));
        using SurveyStore store = SurveyStore.Open(Store);
        foreach (ExportTable table in new[] { ExportTable.OfSamples(store, new SurveyPart()), ExportTable.OfHosts(store, new SurveyPart()) })
        {
            var csv = new StringWriter();
            CsvExport.Write(table, csv);
            string[][] rows = [.. csv.ToString().TrimEnd().Split('\n').Select(line => line.Split(','))];
            string path = Path.Combine(_directory, "export.parquet");
            await using (FileStream output = File.Create(path)) await ParquetExport.Write(table, output);
            using var file = new ParquetFileReader(path);
            Assert.Equal(rows.Length - 1, file.FileMetaData.NumRows);
            Assert.Equal(rows[0], Enumerable.Range(0, file.FileMetaData.NumColumns).Select(i => file.FileMetaData.Schema.Column(i).Name));
            for (int i = 0; i < rows[0].Length; i++)
            {
                IEnumerable<string> read = rows[0][i] switch
                {
                    "Date" => Column<DateTime>(file, "Date").Select(at => EpochSeconds.Write(new DateTimeOffset(at, TimeSpan.Zero))),
                    "Host" => Column<string>(file, "Host"),
                    "Family" => Column<int>(file, "Family").Select(family => $"{family}"),
                    string name => Column<int?>(file, name).Select(number => $"{number}"),
                };
                Assert.Equal(rows.Skip(1).Select(row => row[i]), read);
            }
        }
    }

    [Fact]
    public async Task Parquet_of_many_rows_is_in_groups_and_whole()
    {
        string path = Path.Combine(_directory, "many.db"), file = Path.Combine(_directory, "many.parquet");
        using SurveyStore store = SurveyStore.OpenToAdd(path, ApplicationRules.Standard, byAddress: true);
        (HostAddress, HostCounts)[] hosts = [.. Enumerable.Range(1, 35_000).Select(i => (HostAddress.Of(new IPv4Address(0x0a000000u + (uint)i)), Counts(i)))];
        store.Together(() =>
        {
            for (int i = 0; i < 2; i++) store.Add(new SampleTime(At(i * 10), TimeSpan.FromSeconds(10)), new TickCounts(hosts, 0, 0), ApplicationRules.Standard);
        });
        await using (FileStream output = File.Create(file)) await ParquetExport.Write(ExportTable.OfHosts(store, new SurveyPart()), output);
        using var read = new ParquetFileReader(file);
        Assert.Equal((70_000, 2), (read.FileMetaData.NumRows, read.FileMetaData.NumRowGroups));
        Assert.Equal([.. Enumerable.Range(1, 35_000), .. Enumerable.Range(1, 35_000)], Column<int?>(read, "Ports").Select(ports => ports!.Value));

        static HostCounts Counts(int ports)
        {
            var counts = new HostCounts { Ports = ports, MinimumPorts = 1, PeakPorts = ports, Flows = ports, ByApplication = new int[ApplicationRules.Standard.Names.Count] };
            counts.ByApplication[0] = ports;
            counts.ByProtocol[1] = ports;
            return counts;
        }
    }

    [Fact]
    public void Percentiles_are_numbers_that_were_there()
    {
        var values = new Distribution();
        for (int i = 1; i <= 100; i++) values.Add(i);
        Assert.Equal((50.5, 100, 50, 95, 99), (values.Mean, values.Max, values.Percentile(50), values.Percentile(95), values.Percentile(99)));
        Assert.Equal((0, 0, 0), (new Distribution().Mean, new Distribution().Max, new Distribution().Percentile(99)));
    }
}
