using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding.Napt;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

/// <summary>
/// The SMAP: Stateless A+P Mapping gateway (RFC 6346 section 3.1.1), lwB4 (RFC 7596 section 5), MAP CE (RFC 7597 section 8.2). Translates what the home sends into its
/// ports of the shared address, and carries it through one softwire to the PRR and back.
/// </summary>
public sealed partial class Smap : IForwarder
{
    const byte AnswerTimeToLive = 64;

    readonly TimeProvider _time;
    readonly IcmpRateLimiter _icmpLimit;
    readonly Random _random;
    SmapOptions _options;
    NaptTable _napt;

    /// <param name="options">How it behaves.</param>
    /// <param name="time">The clock of flows and rate limits.</param>
    /// <param name="seed">Makes the choice of ports repeatable, for captures and tests; otherwise it cannot be foretold.</param>
    public Smap(SmapOptions options, TimeProvider time, int? seed = null)
    {
        _options = options;
        _time = time;
        _icmpLimit = new IcmpRateLimiter(time);
        _random = seed is { } s ? new Random(s) : new UnforeseeableRandom();
        _napt = new NaptTable(options, _random);
    }

    public ForwardingCounters Counters { get; } = new();

    /// <summary>
    /// To be exchanged between batches only. Flows stay, unless what they stand on changes: the address, the port set, the NAPT's mode or size
    /// (RFC 7596 section 5.1: all mappings are flushed).
    /// </summary>
    public SmapOptions Options
    {
        get => _options;
        set
        {
            bool flush = value.SharedAddress != _options.SharedAddress || !value.Ports.Equals(_options.Ports) || value.Mode != _options.Mode
                || value.MaxFlows != _options.MaxFlows;
            _options = value;
            if (flush) _napt = new NaptTable(value, _random);
            else _napt.Options = value;
        }
    }

    /// <summary>How the port set is used now. Between batches only.</summary>
    public NaptUse Use()
    {
        Advance();
        return new NaptUse(
            _napt.FlowCount, _napt.Exhausted,
            [.. Enum.GetValues<NaptProtocol>().Select(p => new NaptPortUse(p.ToString().ToLowerInvariant(), _napt.PortUse(p).Used, _napt.PortUse(p).Peak))],
            [.. _napt.Hosts().Select(h => new NaptHostUse(new IPv4Address(h.Address), h.Ports)).OrderByDescending(h => h.Ports)]);
    }

    public void Process(PacketBatch batch)
    {
        Advance();
        for (int i = 0; i < batch.Count; i++)
        {
            ref PacketSlot slot = ref batch[i];
            int octets = slot.Length;
            Verdict verdict = slot.Origin switch
            {
                Origin.FromLan => FromLan(batch, i),
                Origin.FromPrr => FromPrr(batch, i),
                _ => Verdict.Drop(DropReason.NotForUs),
            };
            slot.Verdict = verdict;
            Counters.Count(slot.Origin, verdict, octets);
        }
    }

    void Advance() => _napt.Advance(_time.GetTimestamp() / _time.TimestampFrequency);

    void Encapsulate(PacketBatch batch, int index, byte trafficClass) => Softwire.Encapsulate(
        batch, index, trafficClass, _options.HopLimit, new Softwire.Path(_options.SoftwireAddress, _options.PrrAddress));

    /// <summary>Reads what the NAPT needs of a transport header, and checks that all of it is there that will be rewritten.</summary>
    static bool TryReadTransport(Span<byte> payload, NaptProtocol protocol, out TransportHeader header) => protocol == NaptProtocol.Tcp
        ? TransportHeader.TryReadTcp(payload, out header)
        : TransportHeader.TryReadUdp(payload, out header);

    /// <summary>Mends a transport checksum after an address and a port changed; UDP without a checksum stays without (RFC 768).</summary>
    static void MendChecksum(ref TransportHeader header, NaptProtocol protocol, uint oldAddress, uint newAddress, ushort oldPort, ushort newPort)
    {
        ushort before = protocol == NaptProtocol.Tcp ? header.TcpChecksum : header.UdpChecksum;
        if (protocol == NaptProtocol.Udp && before == 0) return;
        ushort after = Checksum.Update(Checksum.Update(before, oldAddress, newAddress), oldPort, newPort);
        if (protocol == NaptProtocol.Tcp) header.TcpChecksum = after;
        else header.UdpChecksum = after == 0 ? (ushort)0xffff : after;
    }
}

/// <summary>How much of the port set is in use.</summary>
/// <param name="Flows">Flows now.</param>
/// <param name="Exhausted">Flows refused since the table was made because no port was left.</param>
/// <param name="Ports">By protocol.</param>
/// <param name="Hosts">Hosts of the LAN that hold ports, most first.</param>
public sealed record NaptUse(int Flows, long Exhausted, IReadOnlyList<NaptPortUse> Ports, IReadOnlyList<NaptHostUse> Hosts);

/// <summary>Ports of a protocol in use now, and the most at once so far.</summary>
public sealed record NaptPortUse(string Protocol, int Used, int Peak);

/// <summary>Ports that a host holds now, over all protocols.</summary>
public sealed record NaptHostUse(IPv4Address Address, int Ports);
