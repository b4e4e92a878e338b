using APlusP.Core;

namespace APlusP.Configuration;

/// <summary>What a check found.</summary>
/// <param name="Configuration">What the file says; null where it has faults.</param>
/// <param name="Diagnostics">All faults and warnings, by line.</param>
/// <param name="Omitted">Found beyond the thousand that are told.</param>
public sealed record ConfigurationCheck<T>(T? Configuration, IReadOnlyList<Diagnostic> Diagnostics, int Omitted)
    where T : class
{
    internal static ConfigurationCheck<T> Finish(T configuration, DiagnosticList diagnostics) =>
        new(diagnostics.HasErrors ? null : configuration, diagnostics.Finish(), diagnostics.Omitted);

    /// <summary>The configuration, where it has no fault.</summary>
    /// <exception cref="APlusPException">AP1002: it has; the message holds all of them.</exception>
    public T Require(string path)
    {
        if (Configuration is not null) return Configuration;
        List<Diagnostic> faults = [.. Diagnostics.Where(d => d.Severity == DiagnosticSeverity.Error)];
        string more = Omitted > 0 ? $"\nand {Omitted} more" : "";
        throw new APlusPException(ErrorCodes.ConfigurationFaulty,
            $"the configuration {path} has {faults.Count + Omitted} fault{(faults.Count + Omitted == 1 ? "" : "s")} and is not used:\n{DiagnosticRenderer.Render(faults)}{more}");
    }
}
