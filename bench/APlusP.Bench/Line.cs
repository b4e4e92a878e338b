using APlusP.Node.Offline;

namespace APlusP.Bench;

/// <summary>What a line must reach.</summary>
/// <param name="Value">The least, or the most where less is better.</param>
/// <param name="OfRatio">Of the ratio to the baseline, or of the figure itself.</param>
/// <param name="IsMost">Less is better.</param>
readonly record struct Goal(double Value, bool OfRatio = false, bool IsMost = false)
{
    public bool IsMet(double value) => IsMost ? value <= Value : value >= Value;

    public override string ToString() => IsMost ? $"at most {Value:#,0.##}" : OfRatio ? $"ratio {Value:0.0#}" : $"{Value:#,0.##}";
}

/// <summary>One line of the table: a figure of each round, beside the baseline's of the same round.</summary>
sealed record Line
{
    public required string What { get; init; }

    public required string Unit { get; init; }

    public List<double> Measured { get; } = [];

    /// <summary>What it is compared with; null where with nothing.</summary>
    public string? BaselineName { get; init; }

    public List<double> Baseline { get; } = [];

    public Goal? Goal { get; init; }

    /// <summary>What was offered, in the same unit.</summary>
    public List<double> Generator { get; } = [];

    /// <summary>Which way the packets went, by the daemons' own counters.</summary>
    public string CarriedBy { get; set; } = "";

    public void Add(Rate measured, Rate baseline)
    {
        Measured.Add(measured.Received);
        Baseline.Add(baseline.Received);
        Generator.Add(measured.Sent);
    }

    /// <summary>Round by round, so that a slow phase of the machine is in both.</summary>
    public Spread? Ratio => Baseline.Count == 0 ? null : Spread.Of(Measured.Zip(Baseline, (measured, baseline) => measured / baseline));

    public bool? IsMet => Goal?.IsMet(Goal.Value.OfRatio ? Ratio!.Value.Median : Spread.Of(Measured).Median);
}

/// <summary>Lines that are measured together, since they share their network.</summary>
interface IRow
{
    /// <summary>For <c>--only</c>.</summary>
    string Name { get; }

    /// <summary>What is measured, for the headline.</summary>
    string Title { get; }

    IReadOnlyList<Line> Measure(Workplace place);
}
