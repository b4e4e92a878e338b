using System.Text;

namespace APlusP.Core.PortControl.Upnp;

/// <summary>How devices find each other, UPnP Device Architecture 1.1 section 1, without the socket: searches are answered, and devices announce that they come and go.</summary>
/// <param name="devices">Our devices.</param>
/// <param name="server">Who we are, such as "Linux/6 UPnP/1.1 aplusp/1.0".</param>
/// <param name="bootId">Goes up with each start.</param>
public sealed class Ssdp(IReadOnlyList<IgdDevice> devices, string server, uint bootId)
{
    public const int Port = 1900;
    public const string Group = "239.255.255.250";

    /// <summary>How long an announcement stands; it is made again well before.</summary>
    public static TimeSpan MaxAge { get; } = TimeSpan.FromSeconds(1800);

    const string ConfigurationId = "1";

    /// <summary>The answers to a search; none to what is none, or not for us.</summary>
    /// <param name="message">The datagram.</param>
    /// <param name="base">Where our descriptions are: "http://192.168.1.1:5431".</param>
    public IReadOnlyList<byte[]> Answer(ReadOnlySpan<byte> message, string @base)
    {
        if (!HttpHead.TryRead(message, out HttpHead? search) || search is not { Method: "M-SEARCH", Target: "*" } || search["man"]?.Trim('"') != "ssdp:discover" || search["st"] is not { Length: > 0 } sought) return [];

        // A device of the second version answers for the first too (section 1.3.2). It does so last: who takes the first answer and knows no other version has one of that, and miniupnpc, which takes the last, has all that there is.
        return [.. from device in devices.OrderBy(d => d.Version)
                   from target in device.Targets
                   from asked in device.Version == 1 || !target.Target.EndsWith(":2", StringComparison.Ordinal) ? [target.Target] : new[] { target.Target, $"{target.Target[..^1]}1" }
                   where sought == asked || (sought == "ssdp:all" && asked == target.Target)
                   select Write($"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age={(int)MaxAge.TotalSeconds}\r\nEXT:\r\nLOCATION: {@base}{device.DescriptionPath}\r\nSERVER: {server}\r\nST: {asked}\r\nUSN: {target.Usn[..^target.Target.Length]}{asked}\r\n")];
    }

    /// <summary>Whether a datagram asks for anybody at all; announcements of others do not.</summary>
    public static bool IsSearch(ReadOnlySpan<byte> message) => message.StartsWith("M-SEARCH "u8);

    /// <summary>That our devices are there.</summary>
    public IReadOnlyList<byte[]> Alive(string @base) =>
        [.. from device in devices
            from target in device.Targets
            select Write($"{Notify(target)}NTS: ssdp:alive\r\nCACHE-CONTROL: max-age={(int)MaxAge.TotalSeconds}\r\nLOCATION: {@base}{device.DescriptionPath}\r\nSERVER: {server}\r\n")];

    /// <summary>That they go.</summary>
    public IReadOnlyList<byte[]> ByeBye() =>
        [.. from device in devices
            from target in device.Targets
            select Write($"{Notify(target)}NTS: ssdp:byebye\r\n")];

    static string Notify((string Target, string Usn) target) => $"NOTIFY * HTTP/1.1\r\nHOST: {Group}:{Port}\r\nNT: {target.Target}\r\nUSN: {target.Usn}\r\n";

    byte[] Write(string head) => Encoding.ASCII.GetBytes($"{head}BOOTID.UPNP.ORG: {bootId}\r\nCONFIGID.UPNP.ORG: {ConfigurationId}\r\n\r\n");
}
