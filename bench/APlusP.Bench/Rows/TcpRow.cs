using System.Text.Json;
using APlusP.Lab;

namespace APlusP.Bench.Rows;

/// <summary>TCP by iperf3 through SMAP and PRR, against two routers.</summary>
/// <param name="name">For <c>--only</c>.</param>
/// <param name="title">Headline.</param>
/// <param name="fast">With the fast path, or all of it in the daemons.</param>
/// <param name="shapes">Streams, from the server or to it, and the goal.</param>
sealed class TcpRow(string name, string title, bool fast, params IReadOnlyList<(int Streams, bool Down, Goal? Goal)> shapes) : IRow
{
    public string Name => name;

    public string Title => title;

    public IReadOnlyList<Line> Measure(Workplace place)
    {
        var chain = new Chain(place, fast);
        LabProcess server = chain.Server.Start("iperf3", Path.Combine(place.Files, "iperf3.log"), "taskset", "-c", "1", "iperf3", "--server");
        server.WaitUntil(() => chain.Server.Run("ss", "-Hltn", "sport = :5201").Output.Length > 0, TimeSpan.FromSeconds(5), "listen");

        Line[] lines =
        [
            .. shapes.Select(s => new Line
            {
                What = $"TCP, {s.Streams} stream{(s.Streams == 1 ? "" : "s")}, {(s.Down ? "down" : "up")}", Unit = "Gbit/s", BaselineName = "two routers", Goal = s.Goal,
            }),
        ];
        Carried[] carried = new Carried[lines.Length];
        place.EachRound(() =>
        {
            for (int i = 0; i < lines.Length; i++)
            {
                lines[i].Baseline.Add(Run(place, chain, Chain.Routed, shapes[i].Streams, shapes[i].Down));
                Carried before = chain.Forwarded();
                lines[i].Measured.Add(Run(place, chain, Chain.Ours, shapes[i].Streams, shapes[i].Down));
                carried[i] += chain.Forwarded() - before;
            }
        });
        for (int i = 0; i < lines.Length; i++) lines[i].CarriedBy = $"{carried[i]}";
        return lines;
    }

    /// <summary>What the receiver got, in Gbit/s.</summary>
    static double Run(Workplace place, Chain chain, string server, int streams, bool down)
    {
        string seconds = $"{Math.Max(1, Math.Round(place.Window.TotalSeconds * 2))}";
        string output = chain.Client.Require(["taskset", "-c", "0", "iperf3", "--client", server, "--json", "--time", seconds, "--parallel", $"{streams}", .. down ? (string[])["--reverse"] : []]);
        using var document = JsonDocument.Parse(output);
        return document.RootElement.GetProperty("end").GetProperty("sum_received").GetProperty("bits_per_second").GetDouble() / 1e9;
    }
}
