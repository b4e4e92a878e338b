using System.Text.Json;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;

namespace APlusP.Node.Offline;

/// <summary>What a replay read of one capture: frames = not IP + cut + handed over to the data plane.</summary>
/// <param name="Origin">The side that it stands for.</param>
/// <param name="Path">The file.</param>
/// <param name="Frames">All that the capture holds.</param>
/// <param name="NotIP">Frames without an IP packet.</param>
/// <param name="NotIPByEtherType">The same by EtherType; 0 where a frame has none.</param>
/// <param name="Cut">IP packets of which the capture kept only the beginning.</param>
/// <param name="HandedOver">Packets that the data plane received.</param>
public sealed record ReplayInput(
    Origin Origin, string Path, long Frames, long NotIP, IReadOnlyDictionary<int, long> NotIPByEtherType, long Cut, long HandedOver);

/// <summary>What became of the packets of a replay.</summary>
/// <param name="Origins">The two sides of the data plane.</param>
/// <param name="Inputs">The captures that were given, in the order of their sides.</param>
/// <param name="Counters">The data plane's own.</param>
/// <param name="IPv4Sent">Packets sent to the Internet or the LAN.</param>
/// <param name="IPv6Sent">Packets sent to the SMAPs or the PRR.</param>
public sealed record ReplayResult(
    IReadOnlyList<Origin> Origins, IReadOnlyList<ReplayInput> Inputs, ForwardingCounters Counters, long IPv4Sent, long IPv6Sent)
{
    /// <summary>
    /// Every counter by its public name in a stable order, zeros too: what the captures held
    /// (<c>from-internet-captured</c>, <c>-captured-not-ip</c>, <c>-captured-not-ip-0x0806</c>, <c>-captured-cut</c>), those of the
    /// data plane (<see cref="ForwardingCounters.Named"/>), and what was sent (<c>to-internet-sent</c>, <c>to-smap-sent</c>).
    /// </summary>
    public IEnumerable<KeyValuePair<string, long>> Named()
    {
        foreach (Origin origin in Origins)
        {
            string side = ForwardingCounters.Kebab(origin);
            ReplayInput? input = Inputs.FirstOrDefault(i => i.Origin == origin);
            yield return new($"{side}-captured", input?.Frames ?? 0);
            yield return new($"{side}-captured-not-ip", input?.NotIP ?? 0);
            foreach ((int etherType, long frames) in input?.NotIPByEtherType ?? new Dictionary<int, long>())
                yield return new(etherType == 0 ? $"{side}-captured-not-ip-no-ethertype" : $"{side}-captured-not-ip-0x{etherType:x4}", frames);
            yield return new($"{side}-captured-cut", input?.Cut ?? 0);
        }

        foreach (KeyValuePair<string, long> counter in Counters.Named([.. Origins])) yield return counter;
        bool prr = Origins[0] == Origin.FromInternet;
        yield return new(prr ? "to-internet-sent" : "to-lan-sent", IPv4Sent);
        yield return new(prr ? "to-smap-sent" : "to-prr-sent", IPv6Sent);
    }

    /// <summary>Writes the counters as one JSON object {name: integer}.</summary>
    public void WriteJson(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        foreach ((string name, long value) in Named()) writer.WriteNumber(name, value);
        writer.WriteEndObject();
    }

    /// <summary>The same for people: a line for each thing that happened, none for what did not.</summary>
    public IEnumerable<string> Summary()
    {
        foreach (ReplayInput input in Inputs)
        {
            string side = ForwardingCounters.Kebab(input.Origin);
            string left = (input.NotIP, input.Cut) switch
            {
                (0, 0) => "",
                (_, 0) => $" ({input.NotIP} frames without IP skipped)",
                (0, _) => $" ({input.Cut} packets cut by the capture left out)",
                _ => $" ({input.NotIP} frames without IP skipped, {input.Cut} packets cut by the capture left out)",
            };
            yield return $"{side}: {input.HandedOver} packets of {input.Path}{left}";
            foreach (Fate fate in Enum.GetValues<Fate>())
            {
                long packets = Counters.Packets(input.Origin, fate);
                if (packets > 0) yield return $"  {packets,10} {ForwardingCounters.Kebab(fate)}";
            }

            foreach (DropReason reason in Enum.GetValues<DropReason>())
            {
                long packets = Counters.Drops(input.Origin, reason);
                if (packets > 0) yield return $"  {packets,14} {ForwardingCounters.Kebab(reason)}";
            }
        }

        bool prr = Origins[0] == Origin.FromInternet;
        yield return $"sent: {IPv4Sent} {(prr ? "to-internet" : "to-lan")}, {IPv6Sent} {(prr ? "to-smap" : "to-prr")}; "
            + $"ICMP errors and answers among them {Counters.IcmpV4Sent + Counters.IcmpV6Sent}, held back {Counters.IcmpSuppressed}";
    }
}
