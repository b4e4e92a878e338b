using APlusP.Core.Addresses;
using APlusP.Lab;
using APlusP.Linux.Bpf;

namespace APlusP.Bench.Rows;

/// <summary>A SMAP with NAPT and a thousand UDP flows of small packets, against what the kernel forwards of them without either, and with its own SNAT.</summary>
sealed class SmapRow : IRow
{
    const int Flows = 1000;

    public string Name => "smap";

    public string Title => $"tc SMAP, one core, {Flows:N0} UDP flows, frames of 110 octets";

    public IReadOnlyList<Line> Measure(Workplace place)
    {
        Generator generator = place.Hold(new Generator());
        SmapLane ours = SmapLane.Start(place);
        ours.Lane.WorkAlone();
        Lane kernel = place.Hold(new Lane(place, "router", BpfHook.Tc).WorkAlone()), snat = place.Hold(new Lane(place, "snat", BpfHook.Tc).WorkAlone());
        foreach (Lane lane in (Lane[])[kernel, snat]) Route(lane);
        snat.Host.Require("nft", $$"""table ip bench { chain source { type nat hook postrouting priority 100; oifname "{{snat.B.Name}}" snat to {{SmapLane.Shared}}; }; }""");

        Line up = NewLine("up, NAPT and encapsulation", "kernel forwarding", new Goal(0.9, OfRatio: true)), down = NewLine("down, decapsulation and NAPT", "kernel forwarding", new Goal(0.9, OfRatio: true));
        Line upSnat = NewLine("up, against the kernel's own NAPT", "kernel SNAT", null), downSnat = NewLine("down, against the kernel's own NAPT", "kernel SNAT", null);
        Recipe plainUp = SmapLane.Up(kernel.FarA, Flows), plainDown = SmapLane.Down(kernel.FarB, Flows) with { Softwire = null, Subscriber = SmapLane.Client };

        // Each flow begins with packets that are not counted, at a pace that loses none.
        Recipe opening = SmapLane.Up(ours.Lane.FarA, Flows) with { Count = 0, PerSecond = 5000 };
        foreach (Recipe one in (Recipe[])[opening, opening with { Into = snat.FarA }])
            for (int pass = 0; pass < 2; pass++) generator.RunToEnd(one.Into.Namespace, one with { Most = Flows });

        Forwarded before, wentUp = default, wentDown = default;
        place.EachRound(() =>
        {
            Rate router = Rate.Measure(place, generator, plainUp, kernel.SinkB);
            before = ours.Subject.Forwarded();
            Rate smap = Rate.Measure(place, generator, SmapLane.Up(ours.Lane.FarA, Flows), ours.Lane.SinkB);
            wentUp += ours.Subject.Forwarded() - before;
            up.Add(smap, router);
            upSnat.Add(smap, Rate.Measure(place, generator, plainUp with { Into = snat.FarA }, snat.SinkB));

            router = Rate.Measure(place, generator, plainDown, kernel.SinkA);
            before = ours.Subject.Forwarded();
            smap = Rate.Measure(place, generator, SmapLane.Down(ours.Lane.FarB, Flows), ours.Lane.SinkA);
            wentDown += ours.Subject.Forwarded() - before;
            down.Add(smap, router);
            downSnat.Add(smap, Rate.Measure(place, generator, plainDown with { Into = snat.FarB, Subscriber = SmapLane.Shared }, snat.SinkA));
        });
        (up.CarriedBy, upSnat.CarriedBy, down.CarriedBy, downSnat.CarriedBy) = ($"{wentUp}", $"{wentUp}", $"{wentDown}", $"{wentDown}");
        return [up, down, upSnat, downSnat];
    }

    static Line NewLine(string what, string baseline, Goal? goal) => new() { What = what, Unit = "Mpps", BaselineName = baseline, Goal = goal };

    static void Route(Lane lane)
    {
        lane.A.Address("192.168.1.1/24");
        lane.A.Neighbour($"{SmapLane.Client}");
        lane.B.Address("198.51.100.1/24");
        lane.B.Neighbour("198.51.100.2", "default");
    }
}

/// <summary>A SMAP between a LAN and a network of IPv6, with all ports of its address but the system's. A port of its set that a host uses stays that port.</summary>
sealed record SmapLane(Lane Lane, Subject Subject)
{
    public static readonly IPv4Address Client = IPv4Address.Parse("192.168.1.2"), Shared = IPv4Address.Parse("192.0.2.1");

    static readonly IPv4Address s_remote = IPv4Address.Parse("203.0.113.9");
    static readonly IPv6Address s_prr = IPv6Address.Parse("2001:db8:9::1"), s_smap = IPv6Address.Parse("2001:db8:5::1");

    public static SmapLane Start(Workplace place, int maxFlows = 65536)
    {
        Lane lane = place.Hold(new Lane(place, "smap", BpfHook.Tc));
        lane.A.Address("192.168.1.1/24");
        lane.A.Neighbour($"{Client}");
        lane.B.Address("2001:db8:2::1/64");
        lane.B.Neighbour("2001:db8:2::2", "default");
        Subject smap = place.Hold(new Subject(place, lane.Host, "smap", $"""
            softwire-address = "{s_smap}"
            prr-address = "{s_prr}"
            shared-address = "{Shared}"
            ports = "1024-65535"
            fast-path = "tc"

            [napt]
            max-flows = {maxFlows}
            flows-per-host = {maxFlows}
            """, processor: 1));
        return new SmapLane(lane, smap);
    }

    /// <summary>From the client to somebody far away.</summary>
    public static Recipe Up(VethEnd into, int flows) => new() { Into = into, FromSubscriber = true, Subscriber = Client, Remote = s_remote, Ports = flows, Count = flows };

    /// <summary>Back, through the softwire.</summary>
    public static Recipe Down(VethEnd into, int flows) => Up(into, flows) with { FromSubscriber = false, Subscriber = Shared, Softwire = (s_prr, s_smap) };
}
