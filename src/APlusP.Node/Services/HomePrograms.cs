using APlusP.Core;
using APlusP.Node.Configuration;

namespace APlusP.Node.Services;

/// <summary>Programs of our own that a SMAP runs for its LANs, each a process of its own: <c>[web-proxy]</c> and <c>[household]</c>.</summary>
/// <param name="WebPorts">Ports of servers whose connections the web proxy takes; none where it does not run.</param>
/// <param name="PagePort">The port of the household's page; null where it does not run.</param>
/// <param name="PageNames">Names that it may be asked for by.</param>
public sealed record HomePrograms(IReadOnlyList<int> WebPorts, int? PagePort, IReadOnlyList<string> PageNames)
{
    /// <summary>Connections by IPv4 to one server that HTTP in clear shares; 0 for no sharing.</summary>
    public int ConnectionsPerServer { get; init; }

    /// <summary>Whether the proxy counts visits by site.</summary>
    public bool RanksSites { get; init; }

    public static HomePrograms None { get; } = new([], null, []);

    internal static HomePrograms Read(SectionReader top)
    {
        int[] web = [];
        int? page = null;
        int perServer = 0;
        bool ranks = false;
        IReadOnlyList<string> names = [];
        if (Wanted(top, "web-proxy") is { } proxy)
        {
            web = Ports(proxy);
            perServer = proxy.Number("connections-per-server", 0, 0, 1000);
            ranks = proxy.Flag("rank-sites", otherwise: false);
        }

        if (Wanted(top, "household") is { } household)
        {
            page = household.Number("port", 80, 1, ushort.MaxValue);
            names = household.Texts("names");
        }

        return new HomePrograms(web, page, names) { ConnectionsPerServer = perServer, RanksSites = ranks };
    }

    static SectionReader? Wanted(SectionReader top, string table)
    {
        if (top.Section(table, ConfigurationSchema.Smap) is not { } section || !section.Flag("enabled", otherwise: true)) return null;
        if (top.Has("lan")) return section;
        top.Refuse(table, ErrorCodes.ConfigurationContradiction, $"'[{table}]' is for hosts of a LAN, and the file has no [[lan]]; add one, or run `aplusp {table}` by itself.");
        return null;
    }

    static int[] Ports(SectionReader proxy)
    {
        if (!proxy.Has("ports")) return [80, 443];
        var ports = new List<int>();
        List<string> texts = proxy.Texts("ports");
        foreach (string text in texts)
        {
            if (int.TryParse(text, System.Globalization.NumberStyles.None, null, out int port) && port is >= 1 and <= ushort.MaxValue) ports.Add(port);
            else proxy.Refuse("ports", ErrorCodes.ConfigurationBadValue, $"'{text}' is not a port; write an array such as [\"80\", \"443\"].");
        }

        if (texts.Count == 0) proxy.Refuse("ports", ErrorCodes.ConfigurationBadValue, "'ports' is empty; write an array such as [\"80\", \"443\"], or leave the key out.");
        return [.. ports];
    }

    /// <summary>What runs for the LANs of a configuration.</summary>
    /// <param name="configuration">The file's.</param>
    /// <param name="directory">For what need not outlive it.</param>
    internal IEnumerable<ProgramPlan> Plans(SmapConfiguration configuration, string directory)
    {
        string self = Environment.ProcessPath!, control = configuration.ControlSocket;
        string web = Path.Combine(Path.GetDirectoryName(control) ?? "", $"{Path.GetFileNameWithoutExtension(control)}-web.sock");

        // Names are asked of the LAN's own dnsmasq, which asks by IPv6 and has just been asked by the host.
        SmapLan[] withIPv4 = [.. configuration.Lans.Where(l => l.HasIPv4)];
        if (WebPorts.Count > 0 && withIPv4.Length > 0)
            yield return Plan("web-proxy", [.. withIPv4.SelectMany(l => Words("--device", l.Device)), .. WebPorts.SelectMany(p => Words("--port", $"{p}")), "--resolver", $"{withIPv4[0].Address}", .. ConnectionsPerServer > 0 ? Words("--connections-per-server", $"{ConnectionsPerServer}") : [], .. RanksSites ? (string[])["--rank-sites"] : [], "--socket", web]);
        if (PagePort is { } port)
            yield return Plan("household", [.. configuration.Lans.SelectMany(l => Words("--listen", $"{l.Address}:{port}")), .. PageNames.SelectMany(n => Words("--name", n)), "--state", configuration.PortControl.State, "--socket", control, "--web-proxy-socket", web]);

        ProgramPlan Plan(string verb, string[] arguments) => new(verb, "aplusp", Path.Combine(directory, $"{verb}.pid"), [self, verb, .. arguments]);
        static string[] Words(string option, string value) => [option, value];
    }
}
