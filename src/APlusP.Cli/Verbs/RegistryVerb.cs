using System.CommandLine;
using System.Net;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Registry;
using APlusP.Registry.Allocation;
using APlusP.Registry.Api;
using APlusP.Registry.Configuration;
using APlusP.Registry.Memory;
using APlusP.Registry.Storage;
using Spectre.Console;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp registry</c>: the registry in the foreground, and what is done with its database.</summary>
static class RegistryVerb
{
    static Option<string?> DataOption() => new("--data", "-d") { Description = "The registry's directory: its SQLite file and the first operator's token." };

    static Option<string?> DatabaseOption() => new("--database") { Description = "A PostgreSQL in place of the file: Host=...;Database=...;Username=..." };

    public static Command Create()
    {
        Option<string?> data = DataOption(), database = DatabaseOption();
        var config = new Option<FileInfo?>("--config", "-c") { Description = "The configuration file (TOML; see docs/configuration.md), in place of the other options." };
        var pool = new Option<string[]>("--pool") { Description = "A prefix of shared IPv4 addresses, such as 192.0.2.0/24. May be given several times." };
        var prr = new Option<string?>("--prr") { Description = "The PRR's end of the softwires, told to each SMAP with its lease." };
        var ports = new Option<int?>("--ports") { Description = $"Ports of a block, and of a lease at its start; {RegistrySettings.DefaultBlock} when left out." };
        var listen = new Option<string[]>("--listen") { Description = $"Address and port; 127.0.0.1:{RegistrySettings.DefaultPort} when left out. May be given several times." };
        var certificate = new Option<string?>("--certificate") { Description = "PEM file; needed beyond loopback." };
        var key = new Option<string?>("--key") { Description = "PEM file of the certificate's key." };
        Option<string> format = LogOutput.FormatOption();
        var command = new Command("registry", "Run a registry: leases of ports, and who had which when. It needs no configuration file: --data DIR --pool PREFIX.") { config, data, pool, prr, ports, listen, database, certificate, key, format };
        command.SetAction(async parsed =>
        {
            RegistrySettings settings = parsed.GetValue(config) is { } file
                ? Alone(parsed, [data, pool, prr, ports, listen, database, certificate, key], () => RegistryConfigurationFile.Load(file.FullName))
                : Settings(parsed.GetValue(data), parsed.GetValue(pool) ?? [], parsed.GetValue(prr), parsed.GetValue(ports) ?? RegistrySettings.DefaultBlock, parsed.GetValue(listen) ?? [],
                    parsed.GetValue(database), parsed.GetValue(certificate), parsed.GetValue(key));
            await using RegistryServer server = await RegistryServer.Start(settings, builder => LogOutput.Configure(builder, parsed.GetValue(format) == "json"));
            await server.WaitForShutdown();
        });
        command.Add(Verify());
        command.Add(Bench());
        command.Add(SshEnrolVerb.Create());
        command.Add(MoveToPostgres());
        command.Add(Export());
        command.Add(KeptPortsVerb.CreateServicePort());
        command.Add(KeptPortsVerb.CreateReservation());
        command.Add(NameVerb.Create());
        command.Add(NameVerb.CreateZone());
        return command;
    }

    static RegistrySettings Alone(ParseResult parsed, Option[] others, Func<RegistrySettings> load)
    {
        if (others.FirstOrDefault(o => parsed.GetResult(o) is { Implicit: false }) is { } beside)
            throw Wrong($"{beside.Name} stands beside --config; write it into the file.");
        return load();
    }

    static RegistrySettings Settings(string? data, string[] pools, string? prr, int ports, string[] listen, string? database, string? certificate, string? key)
    {
        if (string.IsNullOrEmpty(data)) throw Wrong("--data is missing: the directory where the registry keeps what it knows.");
        if (pools.Length == 0) throw Wrong("--pool is missing: the IPv4 addresses that are shared, such as --pool 192.0.2.0/24.");
        if (certificate is null != key is null) throw Wrong("--certificate and --key go together.");
        IPv6Address prrAddress = default;
        if (prr is not null && !(IPv6Address.TryParse(prr, out prrAddress) && prrAddress.IsUnicast)) throw Wrong($"--prr: '{prr}' is not an IPv6 address such as 2001:db8::1.");
        var made = new List<Pool>();
        foreach (string text in pools)
        {
            if (!IPv4Prefix.TryParse(text, out IPv4Prefix prefix, out string error)) throw Wrong($"--pool: {error}.");
            if (RegistryConfigurationFile.FaultOf(prefix, made) is { } fault) throw Wrong($"--pool: {fault}");
            try
            {
                made.Add(new Pool(prefix, PoolLayout.Blocks(ports, PoolLayout.WithoutSystemPorts)) { Prr = prr is null ? null : prrAddress });
            }
            catch (ArgumentException refused)
            {
                throw Wrong($"--ports: {refused.Message}.");
            }
        }

        var at = new List<IPEndPoint>();
        foreach (string text in listen)
            at.Add(RegistryConfigurationFile.TryParseEndPoint(text, out IPEndPoint? one) ? one! : throw Wrong($"--listen: '{text}' is not an address and port such as 127.0.0.1:8646 or [2001:db8::1]:8646."));
        var settings = new RegistrySettings
        {
            Directory = Path.GetFullPath(data),
            Database = database,
            Certificate = certificate,
            Key = key,
            Policy = new LeasePolicy { Pools = made, Classes = SubscriberClass.Standard(ports) },
        };
        return at.Count > 0 ? settings with { Listen = at } : settings;
    }

    static APlusPException Wrong(string what) => new(ErrorCodes.RegistrySettings, what);

    static RegistryDatabase Open(string? data, string? database) => database is null && string.IsNullOrEmpty(data)
        ? throw Wrong("--data is missing: the directory that the registry was started with; or --database.")
        : RegistryDatabase.Open(database, data ?? "");

    static Command Verify()
    {
        Option<string?> data = DataOption(), database = DatabaseOption();
        var command = new Command("verify", "Read the registry's whole memory and tell whether anything was changed behind its back. The registry may go on meanwhile.") { data, database };
        command.SetAction(parsed =>
        {
            using RegistryDatabase opened = Open(parsed.GetValue(data), parsed.GetValue(database));
            VerificationReport report = OfflineMemory.Verify(opened);
            foreach (string fault in report.Faults) Console.WriteLine(fault);
            if (report.Faults.Count > 0) throw new APlusPException(ErrorCodes.MemoryBroken, $"the memory in {opened.Name} is not as it was written: {report.Faults.Count} fault(s) in {report.Events:N0} events and {report.Blocks:N0} blocks.");
            Console.WriteLine($"{report.Events:N0} events and {report.Blocks:N0} blocks of ports are as they were written.");
            Console.WriteLine($"last event {report.Head}");
        });
        return command;
    }

    static Command MoveToPostgres()
    {
        Option<string?> data = DataOption(), database = DatabaseOption();
        var command = new Command("move", "Take everything that a stopped registry knows from its SQLite file to an empty PostgreSQL database. The file stays as it is.") { data, database };
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(data) is not { Length: > 0 } from || parsed.GetValue(database) is not { } to) throw Wrong("--data and --database are both needed: from where, and to where.");
            using var source = new SqliteDatabase(Path.Combine(from, SqliteDatabase.FileName));
            using var target = new PostgresDatabase(to);
            Console.WriteLine($"{Move.Run(source, target):N0} rows are in {target.Name}. Verify them with: aplusp registry verify --database ...");
        });
        return command;
    }

    static Command Export()
    {
        var config = new Option<FileInfo>("--config", "-c") { Description = "The registry's configuration file, with [dhcpv6].", Required = true };
        var to = new Option<string>("--to") { Description = "The other server: kea.", Required = true };
        to.AcceptOnlyFromAmong("kea");
        var command = new Command("export", "Write the leases that run as another DHCPv6 server takes them: for kea, the \"reservations\" of a subnet6. The registry may go on meanwhile.") { config, to };
        command.SetAction(parsed =>
        {
            RegistrySettings settings = RegistryConfigurationFile.Load(parsed.GetValue(config)!.FullName);
            using RegistryDatabase opened = RegistryDatabase.Open(settings.Database, settings.Directory);
            (string reservations, IReadOnlyList<string> leftOut) = OfflineMemory.ExportToKea(opened, settings);
            Console.WriteLine(reservations);
            if (leftOut.Count > 0) Console.Error.WriteLine($"{leftOut.Count:N0} subscriber(s) are not known by a DUID and left out, such as {leftOut[0]}.");
        });
        return command;
    }

    static Command Bench()
    {
        Option<string?> data = DataOption(), database = DatabaseOption();
        var leases = new Option<int>("--leases") { Description = "Leases in the table.", DefaultValueFactory = _ => 1_000_000 };
        var requests = new Option<int>("--requests") { Description = "Requests of each kind.", DefaultValueFactory = _ => 5000 };
        var command = new Command("bench", "Measure a registry with full tables: it fills an empty database, which then is good for nothing else, and times requests, storage included.") { data, database, leases, requests };
        command.SetAction(async parsed =>
        {
            if (parsed.GetValue(leases) is < 1 or > 4_000_000 || parsed.GetValue(requests) is < 1 or > 1_000_000) throw Wrong("--leases is from 1 to 4,000,000, --requests from 1 to 1,000,000.");
            using RegistryDatabase opened = Open(parsed.GetValue(data), parsed.GetValue(database));
            IReadOnlyList<BenchLine> lines = await RegistryBench.Run(opened, parsed.GetValue(leases), parsed.GetValue(requests), Console.Error.WriteLine);
            Table table = new Table { Border = TableBorder.Simple }.AddColumns("request", "times", "median ms", "p99 ms", "worst ms", "a second");
            foreach (BenchLine line in lines) table.AddRow(line.What, $"{line.Count:N0}", $"{line.Median:0.00}", $"{line.P99:0.00}", $"{line.Worst:0.00}", $"{line.PerSecond:N0}");
            AnsiConsole.Write(table);
            using var self = System.Diagnostics.Process.GetCurrentProcess();
            Console.WriteLine($"resident memory {Environment.WorkingSet / 1048576:N0} MB, at most {self.PeakWorkingSet64 / 1048576:N0} MB");
        });
        return command;
    }
}
