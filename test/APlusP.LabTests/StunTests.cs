using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using APlusP.Core.PortSets;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>A room for each way in which a NAPT may map and filter, and a STUN server with two addresses.</summary>
public sealed class StunLab : LabFixture
{
    const string SecondAddress = "203.0.113.5";

    public StunLab()
        : base(LabPlan.Smaps("tstun", 4)
            .With(1, room => room with { Napt = ["filtering = \"endpoint-independent\""] })
            .With(2, room => room with { Napt = ["filtering = \"address-dependent\""] })
            .With(3, room => room with { Napt = ["filtering = \"address-and-port-dependent\""] })
            .With(4, room => room with { Napt = ["mode = \"five-tuple\""] }))
    {
        try
        {
            Programs.Require("turnserver", "turnutils_natdiscovery", "stun");

            // RFC 5780 tells a NAT's behaviour by answers from the other address and the other port.
            this["www4"].Ip($"addr add {SecondAddress}/24 dev eth0");
            string files = Path.Combine(Lab.Directory, "turnserver");
            LabProcess server = Lab.Start("www4", "turnserver", "turnserver", "-n", "--no-auth", "--stun-only", "--no-cli", "--no-tls", "--no-dtls",
                "-L", LabTopology.Www4Address, "-L", SecondAddress, "-p", "3478", "--alt-listening-port", "3479",
                "--userdb", $"{files}.db", "--pidfile", $"{files}.pid", "--log-file", "stdout");
            server.WaitUntil(() => this["www4"].Run("ss", "-Hlnu", "sport = :3479").Output.Contains(SecondAddress, StringComparison.Ordinal),
                TimeSpan.FromSeconds(15), "listen on its second address and port");
        }
        catch
        {
            Dispose();
            throw;
        }
    }
}

/// <summary>What the outside sees of a SMAP's NAPT, found out by the STUN clients that others wrote.</summary>
public sealed partial class StunTests(StunLab lab) : IClassFixture<StunLab>
{
    [Theory]
    [InlineData("h1", "Endpoint Independent Mapping", "Endpoint Independent Filtering")]
    [InlineData("h2", "Endpoint Independent Mapping", "Address Dependent Filtering")]
    [InlineData("h3", "Endpoint Independent Mapping", "Address and Port Dependent Filtering")]
    [InlineData("h4", "Address and Port Dependent Mapping", "Address and Port Dependent Filtering")]
    public void The_nat_is_what_its_configuration_says_by_rfc_5780(string host, string mapping, string filtering) => lab.Test(() =>
    {
        string found = Probe(() => lab[host].Do("turnutils_natdiscovery", "-m", "-f", LabTopology.Www4Address),
            text => Verdicts(text).SequenceEqual([mapping, filtering]));
        Assert.Equal([mapping, filtering], Verdicts(found));

        // No address in a packet was touched by anything on the way, and the outside sees the room's ports alone.
        Assert.Contains("No ALG", found);
        PortSet ports = PortSet.Parse(lab.Lab.Plan.Room(int.Parse(host[1..], CultureInfo.InvariantCulture)).Ports);
        IPEndPoint[] seen = [.. ReflexiveForm.Matches(found).Select(match => IPEndPoint.Parse(match.Groups["endpoint"].Value))];
        Assert.NotEmpty(seen);
        Assert.All(seen, endpoint =>
        {
            Assert.Equal(LabPlan.SharedAddress, endpoint.Address.ToString());
            Assert.True(ports.Contains((ushort)endpoint.Port), $"{endpoint} is outside the room's set {ports}");
        });
    });

    [Theory]
    [InlineData("h1", "Independent Mapping, Independent Filter,")]
    [InlineData("h2", "Independent Mapping, Address Dependent Filter,")]
    [InlineData("h3", "Independent Mapping, Port Dependent Filter,")]
    [InlineData("h4", "Dependent Mapping,")]
    public void The_nat_is_what_its_configuration_says_by_the_older_rfc_3489(string host, string expected) => lab.Test(() =>
    {
        // The client asks its own mapping from a second socket; with one port a flow there is none to ask.
        string hairpin = host == "h4" ? "" : "will hairpin";
        string found = Probe(() => lab[host].Run("stun", LabTopology.Www4Address).Text, text => text.Contains($"Primary: {expected}", StringComparison.Ordinal) && text.Contains(hairpin, StringComparison.Ordinal));
        Assert.Contains($"Primary: {expected}", found);
        Assert.Contains(hairpin, found);
    });

    // A NAPT that draws a port for each flow may draw the same twice, one time in 252, or be asked from a port of its set, which it keeps: then a probe sees
    // another NAT. Three times in a row is no luck.
    static string Probe(Func<string> probe, Func<string, bool> expected)
    {
        string found = "";
        for (int i = 0; i < 3 && !expected(found); i++) found = probe();
        return found;
    }

    static IEnumerable<string> Verdicts(string found) => VerdictForm.Matches(found).Select(match => match.Groups["what"].Value);

    [GeneratedRegex("^NAT with (?<what>.*)!$", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex VerdictForm { get; }

    [GeneratedRegex("UDP reflexive addr: (?<endpoint>[0-9.:]+)", RegexOptions.ExplicitCapture)]
    private static partial Regex ReflexiveForm { get; }
}
