using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using APlusP.Core.Addresses;
using APlusP.Core.PortControl.Upnp;
using APlusP.Node.PortControl;
using APlusP.Tests.Forwarding;
using static APlusP.Tests.PortControl.DeskScene;

namespace APlusP.Tests.PortControl;

/// <summary>The UPnP devices of a home, asked without sockets.</summary>
sealed class UpnpScene : IDisposable
{
    public const string Self = "192.168.2.1:5431";

    public static readonly IgdDevice[] Igds = [new(2, Guid.Parse("6f1d0d0e-0000-4000-8000-000000000010"), "s3cr3t"), new(1, Guid.Parse("6f1d0d0e-0000-4000-8000-000000000020"), "s3cr3t")];

    public UpnpScene(DeskScene? home = null)
    {
        Home = home ?? new DeskScene();
        Web = new IgdWeb(Igds, new IgdControl(Home, () => new WanTotals(1, 2, 3, (1L << 32) + 4), () => 77, Home.Counters), host => MayAsk(host), Home.Counters, Clock);
    }

    public DeskScene Home { get; }

    public IgdWeb Web { get; }

    public HandClock Clock { get; } = new();

    public Func<IPv4Address, bool> MayAsk { get; set; } = _ => true;

    /// <summary>A request as it comes on the wire, judged and answered as the listener does it.</summary>
    public HttpAnswer Send(string head, string body = "", string from = DeskScene.Console) => Send(Encoding.UTF8.GetBytes(head.ReplaceLineEndings("\r\n") + "\r\n\r\n" + body), from);

    public HttpAnswer Send(ReadOnlySpan<byte> bytes, string from = DeskScene.Console)
    {
        int end = HttpHead.EndOf(bytes);
        if (end == 0 || !HttpHead.TryRead(bytes[..end], out HttpHead? head)) return new HttpAnswer("400 Bad Request");
        if (Web.Refuse(head!, Self, Host(from)) is { } refusal) return refusal;
        int length = IgdWeb.LengthOf(head!);
        return bytes.Length - end < length ? new HttpAnswer("400 Bad Request") : Web.Answer(head!, bytes.Slice(end, length), Host(from));
    }

    public static string Envelope(string type, string action, params (string Name, string Value)[] arguments) =>
        $"<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><u:{action} xmlns:u=\"{type}\">"
        + string.Concat(arguments.Select(a => $"<{a.Name}>{System.Security.SecurityElement.Escape(a.Value)}</{a.Name}>")) + $"</u:{action}></s:Body></s:Envelope>";

    public static string ControlRequest(string action, int version, string service, string id, out string body, params (string Name, string Value)[] arguments)
    {
        string type = $"urn:schemas-upnp-org:service:{service}";
        body = Envelope(type, action, arguments);
        return $"POST /s3cr3t/{version}/{id}/control HTTP/1.1\nHost: {Self}\nContent-Type: text/xml\nSOAPAction: \"{type}#{action}\"\nContent-Length: {Encoding.UTF8.GetByteCount(body)}";
    }

    public HttpAnswer Invoke(string action, int version = 2, string from = DeskScene.Console, params (string Name, string Value)[] arguments) =>
        Send(ControlRequest(action, version, $"WANIPConnection:{version}", "WANIPConn1", out string body, arguments), body, from);

    /// <summary>The error of an answer; 0 of one that is none.</summary>
    public static int CodeOf(HttpAnswer answer) => Regex.Match(answer.Body, "<errorCode>([0-9]+)</errorCode>") is { Success: true } match ? int.Parse(match.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture) : 0;

    public static string? ValueOf(HttpAnswer answer, string name) => XDocument.Parse(answer.Body).Descendants(name).SingleOrDefault()?.Value;

    public static (string, string)[] Mapping(int external, int port = 3074, string client = DeskScene.Console, string protocol = "UDP", string remote = "", string enabled = "1", string description = "a game", string lease = "3600") =>
    [
        ("NewRemoteHost", remote), ("NewExternalPort", $"{external}"), ("NewProtocol", protocol), ("NewInternalPort", $"{port}"), ("NewInternalClient", client), ("NewEnabled", enabled),
        ("NewPortMappingDescription", description), ("NewLeaseDuration", lease),
    ];

    public static (string, string)[] Key(int external, string protocol = "UDP", string remote = "") => [("NewRemoteHost", remote), ("NewExternalPort", $"{external}"), ("NewProtocol", protocol)];

    public static (string, string)[] Range(int first, int last, string protocol = "UDP") => [("NewStartPort", $"{first}"), ("NewEndPort", $"{last}"), ("NewProtocol", protocol), ("NewManage", "0")];

    public void Dispose() => Web.Dispose();
}
