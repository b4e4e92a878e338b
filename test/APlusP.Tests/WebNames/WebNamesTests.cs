using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Node.Configuration;
using APlusP.Node.WebNames;

namespace APlusP.Tests.WebNames;

/// <summary><c>[web-names]</c>, and what HAProxy and nftables are told by it.</summary>
public class WebNamesTests
{
    static ConfigurationCheck<PrrConfiguration> Check(string sections) => ConfigurationFile.CheckPrr("/etc/aplusp/prr.toml", $"softwire-address = \"2001:db8::1\"\n{sections}");

    const string Registry = "[registry]\nurl = \"http://127.0.0.1:8646\"\n";

    [Fact]
    public void It_is_off_unless_it_is_asked_for()
    {
        Assert.Null(Check(Registry).Require("prr.toml").WebNames);
        Assert.Null(Check(Registry + "[web-names]\nenabled = false\n").Require("prr.toml").WebNames);
        Assert.Equal(new WebNamesPlan(8648, 8000), Check(Registry + "[web-names]\n").Require("prr.toml").WebNames);
        Assert.Equal(new WebNamesPlan(9000, 50), Check(Registry + "[web-names]\nlisten = 9000\nmost-connections = 50\n").Require("prr.toml").WebNames);
    }

    [Fact]
    public void Without_a_registry_there_are_no_names()
    {
        Diagnostic fault = Assert.Single(Check("[web-names]\n").Diagnostics);
        Assert.Equal(ErrorCodes.ConfigurationContradiction, fault.Code);
        Assert.Contains("the file has no [registry]", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_map_has_each_name_and_where_it_leads()
    {
        IPv4Address one = IPv4Address.Parse("192.0.2.1"), two = IPv4Address.Parse("192.0.2.2");
        (string http, string https) = HaproxyConfiguration.Maps([new WebSite("www.b.example", two, 2048, null, IsProxied: true), new WebSite("a.example", one, 1024, 1025, IsProxied: false)]);
        Assert.Equal("a.example 192.0.2.1:1024\nwww.b.example 192.0.2.2:2048:proxied\n", http);
        Assert.Equal("a.example 192.0.2.1:1025\n", https);
        Assert.Equal(("", ""), HaproxyConfiguration.Maps([]));
    }

    /// <summary>Nobody's visits are written down: it is told of no log.</summary>
    [Fact]
    public void HAProxy_is_told_where_to_listen_and_to_log_nothing()
    {
        string text = HaproxyConfiguration.Text(new WebNamesPlan(8648, 50), "/run/aplusp/prr.web-names");
        Assert.Contains("\n  bind 127.0.0.1:8648 transparent\n", text, StringComparison.Ordinal);
        Assert.Contains("\n  bind 127.0.0.1:8649 transparent\n", text, StringComparison.Ordinal);
        Assert.Contains("\n  maxconn 50\n", text, StringComparison.Ordinal);
        Assert.Contains("map_str(/run/aplusp/prr.web-names/http.map)\n  http-request set-dst var(txn.to),field(1,:) if { var(txn.to) -m found }\n  http-request set-dst-port", text, StringComparison.Ordinal);
        Assert.DoesNotContain(text.Split('\n'), l => l.Trim().StartsWith("log", StringComparison.Ordinal) || l.Trim().StartsWith("option httplog", StringComparison.Ordinal));
        Assert.EndsWith("reject\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void What_comes_out_of_the_device_and_would_go_in_again_is_a_visitor_s()
    {
        string chains = WebNamesService.Chains(new WebNamesPlan(8648, 50), "aplusp-prr");
        const string ours = "iifname \"aplusp-prr\" fib daddr oifname \"aplusp-prr\"";
        Assert.Contains($"{ours} tcp dport 80 tproxy to 127.0.0.1:8648", chains, StringComparison.Ordinal);
        Assert.Contains($"{ours} tcp dport 443 tproxy to 127.0.0.1:8649", chains, StringComparison.Ordinal);
        Assert.Equal($"{ours} drop", chains.Split('\n').Select(l => l.Trim()).Last(l => l.StartsWith("iifname", StringComparison.Ordinal)));
    }
}
