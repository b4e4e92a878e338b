using System.Globalization;
using System.Text.Json;
using APlusP.Core.Addresses;
using APlusP.Core.Wire;

namespace APlusP.Survey.Readers;

/// <summary>A request of a HAR file (HTTP Archive 1.2), as far as ports are concerned.</summary>
/// <param name="Start">When it began.</param>
/// <param name="End">When all of its answer was there.</param>
/// <param name="Host">The name that was asked.</param>
/// <param name="IsSecure">Whether by TLS.</param>
/// <param name="Server">Whom it went to.</param>
/// <param name="Port">There.</param>
/// <param name="Protocol">UDP where it is HTTP/3.</param>
/// <param name="Shares">Whether others go over the same connection at the same time: HTTP/2 and HTTP/3.</param>
/// <param name="Connection">What the browser calls the connection; null where it does not say.</param>
/// <param name="Resolved">Whether the name was asked of a resolver for it.</param>
/// <param name="Closes">Whether the server said that it closes the connection afterwards.</param>
readonly record struct HarEntry(DateTimeOffset Start, DateTimeOffset End, string Host, bool IsSecure, HostAddress Server, ushort Port, IpProtocol Protocol, bool Shares, string? Connection, bool Resolved, bool Closes)
{
    /// <summary>Reads one; false with a fault where it is none, and without where it took no connection, as what comes from the cache.</summary>
    public static bool TryRead(JsonElement entry, out HarEntry read, out string? fault)
    {
        read = default;
        fault = null;
        if (Text(entry, "serverIPAddress") is not { Length: > 0 } address) return false;
        fault = $"'{address}' is no address of a server";
        if (!HostAddress.TryParse(address.Trim('[', ']'), out HostAddress server)) return false;
        fault = "it has no request with an address of http or https";
        if (!entry.TryGetProperty("request", out JsonElement request) || Text(request, "url") is not { } text || !Uri.TryCreate(text, UriKind.Absolute, out Uri? url)) return false;
        if (url.Scheme is not ("http" or "https" or "ws" or "wss") || url.Port is < 1 or > 65535) return false;
        fault = "it does not say when it began";
        if (!DateTimeOffset.TryParse(Text(entry, "startedDateTime"), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset start) || start.Year is < 1970 or > 9000) return false;
        fault = "it does not say how long it took";
        if (Number(entry, "time") is not (>= 0 and < 86_400_000 and var milliseconds)) return false;
        fault = null;
        string version = (entry.TryGetProperty("response", out JsonElement response) ? Text(response, "httpVersion") : null) ?? "";
        bool isHttp3 = version.StartsWith("h3", StringComparison.OrdinalIgnoreCase) || version.EndsWith("/3", StringComparison.Ordinal) || version.EndsWith("/3.0", StringComparison.Ordinal);
        bool isHttp2 = version.StartsWith("h2", StringComparison.OrdinalIgnoreCase) || version.EndsWith("/2", StringComparison.Ordinal) || version.EndsWith("/2.0", StringComparison.Ordinal);
        bool resolved = entry.TryGetProperty("timings", out JsonElement timings) && Number(timings, "dns") > 0;
        ushort port = (ushort)url.Port;

        // Firefox writes the server's port where Chromium writes a connection's number.
        string? connection = Text(entry, "connection") is { Length: > 0 } named && named != $"{port}" ? named : null;
        read = new HarEntry(
            start, start.AddMilliseconds(milliseconds), url.IdnHost, url.Scheme is "https" or "wss", server, port, isHttp3 ? IpProtocol.Udp : IpProtocol.Tcp, isHttp2 || isHttp3,
            connection, resolved, Closing(response));
        return true;
    }

    static bool Closing(JsonElement response)
    {
        if (response.ValueKind != JsonValueKind.Object || !response.TryGetProperty("headers", out JsonElement headers) || headers.ValueKind != JsonValueKind.Array) return false;
        foreach (JsonElement header in headers.EnumerateArray())
            if (string.Equals(Text(header, "name"), "connection", StringComparison.OrdinalIgnoreCase) && string.Equals(Text(header, "value"), "close", StringComparison.OrdinalIgnoreCase)) return true;
        return false;
    }

    static string? Text(JsonElement at, string name) =>
        at.ValueKind == JsonValueKind.Object && at.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    static double? Number(JsonElement at, string name) =>
        at.ValueKind == JsonValueKind.Object && at.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : null;
}
