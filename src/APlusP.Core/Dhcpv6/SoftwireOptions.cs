using System.Buffers.Binary;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Core.Dhcpv6;

/// <summary>
/// What the softwire options of a DHCPv6 message say: RFC 7598, RFC 8026. A container that breaks their rules is left out whole, and why is kept for
/// the log (RFC 7598 sections 6 and 8).
/// </summary>
/// <remarks>
/// <code>
///               may hold          must hold
///  CONT_MAPE    RULE, BR          a RULE and a BR at least
///  CONT_MAPT    RULE, DMR         a RULE at least, one DMR
///  CONT_LW      V4V6BIND, BR      a BR at least, one V4V6BIND at most
///  RULE, V4V6BIND   PORTPARAMS    one at most
///
///  PORTPARAMS   | offset, 8 bits | PSID length k, 8 bits | PSID: k bits on the left of 16 |
/// </code>
/// </remarks>
public sealed record SoftwireOptions
{
    readonly List<string> _ignored = [];

    /// <summary>The first sound container of lightweight 4over6; a home has one softwire (RFC 7596 section 5.1).</summary>
    public LightweightSoftwire? Lightweight { get; private set; }

    public IReadOnlyList<MapDomain> MapE { get; private set; } = [];

    public IReadOnlyList<MapTDomain> MapT { get; private set; } = [];

    /// <summary>Containers in the order in which the server wants them used, RFC 8026 section 1.4; empty where it does not say, or says it twice.</summary>
    public IReadOnlyList<DhcpOption> Priority { get; private set; } = [];

    /// <summary>What was left out, and why.</summary>
    public IReadOnlyList<string> Ignored => _ignored;

    public static SoftwireOptions Read(DhcpOptions options)
    {
        var read = new SoftwireOptions();
        int priorities = 0;
        foreach (DhcpOptions.Item option in options)
        {
            switch (option.Code)
            {
                case DhcpOption.S46Lightweight when read.ReadLightweight(option.Value) is { } softwire:
                    if (read.Lightweight is null) read.Lightweight = softwire;
                    else read._ignored.Add("a second S46_CONT_LW");
                    break;
                case DhcpOption.S46MapE when read.ReadMapE(option.Value) is { } domain:
                    read.MapE = [.. read.MapE, domain];
                    break;
                case DhcpOption.S46MapT when read.ReadMapT(option.Value) is { } domain:
                    read.MapT = [.. read.MapT, domain];
                    break;
                case DhcpOption.S46Priority:
                    priorities++;
                    break;
                case DhcpOption.S46Rule or DhcpOption.S46Dmr or DhcpOption.S46V4V6Bind or DhcpOption.S46PortParameters or DhcpOption.S46Br:
                    read._ignored.Add($"{NameOf(option.Code)} outside of a container");
                    break;
            }
        }

        if (priorities > 1) read._ignored.Add("S46_PRIORITY, which stands more than once");
        else if (priorities == 1) read.Priority = options.Codes(DhcpOption.S46Priority);
        return read;
    }

    LightweightSoftwire? ReadLightweight(ReadOnlySpan<byte> value)
    {
        var container = new Container(this, "S46_CONT_LW");
        if (!container.TryRead(value, [DhcpOption.S46Br, DhcpOption.S46V4V6Bind])) return null;
        if (container.Bindings.Count > 1) return Ignore<LightweightSoftwire>("S46_CONT_LW with more than one S46_V4V6BIND");
        if (container.Relays.Count == 0) return Ignore<LightweightSoftwire>("S46_CONT_LW without S46_BR");
        return new LightweightSoftwire(container.Relays, container.Bindings.FirstOrDefault());
    }

    MapDomain? ReadMapE(ReadOnlySpan<byte> value)
    {
        var container = new Container(this, "S46_CONT_MAPE");
        if (!container.TryRead(value, [DhcpOption.S46Rule, DhcpOption.S46Br])) return null;
        if (container.Rules.Count == 0) return Ignore<MapDomain>("S46_CONT_MAPE without S46_RULE");
        if (container.Relays.Count == 0) return Ignore<MapDomain>("S46_CONT_MAPE without S46_BR");
        return new MapDomain(container.Rules, container.Relays);
    }

    MapTDomain? ReadMapT(ReadOnlySpan<byte> value)
    {
        var container = new Container(this, "S46_CONT_MAPT");
        if (!container.TryRead(value, [DhcpOption.S46Rule, DhcpOption.S46Dmr])) return null;
        if (container.Rules.Count == 0) return Ignore<MapTDomain>("S46_CONT_MAPT without S46_RULE");
        if (container.DefaultRules.Count != 1) return Ignore<MapTDomain>($"S46_CONT_MAPT with {container.DefaultRules.Count} S46_DMR in place of one");
        return new MapTDomain(container.Rules, container.DefaultRules[0]);
    }

    T? Ignore<T>(string what)
        where T : class
    {
        _ignored.Add(what);
        return null;
    }

    /// <summary>What one container holds.</summary>
    sealed class Container(SoftwireOptions owner, string name)
    {
        public List<IPv6Address> Relays { get; } = [];

        public List<AddressBinding> Bindings { get; } = [];

        public List<SoftwireRule> Rules { get; } = [];

        public List<IPv6Prefix> DefaultRules { get; } = [];

        public bool TryRead(ReadOnlySpan<byte> value, ReadOnlySpan<DhcpOption> permitted)
        {
            if (!DhcpOptions.TryRead(value, out DhcpOptions options)) return Refuse("it is cut short");
            foreach (DhcpOptions.Item option in options)
            {
                // Options that nobody knows yet may be defined for a domain later (RFC 7598 section 5.1).
                if (option.Code is not (>= DhcpOption.S46Rule and <= DhcpOption.S46Lightweight)) continue;
                if (!permitted.Contains(option.Code)) return Refuse($"{NameOf(option.Code)} does not belong there");
                string? fault = option.Code switch
                {
                    DhcpOption.S46Br => TakeRelay(option.Value),
                    DhcpOption.S46Rule => TakeRule(option.Value),
                    DhcpOption.S46V4V6Bind => TakeBinding(option.Value),
                    _ => TakeDefaultRule(option.Value),
                };
                if (fault is not null) return Refuse($"in {NameOf(option.Code)} {fault}");
            }

            return true;
        }

        bool Refuse(string why)
        {
            owner._ignored.Add($"{name}: {why}");
            return false;
        }

        string? TakeRelay(ReadOnlySpan<byte> value)
        {
            if (value.Length != IPv6Address.Size) return $"are {value.Length} octets in place of 16";
            var relay = IPv6Address.Read(value);
            if (!relay.IsUnicast) return $"is {relay}, which is no unicast address";
            Relays.Add(relay);
            return null;
        }

        string? TakeBinding(ReadOnlySpan<byte> value)
        {
            if (value.Length < IPv4Address.Size) return CutShort;
            var address = IPv4Address.Read(value);
            if (!address.IsUnicast) return $"is {address}, which no host can have";
            if (FaultOfPrefix(value[IPv4Address.Size..], out IPv6Prefix prefix, out ReadOnlySpan<byte> rest) is { } fault) return fault;
            if (FaultOfPorts(rest, out Psid? ports) is { } portFault) return portFault;
            Bindings.Add(new AddressBinding(address, prefix, ports is { Length: > 0 } ? ports : null));
            return null;
        }

        string? TakeRule(ReadOnlySpan<byte> value)
        {
            if (value.Length < RuleHeader) return CutShort;
            int ea = value[1], length4 = value[2];
            if (length4 > 32) return $"is an IPv4 prefix of {length4} bits";
            var prefix4 = IPv4Prefix.Of(IPv4Address.Read(value[3..]), length4);
            if (FaultOfPrefix(value[RuleHeader..], out IPv6Prefix prefix6, out ReadOnlySpan<byte> rest) is { } fault) return fault;
            if (FaultOfPorts(rest, out Psid? ports) is { } portFault) return portFault;
            MappingRule rule = Compose(new MappingRule(prefix6, prefix4, ea), ports);
            if (rule.Fault is { } ruleFault) return ruleFault;
            Rules.Add(new SoftwireRule(rule, (value[0] & SoftwireRule.ForwardingFlag) != 0));
            return null;
        }

        string? TakeDefaultRule(ReadOnlySpan<byte> value)
        {
            if (FaultOfPrefix(value, out IPv6Prefix prefix, out ReadOnlySpan<byte> rest) is { } fault) return fault;
            if (!rest.IsEmpty) return $"are {rest.Length} octets too many";
            DefaultRules.Add(prefix);
            return null;
        }
    }

    const int RuleHeader = 7, PortsSize = 4;

    const string CutShort = "is something cut short";

    /// <summary>A prefix with as many octets as it has bits in. What stands behind its length in the last one is nobody's.</summary>
    static string? FaultOfPrefix(ReadOnlySpan<byte> value, out IPv6Prefix prefix, out ReadOnlySpan<byte> rest)
    {
        prefix = default;
        rest = default;
        if (value.IsEmpty) return CutShort;
        int length = value[0], size = (length + 7) / 8;
        if (length > 128) return $"is an IPv6 prefix of {length} bits";
        if (value.Length < 1 + size) return CutShort;
        Span<byte> address = stackalloc byte[IPv6Address.Size];
        address.Clear();
        value.Slice(1, size).CopyTo(address);
        prefix = IPv6Prefix.Of(IPv6Address.Read(address), length);
        rest = value[(1 + size)..];
        return null;
    }

    static string? FaultOfPorts(ReadOnlySpan<byte> value, out Psid? ports)
    {
        ports = null;
        if (!DhcpOptions.TryRead(value, out DhcpOptions options)) return CutShort;
        foreach (DhcpOptions.Item option in options)
        {
            if (option.Code is not (>= DhcpOption.S46Rule and <= DhcpOption.S46Lightweight)) continue;
            if (option.Code != DhcpOption.S46PortParameters) return $"is {NameOf(option.Code)}, which does not belong there";
            if (ports is not null) return "is S46_PORTPARAMS twice";
            if (option.Value.Length != PortsSize) return $"is S46_PORTPARAMS of {option.Value.Length} octets in place of 4";
            int offset = option.Value[0], length = option.Value[1];
            int value16 = BinaryPrimitives.ReadUInt16BigEndian(option.Value[2..]);
            var psid = new Psid(offset, length, length is 0 or > 16 ? 0 : value16 >> (16 - length));
            if (psid.Fault is { } fault) return fault;
            ports = psid;
        }

        return null;
    }

    /// <summary>A rule with its port parameters, as RFC 7598 section 4.5 means them.</summary>
    static MappingRule Compose(MappingRule rule, Psid? ports)
    {
        if (ports is not { } given) return rule;
        rule = rule with { PsidOffset = given.Offset };

        // A length of 0 says nothing but the offset, and a CE with a whole IPv4 prefix has no PSID.
        if (given.Length == 0 || rule.SubscriberLength < 32) return rule;

        // Beside EA bits the PSID is theirs (RFC 7597 section 5.2); a server that has only the length to say writes 0 there, and any other value names one CE.
        return rule with { ExplicitPsidLength = given.Length, ExplicitPsid = rule.EaLength > 0 && given.Value == 0 ? null : given.Value };
    }

    internal static void WriteRelay(DhcpWriter writer, IPv6Address relay)
    {
        using DhcpWriter.Scope option = writer.Open(DhcpOption.S46Br);
        writer.Address(relay);
    }

    internal static void WritePorts(DhcpWriter writer, Psid ports)
    {
        using DhcpWriter.Scope option = writer.Open(DhcpOption.S46PortParameters);
        writer.Number8((byte)ports.Offset);
        writer.Number8((byte)ports.Length);
        writer.Number16((ushort)(ports.Value << (16 - ports.Length)));
    }

    /// <summary>How RFC 7598 calls it.</summary>
    static string NameOf(DhcpOption option) => option switch
    {
        DhcpOption.S46Rule => "S46_RULE",
        DhcpOption.S46Br => "S46_BR",
        DhcpOption.S46Dmr => "S46_DMR",
        DhcpOption.S46V4V6Bind => "S46_V4V6BIND",
        DhcpOption.S46PortParameters => "S46_PORTPARAMS",
        _ => $"a container ({(ushort)option})",
    };
}
