using APlusP.Core.Addresses;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.Bench;

/// <summary>One end of a pair of virtual Ethernet devices.</summary>
/// <param name="Namespace">Where it is.</param>
/// <param name="Name">Its name.</param>
/// <param name="Index">Its interface index there.</param>
/// <param name="Mac">Its Ethernet address.</param>
/// <param name="FarMac">That of the other end.</param>
sealed record VethEnd(NetworkNamespace Namespace, string Name, int Index, byte[] Mac, byte[] FarMac)
{
    static int s_pairs;

    /// <summary>Makes a pair, both ends up.</summary>
    public static (VethEnd A, VethEnd B) Pair(NetworkNamespace a, string nameA, NetworkNamespace b, string nameB, int mtu = 1500)
    {
        int pair = Interlocked.Increment(ref s_pairs);
        byte[] macA = [2, 0, 0, 0, (byte)pair, 1], macB = [2, 0, 0, 0, (byte)pair, 2];
        Commands.Require("ip", "link", "add", nameA, "netns", a.Name, "address", Text(macA), "mtu", $"{mtu}", "type", "veth",
            "peer", "name", nameB, "netns", b.Name, "address", Text(macB), "mtu", $"{mtu}");
        foreach ((NetworkNamespace at, string name) in ((NetworkNamespace, string)[])[(a, nameA), (b, nameB)])
        {
            at.Shell($"echo 0 >/proc/sys/net/ipv6/conf/{name}/accept_dad");
            at.Ip($"link set {name} up");
        }

        return (new VethEnd(a, nameA, a.Call(() => RouteSocket.IndexOf(nameA)), macA, macB), new VethEnd(b, nameB, b.Call(() => RouteSocket.IndexOf(nameB)), macB, macA));
    }

    static string Text(byte[] mac) => string.Join(':', mac.Select(octet => octet.ToString("x2")));

    /// <summary>Gives it an address.</summary>
    public void Address(string address) => Namespace.Ip($"addr add {address} dev {Name}{(address.Contains(':', StringComparison.Ordinal) ? " nodad" : "")}");

    /// <summary>Makes the other end known by this address for ever, and lets routes lead there.</summary>
    public void Neighbour(string address, params string[] routes)
    {
        Namespace.Ip([$"neigh replace {address} lladdr {Text(FarMac)} dev {Name} nud permanent", .. routes.Select(route => $"route replace {route} via {address} dev {Name}")]);
    }

    /// <summary>Lets the device take frames that XDP sends: a virtual one does where it has a place to work (NAPI), which GRO makes.</summary>
    public void TakeXdp() => Namespace.Shell($"ethtool -K {Name} gro on");

    /// <summary>Lets what arrives here be worked on by a thread of its own, and keeps that on processor 1: the device under test has that one, and the generator the other.</summary>
    public void WorkAlone()
    {
        Namespace.Shell($"echo 1 >/sys/class/net/{Name}/threaded");
        string thread = $"napi/{Name}-";
        foreach (string process in Directory.EnumerateDirectories("/proc").Where(p => int.TryParse(Path.GetFileName(p), out _)))
        {
            string comm = Path.Combine(process, "comm");
            if (File.Exists(comm) && ReadOrEmpty(comm).StartsWith(thread, StringComparison.Ordinal)) Commands.Require("taskset", "-p", "-c", "1", Path.GetFileName(process));
        }
    }

    static string ReadOrEmpty(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return "";
        }
    }
}
