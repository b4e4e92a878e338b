using System.CommandLine;
using System.Net;
using APlusP.Household;
using APlusP.Node.WebProxy;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp household</c>: the page that a router shows its household.</summary>
static class HouseholdVerb
{
    public static Command Create()
    {
        var listen = new Option<string[]>("--listen", "-l") { Description = $"An address of this machine in the home, such as 192.168.1.1 or [2001:db8::1], with a port where that is not {HouseholdPlace.DefaultPort}. May be given several times. Required." };
        var name = new Option<string[]>("--name") { Description = "A name that the page may be asked for by, such as router.home.arpa, besides its addresses." };
        var proxy = new Option<string>("--web-proxy-socket") { Description = "Control socket of the web proxy.", DefaultValueFactory = _ => WebProxyPlan.DefaultControlSocket };
        Option<string> state = StateOption(), socket = DaemonVerbs.SmapSocketOption("-s"), format = LogOutput.FormatOption();
        listen.Validators.Add(result =>
        {
            foreach (string address in result.GetValue(listen) ?? [])
                if (!TryRead(address, out _)) result.AddError($"'{address}' is no address to listen at; write it such as 192.168.1.1, 192.168.1.1:8080 or [2001:db8::1].");
        });
        var command = new Command("household", "Show the household its page: is it working, address and ports, how full, which ports lead where, what is wrong. English and French. Ends with SIGTERM.")
        {
            listen, name, state, socket, proxy, format, CreateReset(),
        };
        command.Validators.Add(result =>
        {
            if (result.GetResult(listen) is null) result.AddError("Option '--listen' is required.");
        });
        command.SetAction(async parsed =>
        {
            var place = new HouseholdPlace([.. parsed.GetValue(listen)!.Select(a => TryRead(a, out IPEndPoint at) ? at : throw new InvalidOperationException(a))], parsed.GetValue(state)!)
            {
                SmapSocket = parsed.GetValue(socket)!,
                WebProxySocket = parsed.GetValue(proxy)!,
                Names = parsed.GetValue(name) ?? [],
            };
            await using HouseholdPage page = await HouseholdPage.Start(place, builder => LogOutput.Configure(builder, parsed.GetValue(format) == "json"));
            await page.WaitForShutdown();
        });
        return command;
    }

    static Option<string> StateOption() => new("--state") { Description = "Directory of the page's key and password.", DefaultValueFactory = _ => HouseholdPlace.DefaultState };

    static Command CreateReset()
    {
        Option<string> state = StateOption();
        var command = new Command("reset", "Take the page's password away, where it is lost, and make a new key; then start the page again.") { state };
        command.SetAction(parsed => Console.WriteLine($"the new key is in {HouseholdPage.Reset(parsed.GetValue(state)!)}"));
        return command;
    }

    static bool TryRead(string text, out IPEndPoint at)
    {
        bool isRead = IPEndPoint.TryParse(text, out IPEndPoint? read);
        at = isRead ? new IPEndPoint(read!.Address, read.Port == 0 ? HouseholdPlace.DefaultPort : read.Port) : new IPEndPoint(IPAddress.None, 0);
        return isRead;
    }
}
