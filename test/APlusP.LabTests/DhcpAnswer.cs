using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>What a DHCP server tells a host, which takes address and router of it.</summary>
static class DhcpAnswer
{
    /// <summary>Asks by udhcpc, and gives what it names: ip, router, dns, mtu, lease and so on.</summary>
    /// <param name="host">Who asks, on eth0.</param>
    /// <param name="directory">For the client's script.</param>
    /// <param name="tries">How often, a second apart.</param>
    public static Dictionary<string, string> Of(NetworkNamespace host, string directory, int tries = 10)
    {
        string script = Path.Combine(directory, "dhcp.sh"), told = Path.Combine(directory, "told");
        File.WriteAllText(script, $"#!/bin/sh\n[ \"$1\" = bound ] || exit 0\nip addr replace $ip/$mask dev $interface\nip route replace default via $router\nset > {told}\n");
        File.SetUnixFileMode(script, UnixFileMode.UserRead | UnixFileMode.UserExecute | UnixFileMode.UserWrite);
        File.Delete(told);
        CommandResult result = host.Run("udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", $"{tries}", "-T", "1", "-O", "mtu", "-s", script);
        Assert.True(result.Succeeded && File.Exists(told), result.Text);
        return File.ReadAllLines(told).Select(l => l.Split('=', 2)).Where(p => p.Length == 2).ToDictionary(p => p[0], p => p[1].Trim('\''));
    }
}
