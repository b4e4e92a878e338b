using System.CommandLine;
using System.Text;
using System.Text.Json;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Node.Configuration;
using APlusP.Node.Configuration.Formats;
using APlusP.Node.Control;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp binding</c>: subscribers of a running PRR, one at a time or a stream of them, without a reload.</summary>
static class BindingVerb
{
    static readonly Option<string> s_socket = new("--socket", "-s")
    {
        Description = "Control socket of the PRR.",
        Recursive = true,
        DefaultValueFactory = _ => PrrConfiguration.DefaultControlSocket,
    };

    static readonly Option<bool> s_json = new("--json") { Description = "Print what the daemon answers, as JSON lines.", Recursive = true };

    public static Command Create() => new("binding", "Add, change, remove and show bindings while a PRR runs. A reload or a restart goes by the file again: `binding list` prints lines for a bindings-file.")
    {
        s_socket, s_json, Make("add", "Add a binding; the softwire must have none."), CreateChange(),
        Make("set", "Make a subscriber's binding exactly this, whether or not there is one."), CreateRemove(), CreateShow(), CreateList(), CreateApply(),
    };

    static Command Make(string op, string description)
    {
        var address = new Argument<string>("address") { Description = "IPv4 address." };
        var ports = new Argument<string>("ports") { Description = "Port set: 10000-11000, offset=6,length=8,psid=52, or all." };
        var softwire = new Argument<string>("softwire") { Description = "IPv6 address of the SMAP." };
        (Option<string?> prr, Option<int?> pathMtu, Option<string?> name) = Details();
        var command = new Command(op, description) { address, ports, softwire, prr, pathMtu, name };
        command.SetAction(parsed => Ask(parsed, new BindingRequest
        {
            Op = op,
            Address = parsed.GetValue(address),
            Ports = parsed.GetValue(ports),
            Softwire = parsed.GetValue(softwire),
            Prr = parsed.GetValue(prr),
            PathMtu = parsed.GetValue(pathMtu),
            Name = parsed.GetValue(name),
        }));
        return command;
    }

    static Command CreateChange()
    {
        Argument<string> who = Who();
        var address = new Option<string?>("--address") { Description = "Another IPv4 address." };
        var ports = new Option<string?>("--ports") { Description = "Another port set." };
        (Option<string?> prr, Option<int?> pathMtu, Option<string?> name) = Details();
        var command = new Command("change", "Change what is given of a binding; the rest stays. A softwire cannot change: remove the binding and add another.") { who, address, ports, prr, pathMtu, name };
        command.SetAction(parsed => Ask(parsed, About("change", SoftwireOf(parsed, parsed.GetValue(who)!, renames: parsed.GetValue(name) is not null)) with
        {
            Address = parsed.GetValue(address),
            Ports = parsed.GetValue(ports),
            Prr = parsed.GetValue(prr),
            PathMtu = parsed.GetValue(pathMtu),
            Name = parsed.GetValue(name) ?? About("change", parsed.GetValue(who)!).Name,
        }));
        return command;
    }

    /// <summary>Who gets another name is known by the softwire, since a request has one place for a name.</summary>
    static string SoftwireOf(ParseResult parsed, string who, bool renames)
    {
        if (!renames || About("show", who).Softwire is not null) return who;
        using var client = new BindingClient(parsed.GetValue(s_socket)!);
        return client.Ask(About("show", who)).Binding!.Softwire;
    }

    static Command CreateRemove()
    {
        Argument<string> who = Who();
        var command = new Command("remove", "Remove a subscriber's binding; its ports are free at once.") { who };
        command.SetAction(parsed => Ask(parsed, About("remove", parsed.GetValue(who)!)));
        return command;
    }

    static Command CreateShow()
    {
        Argument<string> who = Who();
        var command = new Command("show", "Show a subscriber's binding.") { who };
        command.SetAction(parsed => Ask(parsed, About("show", parsed.GetValue(who)!)));
        return command;
    }

    static Command CreateList()
    {
        var address = new Option<string?>("--address") { Description = "Only those of this IPv4 address." };
        var command = new Command("list", "Print all bindings as they are now, as lines of a bindings-file.") { address };
        command.SetAction(parsed =>
        {
            int nameless = 0;
            Ask(parsed, new BindingRequest { Op = "list", Address = parsed.GetValue(address) }, entry => nameless += entry.Name is { } name && !PrrToml.FitsALine(name) ? 1 : 0);
            if (nameless > 0 && !parsed.GetValue(s_json)) Console.Error.WriteLine($"{nameless:N0} name(s) hold spaces, which a line of a bindings-file cannot, and were left out; such a binding keeps its name as a [[binding]] of prr.toml.");
        });
        return command;
    }

    static Command CreateApply()
    {
        var command = new Command("apply", "Read requests from standard input, one JSON object a line, such as {\"op\":\"set\",\"address\":\"192.0.2.1\",\"ports\":\"10000-11000\",\"softwire\":\"2001:db8:1::1\",\"name\":\"room-1\"}; each is done or refused by itself.");
        command.SetAction(Apply);
        return command;
    }

    static Argument<string> Who() => new("who") { Description = "The subscriber's softwire (IPv6 address), or name." };

    static (Option<string?> Prr, Option<int?> PathMtu, Option<string?> Name) Details() => (
        new("--prr") { Description = "The PRR's end, where it has several." },
        new("--path-mtu") { Description = "Largest IPv6 packet on the way." },
        new("--name") { Description = "What people call the subscriber." });

    static BindingRequest About(string op, string who) => IPv6Address.TryParse(who, out _) ? new BindingRequest { Op = op, Softwire = who } : new BindingRequest { Op = op, Name = who };

    static void Ask(ParseResult parsed, BindingRequest request, Action<BindingEntry>? each = null)
    {
        using var client = new BindingClient(parsed.GetValue(s_socket)!);
        using var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false), bufferSize: 64 * 1024);
        bool json = parsed.GetValue(s_json);
        BindingAnswer answer = client.Ask(request, entry =>
        {
            output.WriteLine(json ? JsonSerializer.Serialize(new BindingAnswer { Binding = entry }, BindingJson.Default.BindingAnswer) : LineOf(entry));
            each?.Invoke(entry);
        });
        if (json) output.WriteLine(JsonSerializer.Serialize(answer, BindingJson.Default.BindingAnswer));
        else if (answer.Binding is { } entry) output.WriteLine(LineOf(entry));
        else if (answer.Done != "listed") output.WriteLine(answer.Done);
        if (!json && answer.Warning is { } warning) Console.Error.WriteLine($"aplusp: warning {ErrorCodes.ConfigurationSystemPorts}: {warning}");
    }

    /// <summary>A binding as a line of a bindings-file.</summary>
    static string LineOf(BindingEntry entry) =>
        $"{entry.Address} {entry.Ports} {entry.Softwire}"
        + (entry.Prr is null ? "" : $" prr={entry.Prr}")
        + (entry.PathMtu is null ? "" : $" path-mtu={entry.PathMtu}")
        + (entry.Name is { } name && PrrToml.FitsALine(name) ? $" name={name}" : "");

    /// <summary>Requests go on while answers come back, so that the way there and back is waited for once.</summary>
    static int Apply(ParseResult parsed)
    {
        using var client = new BindingClient(parsed.GetValue(s_socket)!);
        using var input = new StreamReader(Console.OpenStandardInput(), Encoding.UTF8);
        using var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false), bufferSize: 64 * 1024);
        bool json = parsed.GetValue(s_json);
        var sent = new System.Collections.Concurrent.BlockingCollection<long>(boundedCapacity: 4096);
        Task sending = Task.Factory.StartNew(() =>
        {
            try
            {
                for (long number = 1; input.ReadLine() is { } line; number++)
                {
                    if (string.IsNullOrWhiteSpace(line)) continue;
                    client.Send(Encoding.UTF8.GetBytes(line + "\n"));
                    sent.Add(number);
                }
            }
            finally
            {
                sent.CompleteAdding();
            }
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

        long done = 0, refused = 0;
        foreach (long number in sent.GetConsumingEnumerable())
        {
            BindingAnswer answer;
            do
            {
                string line = client.ReadLine();
                if (json) output.WriteLine(line);
                answer = JsonSerializer.Deserialize(line, BindingJson.Default.BindingAnswer)!;
                if (!json && answer is { Binding: { } entry }) output.WriteLine(LineOf(entry));
            }
            while (answer is { Code: null, Done: null });
            if (answer.Code is null) done++;
            else
            {
                refused++;
                if (!json) Console.Error.WriteLine($"line {number}: {answer.Code}: {answer.Message}");
            }
        }

        sending.GetAwaiter().GetResult();
        if (!json) output.WriteLine($"{done:N0} done, {refused:N0} refused");
        return refused == 0 ? 0 : 1;
    }
}
