using APlusP.Core.Addresses;
using APlusP.Registry.Storage;

namespace APlusP.Registry.Memory;

/// <summary>Who had an address and port at a time.</summary>
/// <param name="Subscriber">Whose it was; null for nobody's.</param>
/// <param name="Lease">By which lease.</param>
/// <param name="From">Since when this subscriber had this port.</param>
/// <param name="Until">Until when: in the future while the lease lives.</param>
/// <param name="Reaches">How far back the memory reaches.</param>
sealed record WhoAnswer(string? Subscriber, string? Lease, DateTimeOffset? From, DateTimeOffset? Until, DateTimeOffset? Reaches)
{
    /// <summary>Looks it up by index; RFC 7422 section 3 asks for a test function of this kind.</summary>
    public static WhoAnswer Find(Session session, IPv4Address address, ushort port, DateTimeOffset at)
    {
        foreach (var block in session.All(
            $"SELECT l.subscriber, b.lease, b.valid_from, b.until, b.ports{(session.Database is PostgresDatabase ? "::text" : "")} FROM block b JOIN lease l ON l.id = b.lease WHERE b.address = @address AND b.lowest <= @port AND b.highest >= @port AND b.valid_from <= @at AND b.until > @at {session.Database.HoldsPort}",
            r => (Subscriber: r.GetString(0), Lease: r.GetString(1), From: r.GetInt64(2), Until: r.GetInt64(3), Ports: r.GetString(4)),
            ("address", (long)address.Value), ("port", (long)port), ("at", at.ToUnixTimeMilliseconds())))
            if (Rows.Ports(block.Ports).Contains(port)) return new WhoAnswer(block.Subscriber, block.Lease, Rows.Time(block.From), Rows.Time(block.Until), null);
        long forgotten = session.One("SELECT forgotten_at FROM chain WHERE one = 1", r => r.GetInt64(0));
        return new WhoAnswer(null, null, null, null, forgotten == 0 ? null : Rows.Time(forgotten));
    }

    /// <summary>The answer as a sentence.</summary>
    public string Sentence(IPv4Address address, ushort port, DateTimeOffset at)
    {
        string when = $"{at.UtcDateTime:yyyy-MM-ddTHH:mm:ss.fffZ}";
        if (Subscriber is not null) return $"{Subscriber} had {address}:{port} at {when}, by lease {Lease} from {From:yyyy-MM-ddTHH:mm:ss.fffZ} until {Until:yyyy-MM-ddTHH:mm:ss.fffZ}";
        string reach = Reaches is { } since && at < since ? $" that is known: the memory reaches back to {since:yyyy-MM-ddTHH:mm:ssZ}, and what was before is forgotten" : "";
        return $"nobody had {address}:{port} at {when}{reach}";
    }
}
