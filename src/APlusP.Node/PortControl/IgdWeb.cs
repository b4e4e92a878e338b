using System.Text;
using APlusP.Core.Addresses;
using APlusP.Core.PortControl;
using APlusP.Core.PortControl.Upnp;

namespace APlusP.Node.PortControl;

/// <summary>What goes back to who asked by HTTP.</summary>
/// <param name="Status">Such as "200 OK".</param>
/// <param name="Body">A document, or nothing.</param>
sealed record HttpAnswer(string Status, string Body = "")
{
    /// <summary>More fields, each with its line end.</summary>
    public string Fields { get; init; } = "";

    public byte[] Write() => Encoding.UTF8.GetBytes(
        $"HTTP/1.1 {Status}\r\nContent-Type: text/xml; charset=\"utf-8\"\r\nContent-Length: {Encoding.UTF8.GetByteCount(Body)}\r\nConnection: close\r\nServer: {Server}\r\nExt: \r\n{Fields}\r\n{Body}");

    /// <summary>Who we are, to those who insist on it.</summary>
    public static string Server { get; } = "Linux UPnP/1.1 aplusp";
}

/// <summary>
/// The pages of the UPnP devices, without sockets: descriptions, actions by SOAP, subscriptions. Only a program of the LAN that read our description gets anywhere: a page in a browser is told by the field Origin,
/// and by a Host that is a name in place of our address (what others had to learn: VU#361684, DNS rebinding).
/// </summary>
/// <param name="devices">Our devices.</param>
/// <param name="control">Does what is asked.</param>
/// <param name="mayAsk">Whether a host may ask now.</param>
/// <param name="counters">Told of those that get nowhere.</param>
/// <param name="clock">How long subscriptions stand.</param>
sealed class IgdWeb(IReadOnlyList<IgdDevice> devices, IgdControl control, Func<IPv4Address, bool> mayAsk, PortControlCounters counters, TimeProvider clock) : IDisposable
{
    /// <summary>Octets of the largest body that is read.</summary>
    public const int LongestBody = 16 * 1024;

    public EventSubscriptions Subscriptions { get; } = new((device, path) => control.Evented(devices[device], path), clock);

    /// <summary>Judges a head before its body is read: null where that may be read.</summary>
    /// <param name="head">The head.</param>
    /// <param name="self">Where we were asked: "192.168.1.1:5431".</param>
    /// <param name="asker">Who asks.</param>
    public HttpAnswer? Refuse(HttpHead head, string self, IPv4Address asker)
    {
        if (!mayAsk(asker))
        {
            counters.Count(MappingProtocol.Upnp, RequestFate.Limited);
            return new HttpAnswer("503 Service Unavailable") { Fields = "Retry-After: 1\r\n" };
        }

        HttpAnswer? refusal = FaultOf(head, self);
        if (refusal is not null) counters.Count(MappingProtocol.Upnp, RequestFate.Discarded);
        return refusal;
    }

    static HttpAnswer? FaultOf(HttpHead head, string self)
    {
        if (head["host"] != self) return new HttpAnswer("400 Bad Request");
        if (head["origin"] is not null || head["referer"] is not null) return new HttpAnswer("403 Forbidden");
        if (head["transfer-encoding"] is not null) return new HttpAnswer("411 Length Required");
        return head.Method != "POST" && head["content-length"] is not (null or "0") ? new HttpAnswer("400 Bad Request")
            : LengthOf(head) switch
            {
                < 0 => new HttpAnswer(head["content-length"] is null ? "411 Length Required" : "400 Bad Request"),
                > LongestBody => new HttpAnswer("413 Content Too Large"),
                _ => null,
            };
    }

    /// <summary>Octets of the body; less than 0 where that is not said in figures.</summary>
    public static int LengthOf(HttpHead head) => head["content-length"] is not { } length ? head.Method == "POST" ? -1 : 0
        : int.TryParse(length, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int octets) ? octets : -1;

    /// <summary>Answers a request that was not refused.</summary>
    /// <param name="head">Its head.</param>
    /// <param name="body">Its body.</param>
    /// <param name="asker">Who asks.</param>
    public HttpAnswer Answer(HttpHead head, ReadOnlySpan<byte> body, IPv4Address asker)
    {
        int at = 0;
        while (at < devices.Count && !head.Target.StartsWith(devices[at].DescriptionPath[..^"device.xml".Length], StringComparison.Ordinal)) at++;
        if (at == devices.Count) return new HttpAnswer("404 Not Found");
        IgdDevice device = devices[at];
        switch (head.Method)
        {
            case "GET":
                string? page = head.Target == device.DescriptionPath ? device.Describe() : IgdControl.Describe(device, head.Target);
                return page is null ? new HttpAnswer("404 Not Found") : new HttpAnswer("200 OK", page);
            case "POST":
                return control.Answer(device, head.Target, head["soapaction"] ?? "", body, asker) is var (answer, isError) ? new HttpAnswer(isError ? "500 Internal Server Error" : "200 OK", answer) : new HttpAnswer("404 Not Found");
            case "SUBSCRIBE":
                return control.Evented(device, head.Target) is null ? new HttpAnswer("404 Not Found") : Subscriptions.Subscribe(at, head, asker);
            case "UNSUBSCRIBE":
                return Subscriptions.Unsubscribe(head);
            default:
                return new HttpAnswer("405 Method Not Allowed") { Fields = "Allow: GET, POST, SUBSCRIBE, UNSUBSCRIBE\r\n" };
        }
    }

    public void Dispose() => Subscriptions.Dispose();
}
