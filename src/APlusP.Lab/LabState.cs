using System.Text.Json;
using System.Text.Json.Serialization;

namespace APlusP.Lab;

/// <summary>What a lab remembers of itself between commands: /run/aplusp/lab/NAME/lab.json.</summary>
/// <param name="Plan">What was asked for.</param>
/// <param name="Executable">The <c>aplusp</c> that its daemons run.</param>
/// <param name="Since">When it came up.</param>
/// <param name="Processes">What was started in it, by host and name.</param>
public sealed record LabState(LabPlan Plan, string Executable, DateTimeOffset Since, IReadOnlyList<LabProcess> Processes)
{
    internal static LabState? Read(string path) =>
        File.Exists(path) ? JsonSerializer.Deserialize(File.ReadAllBytes(path), LabJson.Default.LabState) : null;

    // Written beside and moved over, so that a reader sees the old or the new.
    internal void Write(string path)
    {
        File.WriteAllBytes(path + ".new", JsonSerializer.SerializeToUtf8Bytes(this, LabJson.Default.LabState));
        File.Move(path + ".new", path, overwrite: true);
    }
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.KebabCaseLower)]
[JsonSerializable(typeof(LabState))]
sealed partial class LabJson : JsonSerializerContext;
