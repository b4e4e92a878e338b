using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.PortControl;
using APlusP.Linux.FastPath;
using APlusP.Node.Configuration;
using APlusP.Node.Daemons;
using APlusP.Node.Registry;
using APlusP.Node.WebNames;
using Microsoft.Extensions.Logging.Abstractions;

namespace APlusP.Tests.Forwarding;

public partial class CounterDocsTests
{
    [Fact]
    public void Every_drop_reason_has_its_line_in_the_docs_and_every_line_its_reason() =>
        Assert.Equal(
            Enum.GetValues<DropReason>().Where(r => r != DropReason.None).Select(ForwardingCounters.Kebab).Order(),
            Rows("Drop reasons").Order());

    [Fact]
    public void Every_fate_has_its_line_in_the_docs_and_every_line_its_fate() =>
        Assert.Equal(
            Enum.GetValues<Fate>().Where(f => f != Fate.None).Select(ForwardingCounters.Kebab).Append("received").Order(),
            Rows("Fates").Order());

    [Fact]
    public void The_counters_beside_the_fates_have_their_lines_in_the_docs() =>
        Assert.Equal(
            new ForwardingCounters().Named().Select(c => c.Key).Order(),
            Rows("ICMP and gateways").Order());

    [Fact]
    public void Every_counter_of_the_fast_path_has_its_line_in_the_docs_and_every_line_its_counter() =>
        Assert.Equal(
            new FastPathCounters().Named(Origin.FromInternet, Origin.FromSmap).Concat(new FastPathCounters().Named(Origin.FromPrr, Origin.FromLan))
                .Select(c => SideOfFastPath().Replace(c.Key, "")).Distinct().Order(),
            Rows("Fast path").Order());

    [Fact]
    public void The_counters_of_a_followed_registry_have_their_lines_in_the_docs()
    {
        var table = new BindingTable();
        var settings = new PrrRegistry(new RegistryAddress(new Uri("http://127.0.0.1:1/")), "/nonexistent/prr.leases", KeepOverdue: false);
        using var registry = new FollowedRegistry(settings, table, new LiveBindings(table, (_, _) => { }), new DaemonLog(NullLogger.Instance), TimeProvider.System);
        Assert.Equal(registry.Counters().Select(c => c.Key).Order(), Rows("Registry").Order());
    }

    [Fact]
    public void The_counters_of_web_names_have_their_lines_in_the_docs() =>
        Assert.Equal(WebNamesService.CounterNames.Order(), Rows("Web names").Order());

    [Fact]
    public void The_counters_of_port_control_have_their_lines_in_the_docs() =>
        Assert.Equal(new PortControlCounters().Named().Select(c => c.Key).Order(), Rows("Port control").Order());

    [GeneratedRegex("^fast-path-from-[a-z]+-up-")]
    private static partial Regex SideOfFastPath();

    static IEnumerable<string> Rows(string heading, [CallerFilePath] string here = "")
    {
        string text = File.ReadAllText(Path.Combine(Path.GetDirectoryName(here)!, "../../../docs/counters.md"));
        string section = text.Split("\n## ").Single(s => s.StartsWith(heading + "\n", StringComparison.Ordinal));
        return Row().Matches(section).Select(m => m.Groups["name"].Value);
    }

    [GeneratedRegex("^\\| `(?<name>[a-z0-9-]+)` \\|", RegexOptions.Multiline)]
    private static partial Regex Row();
}
