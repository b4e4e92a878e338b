using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using APlusP.Core.Web;
using APlusP.Registry.Storage;

namespace APlusP.Registry.Leases;

/// <summary>
/// A name by which servers of a subscriber are found though their address is shared: PRRs lead web visitors to the subscriber's own ports by it, and a zone's SRV records say the ports of the rest.
/// It stands for whatever lease the subscriber has.
/// </summary>
/// <param name="Name">A host's full name, in small letters.</param>
/// <param name="Subscriber">Whose.</param>
/// <param name="Http">Where visitors of port 80 go; null for nowhere.</param>
/// <param name="Https">The same for port 443.</param>
/// <param name="IsProxied">Whether the server is told who visits, by the PROXY protocol.</param>
/// <param name="Services">Servers of other protocols.</param>
sealed record ServerName(string Name, string Subscriber, ushort? Http, ushort? Https, bool IsProxied, IReadOnlyList<NamedService> Services)
{
    public const string Columns = "name, subscriber, http, https, proxied, services";

    /// <summary>A subscriber's at most, so that what PRRs are told of it has an end.</summary>
    public const int Most = 100;

    public static ServerName Read(DbDataReader row) => new(
        row.GetString(0), row.GetString(1), (ushort?)row.Number(2), (ushort?)row.Number(3), row.GetInt64(4) != 0,
        [.. row.GetString(5).Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(s => NamedService.TryParse(s, out NamedService? service) ? service : throw new InvalidOperationException($"'{s}' is kept as a service"))]);

    /// <summary>All the subscriber's ports that it leads to.</summary>
    public IEnumerable<ushort> Ports => new[] { Http, Https }.OfType<ushort>().Concat(Services.Select(s => s.Port)).Distinct();

    /// <summary>Whether PRRs have to know of it.</summary>
    public bool IsWeb => Http is not null || Https is not null;

    /// <summary>What is wrong with a name; null for nothing.</summary>
    public static string? FaultOf(string name) => WebName.IsHostName(name) ? null
        : "must be the full name of a host such as www.example.org, without a dot at its end; letters beyond ASCII as their A-label (xn--...)";
}

/// <summary>A service of a protocol that asks for SRV records (RFC 2782), such as <c>_xmpp-client._tcp</c>, and the port where it is.</summary>
sealed record NamedService(string Service, ushort Port)
{
    const int LongestService = 15;

    public override string ToString() => $"{Service}:{Port}";

    public static bool TryParse(string text, [NotNullWhen(true)] out NamedService? service)
    {
        service = null;
        if (text.Split(':') is not [var name, var port] || name.Split('.') is not [['_', .. var what], "_tcp" or "_udp"]) return false;

        // RFC 6335 section 5.1.
        bool isService = what.Length is > 0 and <= LongestService && what.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-') && what.Any(char.IsAsciiLetter)
            && what[0] != '-' && what[^1] != '-' && !what.Contains("--", StringComparison.Ordinal);
        if (!isService || !ushort.TryParse(port, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out ushort number) || number == 0) return false;
        service = new NamedService(name, number);
        return true;
    }
}
