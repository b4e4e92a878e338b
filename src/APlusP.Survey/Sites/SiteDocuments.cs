using System.Text.Json.Serialization;

namespace APlusP.Survey.Sites;

/// <summary>Samples on their way from a site to the collector (docs/survey.md).</summary>
/// <param name="HostsAre">"pseudonyms" or "addresses".</param>
/// <param name="Key">What tells the pseudonyms' key from another, and nothing of it; empty with addresses.</param>
/// <param name="Applications">Names, by which the counts number them from 0.</param>
/// <param name="Hosts">The hosts of these samples, by which the counts number them from 1.</param>
/// <param name="Samples">By rising time.</param>
public sealed record SampleBatch(string HostsAre, string Key, IReadOnlyList<string> Applications, IReadOnlyList<BatchHost> Hosts, IReadOnlyList<BatchSample> Samples);

/// <param name="Family">4 or 6.</param>
/// <param name="Name">Pseudonym or address.</param>
public sealed record BatchHost(int Family, string Name);

/// <param name="At">Milliseconds since 1970.</param>
/// <param name="Period">Milliseconds that it stands for.</param>
/// <param name="Beyond">Connections beyond those that were counted.</param>
/// <param name="Counts">Of all hosts, as the store has them.</param>
public sealed record BatchSample(long At, long Period, long Beyond, byte[] Counts);

/// <summary>What the collector has of a site.</summary>
/// <param name="Site">Its name.</param>
/// <param name="Samples">How many.</param>
/// <param name="Last">Time of the last, in milliseconds since 1970; null before the first.</param>
public sealed record SiteDocument(string Site, long Samples, long? Last);

/// <summary>Why not, RFC 9457.</summary>
public sealed record SiteProblem(string Type, string Title, int Status, string Detail, string Code);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(SampleBatch))]
[JsonSerializable(typeof(SiteDocument))]
[JsonSerializable(typeof(SiteProblem))]
sealed partial class SiteJson : JsonSerializerContext;
