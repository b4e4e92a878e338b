using System.Numerics;
using APlusP.Survey.Storage;

namespace APlusP.Survey.Planning;

/// <summary>What is asked of a plan.</summary>
/// <param name="Refusal">The share of flows that may be refused.</param>
/// <param name="Population">Subscribers to be served; null where nobody said.</param>
/// <param name="Block">Ports of a block, where ports are given by blocks as they are needed.</param>
/// <param name="Percentile">The share of hosts, in per cent, that are to have no more than <see cref="Refusal"/>.</param>
/// <param name="Sizes">Sizes of port sets that are to be told.</param>
public sealed record PlanQuestion(double Refusal, int? Population, int Block, double Percentile, IReadOnlyList<int> Sizes);

/// <summary>How many ports a subscriber gets, and how many addresses that takes.</summary>
public static class Plan
{
    /// <summary>Ports 1024 to 65535: the system ports below are left out, as in the registry's pools.</summary>
    public const int PortsOfAddress = 64512;

    /// <summary>RFC 7422 section 1: connections of a household in a day; octets of a log line for each, of a NAT444 and of a DS-Lite AFTR.</summary>
    const int ConnectionsOfDay = 33_000, OctetsOfLog = 150, OctetsOfDsLiteLog = 175;

    /// <summary>A plan without a survey: by Erlang's formula, or for a given number of ports.</summary>
    public static PlanDocument Assume(Assumptions assumed, PlanQuestion question)
    {
        double carried = 1 - assumed.IPv6Share;
        double? erlangs = assumed.Erlangs * carried;
        double ports = assumed.Ports * carried ?? ErlangB.Ports(erlangs!.Value, question.Refusal);
        int fixedUsers = (int)(PortsOfAddress / Math.Max(1, ports));
        int? sharedUsers = erlangs is { } load ? (int)(ErlangB.Load(PortsOfAddress, question.Refusal) / load) : null;
        return new PlanDocument((int)Math.Ceiling(ports), fixedUsers)
        {
            Refusal = erlangs is null ? null : question.Refusal,
            Erlangs = erlangs,
            SubscribersPerAddressShared = sharedUsers,
            Population = question.Population,
            Addresses = Divide(question.Population, fixedUsers),
            AddressesShared = sharedUsers is { } users ? Divide(question.Population, users) : null,
            Alternatives = Alternatives(question, (int)Math.Ceiling(ports), fixedUsers, sharedUsers),
        };
    }

    /// <summary>A plan from a survey, by replay of what hosts had in use.</summary>
    public static PlanDocument Survey(SurveyStore store, PlanQuestion question)
    {
        SurveyedDemand demand = SurveyedDemand.Of(store);
        DemandSeries independent = demand.EndpointIndependent;
        ReplayDocument byEndpoint = ReplayDocument(independent, question);
        var joint = new JointPeak(independent, question.Block);
        int ports = byEndpoint.Enough, fixedUsers = PortsOfAddress / ports, dynamicUsers = joint.UsersOf(PortsOfAddress);
        bool isDynamic = dynamicUsers > fixedUsers * 1.1;
        var plan = new PlanDocument(ports, fixedUsers)
        {
            Refusal = question.Refusal,
            Percentile = question.Percentile,
            Hosts = independent.Hosts,
            Samples = independent.Ticks,
            EndpointIndependent = byEndpoint,
            FiveTuple = demand.FiveTuple is { } fiveTuple ? ReplayDocument(fiveTuple, question) : null,
            SubscribersPerAddressShared = dynamicUsers,
            Block = question.Block,
            JointPeaks = [.. new[] { 8, 16, 32, 64, 128, 256, dynamicUsers }.Where(users => users > 0).Distinct().Order().Select(joint.Of)],
            IPv6Share = demand.IPv6Share,
            DnsShare = demand.DnsShare,
            WebShare = demand.WebShare,
            WebIPv6Share = demand.WebIPv6Share,
            Savings = [.. Savings(ports, demand)],
            Population = question.Population,
            Addresses = Divide(question.Population, fixedUsers),
            AddressesShared = Divide(question.Population, dynamicUsers),
            Alternatives = Alternatives(question, ports, fixedUsers, dynamicUsers),
            Recommendation = isDynamic ? "dynamic" : "fixed",
        };
        return plan with { Reasons = [.. Reasons(plan, independent)] };
    }

    static ReplayDocument ReplayDocument(DemandSeries series, PlanQuestion question)
    {
        var replay = new Replay(series);
        double sum = 0, squares = 0;
        long values = 0;
        for (int host = 0; host < series.Hosts; host++)
        {
            foreach (ushort demand in series.Of(host))
            {
                if (demand == 0) continue;
                values++;
                sum += demand;
                squares += (double)demand * demand;
            }
        }

        // Nothing wanted at all: hosts that only came and went between samples.
        double mean = values == 0 ? 0 : sum / values, varianceToMean = values == 0 ? 0 : squares / sum - mean;
        return new ReplayDocument(
            replay.Enough(question.Refusal, question.Percentile), replay.Most, mean, varianceToMean, values == 0 ? 0 : ErlangB.Ports(mean, question.Refusal),
            [.. question.Sizes.Select(replay.With)]);
    }

    static int? Divide(int? population, int users) => population is null || users == 0 ? null : (population + users - 1) / users;

    /// <summary>
    /// What would free ports. A proxy for DNS that asks over IPv6 frees all of its ports; one for the web those towards servers that have IPv6 too, which nobody knows of a server from its IPv4 traffic:
    /// at least as much of the web as goes by IPv6 here is taken for that, where any does.
    /// </summary>
    static IEnumerable<SavingDocument> Savings(int ports, SurveyedDemand demand)
    {
        SavingDocument Saving(string measure, double freed)
        {
            int left = Math.Max(1, (int)Math.Ceiling(Math.Round(ports * (1 - freed), 6)));
            return new SavingDocument(measure, freed, left, PortsOfAddress / left);
        }

        double dns = demand.DnsShare ?? 0, web = (demand.WebShare ?? 0) * (demand.WebIPv6Share ?? 0);
        if (dns > 0) yield return Saving("DNS proxy in the home that asks over IPv6", dns);
        if (web > 0) yield return Saving("web proxy in the home, for as much of the web as goes by IPv6 here", web);
        if (dns > 0 && web > 0) yield return Saving("both", dns + web);
        if (demand.WebShare > 0) yield return Saving("DNS proxy, and a web whose servers all have IPv6", dns + demand.WebShare.Value);
    }

    /// <summary>RFC 7597 section 5.1 has 2^k sets of one size on an address.</summary>
    static int UsersOfPsid(int ports) => 1 << BitOperations.Log2((uint)Math.Max(1, PortsOfAddress / ports));

    static IReadOnlyList<AlternativeDocument>? Alternatives(PlanQuestion question, int ports, int fixedUsers, int? sharedUsers)
    {
        if (question.Population is not { } population) return null;
        int fixedAddresses = Divide(population, fixedUsers) ?? 0, shared = (sharedUsers is { } users ? Divide(population, users) : null) ?? fixedAddresses;
        int byPsid = Divide(population, UsersOfPsid(ports)) ?? 0;
        long connections = (long)population * ConnectionsOfDay;
        const int tunnel = 40, translation = 20;
        return
        [
            new("A+P (lw4o6), a set of ports each", fixedAddresses, 0, tunnel, "home"),
            new("A+P (lw4o6), blocks as they are needed", shared, 0, tunnel, "home"),
            new("MAP-E, sets by PSID", byPsid, 0, tunnel, "home"),
            new("MAP-T, sets by PSID", byPsid, 0, translation, "home"),
            new("CGN (NAT444), a log line a connection", shared, connections * OctetsOfLog, 0, "operator"),
            new("DS-Lite, a log line a connection", shared, connections * OctetsOfDsLiteLog, tunnel, "operator"),
        ];
    }

    static IEnumerable<string> Reasons(PlanDocument plan, DemandSeries series)
    {
        ReplayDocument one = plan.EndpointIndependent!;
        yield return $"With {one.Enough:N0} ports, {plan.Percentile:0.##} % of the {plan.Hosts:N0} hosts would have had no more than {plan.Refusal:P3} of their flows refused over {plan.Samples:N0} samples; the host that wanted most wanted {one.Most:N0}.";
        if (one.Enough > one.ErlangPorts)
            yield return $"The tail is heavier than Erlang's: by formula B a mean of {one.Mean:0.0} ports takes {one.ErlangPorts:N0}, measured are {one.Enough:N0} (variance is {one.VarianceToMean:0.0} times the mean, Erlang's about once). Believe the measurement.";
        if (plan.FiveTuple is { } other && other.Enough < one.Enough)
            yield return $"A 5-tuple NAPT would do with {other.Enough:N0}, at the price of applications that need one mapping for all peers (games, calls, BitTorrent).";
        yield return plan.Recommendation == "dynamic"
            ? $"Blocks of {plan.Block:N0} ports, given as they are needed, serve {plan.SubscribersPerAddressShared:N0} subscribers an address in place of {plan.SubscribersPerAddress:N0}: peaks of different hosts do not come together."
            : $"Fixed sets serve {plan.SubscribersPerAddress:N0} subscribers an address, blocks of {plan.Block:N0} ports as they are needed {plan.SubscribersPerAddressShared:N0}: not enough more to be worth their logs.";
        if (plan.DnsShare is > 0.1) yield return $"DNS is {plan.DnsShare:P0} of the ports: a DNS proxy in the home that asks over IPv6 frees them.";
        if (series.Hosts < 30) yield return $"{series.Hosts:N0} host(s) say little of many subscribers: survey 30 or more before you rely on this.";
        if (series.Ticks < 8640) yield return "The survey is shorter than a day at ten seconds: evenings and weekends may want more.";
    }
}
