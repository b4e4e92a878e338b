using System.Text;
using APlusP.Core.Addresses;

namespace APlusP.Core.Dhcpv6;

/// <summary>What a DHCPv6 server says of where services are.</summary>
/// <param name="Domains">Domains to look for them in, the first one first: the option 24 (RFC 3646 section 4).</param>
/// <param name="PcpServers">Addresses of PCP servers, the best first: the option 86, which stands once for each server (RFC 7291 section 4).</param>
public sealed record ServicePlaces(IReadOnlyList<string> Domains, IReadOnlyList<IPv6Address> PcpServers)
{
    /// <summary>Addresses of DNS resolvers, the best first: the option 23 (RFC 3646 section 3).</summary>
    public IReadOnlyList<IPv6Address> Resolvers { get; init; } = [];

    public static ServicePlaces None { get; } = new([], []);

    const int LongestName = 255, LongestLabel = 63;

    /// <summary>Reads what there is; an option that breaks its rules is left out whole.</summary>
    public static ServicePlaces Read(DhcpOptions options)
    {
        List<string> domains = [];
        List<IPv6Address> servers = [], resolvers = [];
        foreach (DhcpOptions.Item option in options)
        {
            if (option.Code == DhcpOption.DomainList && TryReadNames(option.Value, out List<string> names)) domains.AddRange(names);
            else if (option.Code == DhcpOption.PcpServer) servers.AddRange(ReadAddresses(option.Value));
            else if (option.Code == DhcpOption.DnsServers) resolvers.AddRange(ReadAddresses(option.Value));
        }

        return domains.Count == 0 && servers.Count == 0 && resolvers.Count == 0 ? None : new ServicePlaces(domains, servers) { Resolvers = resolvers };
    }

    /// <summary>Names as the DNS writes them, without pointers (RFC 8415 section 10).</summary>
    static bool TryReadNames(ReadOnlySpan<byte> value, out List<string> names)
    {
        names = [];
        var name = new StringBuilder();
        for (ReadOnlySpan<byte> rest = value; !rest.IsEmpty;)
        {
            int length = rest[0];
            if (length > LongestLabel || rest.Length < 1 + length || name.Length + 1 + length > LongestName) return false;
            ReadOnlySpan<byte> label = rest.Slice(1, length);
            rest = rest[(1 + length)..];
            if (length > 0)
            {
                if (label.ContainsAnyExceptInRange((byte)'!', (byte)'~') || label.Contains((byte)'.')) return false;
                name.Append(name.Length > 0 ? "." : "").Append(Encoding.ASCII.GetString(label));
                continue;
            }

            if (name.Length > 0) names.Add(name.ToString());
            name.Clear();
        }

        // The last one ends too, or is not whole.
        return name.Length == 0;
    }

    /// <summary>Addresses of servers; those that no server can have are thrown away (RFC 7291 section 4.2).</summary>
    static List<IPv6Address> ReadAddresses(ReadOnlySpan<byte> value)
    {
        List<IPv6Address> addresses = [];
        if (value.Length % IPv6Address.Size != 0) return addresses;
        for (; !value.IsEmpty; value = value[IPv6Address.Size..])
            if (IPv6Address.Read(value) is { IsUnicast: true } address) addresses.Add(address);
        return addresses;
    }

    public bool Equals(ServicePlaces? other) => other is not null && Domains.SequenceEqual(other.Domains) && PcpServers.SequenceEqual(other.PcpServers) && Resolvers.SequenceEqual(other.Resolvers);

    public override int GetHashCode() => HashCode.Combine(Domains.Count, PcpServers.Count, Resolvers.Count);
}
