using System.CommandLine;
using APlusP.Core;
using APlusP.Node.Control;
using APlusP.Node.Home;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp smap up</c>: the line set by hand, from within the home, where the network does not say what it is.</summary>
static class SmapUpVerb
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    public static Command Create()
    {
        var address = new Option<string>("--ipv6") { Description = "IPv6 address of this machine, such as 2001:db8::2/64, as the operator tells it.", Required = true };
        var gateway = new Option<string>("--gateway") { Description = "IPv6 address of the operator's router, such as fe80::1.", Required = true };
        var device = new Option<string?>("--device") { Description = "The device towards the operator; the one that is up and has no IPv4 address when left out." };
        var undo = new Option<bool>("--undo") { Description = "Take exactly this away again." };
        Option<string> socket = DaemonVerbs.SmapSocketOption("-s");
        var command = new Command("up", "Set address and gateway of the line by hand, where router advertisements or DHCPv6 fail, and wait until the SMAP that runs here is online. It lasts until the machine starts again.") { address, gateway, device, undo, socket };
        command.SetAction(parsed =>
        {
            Rescue rescue = Rescue.Of(parsed.GetValue(address)!, parsed.GetValue(gateway)!, parsed.GetValue(device));
            if (parsed.GetValue(undo))
            {
                rescue.Undo();
                Console.WriteLine($"{rescue.Device} has {rescue.Address} by {rescue.Gateway} no more");
                return 0;
            }

            rescue.Up();
            Console.WriteLine($"{rescue.Device} has {rescue.Address} by {rescue.Gateway}");
            return WaitForSmap(parsed.GetValue(socket)!);
        });
        return command;
    }

    static int WaitForSmap(string socket)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            (bool isOnline, string sentence) = Ask(socket);
            if (isOnline || TimeProvider.System.GetElapsedTime(start) > s_patience)
            {
                Console.WriteLine(isOnline ? sentence : $"{sentence}\n`aplusp doctor` says what is in the way.");
                return isOnline ? 0 : 1;
            }

            Thread.Sleep(TimeSpan.FromMilliseconds(200));
        }
    }

    static (bool IsOnline, string Sentence) Ask(string socket)
    {
        try
        {
            SmapStatus? smap = ControlClient.Ask(socket, "status").Status?.Smap;
            if (smap is null) return (false, $"the daemon at {socket} is no SMAP");
            string sentence = smap.Lease is { } lease ? $"{lease.State}: {lease.Sentence}" : smap.IsSuspended ? "the SMAP has no softwire yet" : $"the SMAP has {smap.PortCount:N0} ports of {smap.SharedAddress}";
            return (!smap.IsSuspended, sentence);
        }
        catch (APlusPException away)
        {
            return (false, away.Message);
        }
    }
}
