using System.Text;
using APlusP.Core.PortControl.Upnp;
using static APlusP.Tests.PortControl.DeskScene;
using static APlusP.Tests.PortControl.UpnpScene;

namespace APlusP.Tests.PortControl;

/// <summary>Whatever a host of the LAN sends: no exception, no answer longer than may be, and no mapping that is not its own or not of the set.</summary>
public class PortControlFuzzTests
{
    const int Times = 100_000;

    /// <summary>A message with some octets changed, left out, doubled or cut off.</summary>
    static byte[] Mutate(byte[] seed, Random random)
    {
        var bytes = new List<byte>(seed);
        for (int i = random.Next(1, 6); i > 0 && bytes.Count > 0; i--)
        {
            int at = random.Next(bytes.Count);
            switch (random.Next(6))
            {
                case 0: bytes[at] = (byte)random.Next(256); break;
                case 1: bytes[at] ^= (byte)(1 << random.Next(8)); break;
                case 2: bytes.RemoveAt(at); break;
                case 3: bytes.Insert(at, (byte)random.Next(256)); break;
                case 4: bytes.RemoveRange(at, random.Next(bytes.Count - at + 1)); break;
                default: bytes.InsertRange(at, bytes.GetRange(at, random.Next(Math.Min(8, bytes.Count - at) + 1))); break;
            }
        }

        return [.. bytes];
    }

    static void AssertSound(DeskScene home)
    {
        Assert.All(home.Book.Mappings, m =>
        {
            Assert.Equal(Host(DeskScene.Console), m.Forward.Host);
            Assert.True(home.Book.Terms.Ports.Contains(m.Forward.Port));
        });
    }

    [Fact]
    public void Pcp_and_nat_pmp()
    {
        var random = new Random(1);
        var home = new DeskScene();
        byte[][] seeds = [PcpRequestOf(80), PcpRequestOf(3000, protocol: 17, size: 6), PcpRequestOf(80, lifetime: 0), PcpRequestOf(81, suggested: 10001, more: [2, 0, 0, 0]), [0, 0], [0, 1, 0, 0, 12, 2, 39, 18, 0, 0, 28, 32], [0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]];
        for (int i = 0; i < Times; i++)
        {
            byte[] message = Mutate(seeds[random.Next(seeds.Length)], random);
            byte[]? answer = message.Length > 0 && message[0] == 0 ? home.NatPmp.Answer(message, Host(DeskScene.Console)) : home.Pcp.Answer(message, Host(DeskScene.Console));
            if (answer is not null) Assert.InRange(answer.Length, 8, 1100);
            if (i % 1000 == 0) AssertSound(home);
        }

        AssertSound(home);
    }

    [Fact]
    public void Ssdp()
    {
        var random = new Random(2);
        var ssdp = new Ssdp(Igds, "x", 1);
        byte[] seed = Encoding.ASCII.GetBytes("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 2\r\nST: upnp:rootdevice\r\n\r\n");
        for (int i = 0; i < Times; i++) Assert.InRange(ssdp.Answer(Mutate(seed, random), "http://192.168.2.1:1").Count, 0, 20);
    }

    [Fact]
    public void Http_and_soap()
    {
        var random = new Random(3);
        using var upnp = new UpnpScene();
        string add = ControlRequest("AddPortMapping", 2, "WANIPConnection:2", "WANIPConn1", out string body, Mapping(10007)).ReplaceLineEndings("\r\n"),
            subscribe = $"UNSUBSCRIBE /s3cr3t/2/WANIPConn1/events HTTP/1.1\r\nHost: {Self}\r\nSID: uuid:1\r\n\r\n", get = $"GET {Igds[1].DescriptionPath} HTTP/1.1\r\nHost: {Self}\r\n\r\n";
        byte[][] seeds = [Encoding.UTF8.GetBytes(add + "\r\n\r\n" + body), Encoding.UTF8.GetBytes(subscribe), Encoding.UTF8.GetBytes(get)];
        for (int i = 0; i < Times; i++)
        {
            HttpAnswerIsSound(upnp.Send(Mutate(seeds[random.Next(seeds.Length)], random)));
            if (i % 1000 == 0) AssertSound(upnp.Home);
        }

        AssertSound(upnp.Home);
    }

    static void HttpAnswerIsSound(Node.PortControl.HttpAnswer answer) => Assert.InRange(answer.Status[0], '2', '5');

    [Fact]
    public void Soap_alone()
    {
        var random = new Random(4);
        byte[] seed = Encoding.UTF8.GetBytes(Envelope("urn:schemas-upnp-org:service:WANIPConnection:2", "AddPortMapping", Mapping(10007)));
        int read = 0;
        for (int i = 0; i < Times; i++) read += SoapRequest.TryRead(Mutate(seed, random), out _) ? 1 : 0;
        Assert.InRange(read, 1, Times - 1);
    }
}
