using System.CommandLine;
using System.Runtime.InteropServices;
using APlusP.Core;
using APlusP.Node.Configuration;
using APlusP.Node.Control;
using APlusP.Node.Daemons;
using Microsoft.Extensions.Logging;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp prr</c> and <c>aplusp smap</c>: the daemons, in the foreground as service managers want them.</summary>
static class DaemonVerbs
{
    public static Command CreatePrr()
    {
        Command prr = Create(
            "prr", "Run a PRR (border relay, lwAFTR) at the operator's edge.",
            (path, log) =>
            {
                var daemon = new PrrDaemon(path, log);
                return (daemon, daemon.Start);
            });
        prr.Add(CreateDetach("PRR", path =>
        {
            PrrConfiguration configuration = ConfigurationFile.LoadPrr(path);
            Daemon.Detach(configuration.Device, configuration.ControlSocket);
        }));
        return prr;
    }

    static Command CreateDetach(string role, Action<string> detach)
    {
        var config = new Option<FileInfo>("--config", "-c") { Description = "The configuration file that the daemon ran with.", Required = true };
        var command = new Command("detach", "Take away what a stopped " + role + " has left in the kernel so that traffic goes on: the fast path, the device, routes and settings.") { config };
        command.SetAction(parsed => detach(parsed.GetValue(config)!.FullName));
        return command;
    }

    public static Command CreateSmap()
    {
        var registry = new Option<string?>("--registry") { Description = "Address of a registry, such as https://registry.example:8646, that gives address and ports; in place of --config." };
        var token = new Option<string?>("--token-file") { Description = "File with an enrolment token of the registry's." };
        var state = new Option<string?>("--state") { Description = "Directory for this SMAP's identity, key and lease; /var/lib/aplusp/smap when left out." };
        var ca = new Option<string?>("--ca-file") { Description = "PEM file of who may make the registry's certificate." };
        var pin = new Option<string?>("--pin") { Description = "SHA-256 of the registry's certificate." };
        (string Key, Option<string?> Option, bool IsPath)[] keys = [("url", registry, false), ("token-file", token, true), ("state", state, true), ("ca-file", ca, true), ("pin", pin, false)];
        Command smap = Create(
            "smap", "Run a SMAP (CE, lwB4) in a subscriber's home. It needs no configuration file: --registry URL --token-file FILE.",
            (path, log) =>
            {
                var daemon = new SmapDaemon(path, log);
                return (daemon, daemon.Start);
            },
            [.. keys.Select(k => k.Option)],
            parsed => parsed.GetValue(registry) is null ? null : (_, log) =>
            {
                string text = "[registry]\n" + string.Concat(keys.Where(k => parsed.GetValue(k.Option) is not null).Select(k => $"{k.Key} = {TomlText.Quoted(k.IsPath ? Path.GetFullPath(parsed.GetValue(k.Option)!) : parsed.GetValue(k.Option)!)}\n"));
                var daemon = new SmapDaemon("the command line", () => ConfigurationFile.CheckSmap("the command line", text).Require("the command line"), log);
                return (daemon, daemon.Start);
            });
        smap.Add(CreateDetach("SMAP", path => SmapDaemon.Detach(ConfigurationFile.LoadSmap(path))));
        smap.Add(CreateRelease());
        smap.Add(CreateFlows());
        smap.Add(SmapUpVerb.Create());
        smap.Add(MappingVerbs.CreateMappings());
        smap.Add(MappingVerbs.CreateForward());
        return smap;
    }

    internal static Option<string> SmapSocketOption(params string[] aliases) => new("--socket", aliases) { Description = "Control socket of the SMAP.", DefaultValueFactory = _ => SmapConfiguration.DefaultControlSocket };

    static Command CreateFlows()
    {
        Option<string> socket = SmapSocketOption("-s");
        var command = new Command("flows", "Print the flows of the SMAP that runs here, a line each as 'conntrack -L' has them: protocol, seconds left, state, and both directions with addresses and ports.") { socket };
        command.SetAction(parsed =>
        {
            using Stream flows = FlowList.Open(parsed.GetValue(socket)!), output = Console.OpenStandardOutput();
            flows.CopyTo(output);
        });
        return command;
    }

    static Command CreateRelease()
    {
        Option<string> socket = SmapSocketOption("-s");
        var command = new Command("release", "Give the lease of the SMAP that runs here back to the registry or PCP server; until its next start it forwards nothing.") { socket };
        command.SetAction(parsed => Console.WriteLine($"gave back {ControlClient.Ask(parsed.GetValue(socket)!, "release").Released}"));
        return command;
    }

    /// <param name="name">The verb.</param>
    /// <param name="description">What it does.</param>
    /// <param name="make">Makes the daemon of a configuration file.</param>
    /// <param name="others">Options that may stand in place of the file.</param>
    /// <param name="alone">What makes the daemon by those; null where they do not say enough.</param>
    static Command Create(
        string name, string description, Func<string, DaemonLog, (Daemon Daemon, Action Start)> make, Option[]? others = null,
        Func<ParseResult, Func<string, DaemonLog, (Daemon Daemon, Action Start)>?>? alone = null)
    {
        var config = new Option<FileInfo?>("--config", "-c") { Description = "The configuration file (TOML; see docs/configuration.md). Required." };
        Option<string> format = LogOutput.FormatOption();
        var command = new Command(name, description + " SIGHUP reads the configuration again. SIGTERM stops, and leaves a fast path for the next start; SIGINT stops and takes it away.") { config, format };
        foreach (Option other in others ?? []) command.Add(other);
        command.Validators.Add(result =>
        {
            // Not required by itself, since the option would then be required of subcommands too.
            bool isAlone = others?.FirstOrDefault() is { } first && result.GetResult(first) is { Implicit: false };
            if (result.GetValue(config) is null && !isAlone) result.AddError(others is null ? "Option '--config' is required." : "Option '--config' is required, or '--registry'.");
            else if (result.GetValue(config) is not null && others?.FirstOrDefault(o => result.GetResult(o) is { Implicit: false }) is { } beside)
                result.AddError($"Option '{beside.Name}' stands beside '--config'; write it into the file.");
        });
        command.SetAction(async parsed => await Run(parsed.GetValue(config)?.FullName ?? "", parsed.GetValue(format) == "json", alone?.Invoke(parsed) ?? make));
        return command;
    }

    static async Task<int> Run(string path, bool json, Func<string, DaemonLog, (Daemon Daemon, Action Start)> make)
    {
        using ILoggerFactory logging = LoggerFactory.Create(builder => LogOutput.Configure(builder, json));
        var log = new DaemonLog(logging.CreateLogger("aplusp"));

        var stop = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        (Daemon daemon, Action start) = make(path, log);
        using (daemon)
        {
            using PosixSignalRegistration terminate = On(PosixSignal.SIGTERM, () => stop.TrySetResult("SIGTERM"));
            using PosixSignalRegistration interrupt = On(PosixSignal.SIGINT, () => stop.TrySetResult("SIGINT"));
            using PosixSignalRegistration hangup = On(PosixSignal.SIGHUP, () => Reload(daemon));

            // A start may wait for somebody who says what to do, and can be stopped meanwhile.
            Task started = Task.Run(start);
            if (await Task.WhenAny(stop.Task, started) == started) await started;
            Task ended = await Task.WhenAny(stop.Task, daemon.Failure);
            if (ended == daemon.Failure) return 1;
            string signal = await stop.Task;
            daemon.Leaves = signal == "SIGTERM";
            log.Stopping(signal);
        }

        return 0;
    }

    static void Reload(Daemon daemon)
    {
        try
        {
            daemon.Reload();
        }
        catch (APlusPException)
        {
            // The daemon has logged it, and goes on as it was.
        }
    }

    static PosixSignalRegistration On(PosixSignal signal, Action action) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        action();
    });
}
