using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Pcp;
using APlusP.Core.PortSets;
using APlusP.Node.Configuration;
using APlusP.Node.Registry;

namespace APlusP.Node.Home;

/// <summary>The questions of a SMAP to a PCP server. Each is a MAP with PORT_SET from our end of the softwire: a mapping is made, renewed and sized by the same request.</summary>
sealed class PcpCalls : IHomeCalls
{
    /// <summary>How long an answer is waited for at once; repetitions that are due later are the next question's, so that news of an address is not kept waiting.</summary>
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(12);

    /// <summary>Before more ports are asked for again where there were none: a lease changes once a minute (RFC 6346 section 5.2).</summary>
    static readonly TimeSpan s_noMore = TimeSpan.FromMinutes(1);

    /// <summary>Before it is looked again whether DHCPv6 has told where the server is.</summary>
    static readonly TimeSpan s_again = TimeSpan.FromSeconds(1);

    readonly SmapPcp _settings;
    readonly HomeStore _store;
    readonly HomeSurroundings _around;
    readonly TimeProvider _time;
    readonly byte[] _request = new byte[PcpNumbers.LongestMessage], _answer = new byte[PcpNumbers.LongestMessage + 1];
    readonly SemaphoreSlim _one = new(1);
    Socket? _socket;
    (IPv6Address Address, PcpNonce Nonce, PcpClient Client)? _server;
    (Wish Wish, IPv6Address From) _asked;

    /// <param name="settings">Where the server is.</param>
    /// <param name="store">Who we are.</param>
    /// <param name="around">The PRR, which PCP does not tell, and the server where DHCPv6 tells it.</param>
    /// <param name="time">The clock.</param>
    public PcpCalls(SmapPcp settings, HomeStore store, HomeSurroundings around, TimeProvider time)
    {
        _settings = settings;
        _store = store;
        _around = around;
        _time = time;
    }

    /// <summary>The server, and we as its client; null while nobody has said where it is.</summary>
    (IPv6Address Address, PcpNonce Nonce, PcpClient Client)? Server()
    {
        IPv6Address? address = _settings.Server ?? (_around.Places().PcpServers is [var told, ..] ? told : _server?.Address);
        if (address == _server?.Address) return _server;
        CloseSocket();

        // Out of what only this SMAP knows, so that the mapping is its own still after a restart.
        PcpNonce nonce = PcpNonce.Read(SHA256.HashData(Encoding.UTF8.GetBytes($"pcp {_store.Saved.Secret} {address}")));
        return _server = (address!.Value, nonce, new PcpClient(nonce, Random.Shared));
    }

    public bool IsEnrolled => true;

    public bool HasNewToken() => false;

    public string Url => (_settings.Server ?? _server?.Address) is { } at ? $"pcp://[{at}]:{PcpNumbers.ServerPort}" : "pcp:";

    string Who => _server is var (address, _, _) ? $"the PCP server {address}" : "the PCP server";

    public async Task<HomeEvent> Ask(Ask ask, CancellationToken cancel)
    {
        IPv6Address from = ask.Softwire ?? ask.Lease!.Softwire;
        int size = ask.Wish switch
        {
            Wish.Shrink => ask.Lease!.Ports.Count - ask.Ports!.Value,
            Wish.Grow => PcpPortSet.AsManyAsThereAre,
            _ => ask.Lease?.Ports.Count ?? PcpPortSet.AsManyAsThereAre,
        };
        (PcpAnswer? answer, TimeSpan wait, string? fault) = await Exchange(ask.Wish, from, _settings.Lifetime, size, ask.Lease, cancel);
        return answer is not { } told ? new Failed(ask.Wish, ErrorCodes.NoPcpAnswer, $"{Who} does not answer{fault}") { At = wait }
            : told.Result != PcpResult.Success ? Refused(ask.Wish, told)
            : told.Lifetime == TimeSpan.Zero ? new Failed(ask.Wish, ErrorCodes.NoPcpAnswer, $"{Who} gives the ports for no time at all")
            : ask.Wish == Wish.Grow && told.Ports.Count <= ask.Lease!.Ports.Count ? new Failed(ask.Wish, ErrorCodes.LeaseLimit, $"{Who} gives no more ports than {told.Ports.Count} now", s_noMore)
            : Told(told, from);
    }

    LeaseIs Told(PcpAnswer told, IPv6Address from) => new(
        new HeldLease($"{_server?.Nonce}:{told.Ports.First}", from, told.Address, PortSet.FromRanges(told.Ports), _time.GetUtcNow() + told.Lifetime) { Prr = _around.Prr }, told.Lifetime);

    /// <summary>The server's word stands for as long as it says; one that has forgotten us is asked again soon, at another moment than others ask (RFC 6887 section 8.5).</summary>
    Failed Refused(Wish wish, PcpAnswer told) => new(wish, CodeOf(told.Result), $"{Who} says {PcpNumbers.NameOf(told.Result)}: {Words(told.Result)}", told.HasForgotten ? TimeSpan.FromSeconds(5 * Random.Shared.NextDouble()) : told.Lifetime);

    static string CodeOf(PcpResult result) => result switch
    {
        PcpResult.NoResources => ErrorCodes.PoolExhausted,
        PcpResult.NetworkFailure => ErrorCodes.NoPcpAnswer,
        _ => ErrorCodes.PcpRefused,
    };

    static string Words(PcpResult result) => result switch
    {
        PcpResult.UnsupportedVersion => "it does not speak version 2 of PCP",
        PcpResult.NotAuthorized => "this address may have no ports of it, or has them by another nonce, as after its state was deleted; then they come free when their time is over",
        PcpResult.MalformedRequest or PcpResult.MalformedOption => "it does not understand the request",
        PcpResult.UnsupportedOpcode or PcpResult.UnsupportedOption or PcpResult.UnsupportedProtocol => "it gives no set of ports of all protocols",
        PcpResult.NetworkFailure => "it cannot reach what it needs just now",
        PcpResult.NoResources => "it has no ports left just now",
        PcpResult.UserExceedsQuota => "another address of this home has its ports",
        PcpResult.AddressMismatch => "it sees another address than ours: something on the way translates addresses",
        _ => "it does not do what was asked",
    };

    /// <summary>Sends the request once, and waits for its answer; where none came, gives when it is to be sent again, and what is known of why.</summary>
    async Task<(PcpAnswer? Answer, TimeSpan Wait, string? Fault)> Exchange(Wish wish, IPv6Address from, TimeSpan lifetime, int size, HeldLease? lease, CancellationToken cancel)
    {
        await _one.WaitAsync(cancel);
        try
        {
            if (Server() is not var (server, _, client)) return (null, s_again, ", since nobody has told yet where it is: DHCPv6 has brought no option 86 (RFC 7291)");
            if (_asked != (wish, from)) client.Begin();
            if (_asked.From != from) CloseSocket();
            _asked = (wish, from);
            int length = client.Write(_request, from, lifetime, size, lease is null ? null : (lease.Address, lease.Ports.Ranges.First().First), out TimeSpan wait);
            long sent = Stopwatch.GetTimestamp();
            string? fault = null;
            try
            {
                Socket socket = _socket ??= Open(from, server);

                // What came too late to be an answer to the last request is none to this one.
                while (socket.Available > 0) socket.Receive(_answer);
                await socket.SendAsync(_request.AsMemory(0, length), cancel);
                using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancel);
                patience.CancelAfter(wait < s_patience ? wait : s_patience);
                while (true)
                {
                    int received = await socket.ReceiveAsync(_answer.AsMemory(), patience.Token);
                    if (client.Read(_answer.AsSpan(0, received), Stopwatch.GetElapsedTime(0)) is { } answer) return (answer, default, null);
                }
            }
            catch (SocketException error)
            {
                fault = error.SocketErrorCode == SocketError.AddressNotAvailable
                    ? $": no interface of this machine has {from}, from which it is to be asked; give it to one, or leave out softwire-address" : $": {error.Message}";
                CloseSocket();
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                // The time is over.
            }

            TimeSpan left = wait - Stopwatch.GetElapsedTime(sent);
            return (null, left > TimeSpan.Zero ? left : TimeSpan.Zero, fault);
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>Connected, so that nobody else's datagrams come in by it.</summary>
    static Socket Open(IPv6Address from, IPv6Address server)
    {
        var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            socket.Bind(new IPEndPoint(from.ToIPAddress(), 0));
            socket.Connect(new IPEndPoint(server.ToIPAddress(), PcpNumbers.ServerPort));
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    void CloseSocket()
    {
        _socket?.Dispose();
        _socket = null;
    }

    /// <summary>How often a mapping's end is sent at most: who waits for it is a person.</summary>
    const int Farewells = 2;

    public async Task Release(HeldLease lease, CancellationToken cancel)
    {
        string? fault = null;
        for (int i = 0; i < Farewells; i++)
        {
            (PcpAnswer? answer, _, fault) = await Exchange(Wish.None, lease.Softwire, TimeSpan.Zero, lease.Ports.Count, lease, cancel);
            if (answer is not { } told) continue;
            if (told.Result == PcpResult.Success) return;
            throw new ApiFault(ErrorCodes.PcpRefused, $"{Who} says {PcpNumbers.NameOf(told.Result)}: {Words(told.Result)}.");
        }

        throw new ApiFault(ErrorCodes.NoPcpAnswer, $"{Who} does not answer{fault}.");
    }

    public void Dispose()
    {
        CloseSocket();
        _one.Dispose();
    }
}
