using System.Text;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Node.Configuration;
using APlusP.Node.Daemons;
using APlusP.Node.Registry;
using APlusP.Tests.Forwarding;

namespace APlusP.Tests.Daemons;

/// <summary>A PRR's table without packets, and a feed into it, by lines as a registry writes them.</summary>
sealed class LeasedScene
{
    public const string Anna = "2001:db8:a::1", Berta = "2001:db8:b::1", Carla = "2001:db8:c::1";

    public LeasedScene(SavedCopy? copy = null)
    {
        // No registry says that it is 1970.
        Clock.Advance(TimeSpan.FromDays(20_000));
        Live = new LiveBindings(Table, (address, wanted) => Routes.Add($"{(wanted ? "+" : "-")}{address}"));
        Live.Load(Configuration(), new SubscriberNames(), () => { });
        Leased = new LeasedBindings(Table, Live, Clock);
        Live.Leased = Leased;
        Feed = new LeaseFeed(Leased, copy);
        Table.Changed += change => Changes.Add($"{(change.Before is null ? "+" : change.After is null ? "-" : "~")}{(change.After ?? change.Before)!.Softwire}");
    }

    public BindingTable Table { get; } = new();

    public LiveBindings Live { get; }

    public LeasedBindings Leased { get; }

    public LeaseFeed Feed { get; }

    public HandClock Clock { get; } = new();

    /// <summary>By the registry's clock, which is right.</summary>
    public DateTimeOffset Now => Clock.GetUtcNow() - Clock.WallStep;

    /// <summary>Routes made and removed, and changes of the table, as they were.</summary>
    public List<string> Routes { get; } = [];

    public List<string> Changes { get; } = [];

    public static PrrConfiguration Configuration(int pathMtu = 1500) => new()
    {
        Options = new PrrOptions { SoftwireAddresses = [IPv6Address.Parse("2001:db8::1")] },
        Bindings = [],
        Names = new Dictionary<IPv6Address, string>(),
        PathMtu = pathMtu,
    };

    public static Binding Bind(string address, string ports, string softwire, int payloadMtu = 1460) =>
        new(IPv4Address.Parse(address), PortSet.Parse(ports), IPv6Address.Parse(softwire), IPv6Address.Parse("2001:db8::1"), payloadMtu);

    public string Lease(string softwire, string ports, string address = "192.0.2.1", double hours = 1) =>
        $"{{\"softwire\":\"{softwire}\",\"address\":\"{address}\",\"ports\":\"{ports}\",\"until\":{(Now + TimeSpan.FromHours(hours)).ToUnixTimeMilliseconds()}}}";

    /// <summary>A lease with names, as JSON of an array.</summary>
    public string Named(string softwire, string ports, string names, string address = "192.0.2.1") => $"{Lease(softwire, ports, address)[..^1]},\"names\":{names}}}";

    public static string Gone(string softwire) => $"{{\"gone\":\"{softwire}\"}}";

    string Version(string version, string? after, int lines) =>
        $"{{\"version\":\"{version}\",{(after is null ? "" : $"\"after\":\"{after}\",")}\"lines\":{lines},\"at\":1,\"now\":{Now.ToUnixTimeMilliseconds()}}}";

    public void Lines(params string[] lines) => Feed.TakeLines(Encoding.UTF8.GetBytes(string.Join('\n', lines) + "\n"));

    public void Snapshot(string version, params string[] leases) => Lines([$"{{\"begins\":\"snapshot\",\"leases\":{leases.Length},\"why\":\"a test\"}}", .. leases, Version(version, null, leases.Length)]);

    public void Change(string version, string after, params string[] leases) => Lines([.. leases, Version(version, after, leases.Length)]);

    /// <summary>The registry says what time it is.</summary>
    public void Hear(TimeSpan ahead = default) => Leased.Hear((Now + ahead).ToUnixTimeMilliseconds());

    public void Has(params Binding[] bindings) => Assert.Equal(bindings.OrderBy(b => b.Softwire), Table.Bindings.OrderBy(b => b.Softwire));
}
