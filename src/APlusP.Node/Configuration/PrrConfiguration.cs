using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Node.PortControl;
using APlusP.Node.Services;
using APlusP.Node.Registry;
using APlusP.Node.WebNames;

namespace APlusP.Node.Configuration;

/// <summary>Whether and where the kernel itself forwards plain packets.</summary>
public enum FastPathMode
{
    /// <summary>All packets go through the daemon.</summary>
    Off,

    /// <summary>Where this kernel does it best.</summary>
    Auto,

    /// <summary>At tc ingress, where packets of segmentation offload are whole.</summary>
    Tc,

    /// <summary>In the drivers.</summary>
    Xdp,
}

/// <summary>What a PRR's configuration file says, checked and immutable.</summary>
public sealed record PrrConfiguration
{
    public required PrrOptions Options { get; init; }

    public required IReadOnlyList<Binding> Bindings { get; init; }

    /// <summary>Mapping rules; those without EA bits for a whole address or a PSID have one subscriber, and are in <see cref="Bindings"/> as that.</summary>
    public IReadOnlyList<RuleBinding> Rules { get; init; } = [];

    /// <summary>Subscriber names by softwire address; a binding without a name is not here.</summary>
    public required IReadOnlyDictionary<IPv6Address, string> Names { get; init; }

    /// <summary>Largest IPv6 packet on the way to a subscriber who has no path MTU of its own.</summary>
    public int PathMtu { get; init; } = 1500;

    /// <summary>The TUN device.</summary>
    public string Device { get; init; } = "aplusp-prr";

    public string ControlSocket { get; init; } = DefaultControlSocket;

    public const string DefaultControlSocket = "/run/aplusp/prr.sock";

    /// <summary>TUN queues, each with a thread.</summary>
    public int Workers { get; init; } = 1;

    public FastPathMode FastPath { get; init; }

    /// <summary>Devices that the fast path stands on; none for all that it can.</summary>
    public IReadOnlyList<string> FastPathDevices { get; init; } = [];

    /// <summary>The registry whose leases it follows; null for none.</summary>
    public PrrRegistry? Registry { get; init; }

    /// <summary>How web servers are found by name; null where they are not.</summary>
    public WebNamesPlan? WebNames { get; init; }

    /// <summary>How the path MTU of softwires is found out; off by default where the address is anycast (RFC 7597 section 8.3.1).</summary>
    public DiscoveryOptions Discovery { get; init; } = new();

    /// <summary>What the file's reader warned of.</summary>
    public IReadOnlyList<Diagnostic> Warnings { get; init; } = [];
}

/// <summary>A registry that a PRR follows.</summary>
/// <param name="Address">Where it is.</param>
/// <param name="Copy">The file that keeps what it said.</param>
/// <param name="KeepOverdue">Whether bindings stay whose lease has run out while it is away.</param>
public sealed record PrrRegistry(RegistryAddress Address, string Copy, bool KeepOverdue);

/// <summary>What a PRR's file says, with its bindings as the table that the PRR forwards by.</summary>
/// <param name="Configuration">All but the bindings and their names.</param>
/// <param name="Table">The bindings, and the mapping rules.</param>
/// <param name="Names">What people call their subscribers.</param>
public sealed record LoadedPrr(PrrConfiguration Configuration, BindingTable Table, SubscriberNames Names);

/// <summary>What a SMAP's configuration file says, checked and immutable.</summary>
public sealed record SmapConfiguration
{
    public required SmapOptions Options { get; init; }

    /// <summary>How softwire, address and ports are found out by DHCPv6, or with a registry the machine's own address and prefix; null where they are not.</summary>
    public DhcpSettings? Dhcpv6 { get; init; }

    public string Device { get; init; } = "aplusp-smap";

    public string ControlSocket { get; init; } = DefaultControlSocket;

    public const string DefaultControlSocket = "/run/aplusp/smap.sock";

    /// <summary>The registry that gives it address and ports; null where the file does.</summary>
    public SmapRegistry? Registry { get; init; }

    /// <summary>The PCP server that gives it address and ports; null where there is none.</summary>
    public SmapPcp? Pcp { get; init; }

    /// <summary>The networks of the home that the SMAP is the router of; none for those that somebody else sets up.</summary>
    public IReadOnlyList<SmapLan> Lans { get; init; } = [];

    /// <summary>How hosts of the LAN may ask for ports.</summary>
    public PortControlSettings PortControl { get; init; } = new(DefaultState);

    const string DefaultState = "/var/lib/aplusp/smap";

    /// <summary>The file that keeps what hosts of these have, for the next start.</summary>
    public string LanLeases { get; init; } = "/var/lib/aplusp/smap.dhcp";

    /// <summary>Programs that run for their hosts.</summary>
    public HomePrograms Programs { get; init; } = HomePrograms.None;

    /// <summary>Whether IPv6 from outside is kept away from their hosts.</summary>
    public bool KeepsOutIPv6 { get; init; } = true;

    /// <summary>What of it is let in.</summary>
    public IReadOnlyList<FirewallException> Allowed { get; init; } = [];

    /// <summary>Resolvers that are asked for the hosts of the home; none for those that the network tells.</summary>
    public IReadOnlyList<IPv6Address> Resolvers { get; init; } = [];

    /// <summary>Whether the daemon points the IPv4 default route at its device.</summary>
    public bool DefaultRoute { get; init; } = true;

    /// <inheritdoc cref="PrrConfiguration.FastPath"/>
    public FastPathMode FastPath { get; init; }

    /// <inheritdoc cref="PrrConfiguration.FastPathDevices"/>
    public IReadOnlyList<string> FastPathDevices { get; init; } = [];

    /// <summary>How the path MTU of the softwire is found out.</summary>
    public DiscoveryOptions Discovery { get; init; } = new();

    /// <summary>What the file's reader warned of.</summary>
    public IReadOnlyList<Diagnostic> Warnings { get; init; } = [];
}
