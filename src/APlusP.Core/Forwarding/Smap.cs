using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Connections;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding.Fragments;
using APlusP.Core.Forwarding.Gateways;
using APlusP.Core.Forwarding.Napt;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.PortControl;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

/// <summary>
/// The SMAP: Stateless A+P Mapping gateway (RFC 6346 section 3.1.1), lwB4 (RFC 7596 section 5), MAP CE (RFC 7597 section 8.2). Translates what the home sends into its
/// ports of the shared address, and carries it through one softwire to the PRR and back.
/// </summary>
public sealed partial class Smap : DataPlane, IPortsInUse
{
    const byte AnswerTimeToLive = 64;

    readonly Random _random;
    readonly FtpGateway _ftp;
    SipGateway? _sip;
    SmapOptions _options;
    RuleTable? _mesh;
    NaptTable _napt;
    IdentificationPool _identifications;

    /// <param name="options">How it behaves.</param>
    /// <param name="time">The clock of flows and rate limits.</param>
    /// <param name="seed">Makes the choice of ports repeatable, for captures and tests; otherwise it cannot be foretold.</param>
    /// <param name="paths">What the path to the PRR carries; null where the configuration alone says so.</param>
    public Smap(SmapOptions options, TimeProvider time, int? seed = null, PathMtuTable? paths = null)
        : base(Origin.FromLan, options.Fragments, options.Secret, time, paths)
    {
        _options = options;
        _mesh = MeshOf(options);
        _random = seed is { } s ? new Random(s) : new UnforeseeableRandom();
        _napt = new NaptTable(options, _random);
        _identifications = new IdentificationPool(options.Ports, _random);
        _ftp = new FtpGateway(Counters);
        SetGateways(options);
    }

    /// <summary>
    /// To be exchanged between batches only. Flows stay, unless what they stand on changes: the address, the NAPT's mode or size, or that we have a softwire
    /// (RFC 7596 section 5.1: all mappings are flushed). With another port set those end whose port is not in it.
    /// </summary>
    public SmapOptions Options
    {
        get => _options;
        set
        {
            bool flush = value.SharedAddress != _options.SharedAddress || value.Mode != _options.Mode || value.MaxFlows != _options.MaxFlows || value.IsSuspended != _options.IsSuspended;
            if (!value.Ports.Equals(_options.Ports)) _identifications = new IdentificationPool(value.Ports, _random);
            bool goesAnotherWay = !value.ForwardingRules.SequenceEqual(_options.ForwardingRules) || value.OwnPrefix != _options.OwnPrefix || value.PrrAddress != _options.PrrAddress
                || (value.FtpGateway, value.SipGateway, value.SipPort) != (_options.FtpGateway, _options.SipGateway, _options.SipPort);
            _options = value;
            _mesh = MeshOf(value);
            SetGateways(value);
            if (flush) Flush();
            else _napt.Options = value;
            if (!flush && goesAnotherWay) _napt.UnsettleAll();
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

    /// <inheritdoc cref="NaptTable.List"/>
    /// <remarks>Between batches only.</remarks>
    public int ListFlows(int first, List<TrackedFlow> into)
    {
        Advance();
        return _napt.List(first, into);
    }

    /// <summary>How often the other end has said that our address and port are not those of our softwire (ICMPv6 1/5).</summary>
    public long Refusals { get; private set; }

    /// <summary>Whether nothing uses any port of these. Between batches only.</summary>
    public bool IsIdle(PortSet ports) => _napt.IsIdle(ports);

    /// <inheritdoc/>
    /// <remarks>Between batches only.</remarks>
    public ushort? PortOf(IpProtocol protocol, IPv4Address host, ushort port) =>
        NaptProtocols.TryOf(protocol, out NaptProtocol napt) ? _napt.PortOf(napt, new Endpoint(host.Value, port)) : null;

    /// <inheritdoc/>
    /// <remarks>Between batches only.</remarks>
    public bool IsFree(IpProtocol protocol, ushort port) => NaptProtocols.TryOf(protocol, out NaptProtocol napt) && _napt.IsFree(napt, port);

    private protected override byte HopLimit => _options.HopLimit;

    private protected override (int PerSecond, int PerHost) ErrorRation => (_options.IcmpErrorsPerSecond, _options.IcmpErrorsPerHost);

    private protected override void Process(PacketBatch batch, bool wereHeld)
    {
        Advance();
        int received = batch.Count;
        for (int i = 0; i < received; i++)
        {
            ref PacketSlot slot = ref batch[i];
            int octets = slot.Length;
            Verdict verdict = _options.IsSuspended ? Verdict.Drop(DropReason.NoSoftwire) : slot.Origin switch
            {
                Origin.FromLan => FromLan(batch, i),
                Origin.FromPrr => FromPrr(batch, i),
                _ => Verdict.Drop(DropReason.NotForUs),
            };
            slot.Verdict = verdict;
            Count(slot.Origin, verdict, octets, wereHeld);
        }
    }

    /// <summary>Flows end while nothing comes, too.</summary>
    private protected override void KeepTime() => Advance();

    void Advance()
    {
        Clock.Advance();
        _napt.Advance(Clock.Now / Clock.Frequency);
    }

    Softwire.Path PathToPrr => new(_options.SoftwireAddress, _options.PrrAddress);

    /// <summary>Sends a translated packet into the softwire: with a maximum segment size that fits it, in one piece or several.</summary>
    Verdict Send(PacketBatch batch, int index, in IPv4Header header, int payloadMtu)
    {
        if (_options.ClampMss) End.ClampMss(batch.Bytes(index), header, _path.To, _options.PayloadMtu);
        Encapsulate(batch, index, header.TrafficClass, payloadMtu);
        return Verdict.Forward;
    }

    void Encapsulate(PacketBatch batch, int index, byte trafficClass, int payloadMtu)
    {
        if (_options.Outgoing == SmapOutgoing.Softwire) End.Encapsulate(batch, index, trafficClass, _options.HopLimit, _path, payloadMtu);
    }

    /// <summary>Whether a packet may go into the softwire: what is too large only where it may be fragmented, RFC 2473 section 7.2.</summary>
    bool Fits(in IPv4Header header, out int payloadMtu)
    {
        payloadMtu = End.PayloadMtu(_path, _options.PayloadMtu, header.TotalLength);
        return _options.Outgoing == SmapOutgoing.Plain || header.TotalLength <= payloadMtu || !header.DontFragment || _options.IgnoreDontFragment;
    }

    Verdict RefuseTooBig(PacketBatch batch, int index, int payloadMtu) =>
        DropTellingLan(batch, index, DropReason.TooBig, IcmpV4Type.DestinationUnreachable, IcmpV4Header.FragmentationNeeded, (uint)payloadMtu);

    /// <summary>Gives a packet of ours that may be in fragments somewhere an identification that no other home uses, RFC 7597 section 8.3.3.</summary>
    void Identify(ref IPv4Header header)
    {
        if (_options.RewriteIdentification && (!header.DontFragment || header.IsFragment)) header.Identification = _identifications.Take();
    }

    /// <summary>Sends what the SMAP itself says back where the packet at hand came from.</summary>
    void TellSender(PacketBatch batch, int index, byte trafficClass) =>
        Encapsulate(batch, index, trafficClass, PathMtuTable.Least - SoftwireEnd.Overhead);

    /// <summary>Reads what the NAPT needs of a transport header, and checks that all of it is there that will be rewritten.</summary>
    static bool TryReadTransport(Span<byte> payload, NaptProtocol protocol, scoped in IPv4Header header, out TransportHeader transport) => protocol == NaptProtocol.Tcp
        ? TransportHeader.TryReadTcp(payload, out transport)
        : TransportHeader.TryReadUdp(payload, out transport, header.IsFragment);

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
