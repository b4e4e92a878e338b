using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Linux;

namespace APlusP.Node.Home;

/// <summary>The line set by hand, where the network does not say what it is: an IPv6 address and the gateway. It lasts until the machine starts again; a SMAP that runs goes by it at once.</summary>
/// <param name="Address">Of this machine, with the length of its prefix.</param>
/// <param name="Gateway">The operator's router.</param>
/// <param name="Device">The device towards it.</param>
public sealed record Rescue(NetworkAddress Address, IPv6Address Gateway, string Device)
{
    DeviceRoute DefaultRoute => new(new byte[IPv6Address.Size], 0) { Gateway = Gateway.ToIPAddress().GetAddressBytes() };

    /// <summary>Reads what somebody types.</summary>
    /// <param name="address">"2001:db8::2/64"; without a length it is 64.</param>
    /// <param name="gateway">"fe80::1", or a global address.</param>
    /// <param name="device">Null for the one device that may be it.</param>
    /// <exception cref="APlusPException">AP3017.</exception>
    public static Rescue Of(string address, string gateway, string? device)
    {
        NetworkAddress? own = NetworkAddress.Parse(address.Contains('/', StringComparison.Ordinal) ? address : $"{address}/64");
        if (own is not { Octets.Length: IPv6Address.Size, PrefixLength: >= 1 and <= 128 } || !IPv6Address.Read(own.Value.Octets.Span).IsUnicast)
            throw Wrong($"'{address}' is no IPv6 address of a host; write it such as 2001:db8::2/64.");
        if (!IPv6Address.TryParse(gateway, out IPv6Address router) || !router.IsUnicast) throw Wrong($"'{gateway}' is no IPv6 address of a gateway; write it such as fe80::1.");
        if (router == IPv6Address.Read(own.Value.Octets.Span)) throw Wrong($"{router} cannot be this machine and its gateway.");
        return new Rescue(own.Value, router, device ?? OnlyDevice());
    }

    /// <summary>The one Ethernet device that is up and serves no hosts of IPv4.</summary>
    static string OnlyDevice()
    {
        string[] names = [.. NetworkInterface.GetAllNetworkInterfaces()
            .Where(i => i.NetworkInterfaceType == NetworkInterfaceType.Ethernet && i.OperationalStatus == OperationalStatus.Up && !Directory.Exists($"/sys/class/net/{i.Name}/brport")
                && i.GetIPProperties().UnicastAddresses.All(a => a.Address.AddressFamily != AddressFamily.InterNetwork))
            .Select(i => i.Name)];
        return names.Length == 1 ? names[0] : throw Wrong(names.Length == 0 ? "no Ethernet device is up that has no IPv4 address; is the cable in? Name the device towards the operator with --device." : $"several devices may lead to the operator ({string.Join(", ", names)}); name it with --device.");
    }

    /// <summary>Sets it.</summary>
    /// <exception cref="APlusPException">AP3017: there is no such device; AP2003: the kernel refuses.</exception>
    public void Up()
    {
        int device = RouteSocket.Find(Device) ?? throw Wrong($"there is no device '{Device}'.");
        using var netlink = new RouteSocket();
        netlink.TryAddAddress(Address, device);
        netlink.TryAddRoute(DefaultRoute, device);
    }

    /// <summary>Takes it away; what is not there is left.</summary>
    public void Undo()
    {
        if (RouteSocket.Find(Device) is not { } device) return;
        using var netlink = new RouteSocket();
        netlink.TryRemoveRoute(DefaultRoute, device);
        netlink.TryRemoveAddress(Address, device);
    }

    static APlusPException Wrong(string message) => new(ErrorCodes.NoRescue, message);
}
