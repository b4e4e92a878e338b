using System.Text;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;

namespace APlusP.Node.Configuration.Formats;

/// <summary>
/// Writes a PRR's configuration as prr.toml, many bindings as a bindings-file beside it. Keys at their default are left out, so that
/// the file says what is particular to this PRR.
/// </summary>
public static class PrrToml
{
    /// <summary>More bindings than this are better read in a bindings-file.</summary>
    public const int ManyBindings = 100;

    /// <param name="configuration">What to write.</param>
    /// <param name="comment">The first line.</param>
    /// <param name="toml">Where prr.toml goes.</param>
    /// <param name="bindings">Where the bindings-file goes; null writes all bindings into prr.toml.</param>
    /// <param name="bindingsFile">How prr.toml names the bindings-file.</param>
    public static void Write(PrrConfiguration configuration, string comment, TextWriter toml, TextWriter? bindings, string bindingsFile)
    {
        PrrOptions options = configuration.Options, standard = new() { SoftwireAddresses = [] };
        int pathMtu = UsualPathMtu(configuration);
        toml.Write($"# {Plain(comment)}\n\n");
        toml.Write(options.SoftwireAddresses.Count == 1 ? $"softwire-address = \"{options.SoftwireAddresses[0]}\"\n" : $"softwire-address = [\n{string.Concat(options.SoftwireAddresses.Select(a => $"  \"{a}\",\n"))}]\n");
        if (options.IcmpSource is { } source) toml.Write($"icmp-source = \"{source}\"\n");
        toml.Write($"path-mtu = {pathMtu}\n");
        if (options.HopLimit != standard.HopLimit) toml.Write($"hop-limit = {options.HopLimit}\n");
        if (options.Hairpinning != standard.Hairpinning) toml.Write($"hairpinning = {Word(options.Hairpinning)}\n");
        if (options.ClampMss != standard.ClampMss) toml.Write($"clamp-mss = {Word(options.ClampMss)}\n");
        if (options.IgnoreDontFragment != standard.IgnoreDontFragment) toml.Write($"ignore-df = {Word(options.IgnoreDontFragment)}\n");
        if (bindings is not null) toml.Write($"bindings-file = {TomlText.Quoted(bindingsFile)}\n");

        toml.Write($"\n[icmp]\nallow-from-internet = {Word(options.AllowIcmpFromInternet)}\nsend-v4-errors = {Word(options.SendIcmpV4Errors)}\n"
            + $"send-v6-errors = {Word(options.SendIcmpV6Errors)}\nerrors-per-second = {options.IcmpErrorsPerSecond}\n");

        if (options.Fragments.MaxPackets != standard.Fragments.MaxPackets) toml.Write($"\n[fragments]\nmax-packets = {options.Fragments.MaxPackets}\n");
        if (!configuration.Discovery.IsOn) toml.Write("\n[discovery]\nenabled = false\n");

        IPv6Address usual = options.SoftwireAddresses[0];
        foreach (RuleBinding rule in configuration.Rules) WriteRule(toml, rule, usual, pathMtu);
        var sets = new Dictionary<PortSet, string>(ReferenceEqualityComparer.Instance);
        foreach (Binding binding in configuration.Bindings)
        {
            // What a line cannot hold stays in prr.toml.
            string? name = configuration.Names.GetValueOrDefault(binding.Softwire);
            if (!sets.TryGetValue(binding.Ports, out string? ports)) sets.Add(binding.Ports, ports = binding.Ports.IsWholeAddress ? "all" : binding.Ports.ToString());
            if (bindings is null || (name is not null && !FitsALine(name)) || ports.Length > BindingsFile.LongestLine - 1024) WriteTable(toml, binding, ports, name, usual, pathMtu);
            else WriteLine(bindings, binding, ports, name, usual, pathMtu);
        }
    }

    /// <summary>The path MTU that most bindings and rules have.</summary>
    static int UsualPathMtu(PrrConfiguration configuration)
    {
        var counts = new Dictionary<int, int>();
        foreach (int mtu in configuration.Bindings.Select(b => b.PayloadMtu).Concat(configuration.Rules.Select(r => r.PayloadMtu))) counts[mtu] = counts.GetValueOrDefault(mtu) + 1;
        return counts.Count == 0 ? 1500 : counts.MaxBy(c => c.Value).Key + ReadBindings.Overhead;
    }

    /// <summary>Whether a bindings-file can hold a name.</summary>
    public static bool FitsALine(string name) => !name.Any(char.IsWhiteSpace) && !name.StartsWith('#') && !name.Contains('\ufeff', StringComparison.Ordinal);

    static void WriteLine(TextWriter writer, Binding binding, string ports, string? name, IPv6Address usual, int pathMtu)
    {
        writer.Write(binding.Address.ToString());
        writer.Write(' ');
        writer.Write(ports);
        writer.Write(' ');
        writer.Write(binding.Softwire.ToString());
        if (binding.Prr != usual) writer.Write($" prr={binding.Prr}");
        if (binding.PayloadMtu + ReadBindings.Overhead != pathMtu) writer.Write($" path-mtu={binding.PayloadMtu + ReadBindings.Overhead}");
        if (name is not null) writer.Write($" name={name}");
        writer.Write('\n');
    }

    static void WriteRule(TextWriter writer, RuleBinding binding, IPv6Address usual, int pathMtu)
    {
        MappingRule rule = binding.Rule;
        writer.Write("\n[[rule]]\n");
        if (binding.Name is { } name) writer.Write($"name = {TomlText.Quoted(name)}\n");
        writer.Write($"rule-ipv6-prefix = \"{rule.IPv6}\"\nrule-ipv4-prefix = \"{rule.IPv4}\"\nea-length = {rule.EaLength}\n");
        if (rule.PsidOffset != MappingRule.DefaultPsidOffset) writer.Write($"psid-offset = {rule.PsidOffset}\n");
        if (rule.ExplicitPsidLength is { } length) writer.Write($"psid-length = {length}\n");
        if (rule.ExplicitPsid is { } psid) writer.Write($"psid = {psid}\n");
        if (rule.Form != InterfaceIdentifierForm.Rfc7597) writer.Write($"interface-identifier = \"{MappingRuleSection.InterfaceIdentifiers[(int)rule.Form]}\"\n");
        if (binding.Prr != usual) writer.Write($"prr = \"{binding.Prr}\"\n");
        if (binding.PayloadMtu + ReadBindings.Overhead != pathMtu) writer.Write($"path-mtu = {binding.PayloadMtu + ReadBindings.Overhead}\n");
    }

    static void WriteTable(TextWriter writer, Binding binding, string ports, string? name, IPv6Address usual, int pathMtu)
    {
        writer.Write("\n[[binding]]\n");
        if (name is not null) writer.Write($"name = {TomlText.Quoted(name)}\n");
        writer.Write($"address = \"{binding.Address}\"\n");
        writer.Write(binding.Ports.Psid is { } psid && ports != "all"
            ? $"psid = {{ offset = {psid.Offset}, length = {psid.Length}, psid = {psid.Value} }}\n" : $"ports = \"{ports}\"\n");
        writer.Write($"softwire = \"{binding.Softwire}\"\n");
        if (binding.Prr != usual) writer.Write($"prr = \"{binding.Prr}\"\n");
        if (binding.PayloadMtu + ReadBindings.Overhead != pathMtu) writer.Write($"path-mtu = {binding.PayloadMtu + ReadBindings.Overhead}\n");
    }

    static string Word(bool value) => value ? "true" : "false";

    static string Plain(string text) => string.Concat(text.Select(c => char.IsControl(c) ? ' ' : c));
}
