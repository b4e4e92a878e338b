using System.IO.Enumeration;
using APlusP.Core;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;
using APlusP.Survey.Flows;

namespace APlusP.Survey.Counting;

/// <summary>Which application a flow belongs to, by its port, or by the names that a capture shows. The rules are a file; those that come along are in applications.toml.</summary>
public sealed class ApplicationRules
{
    /// <summary>What no rule names; always the last one.</summary>
    public const string Other = "other";

    /// <summary>As many as a row of the store tells apart.</summary>
    const int Most = 63;

    static readonly Dictionary<string, string[]> s_schema = new()
    {
        [""] = ["application"],
        ["application"] = ["name", "tcp", "udp", "local", "server-names", "alpn"],
    };

    readonly byte[] _tcp = new byte[65536], _udp = new byte[65536], _local = new byte[65536];
    readonly List<(string Pattern, byte Application)> _serverNames = [], _alpn = [];

    ApplicationRules(IReadOnlyList<string> names)
    {
        Names = names;
        byte other = (byte)(names.Count - 1);
        Array.Fill(_tcp, other);
        Array.Fill(_udp, other);
        Array.Fill(_local, other);
    }

    /// <summary>The applications in the order of the file, and <see cref="Other"/>.</summary>
    public IReadOnlyList<string> Names { get; }

    public static ApplicationRules Standard { get; } = Check("applications.toml", StandardText).Require("applications.toml");

    /// <summary>The file that comes along, to begin one's own with.</summary>
    public static string StandardText
    {
        get
        {
            using var reader = new StreamReader(typeof(ApplicationRules).Assembly.GetManifestResourceStream("applications.toml")!);
            return reader.ReadToEnd();
        }
    }

    /// <exception cref="APlusPException">The file cannot be read, or has faults; the message holds all of them.</exception>
    public static ApplicationRules Load(string path) => Check(path, ConfigurationText.Read(path)).Require(path);

    public static ConfigurationCheck<ApplicationRules> Check(string path, string text)
    {
        var diagnostics = new DiagnosticList();
        var top = new SectionReader(TomlTree.Parse(new SourceText(path, text), diagnostics), s_schema, diagnostics);
        var sections = top.Sections("application", s_schema).ToList();
        if (sections.Count == 0) top.Require("application", "[{ name = \"dns\", udp = \"53\" }]");
        if (sections.Count > Most) top.Refuse("application", ErrorCodes.ConfigurationOutOfRange, $"There are {sections.Count} applications, but at most {Most} are told apart.");
        var names = new List<string>();
        foreach (SectionReader section in sections)
        {
            section.Require("name", "\"dns\"");
            string name = section.Text("name", "");
            if (section.Has("name") && !IsName(name)) section.Refuse("name", ErrorCodes.ConfigurationBadValue, $"'name' is of {NameForm}.");
            if (name == Other || names.Contains(name)) section.Refuse("name", ErrorCodes.ConfigurationTwice, name == Other ? "'other' is what no rule names; leave it out." : $"There are two applications '{name}'.");
            names.Add(name);
        }

        var rules = new ApplicationRules([.. names.Take(Most), Other]);
        for (int i = 0; i < Math.Min(sections.Count, Most); i++) rules.Read(sections[i], (byte)i);
        return ConfigurationCheck<ApplicationRules>.Finish(rules, diagnostics);
    }

    internal const string NameForm = "1 to 40 lower-case letters, digits and hyphens";

    internal static bool IsName(string? name) => name is { Length: > 0 and <= 40 } && name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-');

    void Read(SectionReader section, byte application)
    {
        foreach ((string key, byte[] ports) in ((string, byte[])[])[("tcp", _tcp), ("udp", _udp), ("local", _local)])
        {
            if (section.Text(key, "") is not { Length: > 0 } text) continue;
            if (!PortSet.TryParse(text, out PortSet? set, out string error))
            {
                section.Refuse(key, ErrorCodes.NotAPortSet, $"'{text}' is no list of ports: {error}.");
                continue;
            }

            foreach (PortRange range in set!.Ranges)
                foreach (ref byte port in ports.AsSpan(range.First, range.Count))
                    if (port == Names.Count - 1) port = application;
        }

        foreach (string pattern in section.Texts("server-names")) _serverNames.Add((pattern, application));
        foreach (string pattern in section.Texts("alpn")) _alpn.Add((pattern, application));
    }

    /// <summary>The index of the flow's application in <see cref="Names"/>.</summary>
    public byte Classify(in Flow flow)
    {
        if (flow.Named > 0) return (byte)(flow.Named - 1);
        if (flow.Protocol is not (IpProtocol.Tcp or IpProtocol.Udp)) return (byte)(Names.Count - 1);
        byte application = (flow.Protocol == IpProtocol.Tcp ? _tcp : _udp)[flow.ServicePort];
        return application < Names.Count - 1 ? application : _local[flow.Port];
    }

    /// <summary>The application that a TLS client names, plus 1; 0 where no rule knows it.</summary>
    public byte ByName(string? serverName, IReadOnlyList<string> alpn)
    {
        foreach ((string pattern, byte application) in _serverNames)
            if (serverName is not null && FileSystemName.MatchesSimpleExpression(pattern, serverName)) return (byte)(application + 1);
        foreach ((string protocol, byte application) in _alpn)
            if (alpn.Contains(protocol)) return (byte)(application + 1);
        return 0;
    }
}
