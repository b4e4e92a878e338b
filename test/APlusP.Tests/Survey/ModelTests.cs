using APlusP.Core;
using APlusP.Core.Forwarding;
using APlusP.Core.Wire;
using APlusP.Survey.Models;
using APlusP.Survey.Planning;

namespace APlusP.Tests.Survey;

/// <summary>Traffic models: what they say, and what of it is known beforehand.</summary>
public class ModelTests
{
    static readonly PortLifetimes s_conntrack = PortLifetimes.OfConntrack;

    public static TheoryData<string> Names => [.. ModelLibrary.Names];

    static int Peak(string model, string application, int seed = 1) => Timeline.Of(ModelLibrary.Get(model), seed).Peak(s_conntrack, flow => flow.Remote.Application == application);

    static int AtEnd(string model, string application, int seed = 1)
    {
        var timeline = Timeline.Of(ModelLibrary.Get(model), seed);
        return timeline.At(timeline.Length, s_conntrack).GetValueOrDefault(application);
    }

    static TrafficModel Model(string text) => ModelFile.Check("m.toml", text).Require("m.toml");

    const string Beginning = "name = \"mine\"\nseconds = 100\n";

    [Fact]
    public void The_library_has_the_report_s_ten_applications_and_six_games() => Assert.Equal(
        ["base", "call-of-duty", "facebook", "gmail", "google-maps", "google-wave", "killzone", "littlebigplanet", "pidgin", "skype", "torrent", "twitter", "uncharted", "vidzone", "wipeout", "youtube"],
        ModelLibrary.Names);

    [Theory]
    [MemberData(nameof(Names))]
    public void A_model_of_the_library_is_without_fault_and_called_as_its_file(string name)
    {
        TrafficModel model = ModelLibrary.Get(name);
        Assert.Equal(name, model.Name);
        Assert.NotEmpty(model.About);
        Assert.NotEmpty(model.Flows);
    }

    [Theory]
    [InlineData("facebook", "dns", 90)]
    [InlineData("twitter", "dns", 109)]
    [InlineData("pidgin", "dns", 30)]
    public void The_most_ports_at_once_are_the_report_s_with_any_seed(string model, string application, int ports)
    {
        for (int seed = 0; seed < 20; seed++) Assert.Equal(ports, Peak(model, application, seed));
    }

    [Theory]
    [InlineData("facebook", "http", 46)]
    [InlineData("twitter", "http", 32)]
    public void The_ports_at_the_end_are_the_report_s_with_any_seed(string model, string application, int ports)
    {
        for (int seed = 0; seed < 20; seed++) Assert.Equal(ports, AtEnd(model, application, seed));
    }

    [Theory]
    [InlineData("base", 1)]
    [InlineData("wipeout", 6)]
    public void At_the_end_only_so_many_ports_are_left(string model, int ports)
    {
        var timeline = Timeline.Of(ModelLibrary.Get(model), 1);
        Assert.Equal(ports, timeline.At(timeline.Length, s_conntrack).Values.Sum());
    }

    [Fact]
    public void Bit_torrent_has_more_than_400_ports_in_two_phases_and_few_hosts_twice()
    {
        Assert.InRange(Peak("torrent", "p2p"), 401, 420);
        var timeline = Timeline.Of(ModelLibrary.Get("torrent"), 1);
        int[] perHost = [.. timeline.Flows.Where(flow => flow.Remote.Application == "p2p").GroupBy(flow => flow.Remote.Number).Select(host => host.Count())];
        Assert.InRange(perHost.Count(flows => flows > 1), 1, 9);
        Assert.InRange(perHost.Max(), 2, 4);
        Assert.Equal(110, timeline.At(TimeSpan.FromSeconds(2400), s_conntrack)["p2p"]);
        Assert.Equal(2480, timeline.Length.TotalSeconds);
    }

    [Fact]
    public void Skype_asks_little() => Assert.Multiple(
        () => Assert.InRange(Peak("skype", "dns"), 1, 9), () => Assert.InRange(Peak("skype", "http"), 1, 4), () => Assert.InRange(Peak("skype", "https"), 1, 4));

    [Theory]
    [InlineData("gmail")]
    [InlineData("google-maps")]
    [InlineData("google-wave")]
    [InlineData("youtube")]
    public void Of_hybrid_sites_more_than_two_thirds_are_IPv6_and_of_IPv4_most_is_DNS(string model)
    {
        IReadOnlyList<TimedFlow> flows = Timeline.Of(ModelLibrary.Get(model), 1).Flows;
        Assert.True(flows.Count(flow => flow.Remote.IsIPv6) * 3 > flows.Count * 2);
        Assert.True(flows.Count(flow => !flow.Remote.IsIPv6 && flow.Remote.Application == "dns") * 2 > flows.Count(flow => !flow.Remote.IsIPv6));
    }

    [Fact]
    public void A_game_that_knows_its_servers_asks_no_DNS() => Assert.Equal(0, Peak("littlebigplanet", "dns"));

    [Fact]
    public void The_same_seed_gives_the_same_flows_and_another_gives_others()
    {
        TrafficModel[] models = [ModelLibrary.Get("facebook"), ModelLibrary.Get("skype")];
        Timeline Of(int seed) => Timeline.Of(models, seed, TimeSpan.FromMinutes(5));
        Assert.Equal(Of(7).Flows, Of(7).Flows);
        Assert.NotEqual(Of(7).Flows, Of(8).Flows);
        Assert.Equal(Of(7).Flows.Count, Of(8).Flows.Count);
        Assert.Equal(Of(7).Flows.OrderBy(flow => flow.Opens), Of(7).Flows);
        Assert.All(Of(7).Flows, flow => Assert.InRange(flow.Opens, TimeSpan.Zero, TimeSpan.FromMinutes(5)));
    }

    [Fact]
    public void Ports_are_known_at_each_moment()
    {
        var timeline = Timeline.Of(Model($"{Beginning}[[flows]]\napplication = \"dns\"\nprotocol = \"udp\"\nport = \"53\"\ncount = 3\nfrom = 10\nlives = 0\n[[flows]]\napplication = \"https\"\nprotocol = \"tcp\"\nport = \"443\"\ncount = 2\nfrom = 20\nlives = 5.5\n"), 1);
        Dictionary<string, int> At(double seconds, PortLifetimes lifetimes) => timeline.At(TimeSpan.FromSeconds(seconds), lifetimes);
        Assert.Empty(At(9.9, s_conntrack));
        Assert.Equal(new() { ["dns"] = 3 }, At(10, s_conntrack));
        Assert.Empty(At(10, PortLifetimes.OfSockets));
        Assert.Equal(new() { ["dns"] = 3, ["https"] = 2 }, At(39.9, s_conntrack));
        Assert.Equal(new() { ["https"] = 2 }, At(40, s_conntrack));
        Assert.Equal(new() { ["https"] = 2 }, At(25.4, PortLifetimes.OfSockets));
        Assert.Empty(At(25.5, PortLifetimes.OfSockets));
        int Peak(PortLifetimes lifetimes, IpProtocol protocol) => timeline.Peak(lifetimes, flow => flow.Remote.Protocol == protocol);
        Assert.Equal((3, 1, 2, 2), (Peak(s_conntrack, IpProtocol.Udp), Peak(PortLifetimes.OfSockets, IpProtocol.Udp), Peak(s_conntrack, IpProtocol.Tcp), Peak(PortLifetimes.OfSockets, IpProtocol.Tcp)));
    }

    [Fact]
    public void What_has_no_time_of_its_own_ends_with_the_model_or_stays()
    {
        const string group = "[[flows]]\napplication = \"http\"\nprotocol = \"tcp\"\nport = \"80\"\ncount = 1\nfrom = 10\n";
        TimeSpan? Closes(string flows, double length) => Timeline.Of(Model($"{Beginning}{flows}"), 1, TimeSpan.FromSeconds(length)).Flows.Single().Closes;
        Assert.Equal((null, TimeSpan.FromSeconds(100), null), (Closes(group, 100), Closes(group, 150), Closes($"{group}stays = true", 150)));
        Assert.Equal((TimeSpan.FromSeconds(99), null), (Closes($"{group}lives = 89", 100), Closes($"{group}lives = 91", 100)));

        // A user's models begin at any time, and their flows with them.
        var user = Timeline.Of([Model($"{Beginning}{group}")], seed: 3, TimeSpan.FromSeconds(1000));
        Assert.Equal(90, (user.Flows[0].Closes!.Value - user.Flows[0].Opens).TotalSeconds, 1e-6);
    }

    [Fact]
    public void Flows_go_to_as_many_ends_as_are_said()
    {
        var timeline = Timeline.Of(Model($"{Beginning}[[flows]]\napplication = \"p2p\"\nprotocol = \"tcp\"\nport = \"6881-6883\"\ncount = 10\nremotes = 4\nfirst-remote = 6\n"), 1);
        RemoteEnd[] ends = [.. timeline.Flows.Select(flow => flow.Remote).Distinct().OrderBy(end => end.Number)];
        Assert.Equal([(6, 6881), (7, 6882), (8, 6883), (9, 6881)], ends.Select(end => (end.Number, (int)end.Port)));
    }

    [Theory]
    [InlineData("", "'name' is missing")]
    [InlineData("name = \"Mine\"\nseconds = 10", "m.toml:1:8: error AP1015: 'name' is of 1 to 40 lower-case letters")]
    [InlineData($"{Beginning}[[flows]]\napplication = \"dns\"\nprotocol = \"tpc\"", "m.toml:5:12: error AP1015: 'tpc' is not a value of 'protocol'; it is one of \"tcp\", \"udp\". Did you mean 'tcp'?")]
    [InlineData($"{Beginning}[[flows]]\napplication = \"dns\"\nprotocol = \"udp\"\nport = \"52\"", "m.toml:6:8: error AP1015: Port 52 is of 'other' by the survey's rules, not of 'dns'")]
    [InlineData($"{Beginning}[[flows]]\napplication = \"chat\"\nprotocol = \"udp\"\nport = \"53\"", "m.toml:4:15: error AP1015: The survey's rules know no 'chat'; they name dns, http,")]
    [InlineData($"{Beginning}[[flows]]\napplication = \"dns\"\nprotocol = \"udp\"\nport = \"53\"\ncount = 3\nfrom = 20\nuntil = 10", "m.toml:9:9: error AP1017: The last flow is opened at 10 s, before the first, which is opened at 20 s.")]
    [InlineData($"{Beginning}[[flows]]\napplication = \"dns\"\nprotocol = \"udp\"\nport = \"53\"\ncount = 3\nlives = 0\nstays = true", "m.toml:9:9: error AP1017: 'lives' and 'stays' both say when flows end")]
    [InlineData($"{Beginning}[[flows]]\napplication = \"dns\"\nprotocol = \"udp\"\nport = \"53\"\ncount = 3\nfamily = 5", "m.toml:8:10: error AP1014: 'family' is 4 or 6.")]
    [InlineData($"{Beginning}[[flows]]\napplication = \"dns\"\nprotocol = \"udp\"\nport = \"53\"\ncount = 3\nlives = \"long\"", "m.toml:8:9: error AP1013: 'lives' is a string, but it must be a number, without quotes.")]
    [InlineData($"{Beginning}[[flows]]\napplication = \"dns\"\nprotocol = \"udp\"\nport = \"53\"\ncount = 3\nfrom = 100.5", "m.toml:8:8: error AP1014: 'from' is 100.5, but it is from 0 to 100.")]
    [InlineData($"{Beginning}[[flows]]\napplication = \"dns\"\nprotocol = \"udp\"\nport = \"all\"\ncount = 3", "m.toml:6:8: error AP1010: 'all' is not 1 to 256 ports")]
    [InlineData($"{Beginning}[[flows]]\napplication = \"dns\"\nprotocol = \"udp\"\nport = \"53\"\ncount = 3\nlifes = 0", "m.toml:8:1: error AP1012: There is no key 'lifes' in [flows]. Did you mean 'lives'?")]
    public void A_file_that_is_no_model_is_refused_with_the_line(string text, string fault)
    {
        APlusPException error = Assert.Throws<APlusPException>(() => Model(text));
        Assert.Contains(fault, error.Message.Replace("\n", "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_that_does_not_exist_is_told_with_those_that_do()
    {
        APlusPException error = Assert.Throws<APlusPException>(() => ModelLibrary.Find("faceboot"));
        Assert.Equal(ErrorCodes.NoSuchModel, error.Code);
        Assert.Contains("facebook", error.Message, StringComparison.Ordinal);
        Assert.Equal(ErrorCodes.ConfigurationUnreadable, Assert.Throws<APlusPException>(() => ModelLibrary.Find("./nowhere.toml")).Code);
    }

    // What a port set would refuse

    static LoadForecast Forecast(string flows, int ports, NaptMode mode = NaptMode.EndpointIndependent, int users = 1) =>
        LoadForecast.Of([.. Enumerable.Range(0, users).Select(user => Timeline.Of(Model($"{Beginning}{flows}"), user))], ports, s_conntrack, mode);

    const string Questions = "[[flows]]\napplication = \"dns\"\nprotocol = \"udp\"\nport = \"53\"\ncount = 50\nremotes = 5\nfrom = 1\nlives = 0\n";

    [Fact]
    public void Flows_beyond_the_set_are_refused_and_each_protocol_has_the_whole_set()
    {
        const string both = $"{Questions}[[flows]]\napplication = \"http\"\nprotocol = \"tcp\"\nport = \"80\"\ncount = 30\n";
        Assert.Equal((80, 20, 50), (Forecast(both, 30).Offered, Forecast(both, 30).Refused, Forecast(both, 30).Wanted));
        Assert.Equal(40 + 20, Forecast(both, 10).Refused);
        Assert.Equal(0, Forecast(both, 50).Refused);
        Assert.Equal(90 + 50, Forecast(both, 10, users: 2).Refused);
    }

    [Fact]
    public void A_port_is_used_again_when_its_mapping_is_over()
    {
        string twice = $"{Questions}{Questions.Replace("from = 1", "from = 40", StringComparison.Ordinal)}";
        Assert.Equal((100, 40 + 40, 50), (Forecast(twice, 10).Offered, Forecast(twice, 10).Refused, Forecast(twice, 10).Wanted));
        string sooner = $"{Questions}{Questions.Replace("from = 1", "from = 20", StringComparison.Ordinal)}";
        Assert.Equal((100, 40 + 50, 100), (Forecast(sooner, 10).Offered, Forecast(sooner, 10).Refused, Forecast(sooner, 10).Wanted));
    }

    [Fact]
    public void A_five_tuple_NAPT_uses_a_port_again_towards_another_end()
    {
        Assert.Equal((0, 10), (Forecast(Questions, 10, NaptMode.FiveTuple).Refused, Forecast(Questions, 10, NaptMode.FiveTuple).Wanted));
        Assert.Equal(15, Forecast(Questions, 7, NaptMode.FiveTuple).Refused);
    }

    [Fact]
    public void Flows_by_IPv6_take_no_port() => Assert.Equal(default, Forecast(Questions.Replace("count", "family = 6\ncount", StringComparison.Ordinal), 1));

    [Fact]
    public void What_the_planner_says_is_of_ports_and_their_time()
    {
        // Fifty ports at three ticks, of which ten have room.
        Assert.Equal(0.8, Forecast(Questions, 10).PlannerShare, 1e-9);
        Assert.Equal(0, Forecast(Questions, 50).PlannerShare);
    }

    [Fact]
    public void Fewer_ports_never_refuse_less()
    {
        var timeline = Timeline.Of([.. ModelLibrary.Names.Select(ModelLibrary.Get)], 3, TimeSpan.FromMinutes(5));
        int[] refused = [.. new[] { 1, 10, 50, 100, 200, 400, 1000 }.Select(ports => LoadForecast.Of([timeline], ports, PortLifetimes.Of(new NaptTimers()), NaptMode.EndpointIndependent).Refused)];
        Assert.Equal(refused.OrderDescending(), refused);
        Assert.Equal(0, refused[^1]);
    }
}
