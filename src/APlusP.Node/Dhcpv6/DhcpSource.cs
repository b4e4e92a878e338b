using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Dhcpv6;
using APlusP.Linux;
using APlusP.Node.Configuration;
using APlusP.Node.Control;
using APlusP.Node.Daemons;

namespace APlusP.Node.Dhcpv6;

/// <summary>A DHCPv6 client on a link: its socket, its thread, and what it finds out about the softwire. That the link is not there yet, or goes, is no fault; it waits.</summary>
sealed class DhcpSource : ISoftwireSource
{
    /// <summary>How often the link and its addresses are looked at.</summary>
    static readonly TimeSpan s_lookAgain = TimeSpan.FromSeconds(2);

    /// <summary>How long it is deaf to whoever stops it.</summary>
    static readonly TimeSpan s_attention = TimeSpan.FromMilliseconds(200);

    static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(1);

    readonly DhcpSettings _settings;
    readonly DaemonLog _log;
    readonly Func<bool> _givesBack;
    readonly Thread _thread;
    readonly ManualResetEventSlim _first = new();
    readonly CancellationTokenSource _stop = new();
    readonly Lock _telling = new();
    Action<SoftwireParameters?>? _changed;
    volatile SoftwireParameters? _current;
    volatile IReadOnlyList<DelegatedPrefix> _leased = [];
    volatile ServicePlaces _places = ServicePlaces.None;
    volatile bool _release;
    volatile DhcpStatusDocument _status;
    string? _fault;
    LinkAddresses? _addresses;
    HeldLease[] _borne = [];

    /// <param name="settings">What the file says.</param>
    /// <param name="log">Where it tells.</param>
    /// <param name="givesBack">Asked at the end: whether what was given for a time goes back.</param>
    public DhcpSource(DhcpSettings settings, DaemonLog log, Func<bool> givesBack)
    {
        _settings = settings;
        _log = log;
        _givesBack = givesBack;
        _status = new DhcpStatusDocument(settings.Interface, "waiting", null, null, [], null);
        _thread = new Thread(Run) { Name = "dhcpv6", IsBackground = true };
        _thread.Start();
    }

    public SoftwireParameters? Current => _current;

    /// <summary>How it stands, for people.</summary>
    public DhcpStatusDocument Status => _status;

    /// <summary>Prefixes that we hold now, by which a registry's softwire can have its end.</summary>
    public IReadOnlyList<IPv6Prefix> Delegated => [.. _leased.Select(l => l.Prefix)];

    /// <summary>The same with their times.</summary>
    public IReadOnlyList<DelegatedPrefix> Leased => _leased;

    /// <summary>Where services are, as the server has told last.</summary>
    public ServicePlaces Places => _places;

    /// <summary>Waits a while until there is something.</summary>
    /// <exception cref="OperationCanceledException">It was disposed before.</exception>
    public void WaitForFirst(TimeSpan patience)
    {
        _log.WaitsForDhcp(_settings.Interface);
        _first.Wait(patience, _stop.Token);
    }

    public IDisposable Follow(Action<SoftwireParameters?> changed)
    {
        lock (_telling)
        {
            _changed = changed;
            changed(_current);
        }

        return new Following(this);
    }

    sealed class Following(DhcpSource source) : IDisposable
    {
        public void Dispose()
        {
            lock (source._telling) source._changed = null;
        }
    }

    void Run()
    {
        DhcpClient? client = null;
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                Link link = Link.Find(_settings.Interface);
                using Socket socket = Open(link);
                _fault = null;
                if (client is null) client = Client(link);
                else client.Recheck();
                Converse(client, link, socket);
                return;
            }
            catch (Exception error) when (error is SocketException or NetworkInformationException or NotThereYet or APlusPException)
            {
                if (_fault != error.Message) _log.DhcpWaits(_settings.Interface, _fault = error.Message);
                client?.Expire();
                if (client?.Binding is null)
                {
                    Tell(null);
                    _leased = [];
                    _status = new DhcpStatusDocument(_settings.Interface, "waiting", null, null, [], error.Message);
                }

                _stop.Token.WaitHandle.WaitOne(s_lookAgain);
            }
        }
    }

    /// <summary>Until it is stopped, or has given back what it had.</summary>
    void Converse(DhcpClient client, Link link, Socket socket)
    {
        var servers = new IPEndPoint(DhcpMessage.ServersAndRelays.ToIPAddress(link.Index), DhcpMessage.ServerPort);
        byte[] buffer = new byte[65536];
        bool isUp = true, released = false;
        TimeSpan looked = client.Now;
        Bear(client, link);
        Tell(client, link);
        while (!_stop.IsCancellationRequested)
        {
            if (_release && !released)
            {
                _addresses?.Dispose();
                _addresses = null;
                client.Release();
                released = true;
            }

            if (client.State == DhcpClientState.Gone) return;
            while (client.Next() is { } message) socket.SendTo(message, servers);
            DhcpBinding? before = client.Binding;
            if (socket.Poll(client.Due is { } due && due < s_attention ? due : s_attention, SelectMode.SelectRead))
            {
                EndPoint from = new IPEndPoint(IPAddress.IPv6Any, 0);
                client.Receive(buffer.AsSpan(0, socket.ReceiveFrom(buffer, ref from)));
            }

            if (client.Now - looked < s_lookAgain && ReferenceEquals(before, client.Binding)) continue;
            looked = client.Now;
            link = Link.Find(_settings.Interface);
            if (link.IsUp && !isUp) client.Recheck();
            isUp = link.IsUp;
            if (released) continue;
            Bear(client, link);
            Tell(client, link);
        }
    }

    Socket Open(Link link)
    {
        var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            // To the link's own address alone: other links may have clients of their own.
            socket.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.MulticastInterface, link.Index);
            socket.Bind(new IPEndPoint(link.LinkLocal, DhcpMessage.ClientPort));
            return socket;
        }
        catch (SocketException error)
        {
            socket.Dispose();
            string advice = error.SocketErrorCode switch
            {
                SocketError.AddressAlreadyInUse => " Another DHCPv6 client runs there; stop it, or have it leave this interface alone.",
                SocketError.AccessDenied => " It takes CAP_NET_BIND_SERVICE.",
                _ => "",
            };
            throw new NotThereYet($"UDP port {DhcpMessage.ClientPort} of {link.LinkLocal} cannot be had: {error.Message}.{advice}");
        }
    }

    DhcpClient Client(Link link) => new(
        new DhcpClientOptions
        {
            Duid = _settings.Duid ?? link.Duid ?? throw new NotThereYet($"{_settings.Interface} has no Ethernet address to be known by; write `duid`."),
            Address = _settings.Address,
            Prefix = _settings.Prefix,
            PrefixLength = _settings.PrefixLength,
            RapidCommit = _settings.RapidCommit,
            Requested = [.. _settings.Mechanisms, .. _settings.Mechanisms.Count == 0 ? [] : (DhcpOption[])[DhcpOption.S46Priority], .. _settings.Places],
        },
        TimeProvider.System);

    /// <summary>Has the device bear the addresses that we were given, and declines those that another has (RFC 8415 section 18.2.8).</summary>
    void Bear(DhcpClient client, Link link)
    {
        if (!_settings.Address) return;
        if (_addresses?.Device != link.Index)
        {
            _addresses?.Dispose();
            _addresses = new LinkAddresses(link.Index);
            _borne = [];
        }

        foreach (IPv6Address duplicate in _addresses.Duplicates()) client.Decline(duplicate);
        HeldLease[] wanted = [.. (client.Binding?.Leases ?? []).Where(l => l.Kind == DhcpOption.IaNa)];
        if (wanted.SequenceEqual(_borne)) return;
        _addresses.Set([.. wanted.Select(l => new TimedAddress(l.Prefix.Address, Seconds(l.PreferredUntil), Seconds(l.ValidUntil)))]);
        _borne = wanted;

        uint Seconds(TimeSpan until) => until == TimeSpan.MaxValue ? IdentityAssociation.Infinity : (uint)Math.Max(0, (until - client.Now).TotalSeconds);
    }

    /// <summary>Makes parameters of what the client has and what prefixes there are, and tells them where they are others than before.</summary>
    void Tell(DhcpClient client, Link link)
    {
        foreach (string note in client.TakeNotes()) _log.DhcpNote(_settings.Interface, note);
        string why = "";
        SoftwireParameters? now = null;
        _leased = client.Binding is { } leased ? LeasedOf(leased, client.Now) : [];
        _places = client.Binding?.Places ?? _places;
        if (_settings.Mechanisms.Count > 0 && client.Binding is { } binding && (now = SoftwireParameters.Choose(binding.Softwires, [.. Prefixes(binding, link)], out why)) is not null)
            now = now with { Delegated = Delegated };
        _status = new DhcpStatusDocument(
            _settings.Interface, client.State.ToString().ToLowerInvariant(), client.Binding?.Server.ToString(), now is null ? null : SoftwireMechanisms.NameOf(now.Mechanism),
            [.. (client.Binding?.Leases ?? []).Select(l => $"{l.Prefix}")], why.Length > 0 ? why : null)
        {
            ValidSeconds = client.Binding?.Leases is { Count: > 0 } leases && leases.Min(l => l.ValidUntil) is var end && end < TimeSpan.MaxValue ? (long)(end - client.Now).TotalSeconds : null,
        };
        if (why.Length > 0 && why != _fault) _log.DhcpUnusable(_settings.Interface, _fault = why);
        if (now is not null) _fault = null;
        Tell(now);
    }

    void Tell(SoftwireParameters? now)
    {
        lock (_telling)
        {
            if (Equals(now, _current)) return;
            _current = now;
            if (now is null) _first.Reset();
            else _first.Set();
            _changed?.Invoke(now);
        }
    }

    /// <summary>Delegated ones first; then what the operator has written, and what the link's own addresses are of.</summary>
    IEnumerable<IPv6Prefix> Prefixes(DhcpBinding binding, Link link) =>
        DelegatedOf(binding).Concat(_settings.EndUser is { } written ? [written] : []).Concat(link.Prefixes);

    static DelegatedPrefix[] LeasedOf(DhcpBinding binding, TimeSpan now)
    {
        TimeSpan since = DelegatedPrefix.Now - now;
        return [.. binding.Leases.Where(l => l.Kind == DhcpOption.IaPd).Select(l => new DelegatedPrefix(l.Prefix, Until(l.PreferredUntil < l.ValidUntil ? l.PreferredUntil : l.ValidUntil)))];

        TimeSpan Until(TimeSpan end) => end == TimeSpan.MaxValue ? end : end + since;
    }

    static IEnumerable<IPv6Prefix> DelegatedOf(DhcpBinding binding) => binding.Leases.Where(l => l.Kind == DhcpOption.IaPd).Select(l => l.Prefix);

    public void Dispose()
    {
        if (_givesBack())
        {
            _release = true;
            _thread.Join(s_farewell);
        }

        _stop.Cancel();
        _thread.Join();
        _addresses?.Dispose();
        _first.Dispose();
        _stop.Dispose();
    }

    /// <summary>The link cannot be used now; the message says why.</summary>
    sealed class NotThereYet(string message) : Exception(message);

    /// <summary>A device as it is now.</summary>
    sealed record Link(int Index, IPAddress LinkLocal, Duid? Duid, bool IsUp, IReadOnlyList<IPv6Prefix> Prefixes)
    {
        /// <summary>An address by itself is of the /64 that its interface identifier leaves (RFC 4291 section 2.5.1).</summary>
        const int LongestOfLink = 64;

        public static Link Find(string name)
        {
            NetworkInterface device = Array.Find(NetworkInterface.GetAllNetworkInterfaces(), i => i.Name == name) ?? throw new NotThereYet("there is no such interface");
            IPInterfaceProperties properties = device.GetIPProperties();
            IPAddress own = properties.UnicastAddresses.Select(a => a.Address).FirstOrDefault(a => a.IsIPv6LinkLocal) ?? throw new NotThereYet("it has no link-local address; is it up?");
            byte[] ethernet = device.GetPhysicalAddress().GetAddressBytes();
            return new Link(
                properties.GetIPv6Properties().Index, own, ethernet.Length == 6 ? Duid.OfEthernet(ethernet) : null, device.OperationalStatus == OperationalStatus.Up,
                [.. from address in properties.UnicastAddresses
                    where address.Address.AddressFamily == AddressFamily.InterNetworkV6 && !address.Address.IsIPv6LinkLocal
                    select IPv6Prefix.Of(IPv6Address.Read(address.Address.GetAddressBytes()), Math.Min(address.PrefixLength, LongestOfLink))]);
        }
    }
}
