using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace APlusP.Tests.Web;

public sealed class ConnectionPoolTests : IAsyncDisposable
{
    readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    readonly ConcurrentBag<string> _heads = [];
    readonly CancellationTokenSource _stop = new(TimeSpan.FromSeconds(60));
    Func<string, string> _answer = _ => Page("here");
    int _connections;

    public ConnectionPoolTests()
    {
        _listener.Start();
        _ = Accept();
    }

    IPEndPoint Server => (IPEndPoint)_listener.LocalEndpoint;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        _stop.Dispose();
    }

    static string Page(string text, string more = "") => $"HTTP/1.1 200 OK\r\nContent-Length: {text.Length}\r\n{more}\r\n{text}";

    // A server that answers heads, each after a moment.
    async Task Accept()
    {
        try
        {
            while (true)
            {
                Socket client = await _listener.AcceptSocketAsync(_stop.Token);
                Interlocked.Increment(ref _connections);
                _ = Serve(client);
            }
        }
        catch (Exception over) when (over is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    async Task Serve(Socket client)
    {
        using (client)
        {
            while (await Head(client) is { Length: > 0 } head)
            {
                _heads.Add(head);
                await Task.Delay(20, _stop.Token);
                await client.SendAsync(Encoding.ASCII.GetBytes(_answer(head)), _stop.Token);
                if (head.Contains("Upgrade:", StringComparison.OrdinalIgnoreCase)) await Echo(client);
            }
        }
    }

    async Task Echo(Socket client)
    {
        byte[] octets = new byte[100];
        while (await client.ReceiveAsync(octets, _stop.Token) is > 0 and int read) await client.SendAsync(octets.AsMemory(0, read), _stop.Token);
    }

    /// <summary>What comes up to an empty line; empty where the other has ended.</summary>
    async Task<string> Head(Socket from)
    {
        var text = new StringBuilder();
        byte[] octet = new byte[1];
        while (!text.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            if (await from.ReceiveAsync(octet, _stop.Token) == 0) return "";
            text.Append((char)octet[0]);
        }

        return text.ToString();
    }

    async Task<string> Ask(Socket client, string head)
    {
        await client.SendAsync(Encoding.ASCII.GetBytes(head), _stop.Token);
        return await Head(client);
    }

    [Fact]
    public async Task Fifty_clients_at_once_are_served_by_six_connections()
    {
        await using ConnectionPool pool = await ConnectionPool.StartAsync(6);
        string[] answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(async i =>
        {
            using Socket client = await pool.ConnectAsync(Server, _stop.Token);
            return await Ask(client, $"GET /{i} HTTP/1.1\r\nHost: www.example\r\n\r\n");
        }));
        Assert.All(answers, answer => Assert.StartsWith("HTTP/1.1 200 OK\r\n", answer, StringComparison.Ordinal));
        Assert.Equal(50, _heads.Count);
        Assert.InRange(_connections, 1, 6);
    }

    [Fact]
    public async Task A_request_goes_as_it_came_but_for_a_Via()
    {
        await using ConnectionPool pool = await ConnectionPool.StartAsync(6);
        using Socket client = await pool.ConnectAsync(Server, _stop.Token);
        await Ask(client, "GET /a%2Fb/../c%20d?q=%41|[1]&x HTTP/1.1\r\nHost: WWW.Example:80\r\nAccept-Encoding: br\r\nX-Two: 1\r\nX-Two: 2\r\nCookie: a=b; c=d\r\n\r\n");
        string head = Assert.Single(_heads);
        Assert.StartsWith("GET /a%2Fb/../c%20d?q=%41|[1]&x HTTP/1.1\r\n", head, StringComparison.Ordinal);
        foreach (string line in (string[])["Host: WWW.Example:80", "Accept-Encoding: br", "Cookie: a=b; c=d", "Via: 1.1 aplusp"]) Assert.Contains($"{line}\r\n", head, StringComparison.OrdinalIgnoreCase);
        Assert.True(head.Contains("X-Two: 1, 2\r\n", StringComparison.Ordinal) || head.Contains("X-Two: 1\r\nX-Two: 2\r\n", StringComparison.Ordinal), head);
        Assert.DoesNotContain("X-Forwarded", head, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("traceparent", head, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Who_has_somebody_sign_in_by_a_connection_shares_none_from_then_on()
    {
        _answer = _ => "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n";
        await using ConnectionPool pool = await ConnectionPool.StartAsync(6);
        Assert.True(pool.May(Server));
        using Socket client = await pool.ConnectAsync(Server, _stop.Token);
        string answer = await Ask(client, "GET / HTTP/1.1\r\nHost: www.example\r\n\r\n");
        Assert.Contains("Connection: close\r\n", answer, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("WWW-Authenticate: NTLM\r\n", answer, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(0, await client.ReceiveAsync(new byte[1], _stop.Token));
        Assert.False(pool.May(Server));
    }

    [Fact]
    public async Task An_upgraded_connection_carries_whatever_follows()
    {
        _answer = _ => "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        await using ConnectionPool pool = await ConnectionPool.StartAsync(6);
        using Socket client = await pool.ConnectAsync(Server, _stop.Token);
        string answer = await Ask(client, "GET /chat HTTP/1.1\r\nHost: www.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 101 ", answer, StringComparison.Ordinal);
        byte[] octets = [0x81, 0, 255, 7], back = new byte[4];
        await client.SendAsync(octets, _stop.Token);
        int read = 0;
        while (read < back.Length) read += await client.ReceiveAsync(back.AsMemory(read), _stop.Token);
        Assert.Equal(octets, back);
    }

    [Fact]
    public async Task Where_nobody_answers_the_client_hears_so_and_what_is_no_HTTP_is_refused()
    {
        await using ConnectionPool pool = await ConnectionPool.StartAsync(6);
        using var unused = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        unused.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        using Socket client = await pool.ConnectAsync((IPEndPoint)unused.LocalEndPoint!, _stop.Token);
        Assert.StartsWith("HTTP/1.1 502 ", await Ask(client, "GET / HTTP/1.1\r\nHost: www.example\r\n\r\n"), StringComparison.Ordinal);
        using Socket other = await pool.ConnectAsync(Server, _stop.Token);
        Assert.StartsWith("HTTP/1.1 400 ", await Ask(other, "GET / HTTP/1.1\r\nHost: www.example\r\nBad Header\r\n\r\n"), StringComparison.Ordinal);
        Assert.Empty(_heads);
    }
}
