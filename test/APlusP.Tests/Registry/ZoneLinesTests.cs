using APlusP.Registry.Api;

namespace APlusP.Tests.Registry;

/// <summary>Names as lines of a zone.</summary>
public class ZoneLinesTests
{
    static readonly ServerNameDocument[] s_names =
    [
        new("example.org", "cpe-1", "192.0.2.1", 1024, null, Proxied: false, [], []),
        new("www.example.org", "cpe-1", "192.0.2.1", 1024, 1025, Proxied: false, ["_xmpp-client._tcp:1030", "_sip._udp:9000"], [9000]),
        new("gone.example.org", "cpe-2", null, 1024, 1025, Proxied: false, ["_sip._udp:1026"], [1024, 1025, 1026]),
        new("proxied.example.org", "cpe-3", "192.0.2.3", null, 1025, Proxied: true, [], []),
        new("www.notexample.org", "cpe-1", "192.0.2.1", 1024, null, Proxied: false, [], []),
    ];

    [Fact]
    public void Each_has_its_address_and_its_services_as_far_as_they_are_there() => Assert.Equal(
        [
            "example.org. 60 IN A 192.0.2.1",
            "www.example.org. 60 IN A 192.0.2.1",
            "_xmpp-client._tcp.www.example.org. 60 IN SRV 0 0 1030 www.example.org.",
            "proxied.example.org. 60 IN A 192.0.2.3",
        ],
        ZoneLines.Write(s_names, "Example.org.", 60, withHttps: false));

    /// <summary>A server behind the PROXY protocol understands no browser that comes by itself.</summary>
    [Fact]
    public void HTTPS_records_lead_to_the_port_of_TLS_where_a_browser_can_come_by_itself() => Assert.Equal(
        ["www.example.org. 300 IN HTTPS 1 . port=1025"], ZoneLines.Write(s_names, null, 300, withHttps: true).Where(l => l.Contains("HTTPS", StringComparison.Ordinal)));
}
