using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Dhcpv6;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Node.PortControl;
using APlusP.Node.Services;
using APlusP.Node.Registry;
using APlusP.Node.WebNames;

namespace APlusP.Node.Configuration;

/// <summary>Reads the configuration files of PRR and SMAP.</summary>
public static class ConfigurationFile
{
    /// <summary>RFC 8200 section 5: every IPv6 link carries 1280 octets.</summary>
    public const int LeastPathMtu = 1280;

    /// <summary>Where daemons keep what must outlive them.</summary>
    const string StateDirectory = "/var/lib/aplusp";

    /// <exception cref="APlusPException">The file cannot be read, or has faults; the message holds all of them.</exception>
    public static PrrConfiguration LoadPrr(string path)
    {
        ConfigurationCheck<PrrConfiguration> check = CheckPrr(path);
        return check.Require(path) with { Warnings = check.Diagnostics };
    }

    /// <summary>
    /// Reads a PRR's file for running it: each binding goes straight into the table. As objects a million would take twice the memory of the table.
    /// </summary>
    /// <inheritdoc cref="LoadPrr"/>
    public static LoadedPrr LoadPrrTable(string path)
    {
        var diagnostics = new DiagnosticList();
        var top = new SectionReader(TomlTree.Parse(new SourceText(path, ConfigurationText.Read(path)), diagnostics), ConfigurationSchema.Prr, diagnostics);
        PrrConfiguration configuration = ReadPrr(path, top, diagnostics, intoTable: true, out ReadBindings bindings);
        if (!diagnostics.HasErrors && !bindings.AreContradictory)
        {
            bindings.Table!.SetRules([.. configuration.Rules]);
            return new LoadedPrr(configuration with { Warnings = diagnostics.Finish() }, bindings.Table, bindings.Names);
        }

        // What is wrong, and where, takes the place of each binding.
        LoadPrr(path);
        throw new APlusPException(ErrorCodes.ConfigurationFaulty, $"the configuration {path} was changed while it was read; try again.");
    }

    /// <inheritdoc cref="LoadPrr"/>
    public static SmapConfiguration LoadSmap(string path)
    {
        ConfigurationCheck<SmapConfiguration> check = CheckSmap(path);
        return check.Require(path) with { Warnings = check.Diagnostics };
    }

    /// <summary>Reads a SMAP's file where no server can be asked: it must say itself what the softwire is.</summary>
    /// <inheritdoc cref="LoadPrr"/>
    public static SmapConfiguration LoadWholeSmap(string path)
    {
        SmapConfiguration configuration = LoadSmap(path);
        return configuration.Dhcpv6 is null ? configuration : throw new APlusPException(
            ErrorCodes.ConfigurationMissingKey, $"{path} leaves it to a DHCPv6 server what the softwire is, and none is asked here. Write softwire-address, prr-address, shared-address and ports in place of [dhcpv6].");
    }

    /// <summary>Reads a PRR's file and tells everything that is wrong with it.</summary>
    /// <exception cref="APlusPException">AP1001: the file cannot be read.</exception>
    public static ConfigurationCheck<PrrConfiguration> CheckPrr(string path) => CheckPrr(path, ConfigurationText.Read(path));

    /// <inheritdoc cref="CheckPrr(string)"/>
    /// <param name="path">How the file is called, and where its bindings-file is looked for.</param>
    /// <param name="text">What it holds.</param>
    public static ConfigurationCheck<PrrConfiguration> CheckPrr(string path, string text)
    {
        var diagnostics = new DiagnosticList();
        var top = new SectionReader(TomlTree.Parse(new SourceText(path, text), diagnostics), ConfigurationSchema.Prr, diagnostics);
        return ConfigurationCheck<PrrConfiguration>.Finish(ReadPrr(path, top, diagnostics, intoTable: false, out _), diagnostics);
    }

    /// <summary>Reads a SMAP's file and tells everything that is wrong with it.</summary>
    /// <exception cref="APlusPException">AP1001: the file cannot be read.</exception>
    public static ConfigurationCheck<SmapConfiguration> CheckSmap(string path) => CheckSmap(path, ConfigurationText.Read(path));

    /// <inheritdoc cref="CheckSmap(string)"/>
    public static ConfigurationCheck<SmapConfiguration> CheckSmap(string path, string text)
    {
        var diagnostics = new DiagnosticList();
        var top = new SectionReader(TomlTree.Parse(new SourceText(path, text), diagnostics), ConfigurationSchema.Smap, diagnostics);
        return ConfigurationCheck<SmapConfiguration>.Finish(ReadSmap(path, top), diagnostics);
    }

    /// <summary>Whether a file is a SMAP's rather than a PRR's, by the keys it has.</summary>
    public static bool IsSmap(string path, string text)
    {
        TomlTable table = TomlTree.Parse(new SourceText(path, text), new DiagnosticList());
        int smap = Score(ConfigurationSchema.Smap), prr = Score(ConfigurationSchema.Prr);

        // Both may have a registry, but a PRR says its end of the softwires itself.
        return smap > prr || (smap == prr && table.Values.ContainsKey("registry") && !table.Values.ContainsKey("softwire-address"));

        int Score(IReadOnlyDictionary<string, string[]> schema) => table.Values.Keys.Count(key => schema[""].Any(known => Spelling.Distance(key.Length > 64 ? "" : key, known) <= 1));
    }

    static PrrConfiguration ReadPrr(string path, SectionReader top, DiagnosticList diagnostics, bool intoTable, out ReadBindings bindings)
    {
        top.Require("softwire-address", "\"2001:db8::1\"");
        List<IPv6Address> ends = top.IPv6s("softwire-address");
        int pathMtu = PathMtu(top) ?? 1500;
        SectionReader? icmp = top.Section("icmp", ConfigurationSchema.Prr);
        var options = new PrrOptions { SoftwireAddresses = ends, IcmpSource = top.IPv4("icmp-source") };
        options = options with
        {
            HopLimit = (byte)top.Number("hop-limit", options.HopLimit, 1, 255),
            Hairpinning = top.Flag("hairpinning", options.Hairpinning),
            AllowIcmpFromInternet = icmp?.Flag("allow-from-internet", options.AllowIcmpFromInternet) ?? options.AllowIcmpFromInternet,
            SendIcmpV4Errors = icmp?.Flag("send-v4-errors", options.SendIcmpV4Errors) ?? options.SendIcmpV4Errors,
            SendIcmpV6Errors = icmp?.Flag("send-v6-errors", options.SendIcmpV6Errors) ?? options.SendIcmpV6Errors,
            IcmpErrorsPerSecond = icmp?.Number("errors-per-second", options.IcmpErrorsPerSecond, 0, 1_000_000) ?? options.IcmpErrorsPerSecond,
            IcmpErrorsPerHost = icmp?.Number("errors-per-host", options.IcmpErrorsPerHost, 0, 1_000_000) ?? options.IcmpErrorsPerHost,
            ClampMss = top.Flag("clamp-mss", options.ClampMss),
            IgnoreDontFragment = top.Flag("ignore-df", options.IgnoreDontFragment),
            UniformServices = top.Word("dscp", 0, ConfigurationSchema.ServiceModels) == 1,
            Fragments = SoftwireSections.Fragments(top, ConfigurationSchema.Prr),
        };

        bindings = new ReadBindings(ends, pathMtu, diagnostics, intoTable: intoTable);
        foreach (SectionReader section in top.Sections("binding", ConfigurationSchema.Prr)) ReadBinding(section, bindings);
        string file = top.Text("bindings-file", "");
        if (file.Length > 0) ReadBindingsFile(top, Path.Combine(Path.GetDirectoryName(path) ?? "", file), bindings, diagnostics);
        else if (top.Has("bindings-file") && top.Text("bindings-file", "-").Length == 0) top.Refuse("bindings-file", ErrorCodes.ConfigurationBadValue, "'bindings-file' is empty; write a path, or leave the key out.");
        var rules = new ReadRules(ends, pathMtu, diagnostics);
        foreach (SectionReader section in top.Sections("rule", ConfigurationSchema.Prr)) rules.Read(section, PathMtu(section), bindings);
        bindings.CheckTogether();
        rules.CheckTogether(bindings);

        WebNamesPlan? names = WebNamesPlan.Read(top);
        if (names is not null) options = options with { NamedPorts = WebNamesPlan.Ports };
        var configuration = new PrrConfiguration { Options = options, WebNames = names, Bindings = bindings.Bindings, Names = bindings.Names.BySoftwire, Rules = rules.Rules, PathMtu = pathMtu };
        return configuration with
        {
            Device = Device(top, configuration.Device),
            ControlSocket = ControlSocket(top, configuration.ControlSocket),
            Workers = top.Number("workers", configuration.Workers, 1, 256),
            FastPath = (FastPathMode)top.Word("fast-path", (int)FastPathMode.Auto, ConfigurationSchema.FastPathModes),
            FastPathDevices = top.Texts("fast-path-devices"),
            Registry = top.Section("registry", ConfigurationSchema.Prr) is { } registry ? ReadRegistry(registry, Path.GetDirectoryName(path) ?? "", ControlSocket(top, configuration.ControlSocket)) : null,
            Discovery = SoftwireSections.Discovery(top, ConfigurationSchema.Prr, otherwise: !top.Flag("anycast", otherwise: false)),
        };
    }

    /// <summary>Several PRRs of one machine differ by their control socket, so its name is that of the copy too.</summary>
    static PrrRegistry? ReadRegistry(SectionReader section, string directory, string controlSocket)
    {
        bool keep = section.Flag("keep-overdue", false);
        string copy = section.Text("copy", Path.Combine(StateDirectory, $"{Path.GetFileNameWithoutExtension(controlSocket)}.leases"));
        if (copy.Length == 0) section.Refuse("copy", ErrorCodes.ConfigurationBadValue, "'copy' is empty; write a path, or leave the key out.");
        return RegistryAddress.Read(section, directory) is { } address ? new PrrRegistry(address, Path.Combine(directory, copy), keep) : null;
    }

    static void ReadBinding(SectionReader section, ReadBindings bindings)
    {
        section.Require("address", "\"192.0.2.1\"");
        section.Require("softwire", "\"2001:db8:1::1\"");
        IPv4Address? address = section.IPv4("address");
        PortSet? ports = section.Ports(ConfigurationSchema.Prr);
        IPv6Address? softwire = section.IPv6("softwire"), prr = section.IPv6("prr");
        int? pathMtu = PathMtu(section);
        string? name = section.Has("name") ? section.Text("name", "") : null;
        if (name is not null && !SubscriberNames.IsName(name, out string? why)) section.Refuse("name", ErrorCodes.ConfigurationBadValue, why);
        if (address is { } a && ports is not null && softwire is { } s)
            bindings.Add(a, ports, s, prr, pathMtu, name, section.PlaceOf(section.Has("ports") ? "ports" : "psid"));
    }

    static void ReadBindingsFile(SectionReader top, string path, ReadBindings bindings, DiagnosticList diagnostics)
    {
        try
        {
            BindingsFile.Read(path, bindings, diagnostics);
        }
        catch (Exception error) when (ConfigurationText.IsUnreadable(error))
        {
            top.Refuse("bindings-file", ErrorCodes.ConfigurationUnreadable, $"The bindings-file cannot be read: {error.Message} A relative path begins at the configuration file.");
        }
    }

    static SmapConfiguration ReadSmap(string path, SectionReader top)
    {
        SmapRegistry? registry = SmapRegistry.Read(top, Path.GetDirectoryName(path) ?? "");
        SmapPcp? pcp = SmapPcp.Read(top, Path.GetDirectoryName(path) ?? "");
        DhcpSettings? dhcp = DhcpSettings.Read(top);
        if (registry is { Address.IsFoundAnywhere: true }) dhcp = dhcp is null ? null : dhcp with { Places = [DhcpOption.DomainList] };
        if (pcp is { Server: null }) dhcp = dhcp is null ? null : dhcp with { Places = [DhcpOption.PcpServer] };
        if (top.Has("lan")) dhcp = dhcp is null ? null : dhcp with { Places = [.. dhcp.Places, DhcpOption.DnsServers] };

        // What others tell is not in the file; until they have, nothing is forwarded.
        bool isTold = top.Has("registry") || top.Has("pcp") || dhcp is not null, byRule = !isTold && top.Has("end-user-prefix"), written = !isTold && !byRule;
        SmapRules rules = isTold ? SmapRules.None : SmapRules.Read(top);
        if (written) top.Require("softwire-address", "\"2001:db8:1::1\"");
        if (!isTold || top.Has("pcp")) top.Require("prr-address", "\"2001:db8::1\"");
        if (written) top.Require("shared-address", "\"192.0.2.1\"");
        IPv6Address? softwire = byRule ? rules.Own?.Ce : top.IPv6("softwire-address"), prr = top.IPv6("prr-address");
        PortSet? ports = byRule ? rules.Own?.Ports : written ? top.Ports(ConfigurationSchema.Smap) : null;
        if (softwire is not null && softwire == prr) top.Refuse("prr-address", ErrorCodes.ConfigurationContradiction, $"'prr-address' and 'softwire-address' are both {prr}; a softwire has two ends.");
        if (ports is { IsWholeAddress: false } && ports.Ranges.First().First < 1024)
            top.Warn(byRule ? "end-user-prefix" : top.Has("ports") ? "ports" : "psid", ErrorCodes.ConfigurationSystemPorts, $"The port set {ports} reaches the system ports 0-1023, which the NAPT would give to clients too.");

        var options = new SmapOptions
        {
            SoftwireAddress = softwire ?? default,
            PrrAddress = prr ?? default,
            SharedAddress = (byRule ? rules.Own?.Prefix.Address : top.IPv4("shared-address")) ?? default,
            OwnPrefix = rules.Own is { Prefix.Length: < 32 } whole ? whole.Prefix : null,
            ForwardingRules = rules.Forwarding,
            Outgoing = (SmapOutgoing)top.Word("outgoing", (int)SmapOutgoing.Softwire, ConfigurationSchema.Outgoings),
            Ports = ports ?? PortSet.WholeAddress,
            IsSuspended = isTold,
            PayloadMtu = (PathMtu(top) ?? 1500) - ReadBindings.Overhead,
            IcmpSource = top.IPv4("icmp-source"),
        };
        options = options with
        {
            HopLimit = (byte)top.Number("hop-limit", options.HopLimit, 1, 255),
            ClampMss = top.Flag("clamp-mss", options.ClampMss),
            IgnoreDontFragment = top.Flag("ignore-df", options.IgnoreDontFragment),
            UniformServices = top.Word("dscp", 0, ConfigurationSchema.ServiceModels) == 1,
            Fragments = SoftwireSections.Fragments(top, ConfigurationSchema.Smap),
        };
        if (top.Section("napt", ConfigurationSchema.Smap) is { } napt) options = ReadNapt(napt, options);
        options = options with { Forwards = ReadForwards.Read(top, options) };
        if (top.Section("gateways", ConfigurationSchema.Smap) is { } gateways)
            options = options with
            {
                FtpGateway = gateways.Flag("ftp", options.FtpGateway),
                SipGateway = gateways.Flag("sip", options.SipGateway),
                SipPort = (ushort)gateways.Number("sip-port", options.SipPort, 1, ushort.MaxValue),
                SipCallers = (SipCallers)gateways.Word("sip-callers", (int)options.SipCallers, ConfigurationSchema.SipCallers),
            };
        if (top.Section("icmp", ConfigurationSchema.Smap) is { } icmp)
            options = options with
            {
                SendIcmpErrors = icmp.Flag("send-errors", options.SendIcmpErrors),
                ExhaustionIcmpCode = (byte)icmp.Number("exhaustion-code", options.ExhaustionIcmpCode, 0, 15),
                IcmpErrorsPerSecond = icmp.Number("errors-per-second", options.IcmpErrorsPerSecond, 0, 1_000_000),
                IcmpErrorsPerHost = icmp.Number("errors-per-host", options.IcmpErrorsPerHost, 0, 1_000_000),
            };
        var configuration = new SmapConfiguration { Options = options, Dhcpv6 = dhcp, Registry = registry, Pcp = pcp };
        (bool keepsOut, IReadOnlyList<FirewallException> allowed) = FirewallException.Read(top);
        string device = Device(top, configuration.Device), socket = ControlSocket(top, configuration.ControlSocket);
        configuration = configuration with
        {
            Device = device,
            ControlSocket = socket,
            Lans = SmapLan.Read(top, device),
            LanLeases = LanLeases(top, path, socket),
            Programs = HomePrograms.Read(top),
            KeepsOutIPv6 = keepsOut,
            Allowed = allowed,
            Resolvers = top.Section("dns", ConfigurationSchema.Smap)?.IPv6s("upstream") ?? [],
            FastPath = FastPathOfSmap(top),
            FastPathDevices = top.Texts("fast-path-devices"),
            DefaultRoute = top.Flag("default-route", configuration.DefaultRoute),
            Discovery = SoftwireSections.Discovery(top, ConfigurationSchema.Smap, otherwise: true),
            PortControl = PortControlSettings.Read(top, ((SmapHome?)registry ?? pcp)?.State ?? Path.Combine(StateDirectory, Path.GetFileNameWithoutExtension(ControlSocket(top, configuration.ControlSocket))), Path.GetDirectoryName(path) ?? ""),
        };
        SmapLan.CheckPolicies(top, configuration);
        return configuration;
    }

    /// <summary>Several SMAPs of one machine differ by their control socket, so its name is that of their hosts' leases too.</summary>
    static string LanLeases(SectionReader top, string path, string controlSocket)
    {
        string file = top.Text("lan-leases", Path.Combine(StateDirectory, $"{Path.GetFileNameWithoutExtension(controlSocket)}.dhcp"));
        if (file.Length == 0 || file.Contains('\n')) top.Refuse("lan-leases", ErrorCodes.ConfigurationBadValue, "'lan-leases' is not a path; write one, or leave the key out.");
        return Path.Combine(Path.GetDirectoryName(path) ?? "", file);
    }

    /// <summary>The programs of a SMAP carry segmentation offload's packets whole, which XDP never sees.</summary>
    static FastPathMode FastPathOfSmap(SectionReader top)
    {
        var mode = (FastPathMode)top.Word("fast-path", (int)FastPathMode.Off, ConfigurationSchema.FastPathModes);
        if (mode != FastPathMode.Xdp) return mode;
        top.Refuse("fast-path", ErrorCodes.ConfigurationBadValue, "'fast-path' is \"xdp\", which a SMAP does not have; write \"tc\" or \"auto\".");
        return FastPathMode.Off;
    }

    static SmapOptions ReadNapt(SectionReader napt, SmapOptions options) => options with
    {
        Mode = (NaptMode)napt.Word("mode", (int)options.Mode, ConfigurationSchema.Modes),
        Filtering = (NaptFiltering)napt.Word("filtering", (int)options.Filtering, ConfigurationSchema.Filterings),
        Hairpinning = napt.Flag("hairpinning", options.Hairpinning),
        PortsPerHost = napt.Number("ports-per-host", options.PortsPerHost, 0, 65536, "ports"),
        FlowsPerHost = napt.Number("flows-per-host", options.FlowsPerHost, 0, 16_777_216, "flows"),
        MaxFlows = napt.Number("max-flows", options.MaxFlows, 1, 16_777_216, "flows"),
        RewriteIdentification = napt.Flag("rewrite-identification", options.RewriteIdentification),
        Timers = napt.Section("timers", ConfigurationSchema.Smap) is { } timers ? ReadTimers(timers, options.Timers) : options.Timers,
    };

    static NaptTimers ReadTimers(SectionReader timers, NaptTimers standard)
    {
        int transitory = Timer("tcp-transitory", standard.TcpOpening, 240, "RFC 5382 REQ-5");
        return new NaptTimers
        {
            Udp = Timer("udp", standard.Udp, 120, "RFC 4787 REQ-5"),
            TcpEstablished = Timer("tcp-established", standard.TcpEstablished, 7440, "RFC 5382 REQ-5"),
            TcpOpening = Timer("tcp-opening", transitory, 240, "RFC 5382 REQ-5"),
            TcpClosing = Timer("tcp-closing", transitory, 240, "RFC 5382 REQ-5"),
            TcpReset = Timer("tcp-reset", standard.TcpReset, 240, "RFC 7857 section 2.2"),
            Icmp = Timer("icmp", standard.Icmp, 60, "RFC 5508 REQ-2"),
        };

        int Timer(string key, int otherwise, int least, string source)
        {
            int seconds = timers.Number(key, otherwise, 1, 31_536_000, "seconds");
            if (seconds < least && timers.Has(key)) timers.Warn(key, ErrorCodes.ConfigurationShortTimer, $"'{key}' is {seconds} s; {source} asks for at least {least} s, or flows that are still alive end.");
            return seconds;
        }
    }

    static int? PathMtu(SectionReader section) =>
        section.Has("path-mtu") && section.Number("path-mtu", 0, LeastPathMtu, 65535, "octets (RFC 8200 section 5); the softwire's IPv4 packets are 40 smaller", ErrorCodes.ConfigurationBadMtu) is var mtu and > 0 ? mtu : null;

    static string Device(SectionReader top, string otherwise)
    {
        string name = top.Text("device", otherwise);
        if (DeviceNames.IsName(name)) return name;
        top.Refuse("device", ErrorCodes.ConfigurationBadValue, $"'device' is {DeviceNames.Form}");
        return otherwise;
    }

    static string ControlSocket(SectionReader top, string otherwise)
    {
        string path = top.Text("control-socket", otherwise);
        if (path.Length > 0 && !path.Contains('\0') && Encoding.UTF8.GetByteCount(path) <= 107) return path;
        top.Refuse("control-socket", ErrorCodes.ConfigurationBadValue, "'control-socket' is not a path of 1 to 107 octets, which is what a socket's address holds.");
        return otherwise;
    }
}
