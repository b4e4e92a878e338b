using System.CommandLine;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Registry.Api;
using APlusP.Registry.Configuration;
using APlusP.Registry.Ssh;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp registry ssh-enrol</c>: the forced command behind which the homes of the experiment of 2010 say who they are and which ports they want.</summary>
static class SshEnrolVerb
{
    /// <summary>Where OpenSSH puts what the client asked for.</summary>
    const string OriginalCommand = "SSH_ORIGINAL_COMMAND";

    public static Command Create()
    {
        var subscriber = new Option<string>("--subscriber") { Description = "Whose SSH key this is: leases are this subscriber's.", Required = true };
        var address = new Option<string>("--address") { Description = "The shared IPv4 address of which ports are given (the report's IPv4Shared).", Required = true };
        var className = new Option<string?>("--class") { Description = "The subscriber's class; home when left out." };
        var command = new Command("ssh-enrol", "A forced command of sshd: reads CpeNAddrV6 and CpeNPortRange, by standard input or scp, and gives a lease of exactly those ports.") { subscriber, address, className };
        var registry = new RegistryAt(command);
        command.SetAction(async parsed =>
        {
            if (!IPv4Address.TryParse(parsed.GetValue(address)!, out IPv4Address shared)) throw new APlusPException(ErrorCodes.RegistrySettings, $"--address: '{parsed.GetValue(address)}' is not an IPv4 address.");
            RegistryClient client = registry.Client(parsed);
            string? original = Environment.GetEnvironmentVariable(OriginalCommand);
            using Stream input = Console.OpenStandardInput(), output = Console.OpenStandardOutput();
            bool scp = SshInput.IsScp(original);
            string text = scp ? SshInput.ReceiveFile(input, output) : SshInput.ReadLines(input);

            // The experiment's script sends the file first and then, by a connection of its own, a command without input.
            LeaseDocument lease = string.IsNullOrWhiteSpace(text) && !scp && original is not null
                ? await client.Find(parsed.GetValue(subscriber)!) ?? throw new APlusPException(ErrorCodes.NotThere, $"{parsed.GetValue(subscriber)} has no lease. Send CpeNAddrV6 and CpeNPortRange first.")
                : await Grant(HomeAnnouncement.Read(text));
            if (scp) SshInput.Answer(output);
            else Console.WriteLine($"{lease.Subscriber} has {string.Join(',', lease.Ranges.Select(r => $"{r[0]}-{r[1]}"))} of {lease.Address} at {lease.Softwire} until {lease.Until}");

            Task<LeaseDocument> Grant(HomeAnnouncement home) => client.Grant(parsed.GetValue(subscriber)!, parsed.GetValue(className), home.Softwire, shared, home.Ports);
        });
        return command;
    }
}
