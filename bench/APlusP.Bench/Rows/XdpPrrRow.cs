using System.Reflection;
using APlusP.Core.Addresses;
using APlusP.Lab;
using APlusP.Linux;
using APlusP.Linux.Bpf;
using Microsoft.Win32.SafeHandles;

namespace APlusP.Bench.Rows;

/// <summary>A PRR with XDP and many subscribers, against what the kernel forwards of the same packets without softwires, and against XDP that only passes frames on.</summary>
sealed class XdpPrrRow : IRow
{
    const int Bindings = 131_072;

    static readonly IPv4Address s_shared = IPv4Address.Parse("198.18.0.0"), s_remote = IPv4Address.Parse("203.0.113.1");
    static readonly IPv6Address s_prr = IPv6Address.Parse("2001:db8::1"), s_smap = IPv6Address.Parse("2001:db8:1000::1");

    public string Name => "xdp";

    public string Title => $"XDP PRR over veth, one core, {Bindings:N0} softwires, frames of 110 octets";

    public IReadOnlyList<Line> Measure(Workplace place)
    {
        Generator generator = place.Hold(new Generator());
        Lane kernel = place.Hold(new Lane(place, "router", BpfHook.Tc).WorkAlone()), ours = place.Hold(new Lane(place, "prr", BpfHook.Xdp)), redirect = place.Hold(new Lane(place, "redirect", BpfHook.Xdp));
        Route(kernel);
        Subject prr = Start(place, ours);
        place.Hold(Redirect(redirect.A, redirect.B));
        place.Hold(Redirect(redirect.B, redirect.A));
        redirect.WorkAlone();

        Line encapsulate = NewLine("encapsulate", new Goal(3.8, OfRatio: true)), decapsulate = NewLine("decapsulate", new Goal(3.8, OfRatio: true)), ceiling = NewLine("XDP_REDIRECT alone, nothing read", null);
        Forwarded before, down = default, up = default;
        place.EachRound(() =>
        {
            Rate router = Rate.Measure(place, generator, FromInternet(kernel), kernel.SinkA);
            before = prr.Forwarded();
            encapsulate.Add(Rate.Measure(place, generator, FromInternet(ours), ours.SinkA), router);
            down += prr.Forwarded() - before;
            ceiling.Add(Rate.Measure(place, generator, FromInternet(redirect), redirect.SinkA), router);

            Recipe plain = FromInternet(kernel) with { Into = kernel.FarA, FromSubscriber = true };
            router = Rate.Measure(place, generator, plain, kernel.SinkB);
            before = prr.Forwarded();
            decapsulate.Add(Rate.Measure(place, generator, plain with { Into = ours.FarA, Softwire = (s_smap, s_prr) }, ours.SinkB), router);
            up += prr.Forwarded() - before;
        });
        (encapsulate.CarriedBy, decapsulate.CarriedBy, ceiling.CarriedBy) = ($"{down}", $"{up}", "kernel");
        return [encapsulate, decapsulate, ceiling];
    }

    static Line NewLine(string what, Goal? goal) => new() { What = what, Unit = "Mpps", BaselineName = "kernel forwarding", Goal = goal };

    static Recipe FromInternet(Lane lane) => new() { Into = lane.FarB, FromSubscriber = false, Subscriber = s_shared, Remote = s_remote, Count = Bindings };

    /// <summary>A router that knows where both sides are.</summary>
    static void Route(Lane lane)
    {
        lane.A.Address("192.0.2.1/30");
        lane.A.Neighbour("192.0.2.2", "198.18.0.0/15");
        lane.B.Address("198.51.100.1/24");
        lane.B.Neighbour("198.51.100.2", "default");
    }

    static Subject Start(Workplace place, Lane lane)
    {
        lane.A.Address("2001:db8:1::1/64");
        lane.A.Neighbour("2001:db8:1::2", "2001:db8:1000::/39");
        lane.B.Address("198.51.100.1/24");
        lane.B.Neighbour("198.51.100.2", "default");
        string files = Path.Combine(place.Files, "bindings");
        Commands.Require(place.Executable, "bench", "generate", "--bindings", $"{Bindings}", "--packets", "1", "--out", files);
        Subject prr = place.Hold(new Subject(place, lane.Host, "prr", $"""
            softwire-address = "{s_prr}"
            bindings-file = "{Path.Combine(files, "bindings.txt")}"
            fast-path = "xdp"
            """, processor: 1));
        lane.WorkAlone();
        return prr;
    }

    static Redirection Redirect(VethEnd from, VethEnd to)
    {
        var redirect = BpfObject.Load("redirect.o", new Dictionary<string, uint>(StringComparer.Ordinal), Assembly.GetExecutingAssembly());
        redirect.Map("devices").Set(0u, (uint)to.Index);
        return new Redirection(redirect, from.Namespace.Call(() => BpfLink.Hold(redirect.Program("redirect"), BpfHook.Xdp, from.Name)));
    }

    sealed record Redirection(BpfObject Object, SafeFileHandle Link) : IDisposable
    {
        public void Dispose()
        {
            Link.Dispose();
            Object.Dispose();
        }
    }
}
