namespace APlusP.Node.Control;

/// <summary>What <c>aplusp doctor --json</c> prints. Members are added, never changed, within a version.</summary>
/// <param name="IsWell">Whether no check found a fault.</param>
/// <param name="Findings">One of each check, in the order that things depend on each other.</param>
public sealed record DoctorDocument(bool IsWell, IReadOnlyList<Finding> Findings)
{
    public int Version { get; init; } = 1;
}

/// <summary>What a check found.</summary>
/// <param name="Check">What was looked at, such as "mtu".</param>
/// <param name="State">"ok", "fault", or "unknown" where something else stands before it.</param>
/// <param name="Sentence">For people.</param>
public sealed record Finding(string Check, string State, string Sentence)
{
    /// <summary>Which fault: a heading of docs/troubleshooting.md.</summary>
    public string? Fault { get; init; }

    /// <summary>What to do about it.</summary>
    public string? Remedy { get; init; }
}
