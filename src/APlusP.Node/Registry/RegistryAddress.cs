using System.Net;
using APlusP.Core;

namespace APlusP.Node.Registry;

/// <summary>Where a registry is, and how it and we know each other: the table <c>[registry]</c> of a daemon's file.</summary>
/// <param name="Url">Its address; plain HTTP on loopback alone. <c>srv://DOMAIN</c> where it is found by the DNS, without a domain in those that DHCPv6 tells, and the resolver's search list.</param>
public sealed record RegistryAddress(Uri Url) : ApiAddress(Url)
{
    /// <summary>Whether the DNS is to say where it is, and nobody has said in which domain.</summary>
    public bool IsFoundAnywhere => Url.Scheme == Found && Url.Host.Length == 0;

    /// <summary>The keys of <c>[registry]</c> that are read here.</summary>
    public static IReadOnlyList<string> Keys { get; } = ["url", "token-file", "ca-file", "pin"];

    /// <summary>Reads them; null where <c>url</c> is missing or not one, which has been told.</summary>
    /// <param name="section">The table.</param>
    /// <param name="directory">Of the configuration file: relative paths begin there.</param>
    /// <param name="mayBeFound">Whether the DNS may say where it is.</param>
    internal static RegistryAddress? Read(SectionReader section, string directory, bool mayBeFound = false)
    {
        if (!mayBeFound) section.Require("url", "\"https://registry.example:8646\"");
        string? ca = Path("ca-file"), pin = section.Has("pin") ? PinOf(section) : null;
        if (ca is not null && pin is not null) section.Refuse("pin", ErrorCodes.ConfigurationContradiction, "'pin' names the one certificate that the registry may have, and 'ca-file' those who may make it; keep one of them.");
        Uri? found = section.Has("url") ? UrlOf(section, mayBeFound) : mayBeFound ? new Uri($"{Found}:///") : null;
        return found is { } url ? new RegistryAddress(url) { TokenFile = Path("token-file"), CaFile = ca, Pin = pin } : null;

        string? Path(string key) => section.Has(key) && section.Text(key, "") is { Length: > 0 } path ? System.IO.Path.Combine(directory, path) : null;
    }

    /// <summary>The scheme of an address that the DNS knows.</summary>
    public const string Found = "srv";

    static Uri? UrlOf(SectionReader section, bool mayBeFound)
    {
        if (section.Text("url", "") is not { Length: > 0 } text) return null;
        if (!Uri.TryCreate(text.EndsWith('/') ? text : $"{text}/", UriKind.Absolute, out Uri? url) || (url.Scheme is not ("http" or "https") && !(mayBeFound && url.Scheme == Found)) || url.UserInfo.Length > 0 || url.Query.Length > 0 || url.Fragment.Length > 0)
        {
            section.Refuse("url", ErrorCodes.ConfigurationBadValue, "'url' is not a registry's address such as \"https://registry.example:8646\".");
            return null;
        }

        if (url.Scheme is "https" or Found || url.Host == "localhost" || IPAddress.TryParse(url.Host.Trim('[', ']'), out IPAddress? host) && IPAddress.IsLoopback(host)) return url;
        section.Refuse("url", ErrorCodes.ConfigurationBadValue, $"'url' is plain HTTP to {url.Host}, where anybody on the way could read the token and write the answers; beyond this machine it begins with https://.");
        return null;
    }

    static string? PinOf(SectionReader section)
    {
        if (PinOf(section.Text("pin", "")) is { } pin) return pin;
        section.Refuse("pin", ErrorCodes.ConfigurationBadValue, $"'pin' is not the SHA-256 of a certificate: 64 hexadecimal digits, as `openssl x509 -in registry.crt -noout -fingerprint -sha256` prints them.");
        return null;
    }
}
