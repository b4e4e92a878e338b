using System.CommandLine;
using System.Text.Json;
using APlusP.Core;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp lab</c>: the experiment of the report's figure 22, and bigger ones, out of network namespaces on one machine.</summary>
static class LabVerb
{
    const string DefaultName = "fig22";

    public static Command Create() => new("lab", "Build the experiment of Fig. 22, or a bigger one, out of network namespaces on this machine.")
    {
        Up(),
        Status(),
        Exec(),
        Capture(),
        LabLinkVerb.Create(),
        Down(),
        LabModelsVerb.Create(),
        LabWhatIfVerb.Create(),
    };

    /// <summary>The <c>aplusp</c> that daemons of a lab run: APLUSP_EXECUTABLE, or else this very program.</summary>
    public static string Executable =>
        Environment.GetEnvironmentVariable("APLUSP_EXECUTABLE") is { Length: > 0 } given ? Path.GetFullPath(given) : Environment.ProcessPath!;

    static Command Up()
    {
        var name = new Argument<string>("name") { Description = "Name of the lab; fig22 is the report's.", DefaultValueFactory = _ => DefaultName };
        var smaps = new Option<int?>("--smaps") { Description = "Build this many rooms of one host each instead, 252 ports a room." };
        var link = new Option<string[]>("--link")
        {
            Description = "Make this link an emulated one, whose delay, loss, MTU and more `aplusp lab link set` changes: room1, room2 ..., prr, internet.",
            AllowMultipleArgumentsPerToken = true,
        };
        var command = new Command("up", "Build a lab: the network, its servers, the PRR and the SMAPs.") { name, smaps, link };
        command.SetAction(parse =>
        {
            string labName = parse.GetValue(name)!;
            LabPlan plan = parse.GetValue(smaps) is { } count
                ? LabPlan.Smaps(labName == DefaultName ? $"smaps{count}" : labName, count)
                : LabPlan.Fig22(labName);
            plan = plan.With(RoomServices.All);
            foreach (string emulated in parse.GetValue(link) ?? []) plan = plan.WithLink(emulated);
            using var interruption = new Interruption();
            RunningLab lab = RunningLab.Up(plan, Executable, step => Console.Error.WriteLine($"{step} ..."), interruption.Token);
            Console.WriteLine(LabDrawing.Draw(plan, _ => ""));
            Console.WriteLine($"""
                The lab '{plan.Name}' is up. Try:
                  aplusp lab exec --lab {plan.Name} {plan.Rooms[0].Hosts[0].Name} curl -s http://www4.example/
                  aplusp lab exec --lab {plan.Name} {plan.Rooms[0].Hosts[0].Name} curl -sL http://{plan.Rooms[0].LanAddress}/
                  aplusp lab status {plan.Name}
                  aplusp lab down {plan.Name}
                Its files are in {lab.Directory}.
                """);
        });
        return command;
    }

    static Command Status()
    {
        var name = new Argument<string?>("name") { Description = "Name of the lab; all labs where left out.", Arity = ArgumentArity.ZeroOrOne };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("status", "Draw a lab with what runs in it.") { name, json };
        command.SetAction(parse =>
        {
            IReadOnlyList<RunningLab> labs = parse.GetValue(name) is { } one ? [RunningLab.Open(one)] : [.. RunningLab.Names().Select(RunningLab.Open)];
            if (parse.GetValue(json)) PrintJson(labs);
            else if (labs.Count == 0) Console.WriteLine("No lab is up. `aplusp lab up` builds the one of Fig. 22.");
            else foreach (RunningLab lab in labs) Print(lab);
        });
        return command;
    }

    static void Print(RunningLab lab)
    {
        Console.WriteLine($"{lab.Plan.Name}, up since {lab.State.Since.ToLocalTime():yyyy-MM-dd HH:mm:ss}, files in {lab.Directory}");
        Console.WriteLine();
        Console.Write(LabDrawing.Draw(lab.Plan, host => StateOf(lab, host)));
    }

    static string StateOf(RunningLab lab, string host)
    {
        if (!lab.Host(host).Exists) return "gone";
        return string.Join(", ", lab.State.Processes.Where(p => p.Namespace == lab.Host(host).Name && !p.Name.StartsWith("capture", StringComparison.Ordinal))
            .GroupBy(p => p.Name).Select(g => g.Last())
            .Select(p => p.IsRunning ? $"{p.Name} runs ({p.Id})" : $"{p.Name} ENDED, see {p.Log}"));
    }

    static void PrintJson(IReadOnlyList<RunningLab> labs)
    {
        using Stream output = Console.OpenStandardOutput();
        using var writer = new Utf8JsonWriter(output, new JsonWriterOptions { Indented = true });
        writer.WriteStartArray();
        foreach (RunningLab lab in labs)
        {
            writer.WriteStartObject();
            writer.WriteString("name", lab.Plan.Name);
            writer.WriteString("directory", lab.Directory);
            writer.WriteString("since", lab.State.Since);
            writer.WriteStartArray("rooms");
            foreach (RoomPlan room in lab.Plan.Rooms)
            {
                writer.WriteStartObject();
                writer.WriteString("smap", room.Smap);
                writer.WriteString("softwire", room.Softwire);
                writer.WriteString("address", room.SharedAddress);
                writer.WriteString("ports", room.Ports);
                writer.WriteNumber("path-mtu", room.PathMtu);
                writer.WriteStartArray("hosts");
                foreach (HostPlan host in room.Hosts) writer.WriteStringValue(host.Name);
                writer.WriteEndArray();
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteStartArray("links");
            foreach (LinkPlan link in lab.Plan.Links) writer.WriteStringValue(link.Name);
            writer.WriteEndArray();
            writer.WriteStartArray("hosts");
            foreach (LabHost host in lab.Topology.Hosts)
            {
                writer.WriteStartObject();
                writer.WriteString("name", host.Name);
                writer.WriteString("namespace", lab.Host(host.Name).Name);
                writer.WriteBoolean("exists", lab.Host(host.Name).Exists);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteStartArray("processes");
            foreach (LabProcess process in lab.State.Processes)
            {
                writer.WriteStartObject();
                writer.WriteString("name", process.Name);
                writer.WriteString("namespace", process.Namespace);
                writer.WriteNumber("pid", process.Id);
                writer.WriteBoolean("running", process.IsRunning);
                writer.WriteString("log", process.Log);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.Flush();
        Console.WriteLine();
    }

    static Command Exec()
    {
        var host = new Argument<string>("host") { Description = "A host of the lab, such as A, smap1, prr, core or www4." };
        var words = new Argument<string[]>("command") { Description = "The program and its arguments.", Arity = ArgumentArity.OneOrMore, CaptureRemainingTokens = true };
        var lab = LabOption();
        var command = new Command("exec", "Run a program on a host of a lab.") { lab, host, words };
        command.SetAction(parse =>
        {
            RunningLab running = Open(parse.GetValue(lab));
            return running.Host(parse.GetValue(host)!).RunHere(parse.GetValue(words)!);
        });
        return command;
    }

    static Command Capture()
    {
        var directory = new Argument<string>("directory") { Description = "Where the captures go, a file per interface.", DefaultValueFactory = _ => "captures" };
        var seconds = new Option<int?>("--seconds") { Description = "Stop after this long; otherwise Ctrl-C stops." };
        var lab = LabOption();
        var command = new Command("capture", "Capture every interface of a lab.") { directory, seconds, lab };
        command.SetAction(async (parse, cancel) =>
        {
            string path = Path.GetFullPath(parse.GetValue(directory)!);
            IReadOnlyList<LabProcess> captures = Open(parse.GetValue(lab)).Capture(path);
            Console.Error.WriteLine($"capturing {captures.Count} interfaces into {path}{(parse.GetValue(seconds) is null ? "; Ctrl-C stops" : "")}");
            try
            {
                await Task.Delay(parse.GetValue(seconds) is { } limit ? TimeSpan.FromSeconds(limit) : Timeout.InfiniteTimeSpan, cancel);
            }
            catch (OperationCanceledException)
            {
                // Ctrl-C is how it ends.
            }

            foreach (LabProcess capture in captures) capture.Signal(Signals.Interrupt);
            foreach (LabProcess capture in captures) capture.Stop();
        });
        return command;
    }

    static Command Down()
    {
        var name = new Argument<string>("name") { Description = "Name of the lab.", DefaultValueFactory = _ => DefaultName };
        var command = new Command("down", "Remove a lab and everything in it, also after a crash.") { name };
        command.SetAction(parse =>
        {
            string labName = parse.GetValue(name)!;
            Console.WriteLine(RunningLab.Down(labName) ? $"The lab '{labName}' is removed." : $"There is no lab '{labName}'; nothing to do.");
        });
        return command;
    }

    internal static Option<string?> LabOption() => new("--lab") { Description = "Name of the lab; not needed where only one is up." };

    internal static RunningLab Open(string? name)
    {
        if (name is not null) return RunningLab.Open(name);
        IReadOnlyList<string> names = RunningLab.Names();
        return names.Count switch
        {
            1 => RunningLab.Open(names[0]),
            0 => throw new APlusPException(ErrorCodes.LabNotFound, "no lab is up. `aplusp lab up` builds the one of Fig. 22."),
            _ => throw new APlusPException(ErrorCodes.LabNotFound, $"several labs are up ({string.Join(", ", names)}): say which by --lab NAME."),
        };
    }
}
