using System.Text.Json;
using APlusP.Lab;

namespace APlusP.Bench.Rows;

/// <summary>The C# core alone, from memory to memory on one thread: <c>aplusp bench</c> with each workload in turn.</summary>
sealed class CoreRow : IRow
{
    static readonly (string What, double Goal, string[] Arguments)[] s_workloads =
    [
        ("1,000,000 bindings, 1,000 packets of 550 octets", 15, ["--bindings", "1000000"]),
        ("1,000,000 bindings, 16,384 packets of 550 octets", 5, ["--bindings", "1000000", "--packets", "16384"]),
        ("frames of 94 octets, 1 packet", 20, ["--packets", "1", "--size", "80"]),
    ];

    static readonly string[] s_directions = ["from-internet", "from-smap"];

    public string Name => "core";

    public string Title => "C# core, one thread, each packet copied from memory (generator: the copy alone)";

    public IReadOnlyList<Line> Measure(Workplace place)
    {
        List<(string[] Arguments, Line[] Directions)> bound =
        [
            .. s_workloads.Select(w => (w.Arguments, s_directions.Select(direction =>
                new Line { What = $"{w.What}, {direction}", Unit = "Mpps", Goal = new Goal(w.Goal), CarriedBy = "core" }).ToArray())),
        ];
        Line[] flood =
        [
            .. s_directions.Select(direction => new Line
            {
                What = $"the first, but for ports that nobody has, ICMP errors on, {direction}", Unit = "Mpps", BaselineName = "bound", Goal = new Goal(0.8, OfRatio: true), CarriedBy = "core",
            }),
        ];

        place.EachRound(() =>
        {
            foreach ((string[] arguments, Line[] directions) in bound) Run(place, arguments, directions);
            Run(place, ["--bindings", "1000000", "--unbound"], flood);
            for (int i = 0; i < flood.Length; i++) flood[i].Baseline.Add(bound[0].Directions[i].Measured[^1]);
        });
        return [.. bound.SelectMany(b => b.Directions), .. flood];
    }

    static void Run(Workplace place, string[] arguments, Line[] directions)
    {
        string output = Commands.Require(["taskset", "-c", "1", place.Executable, "bench", "--json", "--seconds", $"{place.Window.TotalSeconds}", .. arguments]);
        using var document = JsonDocument.Parse(output);
        JsonElement all = document.RootElement.GetProperty("directions");
        for (int i = 0; i < directions.Length; i++)
        {
            JsonElement direction = all.GetProperty(s_directions[i]);
            directions[i].Measured.Add(direction.GetProperty("mpps").GetProperty("median").GetDouble());
            directions[i].Generator.Add(1000 / direction.GetProperty("copy-ns-per-packet").GetProperty("median").GetDouble());
        }
    }
}
