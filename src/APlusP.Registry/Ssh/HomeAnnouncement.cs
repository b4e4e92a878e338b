using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Registry.Ssh;

/// <summary>What the SMAP of the experiment of 2010 says of itself: its IPv6 address, and the ports that it wants.</summary>
public sealed record HomeAnnouncement(IPv6Address Softwire, PortRange Ports)
{
    /// <exception cref="APlusPException">AP1002: the lines have faults, all of which are told; AP6010: they are not of one home.</exception>
    public static HomeAnnouncement Read(string text)
    {
        var diagnostics = new DiagnosticList();
        ReportLines lines = ReportLines.Read(new SourceText("standard input", text), diagnostics);
        if (diagnostics.HasErrors) new ConfigurationCheck<HomeAnnouncement>(null, diagnostics.Finish(), diagnostics.Omitted).Require("that was sent");
        bool ofPrr = lines.PrrAddrV4 is not null || lines.PrrAddrV6 is not null || lines.IPv4Shared is not null;
        if (ofPrr || lines.Homes.Count != 1)
            throw new APlusPException(ErrorCodes.BadRequest, $"{lines.Homes.Count} homes{(ofPrr ? " and keys of a PRR" : "")} came in; a home sends its own two lines, CpeNAddrV6 and CpeNPortRange, and nothing else.");
        return lines.Homes.Single() is { AddrV6: { } softwire, Range: { } ports } ? new HomeAnnouncement(softwire, ports) : throw new InvalidOperationException("a home without faults has both");
    }
}
