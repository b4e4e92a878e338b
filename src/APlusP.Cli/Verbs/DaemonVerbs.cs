using System.CommandLine;
using System.Runtime.InteropServices;
using APlusP.Core;
using APlusP.Node.Configuration;
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
        Command smap = Create(
            "smap", "Run a SMAP (CE, lwB4) in a subscriber's home.",
            (path, log) =>
            {
                var daemon = new SmapDaemon(path, log);
                return (daemon, daemon.Start);
            });
        smap.Add(CreateDetach("SMAP", path => SmapDaemon.Detach(ConfigurationFile.LoadSmap(path))));
        return smap;
    }

    static Command Create(string name, string description, Func<string, DaemonLog, (Daemon Daemon, Action Start)> make)
    {
        var config = new Option<FileInfo?>("--config", "-c") { Description = "The configuration file (TOML; see docs/configuration.md). Required." };
        Option<string> format = LogOutput.FormatOption();
        var command = new Command(name, description + " SIGHUP reads the configuration again. SIGTERM stops, and leaves a fast path for the next start; SIGINT stops and takes it away.") { config, format };
        command.Validators.Add(result =>
        {
            // Not required by itself, since the option would then be required of subcommands too.
            if (result.GetValue(config) is null) result.AddError("Option '--config' is required.");
        });
        command.SetAction(async parsed => await Run(parsed.GetValue(config)!.FullName, parsed.GetValue(format) == "json", make));
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
