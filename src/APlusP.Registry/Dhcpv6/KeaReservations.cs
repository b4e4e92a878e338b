using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using APlusP.Core.Addresses;
using APlusP.Core.Dhcpv6;
using APlusP.Registry.Leases;

namespace APlusP.Registry.Dhcpv6;

/// <summary>
/// Leases as host reservations of a Kea DHCPv6 server: a JSON array for the "reservations" of a subnet6. Each has the prefix and the softwire containers, these as the octets that go on the wire, since Kea's own words for
/// what stands in a container are global and not of one host.
/// </summary>
static class KeaReservations
{
    static readonly JsonWriterOptions s_form = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <param name="leases">Those that run.</param>
    /// <param name="settings">What would be told.</param>
    /// <param name="prefixes">Which prefix goes with what.</param>
    /// <param name="leftOut">Subscribers that are not known by a DUID, of which Kea could not tell who they are.</param>
    public static string Write(IEnumerable<Lease> leases, DhcpServerSettings settings, HomePrefixes prefixes, out IReadOnlyList<string> leftOut)
    {
        var without = new List<string>();
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, s_form))
        {
            json.WriteStartArray();
            foreach (Lease lease in leases)
            {
                if (DuidOf(lease.Subscriber) is { } duid) Write(json, lease, duid, settings, prefixes);
                else without.Add(lease.Subscriber);
            }

            json.WriteEndArray();
        }

        leftOut = without;
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    static Duid? DuidOf(string subscriber) => subscriber.StartsWith("duid-", StringComparison.Ordinal) && Duid.TryParse(subscriber["duid-".Length..], out Duid? duid) ? duid : null;

    static void Write(Utf8JsonWriter json, Lease lease, Duid duid, DhcpServerSettings settings, HomePrefixes prefixes)
    {
        json.WriteStartObject();
        json.WriteString("duid", $"{duid}");
        if (prefixes.Of(lease.Softwire) is { } prefix)
        {
            json.WriteStartArray("prefixes");
            json.WriteStringValue($"{prefix}");
            json.WriteEndArray();
        }

        json.WriteStartArray("option-data");
        foreach (DhcpOption mechanism in settings.Mechanisms)
        {
            var writer = new DhcpWriter();
            if (mechanism == DhcpOption.S46Lightweight) DhcpResponder.SoftwireOf(lease.Address, lease.Ports, lease.Softwire, prefixes, settings).Write(writer);
            else new MapDomain(settings.Rules, settings.BorderRelays).Write(writer);
            WriteOption(json, mechanism, writer.ToArray().AsSpan(DhcpOptions.HeaderSize));
        }

        if (settings.Mechanisms.Count > 1)
        {
            var order = new DhcpWriter();
            order.Option(DhcpOption.S46Priority, settings.Mechanisms);
            WriteOption(json, DhcpOption.S46Priority, order.ToArray().AsSpan(DhcpOptions.HeaderSize));
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    static void WriteOption(Utf8JsonWriter json, DhcpOption code, ReadOnlySpan<byte> content)
    {
        json.WriteStartObject();
        json.WriteNumber("code", (ushort)code);
        json.WriteString("space", "dhcp6");
        json.WriteBoolean("csv-format", false);
        json.WriteString("data", Convert.ToHexString(content));
        json.WriteEndObject();
    }
}
