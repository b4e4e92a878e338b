using System.CommandLine;
using System.Runtime.InteropServices;
using APlusP.Bench;
using APlusP.Bench.Rows;
using APlusP.Core;
using APlusP.Lab;

const int standardRounds = 5;
var rows = new IRow[]
{
    new CoreRow(),
    new XdpPrrRow(),
    new TcpRow("tcp", "tc PRR and SMAP with NAPT, TCP", fast: true,
        (1, false, new Goal(1.0, OfRatio: true)), (1, true, new Goal(1.0, OfRatio: true)), (4, false, new Goal(0.9, OfRatio: true)), (4, true, new Goal(0.9, OfRatio: true))),
    new SmapRow(),
    new RoundTripRow(),
    new NewFlowsRow(),
    new TcpRow("tun", "TUN alone, fast-path = off, TCP", fast: false, (1, false, new Goal(3)), (1, true, new Goal(3))),
};

var executable = new Option<string>("--executable") { Description = "The aplusp to measure.", Required = true, HelpName = "FILE" };
var only = new Option<string[]>("--only") { Description = $"Rows to measure: {string.Join(", ", rows.Select(row => row.Name))}.", HelpName = "ROW", AllowMultipleArgumentsPerToken = true };
only.AcceptOnlyFromAmong([.. rows.Select(row => row.Name)]);
var quick = new Option<bool>("--quick") { Description = "One short round each: shows that everything runs; the figures say little." };
var output = new Option<string>("--output")
{
    Description = "Where the table is kept; of --quick it is kept nowhere.",
    HelpName = "FILE",
    DefaultValueFactory = _ => $"bench/results/{TimeProvider.System.GetUtcNow():yyyy-MM-ddTHHmm}.md",
};
var command = new RootCommand("Measures aplusp against the plain kernel, in network namespaces of its own. Root; the machine should do nothing else.") { executable, only, quick, output };
command.SetAction(parsed =>
{
    // Whatever happens, each row removes what it has made.
    using var interrupted = new CancellationTokenSource();
    PosixSignalRegistration[] signals =
    [
        .. ((PosixSignal[])[PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP]).Select(signal => PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            interrupted.Cancel();
        })),
    ];
    try
    {
        string[] names = parsed.GetValue(only) is { Length: > 0 } chosen ? chosen : [.. rows.Select(row => row.Name)];
        string text = Run([.. rows.Where(row => names.Contains(row.Name, StringComparer.Ordinal))], parsed.GetValue(executable)!, parsed.GetValue(quick), interrupted.Token);
        if (parsed.GetValue(quick)) return 0;
        string file = parsed.GetValue(output)!;
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
        File.WriteAllText(file, text);
        Console.Error.WriteLine($"written to {file}");
        return 0;
    }
    catch (OperationCanceledException)
    {
        Console.Error.WriteLine("interrupted; nothing is left behind");
        return 130;
    }
    finally
    {
        foreach (PosixSignalRegistration signal in signals) signal.Dispose();
    }
});

try
{
    return command.Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (APlusPException error)
{
    Console.Error.WriteLine($"bench: {error.Code}: {error.Message}");
    return 1;
}
catch (Exception error)
{
    // Caught, so that the row's namespaces are removed: what nobody catches ends the process at once.
    Console.Error.WriteLine($"bench: {error}");
    return 1;
}

static string Run(IReadOnlyList<IRow> rows, string executable, bool quick, CancellationToken interrupted)
{
    Programs.Require("ip", "ethtool", "iperf3", "nft", "ping", "ss", "taskset");
    Workplace.RemoveLeftovers();
    (int rounds, TimeSpan window) = quick ? (1, TimeSpan.FromSeconds(0.3)) : (standardRounds, TimeSpan.FromSeconds(1));
    string text = Report.Heading(TimeProvider.System.GetUtcNow(), rounds, window);
    Console.Write(text);
    foreach (IRow row in rows)
    {
        Console.Error.WriteLine($"{row.Name}: {row.Title}");
        using var place = new Workplace(Path.GetFullPath(executable), rounds, window, interrupted);
        string lines = Report.Row(row, row.Measure(place));
        Console.Write(lines);
        text += lines;
    }

    return text;
}
