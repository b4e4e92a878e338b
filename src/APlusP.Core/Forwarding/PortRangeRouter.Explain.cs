using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

// Walks one packet through the data plane's own code, and writes down what it sees on the way.
public sealed partial class PortRangeRouter
{
    /// <summary>
    /// What would become of this packet, by the code that would do it. No running router notices; the ICMP rate limit is taken as unused.
    /// </summary>
    /// <param name="table">The bindings.</param>
    /// <param name="options">How the PRR behaves.</param>
    /// <param name="origin"><see cref="Origin.FromInternet"/> or <see cref="Origin.FromSmap"/>.</param>
    /// <param name="packet">The packet from its IP header on.</param>
    public static PacketJourney Explain(BindingTable table, PrrOptions options, Origin origin, ReadOnlySpan<byte> packet)
    {
        var journey = new PacketJourney();
        var router = new PortRangeRouter(table, options, TimeProvider.System) { Journey = journey };
        var batch = new PacketBatch(1, Math.Max(packet.Length, IPv6Header.Size + 1280));
        batch.TryAdd(packet, origin);
        router.Process(batch);
        if (journey.Verdict.Sends) journey.Sent = batch.Bytes(0).ToArray();
        journey.Add("verdict", Describe(journey.Verdict, batch.Bytes(0)));
        return journey;
    }

    static string Describe(Verdict verdict, Span<byte> sent)
    {
        bool dropped = verdict.Fate == Fate.Dropped;
        string fate = ForwardingCounters.Kebab(verdict.Fate) + (dropped ? $", {ForwardingCounters.Kebab(verdict.Reason)}" : "");
        if (!verdict.Sends) return fate;
        string what = IPv6Header.TryRead(sent, out IPv6Header outer) ? $"IPv6 {outer.Source} > {outer.Destination}"
            : IPv4Header.TryRead(sent, out IPv4Header header) ? $"IPv4 {header.Source} > {header.Destination}"
            : "";
        return $"{fate}; {(dropped ? "an ICMP error goes back" : "sends")} {what}, {sent.Length} octets";
    }

    void TellOuter(IPv6Header outer, int innerAt) =>
        Journey!.Add("outer", $"{outer.Source} > {outer.Destination}, one of our softwire addresses; IPv4 begins after {innerAt} octets");

    void TellInner(IPv4Header header, string side, ushort port, DropReason without) =>
        Journey!.Add("inner", $"IPv4 {header.Source} > {header.Destination}, {header.Protocol}, {header.TotalLength} octets, "
            + $"TTL {header.TimeToLive}; {(without == DropReason.None ? $"the {side} port {port} decides" : ForwardingCounters.Kebab(without))}");

    void TellLookup(string name, in BindingHit hit)
    {
        Journey!.Look(hit);
        IPv6Address softwire = hit.Softwire;
        Binding? row = hit.Lookup == BindingLookup.Found ? _table.BindingOf(softwire) : null;
        string rule = row is not null && !_table.HasBinding(softwire) ? $", by the rule for {_table.Rules!.RuleOf(softwire)!.Rule.IPv4}" : "";
        Journey.Add(name, row is not null
            ? $"{row.Address} ports {row.Ports}, softwire {row.Softwire}, PRR {row.Prr}, payload MTU {row.PayloadMtu}{rule}"
            : hit.Lookup == BindingLookup.NotShared ? "not a shared address"
            : hit.Lookup == BindingLookup.NoBinding ? "a shared address, but nobody has this port"
            : $"softwire {softwire}");
    }
}
