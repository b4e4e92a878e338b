using System.Reflection;
using System.Text.Json;
using System.Text.RegularExpressions;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Wire;
using APlusP.Linux;
using APlusP.Node.Control;
using APlusP.Node.Doctor;
using APlusP.Tests.Configuration;

namespace APlusP.Tests.Doctor;

/// <summary>What is known of a home, and what is wrong with it.</summary>
public class DiagnosisTests
{
    static readonly DateTimeOffset s_now = new(2026, 11, 24, 14, 3, 0, TimeSpan.Zero);

    static readonly SmapStatus s_smap = new()
    {
        SharedAddress = "192.0.2.1",
        PrrAddress = "2001:db8:9::1",
        Ports = "10000-10127",
        PortCount = 128,
        PayloadMtu = 1400,
        PortsInUse = [new PortUse("tcp", 3, 5), new PortUse("udp", 20, 30)],
        Flows = 23,
        MaxFlows = 1000,
        Exhausted = 0,
        Hosts = [],
        Lease = new LeaseStatus("online", "has 128 port(s) of 192.0.2.1 through 2001:db8:9::1", "smap-1", "https://registry.example:8646/"),
    };

    static readonly DoctorFacts s_well = new()
    {
        Daemon = Status(s_smap),
        Addresses = [new OwnAddress("wan", IPv6Address.Parse("2001:db8:1::2"), 64)],
        Routers = [new DefaultRouter("wan", 1024)],
        Registry = new RegistrySight(new Uri("https://registry.example:8646/"), s_now) { TheirClock = s_now },
        Path = new PathSight(1440, 1440),
        Softwire = new SoftwireSight(Answer(isOwn: false), 0),
    };

    static StatusDocument Status(SmapStatus smap) => new()
    {
        Role = "smap",
        Program = "1",
        Configuration = "smap.toml",
        Device = "aplusp0",
        Started = s_now,
        UptimeSeconds = 1,
        SoftwireAddresses = ["2001:db8:1::5"],
        Traffic = [],
        Drops = [],
        SendFailures = 0,
        Smap = smap,
    };

    static IcmpAnswer Answer(bool isOwn) => new(IPv4Address.Parse("198.51.100.1"), isOwn, IcmpV4Type.TimeExceeded, 0);

    static DoctorFacts With(Func<SmapStatus, SmapStatus> change) => s_well with { Daemon = Status(change(s_smap)) };

    static DoctorFacts WithLease(string state, string? code = null, string sentence = "the registry's own words") =>
        With(s => s with { Lease = s.Lease! with { State = state, Sentence = sentence, Code = code } });

    /// <summary>The one fault of these facts.</summary>
    static Finding Only(DoctorFacts facts, string fault)
    {
        DoctorDocument diagnosis = Diagnosis.Of(facts);
        Assert.False(diagnosis.IsWell);
        Finding finding = Assert.Single(diagnosis.Findings, f => f.State == "fault");
        Assert.Equal(fault, finding.Fault);
        Assert.NotEmpty(finding.Remedy!);
        return finding;
    }

    static Finding Of(string check, DoctorFacts facts) => Assert.Single(Diagnosis.Of(facts).Findings, f => f.Check == check);

    [Fact]
    public void A_home_that_is_well_has_nothing_but_ok()
    {
        DoctorDocument diagnosis = Diagnosis.Of(s_well);
        Assert.True(diagnosis.IsWell);
        Assert.All(diagnosis.Findings, f => Assert.Equal(("ok", null, null), (f.State, f.Fault, f.Remedy)));
        Assert.Equal(diagnosis.Findings.Count, diagnosis.Findings.Select(f => f.Check).Distinct().Count());
    }

    [Fact]
    public void Without_a_daemon_the_line_alone_is_looked_at()
    {
        var facts = new DoctorFacts { DaemonFault = "no daemon answers at X", Addresses = s_well.Addresses, Routers = s_well.Routers };
        Assert.Equal("no daemon answers at X", Only(facts, Faults.NoDaemon).Sentence);
        Assert.All((string[])["prr", "mtu", "protocol-4"], check => Assert.Equal("unknown", Of(check, facts).State));
    }

    [Fact]
    public void Without_a_default_route_no_router_has_advertised_itself()
    {
        DoctorFacts facts = s_well with { Routers = [], Path = new PathSight(1440, 0), Softwire = new SoftwireSight(null, 0) };
        Assert.Equal(Faults.NoRouterAdvertisement, Of("ipv6", facts).Fault);
        Assert.Equal("ok", Of("ipv6", s_well with { Routers = [] }).State);
    }

    [Fact]
    public void A_router_without_a_prefix_gives_no_address() =>
        Assert.Equal(Faults.NoIpv6Address, Of("ipv6", s_well with { Addresses = [], Path = null, Softwire = null }).Fault);

    [Fact]
    public void A_line_of_ipv4_alone_is_named()
    {
        DoctorFacts facts = s_well with { Addresses = [], Routers = [], PlainIpv4 = "eth1", Path = new PathSight(1440, 0), Softwire = null };
        Assert.Equal(Faults.OnlyIpv4, Of("nat", facts).Fault);
        Assert.Contains("eth1", Of("nat", facts).Sentence, StringComparison.Ordinal);
        Assert.Equal("unknown", Of("nat", facts with { PlainIpv4 = null }).State);
    }

    [Fact]
    public void An_address_that_is_local_means_a_router_before_this_one_unless_the_softwire_carries()
    {
        DoctorFacts facts = s_well with { Addresses = [new OwnAddress("wan", IPv6Address.Parse("fd00::2"), 64)], Softwire = new SoftwireSight(null, 0) };
        Assert.Equal(Faults.OnlyLocalIpv6, Of("nat", facts).Fault);
        Assert.NotEqual("fault", Of("nat", facts with { Softwire = s_well.Softwire }).State);
    }

    [Fact]
    public void A_registry_without_a_name_and_one_that_does_not_answer_are_two_things()
    {
        RegistrySight away = s_well.Registry! with { TheirClock = null, Fault = "Connection refused" };
        Assert.Contains("Connection refused", Only(s_well with { Registry = away }, Faults.RegistryUnreachable).Sentence, StringComparison.Ordinal);
        Assert.Contains("Name or service not known", Only(s_well with { Registry = away with { IsFound = false, Fault = "Name or service not known" } }, Faults.RegistryNotFound).Sentence, StringComparison.Ordinal);
        Assert.Equal("unknown", Of("clock", s_well with { Registry = away }).State);
    }

    [Theory]
    [InlineData(-30, null, "")]
    [InlineData(60, null, "")]
    [InlineData(61, Faults.ClockWrong, "1 min ahead")]
    [InlineData(-7200, Faults.ClockWrong, "2 hours behind")]
    [InlineData(-864000, Faults.ClockWrong, "10 days behind")]
    public void A_clock_is_wrong_by_the_registrys(int seconds, string? fault, string words)
    {
        Finding clock = Of("clock", s_well with { Registry = s_well.Registry! with { OurClock = s_now.AddSeconds(seconds) } });
        Assert.Equal(fault, clock.Fault);
        Assert.Contains(words, clock.Sentence, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("revoked", ErrorCodes.NotAuthenticated, Faults.TokenRevoked)]
    [InlineData("refused", ErrorCodes.NotAllowed, Faults.LeaseRefused)]
    [InlineData("waiting", ErrorCodes.LeaseLimit, Faults.LeaseRefused)]
    [InlineData("waiting", ErrorCodes.PoolExhausted, Faults.PoolFull)]
    [InlineData("ended", ErrorCodes.NotThere, Faults.LeaseRefused)]
    [InlineData("released", null, Faults.LeaseRefused)]
    [InlineData("online-alone", ErrorCodes.NoRegistry, Faults.LeaseNotRenewed)]
    public void A_lease_is_refused_in_the_registrys_own_words(string state, string? code, string fault) =>
        Assert.Equal("the registry's own words", Only(WithLease(state, code), fault).Sentence);

    [Theory]
    [InlineData("leasing")]
    [InlineData("enrolling")]
    [InlineData("no-address")]
    public void A_lease_that_is_on_its_way_is_no_fault(string state) => Assert.Equal("unknown", Of("lease", WithLease(state)).State);

    [Fact]
    public void Where_nobody_says_what_the_softwire_is_the_dhcpv6_client_tells_why()
    {
        DoctorFacts facts = With(s => s with { Lease = null, IsSuspended = true, Dhcpv6 = new DhcpStatusDocument("wan", "searching", null, null, [], "no server answers") }) with { Path = null, Softwire = null };
        Assert.Contains("no server answers", Only(facts, Faults.NoSoftwire).Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_prr_that_does_not_answer_at_all_is_unreachable()
    {
        DoctorFacts facts = s_well with { Path = new PathSight(1440, 0) { Told = "DestinationUnreachable" }, Softwire = new SoftwireSight(null, 0) };
        Assert.Contains("the network says: DestinationUnreachable", Only(facts, Faults.PrrUnreachable).Sentence, StringComparison.Ordinal);
        Assert.Equal("unknown", Of("protocol-4", facts).State);
        Assert.Equal("unknown", Of("mtu", facts).State);
    }

    [Fact]
    public void A_prr_that_carries_packets_needs_no_ping() =>
        Assert.True(Diagnosis.Of(s_well with { Path = new PathSight(1440, 0) }).IsWell);

    [Fact]
    public void A_path_that_is_too_small_is_told_with_numbers()
    {
        Finding mtu = Only(s_well with { Path = new PathSight(1440, 1420) }, Faults.MtuTooSmall);
        Assert.Contains("packets of 1400 octets inside the softwire need 1440 outside, and the path to the PRR carries 1420", mtu.Sentence, StringComparison.Ordinal);
        Assert.Contains("`path-mtu = 1420`", mtu.Remedy, StringComparison.Ordinal);
        Assert.Contains("1380 octets at most", mtu.Remedy, StringComparison.Ordinal);
        Assert.Contains("less than 1280", Only(s_well with { Path = new PathSight(1440, 100) }, Faults.MtuTooSmall).Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_ping_that_comes_back_where_the_softwire_does_not_means_that_protocol_4_is_filtered()
    {
        Only(s_well with { Softwire = new SoftwireSight(null, 0) }, Faults.ProtocolFourFiltered);
        Assert.Contains("ICMP 11/0", Only(s_well with { Softwire = new SoftwireSight(Answer(isOwn: true), 0) }, Faults.ProtocolFourFiltered).Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void A_prr_that_says_so_does_not_know_this_softwire() =>
        Assert.Contains("2001:db8:1::5", Only(s_well with { Softwire = new SoftwireSight(Answer(isOwn: true), 1) }, Faults.SoftwireNotBound).Sentence, StringComparison.Ordinal);

    [Fact]
    public void What_could_not_be_tried_is_unknown()
    {
        DoctorFacts facts = s_well with { Path = new PathSight(1440, 0) { NotTried = "not root" }, Softwire = new SoftwireSight(null, 0) { NotTried = "not root" } };
        Assert.All((string[])["prr", "mtu", "protocol-4"], check => Assert.Equal("unknown", Of(check, facts).State));
        Assert.True(Diagnosis.Of(facts).IsWell);
    }

    [Fact]
    public void A_port_set_is_full_when_one_protocol_has_it_all()
    {
        Finding ports = Only(With(s => s with { PortsInUse = [new PortUse("tcp", 3, 5), new PortUse("udp", 128, 128)], Exhausted = 7 }), Faults.PortsUsedUp);
        Assert.Contains("all 128 ports are in use by udp; 7 flow(s) have been refused", ports.Sentence, StringComparison.Ordinal);
        Assert.Equal("ok", Of("ports", With(s => s with { PortsInUse = [new PortUse("udp", 127, 128)] })).State);
    }

    [Fact]
    public void A_fast_path_that_the_kernel_refuses_is_a_fault()
    {
        DoctorFacts facts = s_well with { Daemon = Status(s_smap) with { FastPath = new FastPathStatus("off", [], 0, 0, "no BPF") } };
        Assert.Contains("no BPF", Only(facts, Faults.FastPathFault).Sentence, StringComparison.Ordinal);
        Assert.True(Diagnosis.Of(s_well with { Daemon = Status(s_smap) with { FastPath = new FastPathStatus("tc", ["lan", "wan"], 0, 0, null) } }).IsWell);
    }

    [Fact]
    public void Its_document_has_stable_names()
    {
        string json = JsonSerializer.Serialize(new DoctorDocument(false, [new Finding("mtu", "fault", "s") { Fault = "f", Remedy = "r" }]), ControlJson.Default.DoctorDocument);
        Assert.Equal("""{"isWell":false,"findings":[{"check":"mtu","state":"fault","sentence":"s","fault":"f","remedy":"r"}],"version":1}""", json);
    }

    [Fact]
    public void Every_fault_is_a_heading_of_the_troubleshooting_page()
    {
        string[] faults = [.. typeof(Faults).GetFields(BindingFlags.Public | BindingFlags.Static).Select(f => (string)f.GetRawConstantValue()!)];
        string text = DocumentationTests.Read("docs/troubleshooting.md");
        string[] headings = [.. Regex.Matches(text, "^## (?<name>[a-z0-9-]+)$", RegexOptions.Multiline | RegexOptions.ExplicitCapture).Select(m => m.Groups["name"].Value)];
        Assert.Equal(faults.Order(StringComparer.Ordinal), headings.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Default_routes_of_ipv4_are_read_from_the_kernels_table()
    {
        string[] lines =
        [
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
            "aplusp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0",
            "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0",
            "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
        ];
        Assert.Equal(["aplusp0", "eth0"], AddressWatch.ReadDefaultDevicesV4(lines));
    }
}
