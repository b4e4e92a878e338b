using System.Text;
using APlusP.Core.PortControl.Upnp;

namespace APlusP.Tests.PortControl;

/// <summary>How programs find the devices.</summary>
public class SsdpTests
{
    const string Base = "http://192.168.2.1:5431";

    readonly Ssdp _ssdp = new(UpnpScene.Igds, "Linux UPnP/1.1 aplusp/1", 7);

    IReadOnlyList<string> Search(string target, string man = "\"ssdp:discover\"") => [.. _ssdp.Answer(Encoding.ASCII.GetBytes(
        $"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: {man}\r\nMX: 2\r\nST: {target}\r\n\r\n"), Base).Select(a => Encoding.ASCII.GetString(a))];

    [Theory]
    [InlineData("urn:schemas-upnp-org:device:InternetGatewayDevice")]
    [InlineData("urn:schemas-upnp-org:service:WANIPConnection")]
    public void A_search_for_the_first_version_finds_that_and_then_the_second_and_one_for_the_second_that_alone(string type)
    {
        string[] first = [.. Search($"{type}:1")], second = [.. Search($"{type}:2")];
        Assert.Equal(["/s3cr3t/1/device.xml", "/s3cr3t/2/device.xml"], first.Select(a => Field(a, "LOCATION")[Base.Length..]));
        Assert.All(first, a => Assert.Equal($"{type}:1", Field(a, "ST")));
        Assert.All(first, a => Assert.EndsWith($"::{type}:1", Field(a, "USN"), StringComparison.Ordinal));
        Assert.Equal($"{Base}/s3cr3t/2/device.xml", Field(Assert.Single(second), "LOCATION"));
        Assert.All(first.Concat(second), a => Assert.True(a.StartsWith("HTTP/1.1 200 OK\r\n", StringComparison.Ordinal) && a.EndsWith("\r\n\r\n", StringComparison.Ordinal)));
    }

    static string Field(string answer, string name) => answer.Split("\r\n").Single(l => l.StartsWith($"{name}: ", StringComparison.Ordinal))[(name.Length + 2)..];

    [Fact]
    public void A_search_for_all_finds_all_and_one_for_others_nothing()
    {
        Assert.Equal(2 * 10, Search("ssdp:all").Count);
        Assert.Equal(2, Search("upnp:rootdevice").Count);
        Assert.Single(Search(UpnpScene.Igds[0].Udn(1)));
        Assert.Empty(Search("urn:schemas-upnp-org:device:MediaServer:1"));
        Assert.Empty(Search("ssdp:all", man: "\"ssdp:other\""));
    }

    [Fact]
    public void Devices_say_that_they_come_and_go()
    {
        string[] alive = [.. _ssdp.Alive(Base).Select(a => Encoding.ASCII.GetString(a))], gone = [.. _ssdp.ByeBye().Select(a => Encoding.ASCII.GetString(a))];
        Assert.Equal(alive.Length, gone.Length);
        Assert.All(alive, a => Assert.Contains("NTS: ssdp:alive\r\nCACHE-CONTROL: max-age=1800\r\n", a, StringComparison.Ordinal));
        Assert.All(gone, g => Assert.Contains("NTS: ssdp:byebye\r\n", g, StringComparison.Ordinal));
        Assert.Equal(alive.Length, alive.Select(a => Field(a, "USN")).Distinct().Count());
    }
}
