using APlusP.Lab;

namespace APlusP.Bench;

/// <summary>
/// A client and a server with two ways between them: SMAP and PRR, and two routers that do nothing else. Both ways carry IPv4 packets of 1500 octets. Each side of the softwire has a processor:
/// client and SMAP the first, PRR and server the second.
/// <code>
///            192.168.1.0/24        2001:db8:1::/64         198.51.100.0/24
///            +------------- smap ================== prr ------------------+
///   client --+                                                            +-- server  203.0.113.1 by PRR, .2 by the routers
///            +------------- near ------------------ far ------------------+
///            192.168.2.0/24          10.0.0.0/30           198.51.101.0/24
/// </code>
/// </summary>
sealed class Chain
{
    /// <summary>The server, as it is reached by SMAP and PRR, and by the routers.</summary>
    public const string Ours = "203.0.113.1", Routed = "203.0.113.2";

    const string Shared = "192.0.2.1", Softwire = "2001:db8:5::1", PrrEnd = "2001:db8:9::1";

    readonly Subject _prr, _smap;

    /// <param name="place">The row's.</param>
    /// <param name="fast">With the fast path, or all of it in the daemons.</param>
    public Chain(Workplace place, bool fast)
    {
        NetworkNamespace smap = place.Host("smap"), prr = place.Host("prr"), near = place.Host("near"), far = place.Host("far");
        (Client, Server) = (place.Host("client"), place.Host("server"));
        const int softwireMtu = 1540;
        (VethEnd client, VethEnd lan) = VethEnd.Pair(Client, "ours", smap, "lan");
        (VethEnd wan, VethEnd access) = VethEnd.Pair(smap, "wan", prr, "access", softwireMtu);
        (VethEnd uplink, VethEnd server) = VethEnd.Pair(prr, "uplink", Server, "ours");
        Address((client, "192.168.1.2/24"), (lan, "192.168.1.1/24"), (wan, "2001:db8:1::2/64"), (access, "2001:db8:1::1/64"), (uplink, "198.51.100.1/24"), (server, "198.51.100.2/24"));
        smap.Ip("route add default via 2001:db8:1::1");
        prr.Ip($"route add {Softwire} via 2001:db8:1::2", $"route add {Ours} via 198.51.100.2");

        (VethEnd client2, VethEnd lan2) = VethEnd.Pair(Client, "routed", near, "lan");
        (VethEnd wan2, VethEnd access2) = VethEnd.Pair(near, "wan", far, "access", softwireMtu);
        (VethEnd uplink2, VethEnd server2) = VethEnd.Pair(far, "uplink", Server, "routed");
        Address((client2, "192.168.2.2/24"), (lan2, "192.168.2.1/24"), (wan2, "10.0.0.2/30"), (access2, "10.0.0.1/30"), (uplink2, "198.51.101.1/24"), (server2, "198.51.101.2/24"));
        near.Ip("route add default via 10.0.0.1");
        far.Ip("route add 192.168.2.0/24 via 10.0.0.2", $"route add {Routed} via 198.51.101.2");

        Client.Ip($"route add {Ours} via 192.168.1.1", $"route add {Routed} via 192.168.2.1");
        Server.Ip($"addr add {Ours}/32 dev lo", $"addr add {Routed}/32 dev lo", $"route add {Shared} via 198.51.100.1", "route add 192.168.2.0/24 via 198.51.101.1");

        _prr = place.Hold(new Subject(place, prr, "prr", $"""
            softwire-address = "{PrrEnd}"
            path-mtu = {softwireMtu}
            fast-path = "{(fast ? "tc" : "off")}"

            [[binding]]
            address = "{Shared}"
            ports = "1024-65535"
            softwire = "{Softwire}"
            """, processor: 1));
        _smap = place.Hold(new Subject(place, smap, "smap", $"""
            softwire-address = "{Softwire}"
            prr-address = "{PrrEnd}"
            shared-address = "{Shared}"
            ports = "1024-65535"
            path-mtu = {softwireMtu}
            fast-path = "{(fast ? "tc" : "off")}"
            """, processor: 0));
        WaitUntilOpen();
    }

    public NetworkNamespace Client { get; }

    public NetworkNamespace Server { get; }

    static void Address(params (VethEnd End, string Address)[] addresses)
    {
        foreach ((VethEnd end, string address) in addresses) end.Address(address);
    }

    void WaitUntilOpen()
    {
        foreach (string server in (string[])[Ours, Routed])
            if (!Wait.Until(() => Client.Run("ping", "-c", "1", "-W", "1", server).Succeeded, TimeSpan.FromSeconds(10)))
                throw new InvalidOperationException($"The client does not reach {server}.");
    }

    /// <summary>What both daemons have forwarded so far.</summary>
    public Carried Forwarded() => new(_prr.Forwarded(), _smap.Forwarded());
}

/// <summary>What a PRR and a SMAP have forwarded, and which way.</summary>
readonly record struct Carried(Forwarded Prr, Forwarded Smap)
{
    public static Carried operator +(Carried a, Carried b) => new(a.Prr + b.Prr, a.Smap + b.Smap);

    public static Carried operator -(Carried a, Carried b) => new(a.Prr - b.Prr, a.Smap - b.Smap);

    public override string ToString() => $"PRR: {Prr}; SMAP: {Smap}";
}
