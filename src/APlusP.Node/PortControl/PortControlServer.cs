using System.Net;
using System.Net.Sockets;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Forwarding;
using APlusP.Core.Pcp;
using APlusP.Core.PortControl;
using APlusP.Core.PortControl.Upnp;
using APlusP.Linux;
using APlusP.Node.Daemons;

namespace APlusP.Node.PortControl;

/// <summary>Serves the hosts of the LANs: PCP and NAT-PMP at one port, UPnP where it is on. Nothing listens anywhere else.</summary>
sealed class PortControlServer : IDisposable
{
    /// <summary>Requests a second that are answered, of all and of one host; what is more is left for the next repetition.</summary>
    const int PerSecond = 200, PerHost = 50;

    static readonly TimeSpan s_again = TimeSpan.FromSeconds(2);

    readonly PortDesk _desk;
    readonly DaemonLog _log;
    readonly TimeProvider _clock;
    readonly IReadOnlyList<LanNetwork> _lans;
    readonly PcpMapServer _pcp;
    readonly NatPmpServer _natPmp;
    readonly Ssdp _ssdp;
    readonly IgdWeb _web;
    readonly RateLimiter _limiter = new(System.Diagnostics.Stopwatch.Frequency);
    readonly Lock _limiting = new(), _opening = new();
    readonly Dictionary<LanNetwork, Place> _places = [];
    readonly PortControlCounters _counters;
    readonly ITimer _timer;
    CancellationTokenSource _announcing = new();
    bool _isOver;

    /// <summary>What is open on a LAN.</summary>
    sealed class Place : IDisposable
    {
        public LanSocket? Pcp { get; set; }

        public LanSocket? Ssdp { get; set; }

        public IgdListener? Web { get; set; }

        /// <summary>By the clock that goes on whatever is set; null before the first time.</summary>
        public long? Announced { get; set; }

        public string? Fault { get; set; }

        /// <summary>The device that it was opened on: one that was plugged in again is another of the same name.</summary>
        public int Device { get; set; }

        public void Dispose()
        {
            Pcp?.Dispose();
            Ssdp?.Dispose();
            Web?.Dispose();
            (Pcp, Ssdp, Web, Announced) = (null, null, null, null);
        }
    }

    /// <param name="desk">Where requests are decided.</param>
    /// <param name="lans">Whom it serves.</param>
    /// <param name="counters">Told how requests went.</param>
    /// <param name="totals">What passed the softwire.</param>
    /// <param name="log">Told of everything.</param>
    /// <param name="clock">Says when to announce, and how long subscriptions stand.</param>
    public PortControlServer(PortDesk desk, IReadOnlyList<LanNetwork> lans, PortControlCounters counters, Func<WanTotals> totals, DaemonLog log, TimeProvider clock)
    {
        (_desk, _lans, _counters, _log, _clock) = (desk, lans, counters, log, clock);
        _pcp = new PcpMapServer(desk, () => desk.Settings.Limits, counters);
        _natPmp = new NatPmpServer(desk, () => desk.Settings.Limits, counters);
        UpnpIdentity identity = desk.Identity;
        desk.Remember(identity.WebPort);
        byte[] id = identity.Id.ToByteArray();
        id[0] ^= 1;
        IgdDevice[] devices = [new(2, identity.Id, identity.Secret), new(1, new Guid(id), identity.Secret)];
        _ssdp = new Ssdp(devices, $"Linux UPnP/1.1 aplusp/{Daemon.ProgramVersion.Split('+')[0]}", identity.BootId);
        _web = new IgdWeb(devices, new IgdControl(desk, totals, () => desk.Epoch, counters), MayAsk, counters, clock);
        desk.Upset += Announce;
        desk.Changed += _web.Subscriptions.Ring;
        _timer = clock.CreateTimer(_ => OpenAll(), null, s_again, s_again);
        OpenAll();
        Announce(new MappingChange(false, []));
    }

    /// <summary>Those that come too fast are left to be repeated, so that one host's flood takes nothing from the others.</summary>
    bool MayAsk(IPv4Address host)
    {
        lock (_limiting) return _limiter.TryTake(PerSecond, PerHost, host.Value, System.Diagnostics.Stopwatch.GetTimestamp());
    }

    /// <summary>Opens what is not open yet: a LAN's device or address may come later than we do.</summary>
    void OpenAll()
    {
        lock (_opening)
        {
            if (_isOver) return;
            foreach (LanNetwork lan in _lans) Open(lan);
        }
    }

    void Open(LanNetwork lan)
    {
        if (!_places.TryGetValue(lan, out Place? place)) _places[lan] = place = new Place();
        try
        {
            int device = RouteSocket.IndexOf(lan.Device);
            if (device != place.Device) place.Dispose();
            place.Device = device;
            bool wasOpen = place.Pcp is not null || place.Web is not null;
            if (_desk.Settings.Pcp && place.Pcp is null)
            {
                place.Pcp = new LanSocket(lan, new IPEndPoint(lan.OwnAddress, PcpNumbers.ServerPort), null, AnswerPort, _log.PortControlFailed);
                place.Pcp.Start();
            }

            if (_desk.Settings.Upnp) OpenUpnp(lan, place);
            if (!wasOpen && (place.Pcp is not null || place.Web is not null))
                _log.PortControlListens(lan.Device, $"{lan.Address}", string.Join(" and ", new[] { place.Pcp is null ? null : "PCP and NAT-PMP", place.Web is null ? null : "UPnP" }.Where(p => p is not null)));
            place.Fault = null;
        }
        catch (Exception error) when (error is SocketException or APlusPException)
        {
            if (place.Fault != error.Message) _log.PortControlWaits(lan.Device, $"{lan.Address}", error.Message);
            place.Fault = error.Message;
        }
    }

    void OpenUpnp(LanNetwork lan, Place place)
    {
        if (place.Web is null)
        {
            place.Web = IgdListener.Open(lan, _desk.Identity.WebPort, _web, _log);
            if (place.Web.Port != _desk.Identity.WebPort) _desk.Remember(place.Web.Port);
        }

        string at = $"http://{lan.Address}:{place.Web.Port}";
        if (place.Ssdp is null)
        {
            place.Ssdp = new LanSocket(lan, new IPEndPoint(IPAddress.Any, Ssdp.Port), s_ssdpGroup, (message, host) => AnswerSearch(message, host, at), _log.PortControlFailed);
            place.Ssdp.Start();
        }

        // Three times in the life of an announcement, so that one may be lost.
        if (place.Announced is { } last && _clock.GetElapsedTime(last) < Ssdp.MaxAge / 3) return;
        place.Announced = _clock.GetTimestamp();
        foreach (byte[] message in _ssdp.Alive(at)) place.Ssdp.Send(message, s_ssdpEndPoint);
    }

    static readonly IPAddress s_ssdpGroup = IPAddress.Parse(Ssdp.Group);
    static readonly IPEndPoint s_ssdpEndPoint = new(s_ssdpGroup, Ssdp.Port);

    /// <summary>All hosts of a link, at the port where clients of PCP and NAT-PMP listen.</summary>
    static readonly IPEndPoint s_everybody = new(IPAddress.Parse("224.0.0.1"), PcpNumbers.ClientPort);

    /// <summary>The first octet says which of the two it is (RFC 6887 section 9 and appendix A).</summary>
    IReadOnlyList<byte[]> AnswerPort(byte[] message, IPv4Address host)
    {
        MappingProtocol by = message.Length > 0 && message[0] == NatPmpServer.Version ? MappingProtocol.NatPmp : MappingProtocol.Pcp;
        if (!MayAsk(host))
        {
            _counters.Count(by, RequestFate.Limited);
            return [];
        }

        return (by == MappingProtocol.NatPmp ? _natPmp.Answer(message, host) : _pcp.Answer(message, host)) is { } answer ? [answer] : [];
    }

    IReadOnlyList<byte[]> AnswerSearch(byte[] message, IPv4Address host, string at)
    {
        // Announcements of other devices come here too, and are nothing to us.
        if (!Ssdp.IsSearch(message)) return [];
        if (MayAsk(host)) return _ssdp.Answer(message, at);
        _counters.Count(MappingProtocol.Upnp, RequestFate.Limited);
        return [];
    }

    // ---- What nobody asked for

    /// <summary>
    /// Tells all hosts by PCP and NAT-PMP how it stands, and each of those whose mappings changed or went by PCP besides: at once, and nine times more, at first after 250 ms and then after twice
    /// as long each time (RFC 6886 section 3.2.1, RFC 6887 section 14).
    /// </summary>
    void Announce(MappingChange change)
    {
        lock (_opening)
        {
            if (_isOver) return;
            _announcing.Cancel();
            _announcing = new CancellationTokenSource();
            if (_desk.Settings.Pcp) _ = Announce(change, _announcing.Token);
        }
    }

    async Task Announce(MappingChange change, CancellationToken stop)
    {
        const int times = 10, updates = 3;
        try
        {
            var pause = TimeSpan.FromMilliseconds(250);
            for (int i = 0; i < times; i++, pause *= 2)
            {
                await Task.Run(() => AnnounceOnce(i < updates ? change : new MappingChange(false, [])), stop);
                await Task.Delay(pause, stop);
            }
        }
        catch (Exception error) when (error is OperationCanceledException or InvalidOperationException)
        {
            // Something newer is announced, or we stop.
        }
    }

    void AnnounceOnce(MappingChange change)
    {
        uint epoch = _desk.Epoch;
        byte[] pcp = new byte[PcpNumbers.HeaderSize];
        PcpResponse.WriteAnnounce(pcp, epoch);
        (IPv4Address? address, List<(IPv4Address Host, byte[] Message)> updates) = _desk.Ask((book, _, now) =>
        {
            IEnumerable<PortMapping> moved = change.IsOtherAddress ? book.Mappings : [];
            if (book.Terms.Address is not { } ours) return ((IPv4Address?)null, []);

            // Who asked again when it heard so has its mapping, which a repetition would take from it in its own eyes.
            IEnumerable<PortMapping> lost = change.Lost.Where(m => book.Of(m.Forward.Protocol, m.Forward.Host, m.Forward.HostPort)?[MappingProtocol.Pcp] is null);
            return ((IPv4Address?)ours, moved.Select(m => (m.Forward.Host, PcpMapServer.Update(m, ours, isLost: false, epoch, now)))
                .Concat(lost.Select(m => (m.Forward.Host, PcpMapServer.Update(m, ours, isLost: true, epoch, now)))).Where(u => u.Item2 is not null).Select(u => (u.Host, u.Item2!)).ToList());
        });
        lock (_opening)
        {
            foreach ((LanNetwork lan, Place place) in _places)
            {
                if (address is not null) place.Pcp?.Send(NatPmpServer.Announcement(address, epoch), s_everybody);
                place.Pcp?.Send(pcp, s_everybody);
                foreach ((IPv4Address host, byte[] message) in updates.Where(u => lan.IsHost(u.Host))) place.Pcp?.Send(message, new IPEndPoint(IPAddress.Parse($"{host}"), PcpNumbers.ClientPort));
            }
        }
    }

    public void Dispose()
    {
        _desk.Upset -= Announce;
        _desk.Changed -= _web.Subscriptions.Ring;
        lock (_opening)
        {
            _isOver = true;
            _announcing.Cancel();
            foreach (Place place in _places.Values.Where(p => p.Ssdp is not null))
            {
                foreach (byte[] message in _ssdp.ByeBye()) place.Ssdp!.Send(message, s_ssdpEndPoint);
            }
        }

        _timer.Dispose();
        foreach (Place place in _places.Values) place.Dispose();
        _web.Dispose();
    }
}
