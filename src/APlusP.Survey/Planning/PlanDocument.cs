using System.Text.Json.Serialization;

namespace APlusP.Survey.Planning;

/// <summary>What <c>aplusp plan --json</c> prints. Shares are from 0 to 1; what was not asked or not known is left out.</summary>
/// <param name="PortsPerSubscriber">Size of each subscriber's port set.</param>
/// <param name="SubscribersPerAddress">How many such sets an address has.</param>
public sealed record PlanDocument(int PortsPerSubscriber, int SubscribersPerAddress)
{
    public double? Refusal { get; init; }

    /// <summary>The mean load of a subscriber that was assumed, less what goes by IPv6.</summary>
    public double? Erlangs { get; init; }

    /// <summary>Subscribers of an address, where its ports are shared by need: by Erlang's formula for all of them together, or, of a survey, by blocks.</summary>
    public int? SubscribersPerAddressShared { get; init; }

    public int? Population { get; init; }

    /// <summary>Addresses for the population, with fixed sets.</summary>
    public int? Addresses { get; init; }

    public int? AddressesShared { get; init; }

    /// <summary>Of a survey: the share of hosts in per cent that is served.</summary>
    public double? Percentile { get; init; }

    public int? Hosts { get; init; }

    public long? Samples { get; init; }

    public ReplayDocument? EndpointIndependent { get; init; }

    public ReplayDocument? FiveTuple { get; init; }

    /// <summary>Ports of a block.</summary>
    public int? Block { get; init; }

    public IReadOnlyList<JointPeakLine>? JointPeaks { get; init; }

    /// <summary>IPv6's share of all ports in use, which take none of a shared address.</summary>
    public double? IPv6Share { get; init; }

    /// <summary>The share of IPv4 ports that a DNS proxy over IPv6 would free.</summary>
    public double? DnsShare { get; init; }

    /// <summary>The share of IPv4 ports that the web has: HTTP, HTTPS and QUIC.</summary>
    public double? WebShare { get; init; }

    /// <summary>IPv6's share of the web's ports.</summary>
    public double? WebIPv6Share { get; init; }

    /// <summary>What would free ports.</summary>
    public IReadOnlyList<SavingDocument>? Savings { get; init; }

    public IReadOnlyList<AlternativeDocument>? Alternatives { get; init; }

    /// <summary>"fixed" or "dynamic".</summary>
    public string? Recommendation { get; init; }

    public IReadOnlyList<string>? Reasons { get; init; }
}

/// <summary>A replay in one mode of NAPT.</summary>
/// <param name="Enough">The fewest ports that keep to the refusal asked for.</param>
/// <param name="Most">What the host that wanted most wanted.</param>
/// <param name="Mean">Ports wanted, over hosts and ticks.</param>
/// <param name="VarianceToMean">Of the same; 1 for flows that come at random.</param>
/// <param name="ErlangPorts">What Erlang's formula says for that mean.</param>
/// <param name="Sizes">What each size would have refused.</param>
public sealed record ReplayDocument(int Enough, int Most, double Mean, double VarianceToMean, int ErlangPorts, IReadOnlyList<ReplayLine> Sizes);

/// <summary>What frees ports, in the mean over hosts and samples.</summary>
/// <param name="Measure">What is done.</param>
/// <param name="Freed">The share of IPv4 ports that it frees.</param>
/// <param name="PortsPerSubscriber">What a set is then, if peaks fall as the mean does.</param>
/// <param name="SubscribersPerAddress">How many such sets an address has.</param>
public sealed record SavingDocument(string Measure, double Freed, int PortsPerSubscriber, int SubscribersPerAddress);

/// <summary>Another way to share addresses, for the same population.</summary>
/// <param name="Way">How.</param>
/// <param name="Addresses">Public IPv4 addresses that it takes.</param>
/// <param name="LogOctetsPerDay">What has to be logged so that a complaint finds its subscriber; 0 where that is known beforehand, or a line a lease.</param>
/// <param name="HeaderOctets">What each packet grows by between home and operator.</param>
/// <param name="State">Where flows are remembered: in the home or at the operator.</param>
public sealed record AlternativeDocument(string Way, int Addresses, long LogOctetsPerDay, int HeaderOctets, string State);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PlanDocument))]
public sealed partial class PlanJson : JsonSerializerContext;
