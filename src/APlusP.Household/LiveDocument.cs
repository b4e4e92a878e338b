using System.Text.Json.Serialization;
using APlusP.Node.Control;

namespace APlusP.Household;

/// <summary>What changes on the page by itself: texts and meters by the id of where they stand.</summary>
sealed record LiveDocument(bool Works, IReadOnlyDictionary<string, string> Texts, IReadOnlyDictionary<string, int> Meters, IReadOnlyList<LiveHost> Hosts);

/// <summary>A device of the home, as people know it, and how many ports it has.</summary>
sealed record LiveHost(string Host, int Ports);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(LiveDocument))]
sealed partial class LiveJson : JsonSerializerContext;

/// <summary>What the page says of the router at a moment.</summary>
sealed class Moment(Words words, SmapStatus? smap, WebProxyStatus? proxy)
{
    /// <summary>From so many per cent of the ports on, somebody is told.</summary>
    const int Short = 90;

    public SmapStatus? Smap => smap;

    public WebProxyStatus? Proxy => proxy;

    public bool HasSoftwire => smap is { IsSuspended: false };

    public bool Works => smap is { IsSuspended: false, IsLineDead: false };

    bool IsShort => smap!.PortsInUse.Any(u => u.Ports * 100L >= smap.PortCount * (long)Short);

    /// <summary>Whether all is as it should be, in a sentence.</summary>
    public string State => smap is null ? words.NoDaemon : smap.IsSuspended ? words.Down : smap.IsLineDead ? words.LineDead : IsShort ? words.PortsShort : smap.Lease?.State == "online-alone" ? words.WorksAlone : words.Works;

    public string Use(PortUse use) => string.Format(null, words.OfPorts, use.Ports, smap!.PortCount);

    public string WebProxy => string.Format(null, words.WebProxyNote, proxy!.PortsSaved, proxy.MostPortsSaved, proxy.OverIPv6, proxy.Connections);

    public static string IdOf(PortUse use) => $"use-{use.Protocol}";

    public LiveDocument ToDocument()
    {
        var texts = new Dictionary<string, string>(StringComparer.Ordinal) { ["state"] = State };
        var meters = new Dictionary<string, int>(StringComparer.Ordinal);
        if (smap is not null && HasSoftwire)
        {
            texts["refused"] = $"{smap.Exhausted}";
            foreach (PortUse use in smap.PortsInUse)
            {
                texts[$"{IdOf(use)}-text"] = Use(use);
                meters[IdOf(use)] = use.Ports;
            }
        }

        if (proxy is not null) texts["web-proxy"] = WebProxy;
        return new LiveDocument(Works, texts, meters, [.. (smap?.Hosts ?? []).OrderByDescending(h => h.Ports).Select(h => new LiveHost($"{h}", h.Ports))]);
    }
}
