using System.Globalization;
using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;

namespace APlusP.Node.Configuration.Formats;

/// <summary>
/// Reads the commands of VPP's MAP plug-in, as they stand in the file that <c>startup-config</c> or <c>exec</c> names. A domain is known by its
/// index, which VPP gives: the lowest from 0 on, or the one that was freed last.
/// </summary>
public sealed class VppFormat
{
    readonly DiagnosticList _diagnostics = new();
    readonly ImportNotes _notes = new();
    readonly ImportedPrr _prr;
    readonly SourceText _source;
    readonly TextReader _reader;
    readonly List<Domain?> _domains = [];
    readonly Stack<int> _freed = [];
    readonly HashSet<string> _foreign = new(StringComparer.Ordinal);
    readonly HashSet<string> _tags = new(StringComparer.Ordinal);
    readonly Dictionary<(int, int, int), PortSet> _sets = [];

    IPv4Address? _icmpSource;
    bool _sendV6, _ignoreDf;

    // The line that is read: it has gone on to further lines where \ ended one.
    string _line = "";
    int _number, _next;
    Range[] _words = new Range[64];
    int _count;

    VppFormat(ForeignFile file, TextReader reader)
    {
        _source = new SourceText(file.Path, file.Open);
        _reader = reader;
        _prr = new ImportedPrr(_diagnostics, _notes, joinSoftwires: true);
    }

    /// <summary>Reads the file and tells everything that is wrong with it, and what cannot be carried over.</summary>
    public static ImportResult Read(ForeignFile file)
    {
        using var reader = new StreamReader(file.Open(), Encoding.UTF8, true, 1 << 16);
        return new VppFormat(file, reader).Read();
    }

    ImportResult Read()
    {
        while (ReadLine())
            if (_count > 0) ReadCommand();
        foreach (Domain? domain in _domains)
            if (domain is not null) TakeDomain(domain);
        var options = new PrrOptions { SoftwireAddresses = [], IcmpSource = _icmpSource, SendIcmpV6Errors = _sendV6, IgnoreDontFragment = _ignoreDf };
        PrrConfiguration? configuration = _prr.Finish(options, 1500, new Place(_source, 1, 1, 1));
        return new ImportResult(configuration, _diagnostics.Finish(), _diagnostics.Omitted, _notes.Finish());
    }

    // ---- lines and words

    /// <summary>Takes a line and splits it: # begins a comment, \ at the end goes on with the next line.</summary>
    bool ReadLine()
    {
        _count = 0;
        _number = ++_next;
        if (_reader.ReadLine() is not { } line) return false;
        while (line.EndsWith('\\') && !line.Contains('#', StringComparison.Ordinal) && _reader.ReadLine() is { } more)
        {
            line = $"{line[..^1]} {more}";
            _next++;
        }

        _line = line;
        int end = line.IndexOf('#', StringComparison.Ordinal) is var comment and >= 0 ? comment : line.Length, at = 0;
        while (true)
        {
            while (at < end && (char.IsWhiteSpace(line[at]) || line[at] == '\ufeff')) at++;
            if (at == end) return true;
            int start = at;
            while (at < end && !char.IsWhiteSpace(line[at])) at++;
            if (_count == _words.Length) Array.Resize(ref _words, _count * 2);
            _words[_count++] = start..at;
        }
    }

    ReadOnlySpan<char> Word(int index) => index < _count ? _line.AsSpan(_words[index]) : default;

    Place At(int index)
    {
        if (index >= _count) return new Place(_source, _number, _line.Length + 1, 1);
        (int start, int length) = _words[index].GetOffsetAndLength(_line.Length);
        return new Place(_source, _number, start + 1, length);
    }

    string Shown(int index) => string.Concat((Word(index) is { Length: > 80 } word ? $"{word[..80]}..." : new string(Word(index))).Select(c => char.IsControl(c) ? '?' : c));

    // ---- commands

    static readonly string[] s_commands = ["add domain", "add rule", "del domain", "params", "interface"];
    static readonly string[] s_params = ["security-check", "icmp", "icmp6", "fragment", "traffic-class", "tcp-mss", "pre-resolve", "reassembly"];

    void ReadCommand()
    {
        if (Word(0) is "comment" or "show") return;
        if (Word(0) is not "map")
        {
            NoteForeign();
            return;
        }

        switch (Word(1))
        {
            case "add" when Word(2) is "domain": AddDomain(); break;
            case "add" when Word(2) is "rule": AddRule(); break;
            case "del" when Word(2) is "domain": RemoveDomain(); break;
            case "params": ReadParameter(); break;
            case "interface":
                _notes.Add(At(0), "Which interfaces do MAP is not said here: Linux routes the shared addresses and the PRR's end to aplusp's device.");
                break;
            default:
                string written = $"{Shown(1)} {Shown(2)}".TrimEnd();
                _diagnostics.Error(At(1), ErrorCodes.ConfigurationUnknownKey, $"'map {written}' is no command of VPP's MAP; there are map {string.Join(", map ", s_commands)}.", Spelling.Suggest(written, s_commands));
                break;
        }
    }

    /// <summary>Told once for each kind of command, by its first two words.</summary>
    void NoteForeign()
    {
        string words = $"{Shown(0)} {Shown(1)}".TrimEnd();
        if (_foreign.Count >= 100 && !_foreign.Contains(words)) words = "...";
        _foreign.Add(words);
        _notes.Add(At(0), $"'{words}' is not of MAP: interfaces, addresses, routes and whatever else is the machine's are Linux's here.");
    }

    void ReadParameter()
    {
        switch (Word(2))
        {
            case "icmp" when Word(3) is "source-address":
                if (TakeIPv4(4) is not { } source) return;
                if (source.IsUnicast) _icmpSource = source;
                else _diagnostics.Error(At(4), ErrorCodes.ConfigurationNotUnicast, $"{source} is not an address that a host can have; write the machine's own.");
                break;
            case "icmp6" when Word(3) is "unreachables" && Word(4) is "on" or "off": _sendV6 = Word(4) is "on"; break;
            case "security-check":
                if (Word(3) is "disable") _notes.Add(At(2), "A PRR always checks that a packet's IPv4 source, its port and its softwire are one binding's; this cannot be switched off.");
                break;
            case "traffic-class":
                if (Word(3) is not "copy") _notes.Add(At(2), "A fixed traffic class has no counterpart: it is copied from the IPv4 packet.");
                break;
            case "fragment" when Word(3) is "inner" or "outer" && Word(4) is "ignore-df" or "honor-df":
                _ignoreDf = Word(4) is "ignore-df";
                if (Word(3) is "inner") _notes.Add(At(2), "To fragment the inner packet has no counterpart: by RFC 2473 section 7.2 it is the IPv6 packet that is fragmented.");
                break;
            case "tcp-mss": _notes.Add(At(2), "A fixed MSS has no counterpart: by 'clamp-mss' TCP's is lowered to what the softwire carries."); break;
            case "pre-resolve": _notes.Add(At(2), "'pre-resolve' has no counterpart: routes are Linux's."); break;
            case "reassembly": _notes.Add(At(2), "The limits of reassembly were not carried over: [fragments] has others."); break;
            default:
                _diagnostics.Error(At(2), ErrorCodes.ConfigurationUnknownKey, $"'{$"map params {Shown(2)} {Shown(3)} {Shown(4)}".TrimEnd()}' is no setting of VPP's MAP; there are {string.Join(", ", s_params)}, each with its values.", Spelling.Suggest(Shown(2), s_params));
                break;
        }
    }

    // ---- domains

    sealed class Domain
    {
        public (IPv4Address Address, int Length)? IPv4 { get; set; }

        public (IPv6Address Address, int Length)? IPv6 { get; set; }

        public (IPv6Address Address, int Length)? Source { get; set; }

        public int EaLength { get; set; }

        public int PsidOffset { get; set; }

        public int PsidLength { get; set; }

        public int Mtu { get; set; }

        public string? Tag { get; set; }

        public bool IsMapT { get; set; }

        public required Place Place { get; init; }

        /// <summary>Homes by PSID, in the order they came.</summary>
        public Dictionary<int, (IPv6Address Smap, Place Place)> Rules { get; } = [];
    }

    static readonly string[] s_domainWords = ["ip4-pfx", "ip6-pfx", "ip6-src", "ip6-shared-src", "ea-bits-len", "psid-offset", "psid-len", "mtu", "tag", "map-t"];

    void AddDomain()
    {
        var domain = new Domain { Place = At(0) };
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (int i = 3; i < _count; i += 2)
        {
            if (!seen.Add(Shown(i))) _diagnostics.Error(At(i), ErrorCodes.ConfigurationTwice, $"'{Shown(i)}' stands twice; keep one.");
            switch (Word(i))
            {
                case "ip4-pfx": domain.IPv4 = TakePrefix<IPv4Address>(i + 1, IPv4Address.TryParse, 32, false, "an IPv4 prefix such as 192.0.2.0/24"); break;
                case "ip6-pfx": domain.IPv6 = TakePrefix<IPv6Address>(i + 1, IPv6Address.TryParse, 128, false, "an IPv6 prefix such as 2001:db8::/40"); break;
                case "ip6-src" or "ip6-shared-src": domain.Source = TakePrefix<IPv6Address>(i + 1, IPv6Address.TryParse, 128, true, "an IPv6 address such as 2001:db8::1"); break;
                case "ea-bits-len": domain.EaLength = TakeNumber(i + 1, 48); break;
                case "psid-offset": domain.PsidOffset = TakeNumber(i + 1, 16); break;
                case "psid-len": domain.PsidLength = TakeNumber(i + 1, 16); break;
                case "mtu": domain.Mtu = TakeNumber(i + 1, 65535); break;
                case "tag": domain.Tag = Shown(i + 1); break;
                case "map-t":
                    domain.IsMapT = true;
                    i--;
                    break;
                default:
                    _diagnostics.Error(At(i), ErrorCodes.ConfigurationUnknownKey, $"'map add domain' has no '{Shown(i)}'; there are {string.Join(", ", s_domainWords)}.", Spelling.Suggest(Shown(i), s_domainWords));
                    break;
            }
        }

        foreach (string word in new[] { "ip4-pfx", "ip6-pfx", "ip6-src" })
            if (!seen.Contains(word) && !(word == "ip6-src" && seen.Contains("ip6-shared-src")))
                _diagnostics.Error(At(_count), ErrorCodes.ConfigurationMissingKey, $"This domain lacks '{word}'.");
        if (domain.PsidOffset + domain.PsidLength > 16)
        {
            domain.IPv4 = null;
            _diagnostics.Error(domain.Place, ErrorCodes.NotAPortSet, $"psid-offset {domain.PsidOffset} and psid-len {domain.PsidLength} are more than the 16 bits of a port together; correct one.");
        }

        if (domain is { EaLength: > 0, IPv6: { } ipv6, IPv4: { } ipv4 } && Math.Max(ipv6.Length + domain.EaLength, ipv6.Length + 32 - ipv4.Length + domain.PsidLength) > 64 && ipv4.Length + domain.EaLength >= 32)
        {
            domain.IPv4 = null;
            _diagnostics.Error(domain.Place, ErrorCodes.NotAMappingRule, $"The IPv6 prefix of {ipv6.Length} bits and the EA bits go beyond the first 64 bits, so that VPP refuses the domain; correct ea-bits-len or psid-len.");
        }

        // A faulty domain has its index too, or the rules below would be those of others.
        if (_freed.TryPop(out int index)) _domains[index] = domain;
        else _domains.Add(domain);
    }

    void RemoveDomain()
    {
        if (Word(3) is not "index" || TakeIndex(4) is not { } index) return;
        _domains[index] = null;
        _freed.Push(index);
    }

    void AddRule()
    {
        int? index = null, psid = null;
        IPv6Address? smap = null;
        for (int i = 3; i < _count; i += 2)
        {
            switch (Word(i))
            {
                case "index": index = TakeIndex(i + 1); break;
                case "psid": psid = TakeNumber(i + 1, 65535); break;
                case "ip6-dst": smap = TakeIPv6(i + 1); break;
                default:
                    _diagnostics.Error(At(i), ErrorCodes.ConfigurationUnknownKey, $"'map add rule' has no '{Shown(i)}'; there are index, psid and ip6-dst.", Spelling.Suggest(Shown(i), ["index", "psid", "ip6-dst"]));
                    return;
            }
        }

        if (index is null || psid is null || smap is null)
        {
            // What was there and wrong has been told.
            if (_count < 9) _diagnostics.Error(At(_count), ErrorCodes.ConfigurationMissingKey, "A rule needs all of 'index N', 'psid N' and 'ip6-dst ADDRESS'.");
            return;
        }

        Domain domain = _domains[index.Value]!;
        if (domain.EaLength > 0)
            _diagnostics.Error(At(0), ErrorCodes.ConfigurationContradiction, $"Domain {index} (line {domain.Place.Line}) maps by EA bits, so that VPP takes no rule for it; remove the rule, or set ea-bits-len to 0.");
        else if (psid >= 1 << domain.PsidLength)
            _diagnostics.Error(At(0), ErrorCodes.NotAPortSet, $"The PSID {psid} is not from 0 to {(1 << domain.PsidLength) - 1}, which is what the {domain.PsidLength} bits of domain {index} (line {domain.Place.Line}) say.");
        else
            domain.Rules[psid.Value] = (smap.Value, At(0));
    }

    // ---- values

    int TakeNumber(int index, int most)
    {
        if (int.TryParse(Word(index), NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number <= most) return number;
        _diagnostics.Error(At(index), ErrorCodes.ConfigurationOutOfRange, $"'{Shown(index)}' is not a value of '{Shown(index - 1)}', which is a number from 0 to {most}.");
        return 0;
    }

    int? TakeIndex(int index)
    {
        if (int.TryParse(Word(index), NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number < _domains.Count && _domains[number] is not null) return number;
        _diagnostics.Error(At(index), ErrorCodes.ConfigurationBadValue, $"There is no domain '{Shown(index)}' here; VPP numbers them from 0 in the order they are added.");
        return null;
    }

    IPv4Address? TakeIPv4(int index)
    {
        if (IPv4Address.TryParse(Word(index), out IPv4Address address)) return address;
        _diagnostics.Error(At(index), ErrorCodes.ConfigurationBadValue, $"'{Shown(index)}' is not an IPv4 address such as 192.0.2.1.");
        return null;
    }

    IPv6Address? TakeIPv6(int index)
    {
        if (IPv6Address.TryParse(Word(index), out IPv6Address address)) return address;
        _diagnostics.Error(At(index), ErrorCodes.ConfigurationBadValue, $"'{Shown(index)}' is not an IPv6 address such as 2001:db8::1.");
        return null;
    }

    delegate bool Parser<T>(ReadOnlySpan<char> text, out T value);

    (T Address, int Length)? TakePrefix<T>(int index, Parser<T> parse, int bits, bool lengthMayLack, string form)
        where T : struct
    {
        ReadOnlySpan<char> word = Word(index);
        int slash = word.IndexOf('/'), length = bits;
        if ((slash >= 0 || lengthMayLack) && parse(slash < 0 ? word : word[..slash], out T address)
            && (slash < 0 || (int.TryParse(word[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out length) && length <= bits))) return (address, length);
        _diagnostics.Error(At(index), ErrorCodes.ConfigurationBadValue, $"'{Shown(index)}' is not {form}.");
        return null;
    }

    // ---- what a domain means

    void TakeDomain(Domain domain)
    {
        // Otherwise its faults have been told.
        if (domain is not { IPv4: { } ipv4, IPv6: { } ipv6, Source: { } source }) return;
        if (domain.IsMapT || source.Length < 128)
        {
            _notes.Add(domain.Place, "A domain of MAP-T (ip6-src is a prefix) translates and does not encapsulate; it was left out.");
            return;
        }

        if (domain.Rules.Count > 0 && ipv4.Length < 32)
        {
            _notes.Add(domain.Place, "Rules of a domain that has more than one IPv4 address give a home the same ports of each; a binding here has one address. The domain was left out.");
            return;
        }

        if (domain.Rules.Count == 0 && domain.EaLength == 0 && (domain.PsidLength > 0 || ipv6.Length == 0))
        {
            _notes.Add(domain.Place, "This domain has no rule yet ('map add rule'), and so no home.");
            return;
        }

        int pathMtu = domain.Mtu;
        if (pathMtu == 0) _notes.Add(domain.Place, "This domain has no mtu; the path MTU was taken to be 1500.");
        else pathMtu = _prr.CheckPathMtu(pathMtu, domain.Place, "The domain's mtu is");

        // EA bits, or a prefix for one home: a mapping rule. A whole address for one home is a binding as well as a rule. The interface
        // identifier is RFC 7597's, which VPP puts behind 64 bits of any prefix but one of 128.
        if (domain.Rules.Count == 0)
        {
            _prr.AddRule(
                new MappingRule(IPv6Prefix.Of(ipv6.Address, ipv6.Length == 128 ? 128 : Math.Min(ipv6.Length, 64)), IPv4Prefix.Of(ipv4.Address, ipv4.Length), domain.EaLength)
                {
                    PsidOffset = domain.PsidLength == 0 ? MappingRule.DefaultPsidOffset : domain.PsidOffset,
                    ExplicitPsidLength = domain.EaLength > 0 && domain.PsidLength != domain.EaLength - Math.Min(32 - ipv4.Length, domain.EaLength) ? domain.PsidLength : null,
                },
                source.Address, pathMtu, Name(domain), domain.Place);
        }

        foreach ((int psid, (IPv6Address smap, Place place)) in domain.Rules)
            _prr.Add(ipv4.Address, Ports(domain.PsidOffset, domain.PsidLength, psid), smap, source.Address, pathMtu, place);
    }

    /// <summary>The tag, where it is the first of its kind: names are unique here.</summary>
    string? Name(Domain domain)
    {
        if (domain.Tag is not { Length: > 0 } tag || tag.Any(char.IsSurrogate)) return null;
        if (_tags.Add(tag)) return tag;
        _notes.Add(domain.Place, "This tag stands at another domain too; names are unique here, so that it was left out.");
        return null;
    }

    /// <summary>VPP excludes ports below 2^(16-a) as RFC 7597 section 5.1 does.</summary>
    PortSet Ports(int offset, int length, int psid)
    {
        if (!_sets.TryGetValue((offset, length, psid), out PortSet? set))
            _sets.Add((offset, length, psid), set = length == 0 ? PortSet.WholeAddress : PortSet.FromPsid(offset, length, psid));
        return set;
    }
}
