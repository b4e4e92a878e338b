using APlusP.Core.Addresses;
using APlusP.Linux;

namespace APlusP.Node.Services;

/// <summary>
/// Has packets with a mark delivered to sockets of this machine, whatever address they are for (the kernel's Documentation/networking/tproxy.rst): a rule, and a routing table of its own. What marks them
/// is a table of nftables.
/// </summary>
sealed class MarkedDelivery : IDisposable
{
    const int Loopback = 1;

    readonly RouteSocket _netlink = new();
    readonly PolicyRule _rule;
    readonly DeviceRoute _route;

    /// <param name="number">Of the mark, the rule and the routing table.</param>
    public MarkedDelivery(int number)
    {
        _rule = new PolicyRule(number, number) { Mark = (uint)number };
        _route = new DeviceRoute(new byte[IPv4Address.Size], 0) { Table = number, IsLocal = true };
        _netlink.TryAddRoute(_route, Loopback);
        _netlink.TryAddRule(_rule);
    }

    public void Dispose()
    {
        _netlink.TryRemoveRule(_rule);
        _netlink.TryRemoveRoute(_route, Loopback);
        _netlink.Dispose();
    }
}
