using System.Globalization;
using System.Text;
using System.Text.Json;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;

namespace APlusP.Node.Configuration.Formats;

/// <summary>
/// Reads the configuration of a border router by the YANG module ietf-softwire-br (RFC 8676 section 6) in the JSON encoding of RFC 7951.
/// </summary>
public sealed class SoftwireYangReader : IJsonTokenReader
{
    const string Module = "ietf-softwire-br:", Root = "ietf-softwire-br:br-instances", Datastore = "ietf-restconf:data";

    readonly DiagnosticList _diagnostics = new();
    readonly ImportNotes _notes = new();
    readonly ImportedPrr _prr;
    readonly JsonTokens _tokens;
    readonly SourceText _source;
    readonly string? _chosen;
    readonly Stack<Frame> _open = [];
    readonly Dictionary<(int Offset, int Length, int Psid), PortSet> _sets = [];
    readonly List<string> _names = [];
    readonly List<Entry> _entries = [];
    readonly char[] _text = new char[128];

    Node? _pending;
    int _skipped;
    bool _hasRoot;
    Instance _instance = new();
    (Instance Instance, Policy Policy)? _first;
    EntryFields _entry;
    AlgorithmFields _algorithm;

    SoftwireYangReader(ForeignFile file, Stream stream, string? instance)
    {
        _source = new SourceText(file.Path, file.Open);
        _tokens = new JsonTokens(stream, _source);
        _prr = new ImportedPrr(_diagnostics, _notes, joinSoftwires: false);
        _chosen = instance;
    }

    /// <summary>Reads the file and tells everything that is wrong with it, and what cannot be carried over.</summary>
    /// <param name="file">The file.</param>
    /// <param name="instance">The one instance to take; null takes all, where they agree.</param>
    public static ImportResult Read(ForeignFile file, string? instance = null)
    {
        using Stream stream = file.Open();
        return new SoftwireYangReader(file, stream, instance).Read();
    }

    ImportResult Read()
    {
        PrrConfiguration? configuration = null;
        var whole = new Place(_source, 1, 1, 1);
        try
        {
            _tokens.Read(this);
            if (!_hasRoot && !_diagnostics.HasErrors) _diagnostics.Error(whole, ErrorCodes.ConfigurationMissingKey, $"This file has no '{Root}', which holds all of RFC 8676's configuration of a border router.");
            if (_chosen is not null && !_names.Contains(_chosen) && !_diagnostics.HasErrors)
                _diagnostics.Error(whole, ErrorCodes.ConfigurationMissingKey, $"This file has no instance '{_chosen}'.", Spelling.Suggest(_chosen, _names) ?? (_names.Count == 1 ? _names[0] : null));
            configuration = _prr.Finish(Options(), 1500, whole);
        }
        catch (ForeignSyntaxException fault)
        {
            _diagnostics.Error(fault.Place, ErrorCodes.ForeignSyntax, fault.Message);
        }

        return new ImportResult(configuration, _diagnostics.Finish(), _diagnostics.Omitted, _notes.Finish());
    }

    PrrOptions Options()
    {
        // Mapping rules have no policy in the module: ours are the defaults then.
        if (_first is not { Policy: { } policy }) return new PrrOptions { SoftwireAddresses = [] };
        return new PrrOptions
        {
            SoftwireAddresses = [],
            Hairpinning = policy.Hairpinning,
            AllowIcmpFromInternet = policy.AllowIcmpV4,
            SendIcmpV4Errors = policy.SendV4,
            SendIcmpV6Errors = policy.SendV6,
            IcmpErrorsPerSecond = policy.V6Rate,
        };
    }

    // ---- the module

    enum Leaf
    {
        /// <summary>Nothing: a note says what takes its place.</summary>
        Noted,
        Block,
        Root,
        Instance,
        Entry,
        Algorithm,
        AlgorithmName,
        Enable,
        Dmr,
        EaLength,
        RuleIpv6,
        RuleIpv4,
        Forwarding,
        Name,
        NumMax,
        PayloadMtu,
        PathMru,
        Hairpinning,
        AllowIcmpV4,
        SendV4,
        SendV6,
        V6Rate,
        Ipv6Info,
        Ipv4,
        Prr,
        Offset,
        Length,
        Psid,
    }

    sealed class Node(string name, Leaf leaf, string? note = null, bool list = false, params Node[] inner)
    {
        readonly Dictionary<string, int> _inner = inner.Select((n, i) => (n.Name, i)).ToDictionary(n => n.Name, n => n.i, StringComparer.Ordinal);

        public string Name { get; } = name;

        public Leaf Leaf { get; } = leaf;

        public string? Note { get; } = note;

        public bool IsList { get; } = list;

        public bool IsBlock => inner.Length > 0;

        public IEnumerable<string> Names => _inner.Keys;

        public Node? Find(ReadOnlySpan<char> name, out int index) =>
            _inner.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(name, out index) ? inner[index] : null;
    }

    static Node Note(string name, string note) => new(name, Leaf.Noted, note);

    static Node Take(string name, Leaf leaf) => new(name, leaf);

    static Node Block(string name, params Node[] inner) => new(name, Leaf.Block, null, false, inner);

    const string StateNote = "Statistics are state and not configuration.";
    const string VersionNote = "Versions of the binding table have no counterpart.";

    static readonly Node s_root = new(Root, Leaf.Root, null, false,
        Block("binding", new Node("bind-instance", Leaf.Instance, null, true,
            Take("name", Leaf.Name), Take("softwire-num-max", Leaf.NumMax), Take("softwire-payload-mtu", Leaf.PayloadMtu), Take("softwire-path-mru", Leaf.PathMru),
            Take("enable-hairpinning", Leaf.Hairpinning), Note("binding-table-versioning", VersionNote), Note("traffic-stat", StateNote),
            Block("binding-table", new Node("binding-entry", Leaf.Entry, null, true,
                Take("binding-ipv6info", Leaf.Ipv6Info), Take("binding-ipv4-addr", Leaf.Ipv4), Take("br-ipv6-addr", Leaf.Prr),
                Block("port-set", Take("psid-offset", Leaf.Offset), Take("psid-len", Leaf.Length), Take("psid", Leaf.Psid)))),
            Block(
                "icmp-policy",
                Block(
                    "icmpv4-errors",
                    Take("allow-incoming-icmpv4", Leaf.AllowIcmpV4), Take("generate-icmpv4-errors", Leaf.SendV4),
                    Note("icmpv4-rate", "'icmpv4-rate' has no counterpart: it limits the ICMPv4 errors that come in, which are limited by nftables here, if they must be.")),
                Block("icmpv6-errors", Take("generate-icmpv6-errors", Leaf.SendV6), Take("icmpv6-rate", Leaf.V6Rate))))),
        Block("algorithm", new Node("algo-instance", Leaf.Algorithm, null, true,
            Take("name", Leaf.AlgorithmName), Take("enable", Leaf.Enable), Note("algo-versioning", "Versions of mapping rules have no counterpart."),
            Take("br-ipv6-addr", Leaf.Prr), Take("dmr-ipv6-prefix", Leaf.Dmr), Take("ea-len", Leaf.EaLength), Take("rule-ipv6-prefix", Leaf.RuleIpv6),
            Take("rule-ipv4-prefix", Leaf.RuleIpv4), Take("forwarding", Leaf.Forwarding), Note("traffic-stat", StateNote),
            Block("port-set", Take("psid-offset", Leaf.Offset), Take("psid-len", Leaf.Length), Take("psid", Leaf.Psid)))));

    static readonly Node s_file = Block("", s_root, Block(Datastore, s_root));

    // ---- tokens

    struct Frame
    {
        public Node Node;
        public bool IsArray;
        public ulong Seen;
        public Place Place;
    }

    void IJsonTokenReader.Take(ref Utf8JsonReader reader)
    {
        JsonTokenType token = reader.TokenType;
        if (_skipped > 0)
        {
            Skip(token);
            return;
        }

        switch (token)
        {
            case JsonTokenType.PropertyName:
                TakeName(ref reader);
                break;
            case JsonTokenType.StartObject:
                Open(token);
                break;
            case JsonTokenType.StartArray:
                Open(token);
                break;
            case JsonTokenType.EndObject or JsonTokenType.EndArray:
                Close();
                break;
            default:
                TakeValue(ref reader);
                break;
        }
    }

    /// <summary>Passes over a value that nobody reads, from the token after its name on.</summary>
    void Skip(JsonTokenType token)
    {
        if (token is JsonTokenType.StartObject or JsonTokenType.StartArray) _skipped++;
        else if (token is JsonTokenType.EndObject or JsonTokenType.EndArray) _skipped--;

        // 1 is the value itself: it ends with its last token.
        if (_skipped == 1) _skipped = 0;
    }

    void SkipValue() => _skipped = 1;

    void TakeName(ref Utf8JsonReader reader)
    {
        ReadOnlySpan<char> name = Text(ref reader);
        if (name.StartsWith('@'))
        {
            _notes.Add(_tokens.Place, "Metadata annotations (RFC 7952) have no counterpart.");
            SkipValue();
            return;
        }

        Frame top = _open.Pop();
        Node? node = top.Node.Find(name, out int index);

        // RFC 7951 section 4: the module's name may only stand where it changes; that some write it everywhere does no harm.
        if (node is null && _open.Count > 0 && name.StartsWith(Module, StringComparison.Ordinal)) node = top.Node.Find(name[Module.Length..], out index);
        if (node is null) RefuseUnknown(top.Node, new string(name));
        else if ((top.Seen >> index & 1) != 0) _diagnostics.Error(_tokens.Place, ErrorCodes.ConfigurationTwice, $"'{node.Name}' stands twice here; keep one.");
        else top.Seen |= 1UL << index;
        _open.Push(top);

        if (node is null) SkipValue();
        else if (node.Note is { } note)
        {
            _notes.Add(_tokens.Place, note);
            SkipValue();
        }
        else _pending = node;
    }

    void RefuseUnknown(Node within, string name)
    {
        string shown = Shorten(name);
        if (within == s_file || within.Name == Datastore)
        {
            if (name.Contains(':', StringComparison.Ordinal) && Spelling.Suggest(name, [Root]) is null) _notes.Add(_tokens.Place, "Configuration of other modules than ietf-softwire-br is not a PRR's.");
            else _diagnostics.Error(_tokens.Place, ErrorCodes.ConfigurationUnknownKey, $"There is no '{shown}' at the top of the file, where names begin with their module (RFC 7951 section 4).", Root);
            return;
        }

        string? suggestion = Spelling.Suggest(name, within.Names);
        _diagnostics.Error(_tokens.Place, ErrorCodes.ConfigurationUnknownKey,
            $"ietf-softwire-br has no '{shown}' in '{within.Name}'.{(suggestion is null ? $" Known are {string.Join(", ", within.Names)}." : "")}", suggestion);
    }

    void Open(JsonTokenType token)
    {
        bool array = token == JsonTokenType.StartArray;
        if (_open.Count == 0)
        {
            if (array) throw new ForeignSyntaxException(_tokens.Place, $"This file is an array; it is to be an object with '{Root}' in it.");
            Push(s_file, false);
            return;
        }

        // Without a name in front this is an entry of the array around it.
        Node node = _pending ?? _open.Peek().Node;
        bool entry = _pending is null;
        _pending = null;
        if (!node.IsBlock || array != (node.IsList && !entry))
        {
            WrongType(node, array ? "an array" : "an object");
            _skipped = 2;
            return;
        }

        Push(node, array);
        if (array) return;
        if (node.Leaf == Leaf.Root) _hasRoot = true;
        else if (node.Leaf == Leaf.Entry) _entry = default;
        else if (node.Leaf == Leaf.Algorithm) (_entry, _algorithm) = (default, default);
        else if (node.Leaf == Leaf.Instance) BeginInstance();
    }

    void Push(Node node, bool array) => _open.Push(new Frame { Node = node, IsArray = array, Place = _tokens.Place });

    void Close()
    {
        Frame frame = _open.Pop();
        if (frame.IsArray) return;
        if (frame.Node.Leaf == Leaf.Entry) EndEntry(frame.Place);
        else if (frame.Node.Leaf == Leaf.Instance) EndInstance(frame.Place);
        else if (frame.Node.Leaf == Leaf.Algorithm) EndAlgorithm(frame.Place);
    }

    void WrongType(Node node, string found) => _diagnostics.Error(_tokens.Place, ErrorCodes.ConfigurationWrongType,
        $"Here is {found}, but '{node.Name}' is {node switch { { IsList: true } => "an array of objects", { IsBlock: true } => "an object", _ => "one value" }}.");

    // ---- values

    void TakeValue(ref Utf8JsonReader reader)
    {
        if (_open.Count == 0) throw new ForeignSyntaxException(_tokens.Place, $"This file is one value; it is to be an object with '{Root}' in it.");
        Node node = _pending ?? _open.Peek().Node;
        _pending = null;
        if (node.IsBlock)
        {
            WrongType(node, reader.TokenType switch { JsonTokenType.String => "a string", JsonTokenType.Number => "a number", JsonTokenType.Null => "null", _ => "true or false" });
            return;
        }

        switch (node.Leaf)
        {
            case Leaf.Name: _instance.Name = String(ref reader, node); break;
            case Leaf.NumMax:
                if (Number(ref reader, node, 1, uint.MaxValue) is < uint.MaxValue) _notes.Add(_tokens.Place, "'softwire-num-max' has no counterpart: the binding table grows as it must.");
                break;
            case Leaf.PayloadMtu: _instance.PayloadMtu = ((int?)Number(ref reader, node, 0, 65535), _tokens.Place); break;
            case Leaf.PathMru: _instance.PathMru = ((int?)Number(ref reader, node, 0, 65535), _tokens.Place); break;
            case Leaf.Hairpinning: _instance.Policy = _instance.Policy with { Hairpinning = Flag(ref reader, node) }; break;
            case Leaf.AllowIcmpV4: _instance.Policy = _instance.Policy with { AllowIcmpV4 = Flag(ref reader, node) }; break;
            case Leaf.SendV4: _instance.Policy = _instance.Policy with { SendV4 = Flag(ref reader, node) }; break;
            case Leaf.SendV6: _instance.Policy = _instance.Policy with { SendV6 = Flag(ref reader, node) }; break;
            case Leaf.V6Rate:
                long rate = Number(ref reader, node, 0, uint.MaxValue) ?? 0;
                if (rate > 1_000_000) _notes.Add(_tokens.Place, "'icmpv6-rate' is above what 'errors-per-second' can be; it became 1000000.");
                _instance.Policy = _instance.Policy with { V6Rate = (int)Math.Min(rate, 1_000_000) };
                break;
            case Leaf.Ipv6Info: TakeIpv6Info(ref reader, node); break;
            case Leaf.Ipv4: _entry.Address = Address<IPv4Address>(ref reader, node, IPv4Address.TryParse, "an IPv4 address such as 192.0.2.1"); break;
            case Leaf.Prr: _entry.Prr = Address<IPv6Address>(ref reader, node, IPv6Address.TryParse, "an IPv6 address such as 2001:db8::1"); break;
            case Leaf.AlgorithmName: _algorithm.Name = String(ref reader, node); break;
            case Leaf.Enable: _algorithm.Disabled = !Flag(ref reader, node); break;
            case Leaf.Dmr: _algorithm.Translates = Prefix<IPv6Prefix>(ref reader, node, IPv6Prefix.TryParse, "an IPv6 prefix such as 2001:db8::/96") is not null; break;
            case Leaf.EaLength: _algorithm.EaLength = (int?)Number(ref reader, node, 0, 255); break;
            case Leaf.RuleIpv6: _algorithm.IPv6 = Prefix<IPv6Prefix>(ref reader, node, IPv6Prefix.TryParse, "an IPv6 prefix such as 2001:db8::/40"); break;
            case Leaf.RuleIpv4: _algorithm.IPv4 = Prefix<IPv4Prefix>(ref reader, node, IPv4Prefix.TryParse, "an IPv4 prefix such as 192.0.2.0/24"); break;
            case Leaf.Forwarding:
                if (!Flag(ref reader, node)) _notes.Add(_tokens.Place, "'forwarding' false keeps homes from sending to each other by this rule, which is nothing to a PRR; the rule came over.");
                break;
            case Leaf.Offset: _entry.Offset = (int?)Number(ref reader, node, 0, 16); break;
            case Leaf.Length: _entry.Length = (int?)Number(ref reader, node, 0, 15); break;
            case Leaf.Psid: _entry.Psid = (int?)Number(ref reader, node, 0, 65535); break;
        }
    }

    /// <summary>RFC 7951 section 6.1: numbers of up to 32 bits stand without quotes.</summary>
    long? Number(ref Utf8JsonReader reader, Node node, long least, long most)
    {
        if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out long number) && number >= least && number <= most) return number;
        string shown = reader.TokenType == JsonTokenType.Number ? Shorten(Encoding.UTF8.GetString(reader.ValueSpan)) : "This";
        _diagnostics.Error(_tokens.Place, reader.TokenType == JsonTokenType.Number ? ErrorCodes.ConfigurationOutOfRange : ErrorCodes.ConfigurationWrongType,
            $"{shown} is not a value of '{node.Name}', which is a whole number from {least} to {most}, without quotes.");
        return null;
    }

    bool Flag(ref Utf8JsonReader reader, Node node)
    {
        if (reader.TokenType is JsonTokenType.True or JsonTokenType.False) return reader.TokenType == JsonTokenType.True;
        _diagnostics.Error(_tokens.Place, ErrorCodes.ConfigurationWrongType, $"This is not a value of '{node.Name}', which is true or false, without quotes.");
        return false;
    }

    string? String(ref Utf8JsonReader reader, Node node)
    {
        if (reader.TokenType == JsonTokenType.String) return new string(Text(ref reader));
        _diagnostics.Error(_tokens.Place, ErrorCodes.ConfigurationWrongType, $"This is not a value of '{node.Name}', which is a string in quotes.");
        return null;
    }

    delegate bool Parser<T>(ReadOnlySpan<char> text, out T value);

    T? Address<T>(ref Utf8JsonReader reader, Node node, Parser<T> parse, string form)
        where T : struct
    {
        ReadOnlySpan<char> text = reader.TokenType == JsonTokenType.String ? Text(ref reader) : default;
        if (parse(text, out T address)) return address;
        _diagnostics.Error(_tokens.Place, reader.TokenType == JsonTokenType.String ? ErrorCodes.ConfigurationBadValue : ErrorCodes.ConfigurationWrongType,
            $"{(reader.TokenType == JsonTokenType.String ? $"'{Shorten(new string(text))}'" : "This")} is not a value of '{node.Name}', which is {form}, in quotes.");
        return null;
    }

    delegate bool PrefixParser<T>(ReadOnlySpan<char> text, out T prefix, out string error);

    T? Prefix<T>(ref Utf8JsonReader reader, Node node, PrefixParser<T> parse, string form)
        where T : struct => Address(ref reader, node, (ReadOnlySpan<char> text, out T prefix) => parse(text, out prefix, out _), form);

    /// <summary>A host's address, or a prefix from which the home makes its address.</summary>
    void TakeIpv6Info(ref Utf8JsonReader reader, Node node)
    {
        int length = 128;
        _entry.Smap = Address(ref reader, node, (ReadOnlySpan<char> text, out IPv6Address address) =>
        {
            int slash = text.IndexOf('/');
            if (slash < 0) return IPv6Address.TryParse(text, out address);
            return IPv6Address.TryParse(text[..slash], out address) & int.TryParse(text[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out length) && length <= 128;
        }, "an IPv6 address or prefix such as 2001:db8:1::1 or 2001:db8:1::/64");
        _entry.PrefixLength = length;
    }

    /// <summary>The characters of a string or name, until the next is read.</summary>
    ReadOnlySpan<char> Text(ref Utf8JsonReader reader)
    {
        if (reader.HasValueSequence || reader.ValueIsEscaped || reader.ValueSpan.Length > _text.Length)
        {
            // A lone surrogate by escape (\ud800) is JSON, but no text.
            try
            {
                return reader.GetString();
            }
            catch (InvalidOperationException)
            {
                return "\ufffd";
            }
        }

        return _text.AsSpan(0, Encoding.UTF8.GetChars(reader.ValueSpan, _text));
    }

    static string Shorten(string text) => string.Concat((text.Length > 80 ? $"{text[..80]}..." : text).Select(c => char.IsControl(c) ? '?' : c));

    // ---- entries and instances

    struct EntryFields
    {
        public IPv4Address? Address;
        public IPv6Address? Smap, Prr;
        public int PrefixLength;
        public int? Offset, Length, Psid;
    }

    struct AlgorithmFields
    {
        public string? Name;
        public bool Disabled, Translates;
        public int? EaLength;
        public IPv6Prefix? IPv6;
        public IPv4Prefix? IPv4;
    }

    readonly record struct Entry(IPv4Address Address, PortSet Ports, IPv6Address Smap, IPv6Address Prr, Place Place);

    sealed class Instance
    {
        public string? Name { get; set; }

        public (int? Value, Place Place)? PayloadMtu { get; set; }

        public (int? Value, Place Place)? PathMru { get; set; }

        public Policy Policy { get; set; } = new();
    }

    /// <summary>What an instance sets and a PRR has once. The values are the module's defaults; of the rate it has none.</summary>
    sealed record Policy(bool Hairpinning = true, bool AllowIcmpV4 = true, bool SendV4 = true, bool SendV6 = true, int V6Rate = 100);

    void BeginInstance()
    {
        _instance = new Instance();
        _entries.Clear();
    }

    void EndEntry(Place place)
    {
        (string Name, bool Is)[]? missing = _entry is { Address: not null, Smap: not null, Prr: not null, Length: not null, Psid: not null } ? null :
        [
            ("binding-ipv6info", _entry.Smap is not null), ("binding-ipv4-addr", _entry.Address is not null), ("br-ipv6-addr", _entry.Prr is not null),
            ("psid-len in port-set (0 where the address is whole)", _entry.Length is not null), ("psid in port-set", _entry.Psid is not null),
        ];
        if (missing is not null)
        {
            _diagnostics.Error(place, ErrorCodes.ConfigurationMissingKey, $"This binding-entry lacks {string.Join(" and ", missing.Where(m => !m.Is).Select(m => m.Name))}, or has it wrong.");
            return;
        }

        (int offset, int length, int value) = (_entry.Offset ?? 0, _entry.Length!.Value, _entry.Psid!.Value);
        if (Ports(offset, length, value, place) is not { } ports) return;
        if (_entry.PrefixLength is > 64 and < 128)
        {
            _diagnostics.Error(place, ErrorCodes.ConfigurationBadValue, $"A home cannot make its address of a prefix of {_entry.PrefixLength} bits: RFC 7596 section 5.1 puts the IPv4 address and the PSID behind the first 64. Write the home's address.");
            return;
        }

        IPv6Address smap = _entry.PrefixLength == 128 ? _entry.Smap!.Value : MappingRule.CeAddress(IPv6Prefix.Of(_entry.Smap!.Value, _entry.PrefixLength), _entry.Address!.Value, ports.Psid?.Value ?? 0);
        _entries.Add(new Entry(_entry.Address!.Value, ports, smap, _entry.Prr!.Value, place));
    }

    PortSet? Ports(int offset, int length, int psid, Place place)
    {
        if (_sets.TryGetValue((offset, length, psid), out PortSet? ports)) return ports;

        // Of a whole address neither offset nor PSID says anything.
        if (length == 0 && psid == 0) return _sets[(offset, length, psid)] = PortSet.WholeAddress;
        if (new Psid(offset, length, psid).Fault is { } fault)
        {
            _diagnostics.Error(place, ErrorCodes.NotAPortSet, $"This is not a port set: {fault}.");
            return null;
        }

        return _sets[(offset, length, psid)] = PortSet.FromPsid(offset, length, psid);
    }

    void EndInstance(Place place)
    {
        if (_instance.Name is not { } name)
        {
            _diagnostics.Error(place, ErrorCodes.ConfigurationMissingKey, "This bind-instance has no 'name'.");
            return;
        }

        _names.Add(name);
        if (_chosen is not null && _chosen != name) return;
        if (_instance.PayloadMtu is not { Value: { } payload } mtu)
        {
            if (_instance.PayloadMtu is null) _diagnostics.Error(place, ErrorCodes.ConfigurationMissingKey, $"The instance '{Shorten(name)}' lacks 'softwire-payload-mtu', the largest IPv4 packet in a softwire.");
            return;
        }

        int pathMtu = _prr.CheckPathMtu(payload + ReadBindings.Overhead, mtu.Place, "softwire-payload-mtu and the IPv6 header of 40 octets make");
        if (_instance.PathMru is { Value: { } mru } path && mru != pathMtu)
            _notes.Add(path.Place, "'softwire-path-mru' has no counterpart: what comes in is limited by the Linux device's MTU.");

        Policy policy = _instance.Policy;
        if (_first is { } first && first.Policy != policy)
            _diagnostics.Error(place, ErrorCodes.ConfigurationContradiction, $"The instances '{Shorten(first.Instance.Name!)}' and '{Shorten(name)}' differ in {Difference(first.Policy, policy)}, which a PRR has once. Import one, by --instance, and run a PRR for each.");
        _first ??= (_instance, policy);
        foreach (Entry entry in _entries) _prr.Add(entry.Address, entry.Ports, entry.Smap, entry.Prr, pathMtu, entry.Place);
    }

    void EndAlgorithm(Place place)
    {
        if (_algorithm.Name is not { } name)
        {
            _diagnostics.Error(place, ErrorCodes.ConfigurationMissingKey, "This algo-instance has no 'name'.");
            return;
        }

        _names.Add(name);
        if (_chosen is not null && _chosen != name) return;
        if (_algorithm.Translates || _algorithm.Disabled)
        {
            _notes.Add(place, _algorithm.Translates ? "An instance of MAP-T (dmr-ipv6-prefix) translates and does not encapsulate; it was left out." : "An instance that is not enabled was left out.");
            return;
        }

        if (_algorithm is not { EaLength: { } ea, IPv6: { } ipv6, IPv4: { } ipv4 } || _entry.Prr is not { } prr)
        {
            (string Name, bool Is)[] all = [("ea-len", _algorithm.EaLength is not null), ("rule-ipv6-prefix", _algorithm.IPv6 is not null), ("rule-ipv4-prefix", _algorithm.IPv4 is not null), ("br-ipv6-addr", _entry.Prr is not null)];
            _diagnostics.Error(place, ErrorCodes.ConfigurationMissingKey, $"The instance '{Shorten(name)}' lacks {string.Join(" and ", all.Where(m => !m.Is).Select(m => m.Name))}, or has it wrong.");
            return;
        }

        // The module wants a PSID beside each length. Where the EA bits hold it, each home has its own, and the leaf says nothing.
        var rule = new MappingRule(ipv6, ipv4, ea) { PsidOffset = _entry.Offset ?? MappingRule.DefaultPsidOffset, ExplicitPsidLength = _entry.Length, ExplicitPsid = ea == 0 ? _entry.Psid : null };
        if (rule.PsidLength == 0) rule = rule with { PsidOffset = MappingRule.DefaultPsidOffset };
        if (rule.Fault is null && (ea > 0 || rule.PsidLength == 0)) rule = rule with { ExplicitPsidLength = null, ExplicitPsid = null };
        _notes.Add(place, "RFC 8676 has no MTU for mapping rules; the path MTU was taken to be 1500.");
        _prr.AddRule(rule, prr, 0, name.Length == 0 || name.Any(c => char.IsControl(c) || char.IsSurrogate(c)) ? null : name, place);
    }

    static string Difference(Policy a, Policy b) =>
        a.Hairpinning != b.Hairpinning ? "enable-hairpinning" : a.AllowIcmpV4 != b.AllowIcmpV4 ? "allow-incoming-icmpv4"
        : a.SendV4 != b.SendV4 ? "generate-icmpv4-errors" : a.SendV6 != b.SendV6 ? "generate-icmpv6-errors" : "icmpv6-rate";
}
