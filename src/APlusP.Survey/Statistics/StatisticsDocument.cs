using System.Text.Json.Serialization;
using APlusP.Survey.Counting;
using APlusP.Survey.Live;

namespace APlusP.Survey.Statistics;

/// <summary>What <c>aplusp survey stats --json</c> prints; docs/survey.md says what each figure is.</summary>
public sealed record StatisticsDocument(long Samples, int Hosts, DistributionDocument Ports, DistributionDocument? MinimumPorts, Dictionary<string, ApplicationDocument> Applications)
{
    /// <summary>Ports above the baseline by application, where one was given.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Dictionary<string, ProfileDocument>? Profile { get; init; }

    /// <summary>Who used most, where that was asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<HostUseDocument>? ByHost { get; init; }

    public static StatisticsDocument Of(SurveyStatistics statistics) => new(
        statistics.Samples, statistics.Hosts, DistributionDocument.Of(statistics.Ports),
        statistics.MinimumPorts.Count == 0 && statistics.Ports.Count > 0 ? null : DistributionDocument.Of(statistics.MinimumPorts),
        Enumerable.Range(0, statistics.Applications.Count).ToDictionary(i => statistics.Applications[i], i => new ApplicationDocument(statistics.MeanOf(i), statistics.ShareOf(i))));
}

public sealed record DistributionDocument(double Mean, int Max, int P50, int P95, int P99)
{
    internal static DistributionDocument Of(Distribution values) => new(values.Mean, values.Max, values.Percentile(50), values.Percentile(95), values.Percentile(99));
}

/// <summary>Ports of an application: their mean, and their share of all ports in per cent.</summary>
public sealed record ApplicationDocument(double Mean, double Share);

/// <summary>Ports of all hosts by an application: in the baseline, and above it the most at a sample, the mean, and at the end.</summary>
public sealed record ProfileDocument(int Baseline, int Max, double Mean, int End)
{
    public static Dictionary<string, ProfileDocument> Of(ApplicationProfile profile) =>
        profile.Ranking.ToDictionary(i => profile.Applications[i], i => new ProfileDocument(profile.BaselineOf(i), profile.MostOf(i), profile.MeanOf(i), profile.LastOf(i)));
}

/// <summary>A host, at how many samples it had a connection, and its ports at these: mean, most, and mean by application.</summary>
public sealed record HostUseDocument(string Host, int Family, long Samples, double Mean, int Max, Dictionary<string, double> Applications)
{
    public static HostUseDocument Of(HostUse use, IReadOnlyList<string> applications) => new(use.Host.Name, use.Host.IsIPv6 ? 6 : 4, use.Samples, use.Mean, use.Most, use.Applications.ToDictionary(a => applications[a.Application], a => a.Mean));
}

/// <summary>A line of <c>aplusp survey --json</c>: a sample as it is taken.</summary>
/// <param name="At">When, ISO 8601.</param>
/// <param name="Hosts">Hosts that had a connection.</param>
/// <param name="Ports">Their ports in all.</param>
/// <param name="Most">The most of one host.</param>
/// <param name="Peak">The most of one host at once since the sample before.</param>
/// <param name="Applications">Ports in all by application.</param>
/// <param name="Milliseconds">How long the dump and its counting took.</param>
/// <param name="EventsMissed">Whether the kernel dropped events, and peaks may be too low.</param>
public sealed record SampleDocument(string At, int Hosts, int Ports, int Most, int Peak, Dictionary<string, int> Applications, double Milliseconds, bool EventsMissed)
{
    public static SampleDocument Of(CollectedSample sample, ApplicationRules rules)
    {
        HostCounts[] hosts = [.. sample.Counts.Hosts.Select(h => h.Counts)];
        return new SampleDocument(
            sample.At.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'"), hosts.Length, hosts.Sum(h => h.Ports), hosts.Max(h => (int?)h.Ports) ?? 0, hosts.Max(h => (int?)h.PeakPorts) ?? 0,
            Enumerable.Range(0, rules.Names.Count).ToDictionary(i => rules.Names[i], i => hosts.Sum(h => h.ByApplication[i])), sample.Taken.TotalMilliseconds, sample.EventsMissed);
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(StatisticsDocument))]
[JsonSerializable(typeof(SampleDocument))]
public sealed partial class SurveyJson : JsonSerializerContext;
