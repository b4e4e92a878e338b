using APlusP.Core;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.Wire;
using APlusP.Node.Control;
using APlusP.Node.Home;

namespace APlusP.Node.Doctor;

/// <summary>Says what is wrong with a home, from what is known of it. Asks nobody. The checks stand in the order in which what they look at depends on what is before.</summary>
static class Diagnosis
{
    /// <summary>A clock may differ by so much: certificates and leases do not care for less.</summary>
    static readonly TimeSpan s_clockTolerance = TimeSpan.FromMinutes(1);

    public static DoctorDocument Of(DoctorFacts facts)
    {
        SmapStatus? smap = facts.Daemon?.Smap;
        var findings = new List<Finding> { Daemon(facts), Ipv6(facts), Nat(facts) };
        if (smap?.Lease is { } lease)
        {
            if (!IsByPcp(lease)) findings.AddRange([Registry(facts.Registry), Clock(facts.Registry)]);
            findings.Add(Lease(lease));
        }
        else if (smap is { IsSuspended: true })
        {
            findings.Add(Softwireless(smap));
        }

        findings.Add(Prr(facts));
        findings.Add(Mtu(facts.Path));
        findings.Add(ProtocolFour(facts));
        if (smap is { IsSuspended: false }) findings.Add(Ports(smap));
        if (facts.Daemon?.FastPath is { } fast) findings.Add(FastPath(fast));
        return new DoctorDocument(findings.TrueForAll(f => f.State != "fault"), findings);
    }

    /// <summary>Whether a PCP server gives the lease: it speaks no HTTP, tells no time, and what it says is in the lease's sentence.</summary>
    public static bool IsByPcp(LeaseStatus lease) => lease.Registry.StartsWith("pcp:", StringComparison.Ordinal);

    static Finding Ok(string check, string sentence) => new(check, "ok", sentence);

    static Finding Unknown(string check, string sentence) => new(check, "unknown", sentence);

    static Finding Wrong(string check, string fault, string sentence, string remedy) => new(check, "fault", sentence) { Fault = fault, Remedy = remedy };

    static Finding Daemon(DoctorFacts facts) => facts.Daemon is { } daemon
        ? Ok("daemon", $"aplusp smap {daemon.Program} runs, by {daemon.Configuration}")
        : Wrong("daemon", Faults.NoDaemon, facts.DaemonFault ?? "no SMAP answers",
            "Start it (`systemctl start aplusp-smap`, or `aplusp smap --config FILE`); where it does not stay, its log says why. Run the doctor on the machine of the SMAP, and name its socket by --socket where it is not the usual one.");

    // ---- The access network

    static Finding Ipv6(DoctorFacts facts)
    {
        if (Reaches(facts)) return Ok("ipv6", facts.Routers.Count > 0 ? $"an IPv6 default route leads through {facts.Routers[0].Device}" : "a route leads to the PRR, which answers");
        if (facts.Routers.Count == 0)
            return Wrong("ipv6", Faults.NoRouterAdvertisement, "there is no IPv6 default route: no router has advertised itself (RA) to this machine",
                "See that the cable is in and the modem is on, that the access network's router sends advertisements, and that the kernel takes them: net.ipv6.conf.DEVICE.accept_ra is 2 where this machine forwards, and no firewall drops ICMPv6 type 134.");
        return facts.Addresses.Count > 0 ? Ok("ipv6", $"an IPv6 default route leads through {facts.Routers[0].Device}, and this machine has the address {facts.Addresses[0].Address}")
            : Wrong("ipv6", Faults.NoIpv6Address, $"a router has advertised itself on {facts.Routers[0].Device}, but this machine has no IPv6 address beyond its link",
                "Have the router advertise a prefix with the flag for autonomous addresses (SLAAC), or get an address or a prefix by DHCPv6 (`[dhcpv6]` in smap.toml). An address that another machine has too stays tentative: `ip -6 address` shows that.");
    }

    /// <summary>Nothing on the way may give our packets another address: the registry and the PRR know this home by it.</summary>
    static Finding Nat(DoctorFacts facts)
    {
        if (facts.Addresses.FirstOrDefault(a => !SoftwireEndChoice.IsLocal(a.Address)) is { Device: not null } own) return Ok("nat", $"the address {own.Address} of {own.Device} is global, so no NAT needs to be on the way");
        if (facts.Addresses.Count > 0 && !Carries(facts))
            return Wrong("nat", Faults.OnlyLocalIpv6, $"the only IPv6 address, {facts.Addresses[0].Address}, is a local one (fc00::/7): another router stands before this one, and translates or has no prefix of the provider",
                "Have the router before this one pass on the provider's prefix (DHCPv6 prefix delegation), or set it to be a bridge. A softwire has to begin at an address that the PRR can answer.");
        return facts.PlainIpv4 is { } device && !Reaches(facts)
            ? Wrong("nat", Faults.OnlyIpv4, $"the line gives IPv4 alone, through {device}, so that a router with NAT or the provider's own is in the way",
                "A softwire is IPv4 in IPv6: ask the provider for IPv6 on this line, or switch it on in the modem or router before this machine.")
            : Unknown("nat", "there is no IPv6 address of a device to look at");
    }

    // ---- The registry

    static Finding Registry(RegistrySight? sight) => sight switch
    {
        null => Unknown("registry", "it was not looked for"),
        { IsFound: false } => Wrong("registry", Faults.RegistryNotFound, $"the registry's name does not lead to an address: {sight.Fault}",
            "See that `url` in [registry] (or --registry) is spelt right, and that the name servers of /etc/resolv.conf answer over IPv6: `getent ahosts NAME`."),
        { Fault: { } fault } => Wrong("registry", Faults.RegistryUnreachable, $"the registry at {sight.Url} does not answer: {fault}",
            "See that it runs, that `url` has its port, and that no firewall is between; a lease that is held goes on until it runs out."),
        _ => Ok("registry", $"the registry at {sight.Url} answers"),
    };

    static Finding Clock(RegistrySight? sight)
    {
        if (sight?.TheirClock is not { } theirs) return Unknown("clock", "there is no clock of a registry to compare this machine's with");
        TimeSpan ahead = sight.OurClock - theirs;
        return ahead.Duration() <= s_clockTolerance ? Ok("clock", "this machine's clock agrees with the registry's")
            : Wrong("clock", Faults.ClockWrong, $"this machine's clock says {sight.OurClock.UtcDateTime:yyyy-MM-dd HH:mm:ss} UTC, the registry's {theirs.UtcDateTime:yyyy-MM-dd HH:mm:ss}: it is {Words(ahead.Duration())} {(ahead > TimeSpan.Zero ? "ahead" : "behind")}",
                "Set it, and have it kept by a time server over IPv6 (`timedatectl`, chrony); a certificate is refused by a clock outside its days. Where this one is right, tell the registry's operator.");
    }

    static string Words(TimeSpan time) => time.TotalDays >= 2 ? $"{time.TotalDays:N0} days" : time.TotalHours >= 2 ? $"{time.TotalHours:N0} hours" : $"{time.TotalMinutes:N0} min";

    static Finding Lease(LeaseStatus lease) => lease switch
    {
        { State: "online" } => Ok("lease", lease.Sentence),
        { State: "revoked" } => Wrong("lease", Faults.TokenRevoked, lease.Sentence, "Ask the registry's operator for a new enrolment token, and put it into the token file: the SMAP sees that it is another one, and enrols anew."),
        { Code: ErrorCodes.PoolExhausted } => Wrong("lease", Faults.PoolFull, lease.Sentence, "The registry's pool has no ports left: its operator gives it more addresses or smaller blocks. The SMAP asks again by itself."),
        { State: "online-alone" } => Wrong("lease", Faults.LeaseNotRenewed, lease.Sentence, $"Nothing is lost until {(lease.Until is { } until ? $"{until.UtcDateTime:yyyy-MM-dd HH:mm} UTC" : "the lease runs out")}: mend what the sentence names, and the SMAP renews by itself."),
        { State: "refused" or "ended" or "expired" or "duplicate" or "released" } or { Code: not null } =>
            Wrong("lease", Faults.LeaseRefused, lease.Sentence, $"Do as the registry says{(lease.Code is { } code ? $"; docs/errors.md explains {code}" : "")}. The SMAP asks again by itself, or after a restart where the lease was given back."),
        _ => Unknown("lease", lease.Sentence),
    };

    static Finding Softwireless(SmapStatus smap) => Wrong("lease", Faults.NoSoftwire, $"nobody has said what the softwire is{(smap.Dhcpv6 is { } dhcp ? $": DHCPv6 on {dhcp.Interface} is {dhcp.State}{(dhcp.Why is { } why ? $", {why}" : "")}" : "")}",
        "See that a DHCPv6 server answers on that link with softwire options (RFC 7598), as `tcpdump -ni DEVICE udp port 546` shows, or configure the softwire in smap.toml.");

    // ---- The softwire

    static bool Carries(DoctorFacts facts) => facts.Softwire is { Answer.IsOwn: false };

    static bool Reaches(DoctorFacts facts) => facts.Path is { Carried: > 0 } || Carries(facts);

    static Finding Prr(DoctorFacts facts) => facts switch
    {
        { Path: null } => Unknown("prr", "it is not known yet where the PRR is"),
        { Path.NotTried: { } why } => Unknown("prr", why),
        { Path.Carried: > 0 } => Ok("prr", $"the PRR {facts.Daemon!.Smap!.PrrAddress} answers"),
        _ when Carries(facts) => Ok("prr", $"the PRR {facts.Daemon!.Smap!.PrrAddress} carries packets, but does not answer a ping"),
        _ => Wrong("prr", Faults.PrrUnreachable, $"the PRR {facts.Daemon!.Smap!.PrrAddress} does not answer a ping{(facts.Path.Told is { } told ? $"; the network says: {told}" : "")}",
            "`traceroute -6` to it shows how far packets come. See that its address is right (`prr-address`, or `prr` of the registry's pool), that the PRR runs, and that the network between has a route to it and passes ICMPv6."),
    };

    static Finding Mtu(PathSight? path)
    {
        if (path is null or { Carried: 0 }) return Unknown("mtu", "there is no PRR that answers, to measure the path to");
        int inside = path.Needed - IPv6Header.Size;
        if (path.Carried >= path.Needed) return Ok("mtu", $"the path to the PRR carries {path.Needed} octets, which {inside} inside the softwire need");
        string small = $"packets of {inside} octets inside the softwire need {path.Needed} outside, and the path to the PRR carries";
        return path.Carried < PathMtuTable.Least
            ? Wrong("mtu", Faults.MtuTooSmall, $"{small} less than {PathMtuTable.Least}, which IPv6 itself needs", $"A link on the way is no link for IPv6, or drops fragments of the answer: have its MTU set to {path.Needed}.")
            : Wrong("mtu", Faults.MtuTooSmall, $"{small} {path.Carried}",
                $"Have the MTU of the narrow link raised to {path.Needed}; or set `path-mtu = {path.Carried}` in smap.toml and at the PRR or its registry's pool, and packets inside have {path.Carried - IPv6Header.Size} octets at most.");
    }

    static Finding ProtocolFour(DoctorFacts facts)
    {
        const string check = "protocol-4";
        if (facts.Softwire is not { } sight) return Unknown(check, "there is no softwire to send a packet into");
        if (sight.NotTried is { } why) return Unknown(check, why);
        if (Carries(facts)) return Ok(check, $"IPv4 in IPv6 goes to the PRR and comes back: {sight.Answer!.Value.From} answered");
        if (sight.Refusals > 0)
            return Wrong(check, Faults.SoftwireNotBound, $"the PRR refuses our packets: {facts.Daemon!.Smap!.SharedAddress} and our ports are not bound to the softwire {string.Join(", ", facts.Daemon.SoftwireAddresses)} there",
                "Compare `aplusp status` here with `aplusp binding list` at the PRR: softwire address, shared address and ports have to be alike. A PRR that follows a registry has a new lease within seconds, unless the registry is away from it.");
        if (facts.Path is not { Carried: > 0 }) return Unknown(check, "nothing came back through the softwire, but the PRR does not answer at all");
        return Wrong(check, Faults.ProtocolFourFiltered, $"the PRR answers a ping, but nothing comes back through the softwire{(sight.Answer is { } told ? $" (ICMP {(byte)told.Type}/{told.Code})" : "")}: IPv4 in IPv6 (protocol 4) is filtered on the way, or the PRR drops it",
            "Have firewalls and modems on the way pass IPv6 packets with next header 4 both ways, as `ip6tables -A FORWARD -p 4 -j ACCEPT` does. `aplusp counters` at the PRR shows whether they arrive (from-smap-received), and why they are dropped there.");
    }

    static Finding Ports(SmapStatus smap)
    {
        PortUse? most = smap.PortsInUse.MaxBy(p => p.Ports);
        string refused = smap.Exhausted > 0 ? $"; {smap.Exhausted:N0} flow(s) have been refused for want of a port since the start" : "";
        return most is { } full && smap.PortCount > 0 && full.Ports >= smap.PortCount
            ? Wrong("ports", Faults.PortsUsedUp, $"all {smap.PortCount:N0} ports are in use by {full.Protocol}{refused}",
                "`aplusp status` shows which host holds them. Have the registry's class or the binding give this home more ports; limit a host by `ports-per-host`; or set `mode = \"five-tuple\"` in [napt], by which a port serves several destinations.")
            : Ok("ports", $"{most?.Ports ?? 0:N0} of {smap.PortCount:N0} ports are in use{refused}");
    }

    static Finding FastPath(FastPathStatus fast) => fast.Fault is { } fault
        ? Wrong("fast-path", Faults.FastPathFault, $"the kernel's fast path {(fast.Hook == "off" ? "is off" : "is not whole")}: {fault}", "The daemon forwards meanwhile, slower. docs/fast-path.md says what the kernel has to have; `fast-path = \"off\"` does without.")
        : Ok("fast-path", $"the kernel forwards by {fast.Hook} on {string.Join(", ", fast.Devices)}");
}
