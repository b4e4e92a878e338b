using System.CommandLine;
using APlusP.Core.Addresses;
using APlusP.Lab.Links;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp lab link</c>: links with the faults of real ones (delay, loss, a smaller MTU ...), and changing them while packets travel.</summary>
static class LabLinkVerb
{
    public static Command Create() => new("link", "Emulate a link with delay, jitter, loss, reordering, duplication, a rate and an MTU.")
    {
        Run(),
        Set(),
        Show(),
    };

    static Command Run()
    {
        var upper = new Argument<string>("upper") { Description = "The Ethernet device towards the Internet." };
        var lower = new Argument<string>("lower") { Description = "The Ethernet device towards the home." };
        var socket = new Option<string?>("--socket", "-s") { Description = "Control socket to make, for `link set` and `link show`." };
        var hopV6 = new Option<string?>("--hop-v6") { Description = "IPv6 address that Packet Too Big comes from; without it larger IPv6 packets vanish." };
        var hopV4 = new Option<string?>("--hop-v4") { Description = "IPv4 address that \"fragmentation needed\" comes from; without it larger IPv4 packets with DF vanish." };
        var json = new Option<bool>("--json") { Description = "Print settings and counters as JSON at the end." };
        var settings = new SettingOptions();
        var command = new Command("run", "Join two Ethernet devices of this network namespace as one link, until Ctrl-C.") { upper, lower, socket, hopV6, hopV4, json };
        settings.AddTo(command);
        CheckAddress(hopV6, text => IPv6Address.TryParse(text, out _), "an IPv6 address");
        CheckAddress(hopV4, text => IPv4Address.TryParse(text, out _), "an IPv4 address");
        command.SetAction(parse =>
        {
            using var interruption = new Interruption();
            LinkChange change = settings.Read(parse);
            var sound = new LinkSettings();
            LinkSettings down = change.Way is LinkWay.Up ? sound : sound.With(change), up = change.Way is LinkWay.Down ? sound : sound.With(change);
            var hop = new HopAddresses(
                parse.GetValue(hopV6) is { } v6 ? IPv6Address.Parse(v6) : null,
                parse.GetValue(hopV4) is { } v4 ? IPv4Address.Parse(v4) : null);
            using var link = new LinkEmulator(parse.GetValue(upper)!, parse.GetValue(lower)!, down, up, hop, TimeProvider.System);
            using (LinkControl? control = parse.GetValue(socket) is { } path ? new LinkControl(path, link) : null)
            {
                link.Run(interruption.Token);
            }

            Print(link.State(), parse.GetValue(json));
        });
        return command;
    }

    static Command Set()
    {
        var name = new Argument<string?>("link") { Description = "A link of the lab, such as room1; not needed with --socket.", Arity = ArgumentArity.ZeroOrOne };
        var socket = SocketOption();
        Option<string?> lab = LabVerb.LabOption();
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var settings = new SettingOptions();
        var command = new Command("set", "Change an emulated link while packets travel; what is not named stays.") { name, socket, lab, json };
        settings.AddTo(command);
        NameOrSocket(command, name, socket);
        command.SetAction(parse => Print(Ask(parse.GetValue(name), parse.GetValue(socket), parse.GetValue(lab), settings.Read(parse)), parse.GetValue(json)));
        return command;
    }

    static Command Show()
    {
        var name = new Argument<string?>("link") { Description = "A link of the lab, such as room1; not needed with --socket.", Arity = ArgumentArity.ZeroOrOne };
        var socket = SocketOption();
        Option<string?> lab = LabVerb.LabOption();
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("show", "Show what an emulated link does, and what became of its frames.") { name, socket, lab, json };
        NameOrSocket(command, name, socket);
        command.SetAction(parse => Print(Ask(parse.GetValue(name), parse.GetValue(socket), parse.GetValue(lab), new LinkChange()), parse.GetValue(json)));
        return command;
    }

    static Option<string?> SocketOption() => new("--socket", "-s") { Description = "Control socket of a link that is none of a lab's." };

    static void NameOrSocket(Command command, Argument<string?> name, Option<string?> socket) => command.Validators.Add(result =>
    {
        if ((result.GetValue(name) is null) == (result.GetValue(socket) is null)) result.AddError("Give the name of a link of a lab, such as room1, or --socket.");
    });

    static void CheckAddress(Option<string?> option, Func<string, bool> right, string what) => option.Validators.Add(result =>
    {
        if (result.GetValue(option) is { } text && !right(text)) result.AddError($"{option.Name} takes {what}, not '{text}'.");
    });

    static LinkState Ask(string? name, string? socket, string? lab, LinkChange change) =>
        socket is not null ? LinkControl.Ask(socket, change) : LabVerb.Open(lab).Link(name!).Set(change);

    static void Print(LinkState state, bool json)
    {
        if (json)
        {
            Console.WriteLine(LinkControl.ToJson(state));
            return;
        }

        Print("down", state.Down);
        Print("up", state.Up);
    }

    static void Print(string way, LinkWayState state)
    {
        LinkSettings does = state.Settings;
        LinkCounters did = state.Counters;
        Console.WriteLine($"{way}: delay {does.DelayMs} ms +- {does.JitterMs}, loss {does.LossPercent} %, reorder {does.ReorderPercent} % by {does.ReorderMs} ms, duplicate {does.DuplicatePercent} %, "
            + $"rate {(does.RateMbit > 0 ? $"{does.RateMbit} Mbit/s" : "unlimited")}, queue {does.Queue}, MTU {(does.Mtu > 0 ? does.Mtu : "unlimited")}{(does.BlackHole ? ", black hole" : "")}");
        Console.WriteLine($"  received {did.Received:N0}: carried {did.Carried:N0}, lost {did.Lost:N0}, queue full {did.QueueFull:N0}, too big {did.TooBigAnswered:N0} answered and {did.TooBigSilent:N0} silent, "
            + $"Packet Too Big filtered {did.TooBigMessagesFiltered:N0}");
        Console.WriteLine($"  delivered {did.Delivered:N0}, under way {did.UnderWay:N0}; duplicated {did.Duplicated:N0}, reordered {did.Reordered:N0}, fragmented {did.Fragmented:N0}, not taken {did.SendFailures:N0}");
    }

    /// <summary>The settings as options, the same for <c>run</c> and <c>set</c>.</summary>
    sealed class SettingOptions
    {
        readonly Option<string?> _way = new("--way") { Description = "Only frames towards the home (down) or towards the Internet (up); both where left out." };
        readonly Option<double?> _delay = new("--delay-ms") { Description = "How long a frame is under way." };
        readonly Option<double?> _jitter = new("--jitter-ms") { Description = "By how much the delay varies, up and down; frames keep their order." };
        readonly Option<double?> _loss = new("--loss-percent") { Description = "Frames lost, of 100." };
        readonly Option<double?> _reorder = new("--reorder-percent") { Description = "Frames held back so that others overtake them, of 100." };
        readonly Option<double?> _reorderBy = new("--reorder-ms") { Description = "How long they are held back; 10 at first." };
        readonly Option<double?> _duplicate = new("--duplicate-percent") { Description = "Frames that arrive twice, of 100." };
        readonly Option<double?> _rate = new("--rate-mbit") { Description = "What the link carries, in Mbit/s; 0 is without limit." };
        readonly Option<int?> _queue = new("--queue") { Description = "Frames on the link at most, waiting or travelling; 4096 at first." };
        readonly Option<int?> _mtu = new("--mtu") { Description = "Octets of the largest packet; larger ones are answered as a router does. 0 is without limit." };
        readonly Option<bool?> _blackHole = new("--black-hole") { Description = "true: larger packets vanish without an answer, and no Packet Too Big of others passes." };
        readonly Option<ulong?> _seed = new("--seed") { Description = "Where the dice begin; the same seed loses the same frames." };

        public void AddTo(Command command)
        {
            _way.AcceptOnlyFromAmong("down", "up");
            foreach (Option option in (Option[])[_way, _delay, _jitter, _loss, _reorder, _reorderBy, _duplicate, _rate, _queue, _mtu, _blackHole, _seed]) command.Add(option);
        }

        public LinkChange Read(ParseResult parse) => new()
        {
            Way = parse.GetValue(_way) switch { "down" => LinkWay.Down, "up" => LinkWay.Up, _ => null },
            DelayMs = parse.GetValue(_delay),
            JitterMs = parse.GetValue(_jitter),
            LossPercent = parse.GetValue(_loss),
            ReorderPercent = parse.GetValue(_reorder),
            ReorderMs = parse.GetValue(_reorderBy),
            DuplicatePercent = parse.GetValue(_duplicate),
            RateMbit = parse.GetValue(_rate),
            Queue = parse.GetValue(_queue),
            Mtu = parse.GetValue(_mtu),
            BlackHole = parse.GetValue(_blackHole),
            Seed = parse.GetValue(_seed),
        };
    }
}
