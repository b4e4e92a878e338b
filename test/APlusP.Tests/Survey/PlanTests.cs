using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Registry.Configuration;
using APlusP.Survey.Counting;
using APlusP.Survey.Planning;
using APlusP.Survey.Storage;
using CsCheck;

namespace APlusP.Tests.Survey;

public sealed class PlanTests : IDisposable
{
    static readonly PlanQuestion s_question = new(0.001, 1000, 128, 99, [10, 50, 200, 1000]);

    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData(100, 0.01, 117)]
    [InlineData(100, 0.001, 128)]
    [InlineData(100, 0.0001, 137)]
    [InlineData(200, 0.01, 221)]
    [InlineData(200, 0.001, 238)]
    [InlineData(200, 0.0001, 249)]
    [InlineData(400, 0.01, 426)]
    [InlineData(400, 0.001, 450)]
    [InlineData(400, 0.0001, 467)]
    public void Erlang_s_formula_gives_the_tables_numbers(double erlangs, double refusal, int ports)
    {
        Assert.Equal(ports, ErlangB.Ports(erlangs, refusal));
        Assert.True(ErlangB.Refused(erlangs, ports) <= refusal && ErlangB.Refused(erlangs, ports - 1) > refusal);
    }

    [Theory]
    [InlineData(240, 0.001, 203)]
    [InlineData(1000, 0.001, 930)]
    public void So_many_ports_carry_so_much(int ports, double refusal, int erlangs) => Assert.Equal(erlangs, ErlangB.Load(ports, refusal), 0.6);

    [Theory]
    [InlineData("ports=200", 200, 322)]
    [InlineData("ports=400", 400, 161)]
    [InlineData("ports=500", 500, 129)]
    [InlineData("ports=1000", 1000, 64)]
    [InlineData("ports=1200,ipv6-share=0.8", 240, 268)]
    [InlineData("erlangs=100", 128, 504)]
    public void An_assumption_gives_ports_and_subscribers_of_an_address(string assume, int ports, int subscribers)
    {
        PlanDocument plan = Plan.Assume(Assumptions.Read([assume]), s_question);
        Assert.Equal((ports, subscribers), (plan.PortsPerSubscriber, plan.SubscribersPerAddress));
        Assert.Equal((1000 + subscribers - 1) / subscribers, plan.Addresses);
    }

    [Theory]
    [InlineData(20, 3195)]
    [InlineData(50, 1278)]
    [InlineData(100, 639)]
    public void Where_all_share_an_address_it_serves_more(double erlangs, int subscribers) =>
        Assert.Equal(subscribers, Plan.Assume(new Assumptions(erlangs, null, 0), s_question with { Refusal = 0.0001 }).SubscribersPerAddressShared!.Value, 1.0);

    [Theory]
    [InlineData("ports=0")]
    [InlineData("ports=1.5")]
    [InlineData("ports=64513")]
    [InlineData("erlangs=0")]
    [InlineData("erlangs=many")]
    [InlineData("ports=1,erlangs=1")]
    [InlineData("ipv6-share=0.5")]
    [InlineData("ports=1,ipv6-share=1")]
    [InlineData("prots=500")]
    public void What_cannot_be_assumed_is_refused(string assume) => Assert.Equal(ErrorCodes.PlanAssumption, Assert.Throws<APlusPException>(() => Assumptions.Read([assume])).Code);

    /// <summary>A store whose hosts want these ports tick by tick.</summary>
    SurveyStore Store(params int[][] hosts)
    {
        SurveyStore store = SurveyStore.OpenToAdd(Path.Combine(_directory, Guid.NewGuid().ToString("N")), ApplicationRules.Standard, byAddress: true);
        store.Together(() =>
        {
            for (int tick = 0; tick < hosts[0].Length; tick++)
            {
                var counts = new List<(HostAddress, HostCounts)>();
                for (int host = 0; host < hosts.Length; host++)
                {
                    int ports = hosts[host][tick];
                    if (ports == 0) continue;
                    var one = new HostCounts { Ports = ports, PeakPorts = ports, Flows = ports, MinimumPorts = (ports + 9) / 10, ByApplication = new int[ApplicationRules.Standard.Names.Count] };
                    one.ByApplication[^1] = one.ByProtocol[1] = ports;
                    counts.Add((HostAddress.Of(new IPv4Address(0x0a000001u + (uint)host)), one));
                }

                store.Add(new SampleTime(DateTimeOffset.FromUnixTimeSeconds(10 * tick), TimeSpan.FromSeconds(10)), new TickCounts(counts, 0, 0), ApplicationRules.Standard);
            }
        });
        return store;
    }

    [Fact]
    public void The_replay_of_every_size_is_that_of_counting_each_tick() => Gen.Int[0, 40].Array[20].Array[1, 8].Sample(hosts =>
    {
        if (hosts.All(h => h.All(p => p == 0))) return;
        using SurveyStore store = Store(hosts);
        var replay = new Replay(SurveyedDemand.Of(store).EndpointIndependent);
        int[][] present = [.. hosts.Where(h => h.Any(p => p > 0))];
        foreach (int size in new[] { 1, 5, 20, 39, 40, 1000 })
        {
            ReplayLine line = replay.With(size);
            Assert.Equal(present.Max(h => (double)h.Count(p => p > size) / h.Count(p => p > 0)), line.Time.Worst, 1e-12);
            Assert.Equal(present.Max(h => (double)h.Sum(p => Math.Max(0, p - size)) / h.Sum()), line.Flows.Worst, 1e-12);
        }

        int enough = replay.Enough(0.01, 100);
        Assert.True(replay.With(enough).Flows.Worst <= 0.01);
        Assert.True(enough == 1 || replay.With(enough - 1).Flows.Worst > 0.01);
    }, iter: 30);

    [Fact]
    public void A_plan_tells_both_modes_and_warns_of_a_tail_that_is_heavier_than_Erlang_s()
    {
        // 50 hosts that want 10 ports, and each 400 at one of 100 ticks of its own.
        using SurveyStore store = Store([.. Enumerable.Range(0, 50).Select(host => Enumerable.Range(0, 100).Select(tick => tick == host ? 400 : 10).ToArray())]);
        PlanDocument plan = Plan.Survey(store, s_question);
        Assert.InRange(plan.PortsPerSubscriber, 390, 400);
        Assert.InRange(plan.FiveTuple!.Enough, 38, 40);
        Assert.Equal(1.0 / 100, plan.EndpointIndependent!.Sizes.Single(s => s.Ports == 50).Time.P50, 1e-9);
        Assert.Contains(plan.Reasons!, reason => reason.Contains("heavier than Erlang", StringComparison.Ordinal));

        // At any tick one of fifty users has four blocks and the others one.
        Assert.Equal("dynamic", plan.Recommendation);
        Assert.InRange(plan.SubscribersPerAddressShared!.Value, 400, 504);
        JointPeakLine of64 = plan.JointPeaks!.Single(j => j.Users == 64);
        Assert.InRange(of64.Mean, 65 * 128 + 2 * 128, 64 * 128 + 8 * 3 * 128);
        Assert.True(of64.Low <= of64.Mean && of64.Mean <= of64.High);
    }

    [Fact]
    public void A_plan_is_a_configuration_that_a_registry_takes()
    {
        using SurveyStore store = Store([.. Enumerable.Range(0, 50).Select(host => Enumerable.Range(0, 100).Select(tick => tick == host ? 400 : 10).ToArray())]);
        foreach (PlanDocument plan in new[] { Plan.Survey(store, s_question), Plan.Assume(Assumptions.Read(["ports=500"]), s_question) })
        {
            ConfigurationCheck<RegistrySettings> check = RegistryConfigurationFile.Check("registry.toml", PoolConfiguration.Write(plan, ["192.0.2.0/24"]));
            Assert.Empty(check.Diagnostics);
            Assert.InRange(check.Configuration!.Policy.Classes[0].Limit, plan.PortsPerSubscriber, plan.PortsPerSubscriber + 127);
        }

        Assert.Contains("block = 128\n", PoolConfiguration.Write(Plan.Survey(store, s_question), ["192.0.2.0/24"]), StringComparison.Ordinal);
        Assert.Contains("block = 500\n", PoolConfiguration.Write(Plan.Assume(Assumptions.Read(["ports=500"]), s_question), ["192.0.2.0/24"]), StringComparison.Ordinal);
        Assert.Equal(ErrorCodes.SurveySettings, Assert.Throws<APlusPException>(() => PoolConfiguration.Write(Plan.Survey(store, s_question), ["192.0.2.0/33"])).Code);
    }

    [Theory]
    [InlineData("ports=1000", 64, 64)]
    [InlineData("ports=500", 129, 128)]
    [InlineData("ports=400", 161, 128)]
    [InlineData("ports=64512", 1, 1)]
    public void Sets_by_PSID_are_a_power_of_two_on_an_address(string assume, int byRange, int byPsid)
    {
        IReadOnlyList<AlternativeDocument> ways = Plan.Assume(Assumptions.Read([assume]), s_question).Alternatives!;
        Assert.Equal((1000 + byRange - 1) / byRange, ways.Single(w => w.Way.StartsWith("A+P (lw4o6), a set", StringComparison.Ordinal)).Addresses);
        foreach ((string way, int octets) in new[] { ("MAP-E", 40), ("MAP-T", 20) })
        {
            AlternativeDocument map = ways.Single(w => w.Way.StartsWith(way, StringComparison.Ordinal));
            Assert.Equal(((1000 + byPsid - 1) / byPsid, 0L, octets, "home"), (map.Addresses, map.LogOctetsPerDay, map.HeaderOctets, map.State));
        }
    }

    [Fact]
    public void What_a_plan_says_would_free_ports_is_what_is_there()
    {
        // Of 100 IPv4 ports 60 are DNS's, 30 the web's and 10 others'; of the web's 40 ports a quarter go by IPv6.
        int Of(string name) => ApplicationRules.Standard.Names.ToList().IndexOf(name);
        HostCounts Counts(params (string Application, int Ports)[] shares)
        {
            var counts = new HostCounts { ByApplication = new int[ApplicationRules.Standard.Names.Count], MinimumPorts = -1 };
            foreach ((string application, int ports) in shares)
            {
                counts.Ports += ports;
                counts.ByApplication[Of(application)] += ports;
            }

            counts.PeakPorts = counts.Flows = counts.ByProtocol[1] = counts.Ports;
            return counts;
        }

        using SurveyStore store = SurveyStore.OpenToAdd(Path.Combine(_directory, "savings.db"), ApplicationRules.Standard, byAddress: true);
        (HostAddress, HostCounts)[] hosts =
        [
            (HostAddress.Of(IPv4Address.Parse("192.168.1.2")), Counts(("dns", 60), ("http", 10), ("https", 15), ("quic", 5), ("games", 10))),
            (HostAddress.Of(IPv6Address.Parse("2001:db8::2")), Counts(("https", 10))),
        ];
        for (int i = 0; i < 5; i++) store.Add(new SampleTime(DateTimeOffset.FromUnixTimeSeconds(10 * i), TimeSpan.FromSeconds(10)), new TickCounts(hosts, 0, 0), ApplicationRules.Standard);

        PlanDocument plan = Plan.Survey(store, s_question);
        Assert.Equal(100, plan.PortsPerSubscriber);
        Assert.Equal(0.3, plan.WebShare!.Value, 1e-9);
        Assert.Equal(0.25, plan.WebIPv6Share!.Value, 1e-9);
        Assert.Equal(
            [(0.6, 40, 1612), (0.075, 93, 693), (0.675, 33, 1954), (0.9, 10, 6451)],
            plan.Savings!.Select(s => (Math.Round(s.Freed, 9), s.PortsPerSubscriber, s.SubscribersPerAddress)));
    }

    [Fact]
    public void A_survey_without_an_IPv4_host_is_nothing_to_plan_from()
    {
        using SurveyStore store = Store([0, 0]);
        Assert.Equal(ErrorCodes.NothingToPlanFrom, Assert.Throws<APlusPException>(() => Plan.Survey(store, s_question)).Code);
    }

    [Fact]
    public void Erlang_and_replay_agree_where_flows_come_at_random()
    {
        // One host of 30 erlangs: the ports wanted are Poisson's, drawn at 20,000 ticks far apart.
        var random = new Random(7);
        int[] drawn = [.. Enumerable.Range(0, 20_000).Select(_ => Poisson(random, 30))];
        using SurveyStore store = Store(drawn);
        PlanDocument plan = Plan.Survey(store, s_question with { Refusal = 0.01 });
        Assert.InRange(plan.EndpointIndependent!.VarianceToMean, 0.95, 1.05);
        Assert.InRange(plan.EndpointIndependent.Enough, ErlangB.Ports(30, 0.01) - 6, ErlangB.Ports(30, 0.01));

        static int Poisson(Random random, double mean)
        {
            int count = 0;
            for (double product = random.NextDouble(), end = Math.Exp(-mean); product > end; product *= random.NextDouble()) count++;
            return count;
        }
    }
}
