using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;

namespace APlusP.Node.Configuration;

/// <summary>
/// The configuration format of the A+P experiment of 2010: a key and a value a line. <c>PrrAddrV4</c>, <c>PrrAddrV6</c> and
/// <c>IPv4Shared</c> once, <c>CpeNAddrV6</c> and <c>CpeNPortRange</c> for each home, in any order.
/// </summary>
public sealed record ReportFormat(IPv4Address PrrAddrV4, IPv6Address PrrAddrV6, IPv4Address IPv4Shared, IReadOnlyList<ReportFormat.Cpe> Cpes)
{
    /// <summary>One home.</summary>
    public sealed record Cpe(int Number, IPv6Address AddrV6, PortRange Range);

    /// <summary>Reads the format and tells everything that is wrong at once.</summary>
    public static ConfigurationCheck<ReportFormat> Read(string path, string text)
    {
        var diagnostics = new DiagnosticList();
        ReportLines lines = ReportLines.Read(new SourceText(path, text), diagnostics);
        lines.RequirePrr();
        var bindings = new ReadBindings(lines.PrrAddrV6 is { } end ? [end] : [], 1500, diagnostics);
        foreach (ReportLines.Home home in lines.Homes)
            if (home is { AddrV6: { } softwire, Range: { } range }) bindings.Add(lines.IPv4Shared ?? default, PortSet.FromRanges(range), softwire, null, null, null, home.Place);
        if (!diagnostics.HasErrors) bindings.CheckTogether();

        return new ConfigurationCheck<ReportFormat>(
            diagnostics.HasErrors ? null
                : new ReportFormat(lines.PrrAddrV4!.Value, lines.PrrAddrV6!.Value, lines.IPv4Shared!.Value, [.. lines.Homes.Select(h => new Cpe(h.Number, h.AddrV6!.Value, h.Range!.Value))]),
            diagnostics.Finish(), diagnostics.Omitted);
    }

    /// <summary>The same as a configuration of aplusp.</summary>
    public string ToToml()
    {
        var text = new StringBuilder($"""
            softwire-address = "{PrrAddrV6}"
            icmp-source = "{PrrAddrV4}"

            """);
        foreach (Cpe cpe in Cpes)
            text.Append($"""

                [[binding]]
                name = "cpe {cpe.Number}"
                address = "{IPv4Shared}"
                ports = "{cpe.Range}"
                softwire = "{cpe.AddrV6}"

                """);
        return text.ToString();
    }

    /// <summary>Writes the format.</summary>
    public override string ToString()
    {
        var text = new StringBuilder($"PrrAddrV4 {PrrAddrV4}\nPrrAddrV6 {PrrAddrV6}\nIPv4Shared {IPv4Shared}\n");
        foreach (Cpe cpe in Cpes) text.Append($"Cpe{cpe.Number}AddrV6 {cpe.AddrV6}\nCpe{cpe.Number}PortRange {cpe.Range.First}-{cpe.Range.Last}\n");
        return text.ToString();
    }

    /// <summary>Says a configuration in this format, homes numbered from 1 in their order.</summary>
    /// <exception cref="APlusPException">AP1031: the format cannot say it; the message lists what it cannot.</exception>
    public static ReportFormat From(PrrConfiguration configuration)
    {
        var faults = new List<string>();
        if (configuration.Options.SoftwireAddresses.Count != 1) faults.Add($"{configuration.Options.SoftwireAddresses.Count} PRR addresses; it has one PrrAddrV6");
        if (configuration.Options.IcmpSource is null) faults.Add("no icmp-source; it needs PrrAddrV4");
        if (configuration.Rules.Count > 0) faults.Add($"{configuration.Rules.Count} mapping rule(s); it has a range for each home");
        IPv4Address[] addresses = [.. configuration.Bindings.Select(b => b.Address).Distinct()];
        if (addresses.Length != 1) faults.Add($"{addresses.Length} shared addresses; it has one IPv4Shared");
        foreach (Binding binding in configuration.Bindings)
            if (binding.Ports.Ranges.Skip(1).Any()) faults.Add($"{configuration.Names.GetValueOrDefault(binding.Softwire) ?? binding.Softwire.ToString()}: {binding.Ports} is more than one range");
        if (faults.Count > 0)
            throw new APlusPException(ErrorCodes.NotExportable, $"the report's format cannot say this configuration:\n  {string.Join("\n  ", faults)}");
        return new ReportFormat(
            configuration.Options.IcmpSource!.Value, configuration.Options.SoftwireAddresses[0], addresses[0],
            [.. configuration.Bindings.Select((b, i) => new Cpe(i + 1, b.Softwire, b.Ports.Ranges.First()))]);
    }
}
