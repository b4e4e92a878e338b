using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.Fragments;
using APlusP.Core.PortSets;

namespace APlusP.Tests.Forwarding;

/// <summary>The network that the PRR's tests play in, and what was sent there.</summary>
static class PrrScene
{
    public const string Border = "2001:db8::1", OtherBorder = "2001:db8::2", Stranger = "2001:db8:bad::1";

    /// <summary>192.0.2.1, three homes by plain ranges; the third at the other softwire address of the PRR.</summary>
    public const string Shared = "192.0.2.1";
    public const string Anna = "2001:db8:a::1", Berta = "2001:db8:b::1", Carla = "2001:db8:c::1";

    /// <summary>One home each by PSID: a = 6, 4 and 0. The last has ports 0 to 1023.</summary>
    public const string SharedBy6 = "192.0.2.18", SharedBy4 = "192.0.2.21", SharedBy0 = "192.0.2.20";
    public const string Dora = "2001:db8:d::1", Emma = "2001:db8:e::1", Frida = "2001:db8:f::1";

    /// <summary>A whole address.</summary>
    public const string Whole = "192.0.2.30";
    public const string Gerda = "2001:db8:1234::1";

    public static Binding[] Bindings { get; } =
    [
        Bind(Shared, "10000-11000", Anna),
        Bind(Shared, "11001-12000,20000-20099", Berta, mtu: 1240),
        Bind(Shared, "13000-13999", Carla, OtherBorder),
        Bind(SharedBy6, "offset=6,length=8,psid=52", Dora),
        Bind(SharedBy4, "offset=4,length=8,psid=52", Emma),
        Bind(SharedBy0, "offset=0,length=6,psid=0", Frida),
        Bind(Whole, "all", Gerda),
    ];

    /// <summary>As much fragment state as a test needs; thousands of routers are made.</summary>
    public static FragmentOptions Few { get; } = new() { MaxPackets = 128, MaxOctets = 128 * 512 };

    public static PrrOptions Options { get; } = new()
    {
        SoftwireAddresses = [IPv6Address.Parse(Border), IPv6Address.Parse(OtherBorder)],
        IcmpErrorsPerSecond = 1_000_000,
        IcmpErrorsPerHost = 1_000_000,
        Fragments = Few,
    };

    public static PrrOptions Telling { get; } = Options with { SendIcmpV4Errors = true, SendIcmpV6Errors = true };

    public static PortRangeRouter Router(PrrOptions? options = null, TimeProvider? time = null) =>
        new(BindingTable.Build(Bindings), options ?? Options, time ?? new HandClock());

    static Binding Bind(string address, string ports, string softwire, string prr = Border, int mtu = 1460) =>
        new(IPv4Address.Parse(address), PortSet.Parse(ports), IPv6Address.Parse(softwire), IPv6Address.Parse(prr), mtu);

    public static byte[] FromAnna(byte[] inner, byte trafficClass = 0) => Packets.Encapsulate(inner, Anna, Border, trafficClass);

    /// <summary>Runs packets through in one batch, checks the accounts, and gives what became of each.</summary>
    public static Result[] Run(this PortRangeRouter router, params IReadOnlyList<(Origin Origin, byte[] Octets)> packets)
    {
        var batch = new PacketBatch(Math.Max(1, packets.Count), 2300);
        foreach ((Origin origin, byte[] octets) in packets) Assert.True(batch.TryAdd(octets, origin));
        long before = Judged(router.Counters), octetsBefore = Octets(router.Counters);
        router.Process(batch);
        Assert.Equal(packets.Count, Judged(router.Counters) - before);
        Assert.Equal(packets.Sum(p => (long)p.Octets.Length), Octets(router.Counters) - octetsBefore);
        AccountsBalance(router.Counters);
        var results = new Result[packets.Count];
        for (int i = 0; i < results.Length; i++)
            results[i] = new Result(batch[i].Verdict, batch[i].Verdict.Sends ? batch.Bytes(i).ToArray() : []);
        return results;
    }

    public static Result Send(this PortRangeRouter router, Origin origin, byte[] octets) => router.Run((origin, octets))[0];

    public static Result FromInternet(this PortRangeRouter router, byte[] octets) => router.Send(Origin.FromInternet, octets);

    public static Result FromSmap(this PortRangeRouter router, byte[] octets) => router.Send(Origin.FromSmap, octets);

    /// <summary>received = forwarded + hairpinned + answered + consumed + dropped + held, and dropped = the sum over reasons; nothing without a fate.</summary>
    public static void AccountsBalance(ForwardingCounters counters)
    {
        foreach (Origin origin in (Origin[])[Origin.FromInternet, Origin.FromSmap])
        {
            Assert.Equal(0, counters.Packets(origin, Fate.None));
            Assert.Equal(0, counters.Drops(origin, DropReason.None));
            Assert.Equal(counters.Packets(origin, Fate.Dropped), Enum.GetValues<DropReason>().Sum(reason => counters.Drops(origin, reason)));
            Assert.Equal(counters.Received(origin), Enum.GetValues<Fate>().Sum(fate => counters.Packets(origin, fate)));
        }
    }

    static long Judged(ForwardingCounters counters) => counters.Received(Origin.FromInternet) + counters.Received(Origin.FromSmap);

    static long Octets(ForwardingCounters counters) =>
        counters.ReceivedOctets(Origin.FromInternet) + counters.ReceivedOctets(Origin.FromSmap);
}

/// <summary>What became of a packet, and the octets sent if any.</summary>
sealed record Result(Verdict Verdict, byte[] Sent)
{
    public void Is(Verdict expected) => Assert.Equal(expected, Verdict);

    /// <summary>Sent on as these octets.</summary>
    public void IsForwardedAs(byte[] expected)
    {
        Assert.Equal(Verdict.Forward, Verdict);
        Assert.Equal(expected, Sent);
    }

    public void IsHairpinnedAs(byte[] expected)
    {
        Assert.Equal(Verdict.Hairpin, Verdict);
        Assert.Equal(expected, Sent);
    }

    public void IsDropped(DropReason reason)
    {
        Assert.Equal(Verdict.Drop(reason), Verdict);
        Assert.Empty(Sent);
    }
}
