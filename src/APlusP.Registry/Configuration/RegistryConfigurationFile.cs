using System.Globalization;
using System.Net;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;
using APlusP.Registry.Allocation;
using APlusP.Registry.Dhcpv6;
using APlusP.Registry.Pcp;

namespace APlusP.Registry.Configuration;

/// <summary>Reads a registry's configuration file, and tells everything that is wrong with it.</summary>
public static class RegistryConfigurationFile
{
    /// <summary>Every key that the file may hold, by table. Each stands in docs/configuration.md.</summary>
    public static IReadOnlyDictionary<string, string[]> Schema { get; } = new Dictionary<string, string[]>
    {
        [""] = ["data", "database", "listen", "loopback", "lease-time", "hold-down", "change-interval", "retention-days", "tls", "ipfix", "pool", "class", "dhcpv6", "pcp"],
        ["tls"] = ["certificate", "key", "client-ca", "client-crl"],
        ["ipfix"] = ["collector", "transport", "observation-domain"],
        ["pool"] = ["prefix", "block", "ports", "psid", "system-ports", "classes", "prr", "path-mtu", .. LanPolicy.Keys],
        ["pool.psid"] = ["offset", "length"],
        ["class"] = ["name", "start", "add", "limit"],
        ["dhcpv6"] = ["interfaces", "border-relay", "mechanisms", "prefixes", "prefix-length", "class", "preference", "rapid-commit", "rule"],
        ["pcp"] = ["listen", "clients", "home-prefix-length", "class", "requests-per-second", "requests-per-home"],
        ["dhcpv6.rule"] = [.. MappingRuleSection.Keys, "forwarding"],
    };

    /// <summary>Values of `loopback`, in the order of <see cref="LoopbackAccess"/>.</summary>
    static readonly string[] s_loopback = ["operate", "read", "token"];

    /// <summary>Values of `transport`.</summary>
    static readonly string[] s_transports = ["tcp", "udp"];

    const int MostSeconds = 31_536_000;

    /// <exception cref="APlusPException">The file cannot be read, or has faults; the message holds all of them.</exception>
    public static RegistrySettings Load(string path)
    {
        ConfigurationCheck<RegistrySettings> check = Check(path, ConfigurationText.Read(path));
        return check.Require(path) with { Warnings = check.Diagnostics };
    }

    /// <summary>Whether a file is a registry's, by the keys that only that has.</summary>
    public static bool IsRegistry(string path, string text) =>
        TomlTree.Parse(new SourceText(path, text), new DiagnosticList()).Values.Keys.Any(key => key is "data" or "database" or "pool" or "class" or "listen" or "lease-time");

    public static ConfigurationCheck<RegistrySettings> Check(string path, string text)
    {
        var diagnostics = new DiagnosticList();
        var top = new SectionReader(TomlTree.Parse(new SourceText(path, text), diagnostics), Schema, diagnostics);
        top.Require("data", "\"/var/lib/aplusp\"");
        List<Pool> pools = ReadPools(top, diagnostics);
        List<SubscriberClass> classes = ReadClasses(top, diagnostics);
        if (classes.Count == 0) classes = [.. SubscriberClass.Standard(pools.Count > 0 ? pools[0].Layout.UnitSize : RegistrySettings.DefaultBlock)];
        CheckClasses(top, pools, classes);
        SectionReader? tls = top.Section("tls", Schema);
        tls?.Require("certificate", "\"/etc/aplusp/registry.crt\"");
        tls?.Require("key", "\"/etc/aplusp/registry.key\"");
        if (tls?.Has("client-crl") == true && !tls.Has("client-ca")) tls.Refuse("client-crl", ErrorCodes.ConfigurationContradiction, "'client-crl' says which certificates of clients were taken back, but without 'client-ca' none is believed; write both.");
        var policy = new LeasePolicy { Pools = pools, Classes = classes };
        policy = policy with
        {
            LeaseTime = Seconds(top, "lease-time", policy.LeaseTime, 60),
            HoldDown = Seconds(top, "hold-down", policy.HoldDown, 0),
            ChangeInterval = Seconds(top, "change-interval", policy.ChangeInterval, 0),
        };
        if (policy.HoldDown < TimeSpan.FromSeconds(120) && top.Has("hold-down"))
            top.Warn("hold-down", ErrorCodes.ConfigurationShortTimer, $"'hold-down' is {policy.HoldDown.TotalSeconds} s; RFC 6888 REQ-8 asks for 120 s, or answers to one subscriber reach the next.");
        int days = top.Number("retention-days", 0, 0, 36500, "days");
        string database = top.Text("database", "");
        if (top.Has("database") && database.Length == 0) top.Refuse("database", ErrorCodes.ConfigurationBadValue, "'database' is empty; write a connection string, or leave the key out for a file in 'data'.");
        return ConfigurationCheck<RegistrySettings>.Finish(
            new RegistrySettings
            {
                Directory = top.Text("data", ""),
                Database = database.Length > 0 ? database : null,
                Listen = ReadListen(top),
                Loopback = (LoopbackAccess)top.Word("loopback", (int)LoopbackAccess.Operate, s_loopback),
                Certificate = tls?.Text("certificate", ""),
                Key = tls?.Text("key", ""),
                ClientAuthority = tls?.Has("client-ca") == true ? tls.Text("client-ca", "") : null,
                Revoked = tls?.Has("client-crl") == true ? tls.Text("client-crl", "") : null,
                Ipfix = ReadIpfix(top),
                Retention = days > 0 ? TimeSpan.FromDays(days) : null,
                Policy = policy,
                Dhcpv6 = ReadDhcpServer.Read(top, policy),
                Pcp = ReadPcpServer.Read(top, policy),
            }, diagnostics);
    }

    static TimeSpan Seconds(SectionReader top, string key, TimeSpan otherwise, int least) => TimeSpan.FromSeconds(top.Number(key, (int)otherwise.TotalSeconds, least, MostSeconds, "seconds"));

    static List<IPEndPoint> ReadListen(SectionReader top)
    {
        var listen = new List<IPEndPoint>();
        foreach (string text in top.Texts("listen"))
        {
            if (TryParseEndPoint(text, out IPEndPoint? at)) listen.Add(at!);
            else top.Refuse("listen", ErrorCodes.ConfigurationBadValue, $"'{text}' is not an address and port such as 127.0.0.1:8646 or [2001:db8::1]:8646.");
        }

        return listen.Count > 0 ? listen : [new IPEndPoint(IPAddress.Loopback, RegistrySettings.DefaultPort)];
    }

    static IpfixSettings? ReadIpfix(SectionReader top)
    {
        if (top.Section("ipfix", Schema) is not { } section) return null;
        section.Require("collector", $"\"192.0.2.9:{IpfixSettings.DefaultPort}\"");
        string text = section.Text("collector", "");
        IPEndPoint? at = null;
        if (text.Length > 0 && !TryParseEndPoint(text, out at))
            section.Refuse("collector", ErrorCodes.ConfigurationBadValue, $"'{text}' is not an address and port such as 192.0.2.9:{IpfixSettings.DefaultPort} or [2001:db8::9]:{IpfixSettings.DefaultPort}.");
        bool tcp = section.Word("transport", 0, s_transports) == 0;
        int domain = section.Number("observation-domain", 1, 0, int.MaxValue);
        return at is null ? null : new IpfixSettings(at, tcp, (uint)domain);
    }

    /// <summary>An address with its port, both written.</summary>
    public static bool TryParseEndPoint(string text, out IPEndPoint? at) =>
        IPEndPoint.TryParse(text, out at) && at.Port > 0 && text.EndsWith($":{at.Port}", StringComparison.Ordinal) && (at.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork || text[0] == '[');

    static List<Pool> ReadPools(SectionReader top, DiagnosticList diagnostics)
    {
        var pools = new List<Pool>();
        bool any = false;
        foreach (SectionReader section in top.Sections("pool", Schema))
        {
            any = true;
            section.Require("prefix", "\"192.0.2.0/24\"");
            IPv4Prefix? prefix = section.IPv4Prefix("prefix");
            PoolLayout? layout = ReadLayout(section);
            var policy = LanPolicy.Read(section);
            if (prefix is not { } addresses || layout is null) continue;
            if (FaultOf(addresses, pools) is { } fault) section.Refuse("prefix", ErrorCodes.ConfigurationBadValue, fault);
            else pools.Add(new Pool(addresses, layout) { Classes = section.Texts("classes"), Prr = section.IPv6("prr"), PayloadMtu = section.Has("path-mtu") ? section.Number("path-mtu", 1500, PathMtuTable.Least, 65535, "octets") - IPv6Header.Size : null, Policy = policy });
        }

        if (!any) top.Require("pool", "[{ prefix = \"192.0.2.0/24\" }]");
        return pools;
    }

    /// <summary>What is wrong with these addresses as a pool beside the others, or null.</summary>
    public static string? FaultOf(IPv4Prefix prefix, IEnumerable<Pool> others) =>
        prefix.Length < Pool.ShortestPrefix ? $"the pool {prefix} has more than a million addresses; write several of /{Pool.ShortestPrefix} or longer."
        : !prefix.Address.IsUnicast ? $"the pool {prefix} holds addresses that no host can have; write addresses of the Internet's."
        : others.FirstOrDefault(p => p.Prefix.Overlaps(prefix)) is { } other ? $"the pools {prefix} and {other.Prefix} have addresses in common; an address is in one pool."
        : null;

    static PoolLayout? ReadLayout(SectionReader section)
    {
        bool system = section.Flag("system-ports", otherwise: false);
        int block = section.Number("block", RegistrySettings.DefaultBlock, 1, 65536, "ports");
        string key = section.Has("psid") ? "psid" : section.Has("ports") ? "ports" : "block";
        try
        {
            if (section.Has("psid"))
            {
                foreach (string beside in (string[])["ports", "block"])
                    if (section.Has(beside)) section.Refuse(beside, ErrorCodes.ConfigurationContradiction, $"'psid' says how addresses are divided, and so does '{beside}'; keep one of them.");
                if (section.Section("psid", Schema) is not { } psid) return null;
                psid.Require("length", "8");
                return PoolLayout.Psids(psid.Number("offset", 6, 0, 15), psid.Number("length", 8, 0, 16), system);
            }

            string text = section.Text("ports", system ? "0-65535" : $"{PoolLayout.WithoutSystemPorts}");
            if (!PortSet.TryParse(text, out PortSet? usable, out string error))
            {
                section.Refuse("ports", ErrorCodes.NotAPortSet, $"'{text}' is not a port set: {error}.");
                return null;
            }

            if (!system && usable!.Ranges.First().First < 1024)
            {
                section.Refuse("ports", ErrorCodes.ConfigurationSystemPorts, $"'ports' reaches the system ports 0-1023; begin at 1024, or write system-ports = true.");
                return null;
            }

            return PoolLayout.Blocks(block, usable!);
        }
        catch (ArgumentException fault)
        {
            section.Refuse(key, ErrorCodes.ConfigurationBadValue, $"{char.ToUpper(fault.Message[0], CultureInfo.InvariantCulture)}{fault.Message[1..]}.");
            return null;
        }
    }

    static List<SubscriberClass> ReadClasses(SectionReader top, DiagnosticList diagnostics)
    {
        var classes = new List<SubscriberClass>();
        foreach (SectionReader section in top.Sections("class", Schema))
        {
            section.Require("name", "\"home\"");
            string name = section.Text("name", "");
            int start = section.Number("start", RegistrySettings.DefaultBlock, 1, 65536, "ports");
            int add = section.Number("add", start, 1, 65536, "ports");
            int limit = section.Number("limit", Math.Max(start, RegistrySettings.DefaultBlock), 1, 65536, "ports");
            if (section.Has("name") && (name.Length is 0 or > 64 || name.Any(c => char.IsControl(c) || char.IsSurrogate(c)))) section.Refuse("name", ErrorCodes.ConfigurationBadValue, "'name' is empty, longer than 64 characters, or holds control characters.");
            else if (classes.Any(c => c.Name == name)) section.Refuse("name", ErrorCodes.ConfigurationTwice, $"There are two classes '{name}'.");
            if (limit < start) section.Refuse(section.Has("limit") ? "limit" : "start", ErrorCodes.ConfigurationContradiction, $"'limit' is {limit}, less than the {start} ports that a lease starts with.");
            classes.Add(new SubscriberClass(name, start, add, limit));
        }

        if (classes.Count > 0 && classes.All(c => c.Name != SubscriberClass.Default))
            diagnostics.Warn(top.PlaceOf("class"), ErrorCodes.ConfigurationContradiction, $"There is no class '{SubscriberClass.Default}', which a request has that names none; such requests are refused.");
        return classes;
    }

    static void CheckClasses(SectionReader top, List<Pool> pools, List<SubscriberClass> classes)
    {
        foreach (string unknown in pools.SelectMany(p => p.Classes).Distinct().Where(name => classes.All(c => c.Name != name)))
            top.Refuse("pool", ErrorCodes.ConfigurationContradiction, $"A pool serves the class '{unknown}', which there is not; there are {string.Join(", ", classes.Select(c => c.Name))}.");
    }
}
