using System.Globalization;
using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.Fragments;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.PortSets;

namespace APlusP.Node.Configuration.Formats;

/// <summary>
/// Reads the configuration of a Snabb lwAFTR: text by the YANG module snabb-softwire-v3 (and v2, of which it is a renaming).
/// </summary>
public sealed class SnabbFormat
{
    readonly DiagnosticList _diagnostics = new();
    readonly ImportNotes _notes = new();
    readonly ImportedPrr _prr;
    readonly SourceText _source;
    readonly YangTextLexer _lexer;
    readonly Dictionary<int, PortSet?> _sets = [];
    readonly Dictionary<IPv4Address, (int Length, int Reserved, Place Place)> _layouts = [];

    // Defaults of the module.
    (long Packets, long Period) _v4Errors = (200, 2), _v6Errors = (200, 2);
    bool _allowIcmp = true, _sendV4 = true, _sendV6 = true, _hairpinning = true, _believesIcmpV6 = true;
    int? _maxPackets;
    (int Mtu, Place Place)? _pathMtu;
    IPv4Address? _icmpSource;

    readonly bool _rfc7597;

    SnabbFormat(ForeignFile file, TextReader reader, bool rfc7597)
    {
        _rfc7597 = rfc7597;
        _source = new SourceText(file.Path, file.Open);
        _lexer = new YangTextLexer(reader, _source);
        _prr = new ImportedPrr(_diagnostics, _notes, joinSoftwires: true);
    }

    /// <summary>Reads the file and tells everything that is wrong with it, and what cannot be carried over.</summary>
    /// <param name="file">The file.</param>
    /// <param name="rfc7597Ports">
    /// Whether reserved-ports-bit-count is taken for RFC 7597's PSID offset, as homes take it that were configured by the RFC; otherwise each
    /// softwire has the ports that Snabb gave it.
    /// </param>
    public static ImportResult Read(ForeignFile file, bool rfc7597Ports = false)
    {
        using var reader = new StreamReader(file.Open(), Encoding.UTF8, true, 1 << 16);
        return new SnabbFormat(file, reader, rfc7597Ports).Read();
    }

    ImportResult Read()
    {
        var whole = new Place(_source, 1, 1, 1);
        PrrConfiguration? configuration = null;
        try
        {
            ReadStatements(s_module, null);
            configuration = _prr.Finish(Options(), _pathMtu is { } mtu ? _prr.CheckPathMtu(mtu.Mtu, mtu.Place, "The internal interface's mtu is") : 1500, whole);
            if (!_believesIcmpV6) configuration = configuration is null ? null : configuration with { Discovery = new DiscoveryOptions { IsOn = false } };
        }
        catch (ForeignSyntaxException fault)
        {
            _diagnostics.Error(fault.Place, ErrorCodes.ForeignSyntax, fault.Message);
        }

        return new ImportResult(configuration, _diagnostics.Finish(), _diagnostics.Omitted, _notes.Finish());
    }

    PrrOptions Options()
    {
        long v4 = _sendV4 ? _v4Errors.Packets / Math.Max(1, _v4Errors.Period) : 0, v6 = _sendV6 ? _v6Errors.Packets / Math.Max(1, _v6Errors.Period) : 0;
        return new PrrOptions
        {
            SoftwireAddresses = [],
            IcmpSource = _icmpSource,
            Hairpinning = _hairpinning,
            AllowIcmpFromInternet = _allowIcmp,
            SendIcmpV4Errors = _sendV4,
            SendIcmpV6Errors = _sendV6,
            IcmpErrorsPerSecond = (int)Math.Min(v4 + v6, 1_000_000),
            Fragments = _maxPackets is { } packets ? new FragmentOptions { MaxPackets = packets } : new FragmentOptions(),
        };
    }

    // ---- statements

    /// <summary>What a statement means to us.</summary>
    enum Leaf
    {
        /// <summary>Nothing: a note says what takes its place.</summary>
        Noted,
        Block,
        Softwire,
        PortSet,
        Padding,
        IPv4,
        Psid,
        Smap,
        Prr,
        PsidLength,
        Reserved,
        ExternalIp,
        PathMtu,
        FlowLabel,
        AllowIcmp,
        AllowIcmpV6,
        SendV4,
        SendV6,
        Hairpinning,
        V4Packets,
        V4Period,
        V6Packets,
        V6Period,
        MaxPackets,
    }

    /// <summary>A statement that the module knows: its name, whether it may stand more than once, what becomes of it, and its own statements.</summary>
    sealed class Statement(string name, Leaf leaf, string? note = null, bool list = false, params Statement[] inner)
    {
        readonly Dictionary<string, int> _inner = inner.Select((s, i) => (s.Name, i)).ToDictionary(s => s.Name, s => s.i, StringComparer.Ordinal);

        public string Name { get; } = name;

        public Leaf Leaf { get; } = leaf;

        public string? Note { get; } = note;

        public bool IsList { get; } = list;

        public bool IsBlock => inner.Length > 0 || Leaf == Leaf.Block;

        public IEnumerable<string> Names => _inner.Keys;

        public Statement? Find(ReadOnlySpan<char> name, out int index) =>
            _inner.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(name, out index) ? inner[index] : null;
    }

    static Statement Note(string name, string note) => new(name, Leaf.Noted, note);

    static Statement Take(string name, Leaf leaf) => new(name, leaf);

    static Statement Block(string name, params Statement[] inner) => new(name, Leaf.Block, null, false, inner);

    static Statement Many(string name, Leaf leaf, params Statement[] inner) => new(name, leaf, null, true, inner);

    const string DeviceNote = "Devices, queues and their MAC addresses, next hops and VLANs are Linux's here: give the machine its links and routes; 'workers' is how many queues aplusp works with.";
    const string MruNote = "'mru' has no counterpart: what a Linux device takes in is its own MTU (ip link set DEVICE mtu N).";
    const string FilterNote = "Ingress and egress filters have no counterpart: write them as nftables rules on the machine's devices.";
    const string ReassemblyNote = "'max-fragments-per-packet' has no counterpart: 'max-memory' in [fragments] bounds what fragments may cost.";
    const string StateNote = "State and counters of the running lwAFTR are not configuration.";

    static Statement Interface(Leaf ip) => Block(
        ip == Leaf.ExternalIp ? "external-interface" : "internal-interface",
        ip == Leaf.ExternalIp ? Take("ip", ip) : Note("ip", "The internal interface's own address is Linux's (ip address add); ICMPv6 errors come from the softwire's end as before."),
        Note("mac", DeviceNote), Note("vlan-tag", DeviceNote), Note("device", DeviceNote),
        Block("next-hop", Note("ip", DeviceNote), Note("mac", DeviceNote), Note("resolved-mac", StateNote)));

    static Statement Reassembly => Block("reassembly", Note("max-fragments-per-packet", ReassemblyNote), Take("max-packets", Leaf.MaxPackets));

    static readonly Statement s_state = new("softwire-state", Leaf.Block, StateNote);

    static readonly Statement s_module = Block(
        "", s_state,
        Block(
            "softwire-config",
            Note("name", "'name' has no counterpart: 'control-socket' is how a PRR is told from others."),
            Many("instance", Leaf.Block,
                Note("device", DeviceNote), Note("external-device", DeviceNote), s_state,
                Many("queue", Leaf.Block, Note("id", DeviceNote), Interface(Leaf.ExternalIp), Interface(Leaf.Noted))),
            Block(
                "external-interface",
                Note("mtu", "The external interface's 'mtu' is the Linux device's (ip link set DEVICE mtu N)."), Note("mru", MruNote),
                Note("ingress-filter", FilterNote), Note("egress-filter", FilterNote), Note("vlan-tag", DeviceNote),
                Take("allow-incoming-icmp", Leaf.AllowIcmp), Take("generate-icmp-errors", Leaf.SendV4),
                Block("error-rate-limiting", Take("packets", Leaf.V4Packets), Take("period", Leaf.V4Period)),
                Reassembly),
            Block(
                "internal-interface",
                Take("mtu", Leaf.PathMtu), Note("mru", MruNote), Take("flow-label", Leaf.FlowLabel),
                Note("ingress-filter", FilterNote), Note("egress-filter", FilterNote), Note("vlan-tag", DeviceNote),
                Take("allow-incoming-icmp", Leaf.AllowIcmpV6), Take("generate-icmp-errors", Leaf.SendV6), Take("hairpinning", Leaf.Hairpinning),
                Block("error-rate-limiting", Take("packets", Leaf.V6Packets), Take("period", Leaf.V6Period)),
                Reassembly),
            Block(
                "binding-table",
                Many("softwire", Leaf.Softwire,
                    Take("ipv4", Leaf.IPv4), Take("psid", Leaf.Psid), Take("b4-ipv6", Leaf.Smap), Take("br-address", Leaf.Prr), Take("padding", Leaf.Padding),
                    new Statement("port-set", Leaf.PortSet, null, false, Take("psid-length", Leaf.PsidLength), Take("reserved-ports-bit-count", Leaf.Reserved))),
                Block("version", Note("number", "The binding table's version has no counterpart."), Note("date", "The binding table's version has no counterpart.")))));

    /// <summary>Reads what stands between two braces, or the whole file.</summary>
    void ReadStatements(Statement within, Place? opened)
    {
        ulong seen = 0;
        while (true)
        {
            switch (_lexer.Next())
            {
                case YangToken.Semicolon: continue;
                case YangToken.Open: throw new ForeignSyntaxException(_lexer.Place, "This brace has no name in front of it; write such as softwire { ... }.");
                case YangToken.Close when opened is null: throw new ForeignSyntaxException(_lexer.Place, "This brace closes nothing.");
                case YangToken.Close: return;
                case YangToken.End when opened is { } place: throw new ForeignSyntaxException(place, $"'{within.Name}' is not closed: its }} is missing.");
                case YangToken.End: return;
            }

            Place keyword = _lexer.Place;
            if (within.Find(_lexer.Text, out int index) is not { } statement)
            {
                RefuseUnknown(within, keyword, Shorten(_lexer.Text));
                SkipStatement(keyword);
                continue;
            }

            if (!statement.IsList && (seen >> index & 1) != 0) _diagnostics.Error(keyword, ErrorCodes.ConfigurationTwice, $"'{statement.Name}' stands twice in '{within.Name}'; keep one.");
            seen |= 1UL << index;
            if (statement.IsBlock) ReadBlock(statement, keyword);
            else ReadLeaf(statement, keyword);
        }
    }

    void RefuseUnknown(Statement within, Place place, string name)
    {
        string where = within.Name.Length == 0 ? "at the top of the file" : $"in '{within.Name}'";
        string? suggestion = Spelling.Suggest(name, within.Names);
        string hint = name is "psid-map" or "br" ? " The file may be of a Snabb from before April 2017; let 'snabb lwaftr migrate-configuration' bring it up to date first."
            : suggestion is null ? $" Known are {string.Join(", ", within.Names)}." : "";
        _diagnostics.Error(place, ErrorCodes.ConfigurationUnknownKey, $"snabb-softwire-v3 has no '{name}' {where}.{hint}", suggestion);
    }

    /// <summary>Passes over the rest of a statement whose name has been read.</summary>
    void SkipStatement(Place opened)
    {
        int depth = 0;
        while (true)
        {
            switch (_lexer.Next())
            {
                case YangToken.Semicolon when depth == 0: return;
                case YangToken.Open:
                    depth++;
                    break;
                case YangToken.Close when depth == 0: throw new ForeignSyntaxException(opened, "This statement has no ; at its end.");
                case YangToken.Close when --depth == 0: return;
                case YangToken.End: throw new ForeignSyntaxException(opened, "This statement does not end: a ; or } is missing.");
            }
        }
    }

    void ReadBlock(Statement statement, Place keyword)
    {
        if (statement.Note is { } note)
        {
            _notes.Add(keyword, note);
            SkipStatement(keyword);
            return;
        }

        if (_lexer.Next() != YangToken.Open) throw new ForeignSyntaxException(_lexer.Place, $"'{statement.Name}' needs a {{ here.");
        if (statement.Leaf != Leaf.Softwire)
        {
            ReadStatements(statement, keyword);
            return;
        }

        _softwire = default;
        ReadStatements(statement, keyword);
        AddSoftwire(keyword);
    }

    void ReadLeaf(Statement statement, Place keyword)
    {
        if (_lexer.Next() != YangToken.Text) throw new ForeignSyntaxException(keyword, $"'{statement.Name}' has no value; write {statement.Name} VALUE;");
        ReadOnlySpan<char> text = _lexer.Text;
        switch (statement.Leaf)
        {
            case Leaf.Noted: _notes.Add(keyword, statement.Note!); break;
            case Leaf.IPv4: _softwire.Address = IPv4(statement, text); break;
            case Leaf.Psid: _softwire.Psid = Number(statement, text, 65535); break;
            case Leaf.Smap: _softwire.Smap = IPv6(statement, text); break;
            case Leaf.Prr: _softwire.Prr = IPv6(statement, text); break;
            case Leaf.PsidLength: _softwire.Length = Number(statement, text, 16); break;
            case Leaf.Reserved: _softwire.Reserved = Number(statement, text, 16); break;
            case Leaf.Padding: Number(statement, text, 65535); break;
            case Leaf.ExternalIp: TakeIcmpSource(IPv4(statement, text), keyword); break;
            case Leaf.PathMtu:
                if (Number(statement, text, 65535) is { } mtu) _pathMtu = ((int)mtu, _lexer.Place);
                break;
            case Leaf.FlowLabel:
                if (Number(statement, text, uint.MaxValue) is > 0) _notes.Add(keyword, "A fixed flow label has no counterpart: each flow has its own here.");
                break;
            case Leaf.AllowIcmp: _allowIcmp = Flag(statement, text); break;
            case Leaf.AllowIcmpV6:
                _believesIcmpV6 = Flag(statement, text);
                if (!_believesIcmpV6) _notes.Add(keyword, "Not to take ICMPv6 from the softwires' network became 'enabled = false' in [discovery]: Packet Too Big is not believed. Other errors are still told to their senders; filter them with nftables, if they must not be.");
                break;
            case Leaf.SendV4:
                _sendV4 = Flag(statement, text);
                if (!_sendV4) _notes.Add(keyword, "Snabb sends no ICMPv4 error at all then; here senders are told nothing of unbound ports, but always that a packet is too large or its TTL over.");
                break;
            case Leaf.SendV6: _sendV6 = Flag(statement, text); break;
            case Leaf.Hairpinning:
                _hairpinning = Flag(statement, text);
                if (!_hairpinning) _notes.Add(keyword, "Without hairpinning Snabb leaves packets from home to home to the routers of the Internet side; here they are dropped and counted.");
                break;
            case Leaf.V4Packets: _v4Errors.Packets = Rate(statement, text, keyword) ?? _v4Errors.Packets; break;
            case Leaf.V4Period: _v4Errors.Period = Rate(statement, text, keyword) ?? _v4Errors.Period; break;
            case Leaf.V6Packets: _v6Errors.Packets = Rate(statement, text, keyword) ?? _v6Errors.Packets; break;
            case Leaf.V6Period: _v6Errors.Period = Rate(statement, text, keyword) ?? _v6Errors.Period; break;
            case Leaf.MaxPackets: TakeMaxPackets(Number(statement, text, uint.MaxValue), keyword); break;
        }

        if (_lexer.Next() != YangToken.Semicolon) throw new ForeignSyntaxException(_lexer.Place, $"Behind the value of '{statement.Name}' a ; is missing.");
    }

    void TakeIcmpSource(IPv4Address? address, Place place)
    {
        if (address is not { } ip) return;
        if (!ip.IsUnicast) _diagnostics.Error(place, ErrorCodes.ConfigurationNotUnicast, $"{ip} is not an address that a host can have; write the host's own.");
        else if (_icmpSource is { } first && first != ip) _notes.Add(place, $"Queues have several external addresses; 'icmp-source' is the first, {first}.");
        else _icmpSource = ip;
    }

    /// <summary>One bound is for both sides here: the larger of the two.</summary>
    void TakeMaxPackets(long? packets, Place keyword)
    {
        if (packets is not { } given) return;
        int taken = (int)Math.Clamp(given, 16, 1_048_576);
        if (taken != given || (_maxPackets is { } other && other != taken)) _notes.Add(keyword, "'max-packets' of [fragments] is from 16 to 1048576, and one for inner and outer fragments; it is the nearest to the larger of the two given.");
        _maxPackets = Math.Max(taken, _maxPackets ?? 0);
    }

    long? Rate(Statement statement, ReadOnlySpan<char> text, Place keyword)
    {
        _notes.Add(keyword, "Snabb limits ICMPv4 and ICMPv6 errors apart, here one limit is for both: 'errors-per-second' is the sum of what was sent of both.");
        return Number(statement, text, uint.MaxValue);
    }

    // ---- values

    long? Number(Statement statement, ReadOnlySpan<char> text, long most)
    {
        bool hex = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        if (long.TryParse(hex ? text[2..] : text, hex ? NumberStyles.AllowHexSpecifier : NumberStyles.None, CultureInfo.InvariantCulture, out long number) && number >= 0 && number <= most) return number;
        _diagnostics.Error(_lexer.Place, ErrorCodes.ConfigurationOutOfRange, $"'{Shorten(text)}' is not a value of '{statement.Name}', which is a number from 0 to {most}.");
        return null;
    }

    bool Flag(Statement statement, ReadOnlySpan<char> text)
    {
        if (text is "true" or "false") return text is "true";
        _diagnostics.Error(_lexer.Place, ErrorCodes.ConfigurationBadValue, $"'{Shorten(text)}' is not a value of '{statement.Name}', which is true or false.");
        return false;
    }

    IPv4Address? IPv4(Statement statement, ReadOnlySpan<char> text)
    {
        if (IPv4Address.TryParse(text, out IPv4Address address)) return address;
        _diagnostics.Error(_lexer.Place, ErrorCodes.ConfigurationBadValue, $"'{Shorten(text)}' is not an IPv4 address, which '{statement.Name}' is.");
        return null;
    }

    IPv6Address? IPv6(Statement statement, ReadOnlySpan<char> text)
    {
        if (IPv6Address.TryParse(text, out IPv6Address address)) return address;
        _diagnostics.Error(_lexer.Place, ErrorCodes.ConfigurationBadValue, $"'{Shorten(text)}' is not an IPv6 address, which '{statement.Name}' is.");
        return null;
    }

    static string Shorten(ReadOnlySpan<char> text) => string.Concat((text.Length > 80 ? $"{text[..80]}..." : new string(text)).Select(c => char.IsControl(c) ? '?' : c));

    // ---- softwires

    struct SoftwireFields
    {
        public IPv4Address? Address;
        public IPv6Address? Smap, Prr;
        public long? Psid, Length, Reserved;
    }

    SoftwireFields _softwire;

    void AddSoftwire(Place place)
    {
        (string Name, bool Is)[]? missing = _softwire is { Address: not null, Psid: not null, Smap: not null, Prr: not null, Length: not null } ? null :
        [
            ("ipv4", _softwire.Address is not null), ("psid", _softwire.Psid is not null), ("b4-ipv6", _softwire.Smap is not null),
            ("br-address", _softwire.Prr is not null), ("port-set { psid-length N; }", _softwire.Length is not null),
        ];
        if (missing is not null)
        {
            _diagnostics.Error(place, ErrorCodes.ConfigurationMissingKey, $"This softwire lacks {string.Join(" and ", missing.Where(m => !m.Is).Select(m => m.Name))}, or has it wrong.");
            return;
        }

        int length = (int)_softwire.Length!, reserved = (int)(_softwire.Reserved ?? 0), psid = (int)_softwire.Psid!;
        IPv4Address address = _softwire.Address!.Value;
        if (length + reserved > 16)
        {
            _diagnostics.Error(place, ErrorCodes.NotAPortSet, $"psid-length {length} and reserved-ports-bit-count {reserved} are more than the 16 bits of a port together; correct one.");
            return;
        }

        // Snabb looks an address's layout up by the address alone, so that two of them cannot both be meant.
        if (!_layouts.TryAdd(address, (length, reserved, place)) && _layouts[address] is var known && (known.Length != length || known.Reserved != reserved))
        {
            _diagnostics.Error(place, ErrorCodes.ConfigurationContradiction, $"{address} is divided by psid-length {length} and reserved-ports-bit-count {reserved} here, and by {known.Length} and {known.Reserved} at {known.Place}. Snabb takes one of the two for the whole address; make them alike.");
            return;
        }

        int key = length << 21 | reserved << 16 | psid;
        if (!_sets.TryGetValue(key, out PortSet? ports)) _sets.Add(key, ports = _rfc7597 ? Rfc7597Ports(length, reserved, psid) : Ports(length, reserved, psid));
        if (ports is null)
        {
            _notes.Add(place, "This softwire's psid is more than its psid-length can say, so Snabb gives it no port; it was left out.");
            return;
        }

        NoteReservedPorts(length, reserved, ports, place);
        _prr.Add(address, ports, _softwire.Smap!.Value, _softwire.Prr!.Value, 0, place);
    }

    void NoteReservedPorts(int length, int reserved, PortSet ports, Place place)
    {
        if (reserved is 0 or 8 || length == 0) return;
        int snabb = 1 << reserved, rfc = 1 << 16 - reserved;
        if (_rfc7597)
            _notes.Add(place, $"Taken for the PSID offset of RFC 7597, reserved-ports-bit-count {reserved} {(snabb < rfc ? $"keeps ports {snabb}-{rfc - 1} from everyone, which Snabb gave to homes" : $"gives ports {rfc}-{snabb - 1} to homes, which Snabb kept from everyone")}.");
        else if (ports.Psid is null)
            _notes.Add(place, $"reserved-ports-bit-count {reserved} keeps ports below {snabb} from everyone, where RFC 7597's PSID offset {reserved} keeps those below {rfc}: no PSID says this, so that the softwire has the plain ranges that Snabb's data plane gives it. If the homes go by RFC 7597, --rfc7597-ports takes PSIDs.");
    }

    /// <summary>The PSID set of RFC 7597 section 5.1 with the same numbers; null where the PSID is more than its length can say.</summary>
    static PortSet? Rfc7597Ports(int length, int reserved, int psid) =>
        psid >= 1 << length ? null : length == 0 ? PortSet.WholeAddress : PortSet.FromPsid(reserved, length, psid);

    /// <summary>
    /// The ports that Snabb's data plane gives to a softwire; null where it gives none. It takes the PSID from the same bits as RFC 7597 section 5.1
    /// does, but excludes the ports below 2^r, not those of the first block, which are below 2^(16-r): the two agree where r is 0 or 8. An
    /// excluded port counts as PSID 2^k, one more than k bits say, so a softwire with that PSID is given them.
    /// </summary>
    /// <param name="length">psid-length, k.</param>
    /// <param name="reserved">reserved-ports-bit-count, r; k + r is at most 16.</param>
    /// <param name="psid">The PSID.</param>
    internal static PortSet? Ports(int length, int reserved, int psid)
    {
        int excluded = reserved == 0 ? 0 : 1 << reserved;
        if (psid >= 1 << length) return psid == 1 << length && excluded > 0 ? PortSet.FromRanges(new PortRange(0, (ushort)(excluded - 1))) : null;
        if (excluded == 0) return length == 0 ? PortSet.WholeAddress : PortSet.FromPsid(0, length, psid);

        var ranges = new List<PortRange>();
        int shift = 16 - length - reserved;
        for (int block = 0; block < 1 << reserved; block++)
        {
            int first = block << (16 - reserved) | psid << shift, last = first + (1 << shift) - 1;
            if (last >= excluded) ranges.Add(new PortRange((ushort)Math.Max(first, excluded), (ushort)last));
        }

        if (ranges.Count == 0) return null;
        PortSet plain = PortSet.FromRanges(ranges);
        if (length == 0 || reserved > 15) return plain;
        PortSet set = PortSet.FromPsid(reserved, length, psid);
        return set.Ranges.SequenceEqual(plain.Ranges) ? set : plain;
    }
}
