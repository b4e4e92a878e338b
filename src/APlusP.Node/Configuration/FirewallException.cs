using APlusP.Core;
using APlusP.Core.Addresses;

namespace APlusP.Node.Configuration;

/// <summary>What IPv6 from outside may reach in the home: an entry of <c>allow</c> in <c>[firewall]</c>.</summary>
/// <param name="To">The host; where its first 64 bits are zero, the rest of its address in whatever prefix the home has.</param>
/// <param name="Protocol">"tcp" or "udp".</param>
/// <param name="Port">The port.</param>
public sealed record FirewallException(IPv6Address To, string Protocol, int Port)
{
    static readonly string[] s_protocols = ["tcp", "udp"];

    public bool IsSuffix => To.Value >> 64 == 0;

    /// <summary>Whether IPv6 from outside is kept away, and the exceptions.</summary>
    internal static (bool IsOn, IReadOnlyList<FirewallException> Allowed) Read(SectionReader top)
    {
        if (top.Section("firewall", ConfigurationSchema.Smap) is not { } section) return (true, []);
        var allowed = new List<FirewallException>();
        foreach (SectionReader entry in section.Sections("allow", ConfigurationSchema.Smap))
        {
            entry.Require("to", "\"2001:db8:1:1::10\"");
            entry.Require("port", "22");
            int port = entry.Number("port", 0, 1, ushort.MaxValue);
            string protocol = s_protocols[entry.Word("protocol", 0, s_protocols)];
            if (entry.IPv6("to") is { } to && port > 0) allowed.Add(new FirewallException(to, protocol, port));
        }

        return (section.Flag("enabled", otherwise: true), allowed);
    }
}
