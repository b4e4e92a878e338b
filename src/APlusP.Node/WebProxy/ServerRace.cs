using System.Net;
using System.Net.Sockets;
using APlusP.Node.Names;

namespace APlusP.Node.WebProxy;

/// <summary>Why a connection went by IPv4, or that it went by IPv6.</summary>
enum WebWay
{
    /// <summary>By IPv6: no shared port.</summary>
    IPv6,

    /// <summary>The client named no server in clear.</summary>
    NoName,

    /// <summary>The name has no IPv6 address that leads out.</summary>
    NoAddress,

    /// <summary>The DNS did not say in time whether it has one.</summary>
    NameLate,

    /// <summary>It has, and did not answer by it in time.</summary>
    NotAnswering,

    /// <summary>Nobody answered by either.</summary>
    Unreachable,
}

/// <summary>
/// Reaches a server by IPv6 where that answers, else where the client meant to go (Happy Eyeballs, RFC 8305). IPv4 takes a shared port even when it loses the race; so IPv6 has a head start.
/// </summary>
/// <param name="book">Names.</param>
/// <param name="isOurs">Whether an address is one that nobody may be led to by a name: this machine's.</param>
sealed class ServerRace(AddressBook book, Func<IPAddress, bool> isOurs)
{
    /// <summary>Addresses of a name that are tried, apart by the Connection Attempt Delay (RFC 8305 section 8), and how long the DNS is waited for. Together what a user does not notice.</summary>
    const int MostAddresses = 2;

    internal static readonly TimeSpan HeadStart = TimeSpan.FromMilliseconds(250), NamePatience = TimeSpan.FromMilliseconds(300);

    /// <summary>A connection to whom a client wants, and which way it went; null for none.</summary>
    /// <param name="name">The server's; null where the client did not say it.</param>
    /// <param name="original">Where the client connected to.</param>
    /// <param name="pool">What is as good as a connection there, and is at once; null where nothing is.</param>
    /// <param name="cancel">Ends it.</param>
    public async Task<(Socket? Server, WebWay Way)> Reach(string? name, IPEndPoint original, Func<Task<Socket>>? pool, CancellationToken cancel)
    {
        WebWay why = WebWay.NoName;
        IReadOnlyList<IPAddress> addresses = [];
        if (name is not null) (addresses, why) = await AddressesOf(name);

        // Where there is nothing to race against.
        if (addresses.Count == 0 && pool is not null) return (await pool(), why);

        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var attempts = new List<Task<Socket?>>();
        Socket? server = null;
        try
        {
            foreach (IPAddress address in addresses)
            {
                attempts.Add(Connect(new IPEndPoint(address, original.Port), over.Token));
                server = await Attempts.First(attempts, Task.Delay(HeadStart, cancel));
                if (server is not null) return (server, WebWay.IPv6);
            }

            attempts.Add(Connect(original, over.Token));
            server = await Attempts.First(attempts, Task.Delay(Timeout.Infinite, over.Token));
            if (server is { AddressFamily: AddressFamily.InterNetworkV6 }) return (server, WebWay.IPv6);
            if (server is not null && why == WebWay.NotAnswering) book.SetDeaf(name!);
            return (server, server is null ? WebWay.Unreachable : why);
        }
        finally
        {
            await over.CancelAsync();
            foreach (Task<Socket?> attempt in attempts) _ = Discard(attempt, except: server);
        }
    }

    /// <summary>Where a name leads by IPv6; where nowhere, why. With addresses, what is said is what it will be if they do not answer.</summary>
    async Task<(IReadOnlyList<IPAddress> Addresses, WebWay Why)> AddressesOf(string name)
    {
        Task<NameAddresses?> asked = book.Find(name);
        if (book.IsDeaf(name)) return ([], WebWay.NotAnswering);
        if (await Task.WhenAny(asked, Task.Delay(NamePatience)) != asked || !asked.IsCompletedSuccessfully || asked.Result is not { } found) return ([], WebWay.NameLate);
        IPAddress[] usable = [.. found.Addresses.Where(a => LeadsOut(a) && !isOurs(a)).Take(MostAddresses)];
        return (usable, usable.Length > 0 ? WebWay.NotAnswering : WebWay.NoAddress);
    }

    /// <summary>Global unicast (RFC 4291 section 2.4), without 6to4 (RFC 7526): a name must not lead a host to where its own addresses could not take it.</summary>
    internal static bool LeadsOut(IPAddress address)
    {
        byte[] octets = address.GetAddressBytes();
        return address.AddressFamily == AddressFamily.InterNetworkV6 && (octets[0] & 0xe0) == 0x20 && !(octets[0] == 0x20 && octets[1] == 0x02);
    }

    static async Task<Socket?> Connect(IPEndPoint to, CancellationToken cancel)
    {
        var socket = new Socket(to.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(to, cancel);
            return socket;
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException)
        {
            socket.Dispose();
            return null;
        }
    }

    static async Task Discard(Task<Socket?> attempt, Socket? except)
    {
        if (await attempt is { } late && late != except) late.Dispose();
    }
}
