using System.Net.Security;
using System.Security.Authentication;
using System.Text;
using APlusP.Core.Web;

namespace APlusP.Tests.Web;

/// <summary>Whom a connection of the web is for, as its client says it in clear.</summary>
public class WebNameTests
{
    /// <summary>What OpenSSL, by .NET, sends first.</summary>
    static byte[] Hello(string host, SslProtocols protocols = SslProtocols.Tls13)
    {
        using var sent = new OneWay();
        using var tls = new SslStream(sent);
        Assert.ThrowsAny<Exception>(() => tls.AuthenticateAsClient(new SslClientAuthenticationOptions { TargetHost = host, EnabledSslProtocols = protocols }));
        return sent.ToArray();
    }

    /// <summary>Keeps what is written; nobody answers.</summary>
    sealed class OneWay : MemoryStream
    {
        public override int Read(Span<byte> buffer) => 0;

        public override int Read(byte[] buffer, int offset, int count) => 0;
    }

    static (NameSearch Search, string? Name) Find(ReadOnlySpan<byte> octets) => (WebName.Find(octets, out string? name), name);

    static (NameSearch Search, string? Name) Find(string text) => Find(Encoding.Latin1.GetBytes(text));

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public void A_TLS_client_names_its_server_and_every_beginning_of_its_hello_asks_for_more(SslProtocols protocols)
    {
        byte[] hello = Hello("www6.Example", protocols);
        Assert.Equal((NameSearch.Found, "www6.example"), Find(hello));
        for (int length = 0; length < hello.Length; length++) Assert.Equal((NameSearch.More, null), Find(hello.AsSpan(0, length)));
    }

    [Fact]
    public void A_hello_in_many_records_is_put_together()
    {
        byte[] hello = Hello("www6.example");
        var cut = new List<byte>();
        for (int at = 5; at < hello.Length; at += 7)
        {
            byte[] piece = hello[at..Math.Min(at + 7, hello.Length)];
            cut.AddRange([22, 3, 1, 0, (byte)piece.Length, .. piece]);
        }

        Assert.Equal((NameSearch.Found, "www6.example"), Find([.. cut]));
    }

    [Fact]
    public void A_hello_without_a_name_names_nobody() => Assert.Equal((NameSearch.None, null), Find(Hello("192.0.2.1")));

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: www6.example\r\n\r\n", "www6.example")]
    [InlineData("GET / HTTP/1.1\r\nUser-Agent: x\r\nhOSt:WWW6.example:8080 \r\nAccept: */*\r\n\r\nbody", "www6.example")]
    [InlineData("\r\nPOST /a?b HTTP/1.0\nHost: www6.example.\n\n", "www6.example")]
    [InlineData("GET http://www6.example:80/x HTTP/1.1\r\nHost: www4.example\r\n\r\n", "www6.example")]
    [InlineData("PROPFIND / HTTP/1.1\r\nHost:\twww6.example\t\r\n\r\n", "www6.example")]
    public void An_HTTP_client_names_its_server(string head, string name)
    {
        Assert.Equal((NameSearch.Found, name), Find(head));
        int end = head.LastIndexOf("\n\r\n", StringComparison.Ordinal) is > 0 and var crlf ? crlf + 3 : head.LastIndexOf("\n\n", StringComparison.Ordinal) + 2;
        for (int length = 0; length < end; length++) Assert.Equal((NameSearch.More, null), Find(head[..length]));
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: a..example\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: \r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\n: a.example\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\n Host: a.example\r\n\r\n")]
    [InlineData("GET http:///x HTTP/1.1\r\nHost: a.example\r\n\r\n")]
    [InlineData("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n")]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")]
    [InlineData("GET /\r\n")]
    [InlineData("SSH-2.0-OpenSSH\r\n")]
    [InlineData("é")]
    [InlineData("\u0016\u0003\u0001\u0000\u0000")]
    [InlineData("\u0016\u0002\u0001\u0000\u0004")]
    [InlineData("\u0016\u0003\u0001\u0000\u0001\u0002")]
    public void What_names_nobody_is_known_at_once(string first) => Assert.Equal((NameSearch.None, null), Find(first));

    [Fact]
    public void Who_talks_for_long_without_a_name_is_not_waited_for()
    {
        string head = "GET / HTTP/1.1\r\n" + string.Concat(Enumerable.Repeat("X: " + new string('x', 1000) + "\r\n", 20));
        Assert.Equal(NameSearch.More, Find(head[..(WebName.MostOctets - 1)]).Search);
        Assert.Equal(NameSearch.None, Find(head[..WebName.MostOctets]).Search);
    }

    [Fact]
    public void Damaged_in_any_way_it_is_read_or_not_and_never_more_than_a_name()
    {
        byte[][] whole = [Hello("www6.example"), Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\nHost: www6.example\r\nAccept: */*\r\n\r\n")];
        var random = new Random(8446);
        for (int i = 0; i < 200_000; i++)
        {
            byte[] damaged = [.. whole[i & 1]];
            for (int changes = random.Next(1, 6); changes > 0; changes--) damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            (NameSearch search, string? name) = Find(damaged.AsSpan(0, random.Next(damaged.Length + 1)));
            Assert.Equal(search == NameSearch.Found, name is not null);
            if (name is not null) Assert.True(name.Length <= 253 && name.Contains('.') && name.All(c => c is >= 'a' and <= 'z' or >= '0' and <= '9' or '-' or '_' or '.'), name);
        }
    }
}
