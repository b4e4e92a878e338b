using System.Diagnostics;
using APlusP.Lab;

namespace APlusP.Bench.Rows;

/// <summary>Flows that begin: the first packet of each is for the daemon's NAPT, which then lets the kernel have the rest.</summary>
sealed class NewFlowsRow : IRow
{
    const int Ports = 1000, Offered = 200_000, Goal = 100_000, Pace = 100_000;

    public string Name => "flows";

    public string Title => $"new UDP flows through the SMAP, {Offered:N0} a second offered";

    public IReadOnlyList<Line> Measure(Workplace place)
    {
        var line = new Line { What = "flows that began", Unit = "a second", Goal = new Goal(Goal) };
        Generator generator = place.Hold(new Generator());
        int aRound = (int)(Offered * place.Window.TotalSeconds);
        SmapLane smap = SmapLane.Start(place, maxFlows: (place.Rounds + 1) * aRound);
        Recipe next = SmapLane.Up(smap.Lane.FarA, Ports) with { Count = 0, PerSecond = Offered, Most = aRound };
        Forwarded again = default;
        place.EachRound(() =>
        {
            int before = Flows(smap);
            generator.Start(next.Into.Namespace, next);
            Wait.Until(() => generator.Sent > 0 || !generator.IsRunning, TimeSpan.FromSeconds(10));
            long start = Stopwatch.GetTimestamp();
            Wait.Until(() => generator.Sent >= aRound || !generator.IsRunning, TimeSpan.FromSeconds(10));
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            generator.Stop();
            int began = Flows(smap) - before;
            line.Measured.Add(began / seconds);
            line.Generator.Add(aRound / seconds);

            // What the kernel carries of the same flows now.
            Forwarded first = smap.Subject.Forwarded();
            generator.RunToEnd(next.Into.Namespace, next with { PerSecond = Pace });
            again += smap.Subject.Forwarded() - first;
            next = next with { First = next.First + aRound };
        });
        line.CarriedBy = $"daemon; their next packets: {again}";
        return [line];
    }

    static int Flows(SmapLane smap) => smap.Subject.Status().GetProperty("smap").GetProperty("flows").GetInt32();
}
