using APlusP.Core;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;

namespace APlusP.Survey.Models;

/// <summary>Reads a model, and tells everything that is wrong with it at once, with lines.</summary>
static class ModelFile
{
    /// <summary>More than these nobody has: they keep a performance within one host's own ports, and remote ends within the addresses that the lab has for them.</summary>
    public const int MostFlows = 20_000, MostRemotes = 1000;

    const int MostPorts = 256, MostSeconds = 86_400;

    static readonly string[] s_protocols = ["tcp", "udp"];

    static readonly Dictionary<string, string[]> s_schema = new()
    {
        [""] = ["name", "about", "seconds", "flows"],
        ["flows"] = ["application", "protocol", "port", "family", "count", "remotes", "first-remote", "from", "until", "lives", "stays"],
    };

    public static ConfigurationCheck<TrafficModel> Check(string path, string text)
    {
        var diagnostics = new DiagnosticList();
        var top = new SectionReader(TomlTree.Parse(new SourceText(path, text), diagnostics), s_schema, diagnostics);
        top.Require("name", "\"my-application\"");
        top.Require("seconds", "30");
        string name = top.Text("name", "");
        if (top.Has("name") && !ApplicationRules.IsName(name)) top.Refuse("name", ErrorCodes.ConfigurationBadValue, $"'name' is of {ApplicationRules.NameForm}.");
        double seconds = top.Decimal("seconds", 1, 1, MostSeconds);
        List<SectionReader> sections = [.. top.Sections("flows", s_schema)];
        if (sections.Count == 0) top.Require("flows", "[{ application = \"dns\", protocol = \"udp\", port = \"53\", count = 10, lives = 0 }]");
        List<FlowGroup> groups = [.. sections.Select(section => Read(section, seconds))];
        int flows = groups.Sum(group => group.Count);
        if (flows > MostFlows) top.Refuse("flows", ErrorCodes.ConfigurationOutOfRange, $"There are {flows:N0} flows, but a model has at most {MostFlows:N0}.");
        return ConfigurationCheck<TrafficModel>.Finish(new TrafficModel(name, top.Text("about", ""), TimeSpan.FromSeconds(seconds), groups), diagnostics);
    }

    static FlowGroup Read(SectionReader section, double seconds)
    {
        section.Require("application", "\"https\"");
        section.Require("protocol", "\"tcp\"");
        section.Require("port", "\"443\"");
        section.Require("count", "10");
        IpProtocol protocol = section.Word("protocol", 0, s_protocols) == 0 ? IpProtocol.Tcp : IpProtocol.Udp;
        int family = section.Number("family", 4, 4, 6);
        if (family == 5) section.Refuse("family", ErrorCodes.ConfigurationOutOfRange, "'family' is 4 or 6.");
        int count = section.Number("count", 1, 1, MostFlows);
        double from = section.Decimal("from", 0, 0, seconds), until = section.Decimal("until", from, 0, seconds);
        if (until < from) section.Refuse("until", ErrorCodes.ConfigurationContradiction, $"The last flow is opened at {until} s, before the first, which is opened at {from} s.");
        if (section.Has("stays") && section.Has("lives")) section.Refuse("stays", ErrorCodes.ConfigurationContradiction, "'lives' and 'stays' both say when flows end; keep one of them.");
        int remotes = section.Number("remotes", 1, 1, MostRemotes);
        return new FlowGroup(
            section.Text("application", ""), protocol, Ports(section, protocol), family == 6, count, remotes, section.Number("first-remote", 0, 0, MostRemotes - remotes),
            TimeSpan.FromSeconds(from), TimeSpan.FromSeconds(Math.Max(from, until)), section.Has("lives") ? TimeSpan.FromSeconds(section.Decimal("lives", 0, 0, MostSeconds)) : null,
            section.Flag("stays", false));
    }

    /// <summary>The ports, all of them of the application that the flows are said to be of: otherwise a survey would count them elsewhere.</summary>
    static ushort[] Ports(SectionReader section, IpProtocol protocol)
    {
        if (section.Text("port", "") is not { Length: > 0 } text) return [1];
        if (!PortSet.TryParse(text, out PortSet? set, out string fault) || set is null || set.Count > MostPorts || set.Contains(0))
        {
            section.Refuse("port", ErrorCodes.NotAPortSet, set is null ? $"'{text}' is no list of ports: {fault}." : $"'{text}' is not 1 to {MostPorts} ports from 1 to 65535.");
            return [1];
        }

        ushort[] ports = [.. set.Ranges.SelectMany(range => Enumerable.Range(range.First, range.Count)).Select(port => (ushort)port)];
        string application = section.Text("application", "");
        ApplicationRules rules = ApplicationRules.Standard;
        foreach (ushort port in ports)
        {
            string known = rules.Names[rules.Classify(new Flow { Protocol = protocol, ServicePort = port })];
            if (known == application || application.Length == 0) continue;
            bool exists = rules.Names.Contains(application);
            section.Refuse(exists ? "port" : "application", ErrorCodes.ConfigurationBadValue,
                exists ? $"Port {port} is of '{known}' by the survey's rules, not of '{application}': 'aplusp survey rules' prints them." : $"The survey's rules know no '{application}'; they name {string.Join(", ", rules.Names)}.");
            break;
        }

        return ports;
    }
}
