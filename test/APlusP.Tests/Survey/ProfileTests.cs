using System.Text.Json;
using System.Xml.Linq;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Connections;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;
using APlusP.Survey.Models;
using APlusP.Survey.Reports;
using APlusP.Survey.Statistics;
using APlusP.Survey.Storage;
using APlusP.Tests.Cli;

namespace APlusP.Tests.Survey;

/// <summary>What an application took above what the machine used anyway, of surveys that models made, so that it is known.</summary>
public sealed class ProfileTests : IDisposable
{
    static readonly DateTimeOffset s_start = DateTimeOffset.FromUnixTimeSeconds(1_267_551_614);
    static readonly TimeSpan s_every = TimeSpan.FromSeconds(1), s_idle = TimeSpan.FromSeconds(20);

    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-").FullName;

    string Store => Path.Combine(_directory, "survey.db");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    /// <summary>A host that always has three ports of HTTPS and one of DNS, and once twelve more of DNS; and after twenty seconds somebody plays a model on it.</summary>
    void Survey(params string[] models)
    {
        using SurveyStore store = SurveyStore.OpenToAdd(Store, ApplicationRules.Standard, byAddress: true);
        Timeline[] timelines = [.. models.Select((model, i) => Timeline.Of(ModelLibrary.Get(model), seed: i))];
        var counter = new TickCounter(ApplicationRules.Standard, InsideNetworks.Private);
        for (TimeSpan at = TimeSpan.Zero; at <= s_idle + timelines[0].Length; at += s_every)
        {
            for (int host = 0; host < timelines.Length; host++)
            {
                ushort port = 1000;
                void Add(RemoteEnd end) => counter.Add(new Flow(HostOf(host), port++, HostAddress.Of(new IPv4Address(0xcb007100u + (uint)end.Number)), end.Port, end.Port, end.Protocol, TcpState.None));
                for (int i = 0; i < 3; i++) Add(new RemoteEnd("https", 0, Core.Wire.IpProtocol.Tcp, 443, false));
                for (int i = 0; i < (at == 5 * s_every ? 13 : 1); i++) Add(new RemoteEnd("dns", 0, Core.Wire.IpProtocol.Udp, 53, false));
                foreach (TimedFlow flow in timelines[host].Flows)
                    if (flow.IsInUse(at - s_idle, PortLifetimes.OfConntrack)) Add(flow.Remote);
            }

            store.Add(new SampleTime(s_start + at, s_every), counter.Finish(), ApplicationRules.Standard);
        }
    }

    static HostAddress HostOf(int number) => HostAddress.Of(IPv4Address.Parse($"192.168.2.{number + 9}"));

    ApplicationProfile Profile(BaselineTime? time = null, string? host = null)
    {
        using SurveyStore store = SurveyStore.Open(Store);
        return ApplicationProfile.Of(store, new SurveyPart(Host: host is null ? null : store.HostOf(host)), time ?? BaselineTime.First(store, s_idle - s_every));
    }

    static (int Baseline, int Most, int Last) Of(ApplicationProfile profile, string application)
    {
        int i = profile.Applications.ToList().IndexOf(application);
        return (profile.BaselineOf(i), profile.MostOf(i), profile.LastOf(i));
    }

    [Fact]
    public void The_profile_of_a_model_is_the_model_whatever_the_machine_used_before()
    {
        Survey("facebook");
        ApplicationProfile profile = Profile();
        Assert.Equal((20, 26), (profile.BaselineSamples, profile.Samples));
        Assert.Equal((1, 90, 90), Of(profile, "dns"));
        Assert.Equal((0, 46, 46), Of(profile, "http"));
        Assert.Equal((3, 0, 0), Of(profile, "https"));
        var timeline = Timeline.Of(ModelLibrary.Get("facebook"), seed: 0);
        double mean = Enumerable.Range(0, 26).Average(second => timeline.At(TimeSpan.FromSeconds(second), PortLifetimes.OfConntrack).GetValueOrDefault("dns"));
        Assert.Equal(mean, profile.MeanOf(profile.Applications.ToList().IndexOf("dns")), 1e-9);
        Assert.Equal(26, profile.Points.Count);
    }

    [Fact]
    public void Each_host_has_a_baseline_of_its_own()
    {
        Survey("facebook", "twitter");
        Assert.Equal((2, 199, 199), Of(Profile(), "dns"));
        Assert.Equal((1, 109, 109), Of(Profile(host: "192.168.2.10"), "dns"));
        Assert.Equal((6, 0, 0), Of(Profile(), "https"));
    }

    [Fact]
    public void A_host_that_was_away_counts_as_nothing_in_the_baseline()
    {
        using (SurveyStore store = SurveyStore.OpenToAdd(Store, ApplicationRules.Standard, byAddress: true))
        {
            // Five ports at two of five samples, and six at the sixth.
            foreach ((int second, int ports) in new[] { (0, 0), (1, 5), (2, 0), (3, 5), (4, 0), (5, 6) })
                store.Add(new SampleTime(s_start.AddSeconds(second), s_every), Tables.Count(string.Concat(Enumerable.Range(0, ports).Select(i => Tables.Udp("192.168.2.9", 5000 + i, "203.0.113.7", 53)))), ApplicationRules.Standard);
        }

        Assert.Equal((0, 6, 6), Of(Profile(new BaselineTime(s_start, s_start.AddSeconds(4))), "dns"));
        Assert.Equal((5, 1, 1), Of(Profile(new BaselineTime(s_start.AddSeconds(1), s_start.AddSeconds(1))), "dns"));
    }

    [Fact]
    public void Without_samples_in_the_baseline_or_after_it_there_is_no_profile()
    {
        Survey("base");
        Assert.Equal(ErrorCodes.NothingToReport, Assert.Throws<APlusPException>(() => Profile(new BaselineTime(s_start.AddDays(-2), s_start.AddDays(-1)))).Code);
        Assert.Equal(ErrorCodes.NothingToReport, Assert.Throws<APlusPException>(() => Profile(new BaselineTime(s_start, s_start.AddDays(1)))).Code);
    }

    [Fact]
    public void Where_nothing_is_above_the_baseline_the_report_shows_nothing()
    {
        using (SurveyStore store = SurveyStore.OpenToAdd(Store, ApplicationRules.Standard, byAddress: true))
            for (int second = 0; second < 4; second++) store.Add(new SampleTime(s_start.AddSeconds(second), s_every), Tables.Count(Tables.Udp("192.168.2.9", 5000, "203.0.113.7", 53)), ApplicationRules.Standard);
        (int exit, _, string error) = Executable.Run(_directory, "survey", "report", "--store", Store, "--baseline", "1s", "--out", "r.html", "--png");
        Assert.True(exit == 0, error);
        Assert.Contains("The most of each at a sample: none.", File.ReadAllText(Path.Combine(_directory, "r.html")), StringComparison.Ordinal);
    }

    [Fact]
    public void Report_and_figures_have_it_where_a_baseline_is_given_and_only_there()
    {
        Survey("facebook");
        (int exit, _, string error) = Executable.Run(_directory, "survey", "report", "--store", Store, "--baseline", "19s", "--out", "r.html");
        Assert.True(exit == 0, error);
        XDocument page = XDocument.Load(Path.Combine(_directory, "r.html"));
        string[][] rows = [.. page.Descendants("table").Single(t => (string?)t.Attribute("id") == "table-profile").Descendants("tr").Select(row => row.Elements().Select(cell => cell.Value).ToArray())];
        Assert.Equal(["application", "baseline", "most", "mean", "at the end"], rows[0]);
        Assert.Equal(["dns", "1", "90"], rows[1][..3]);
        Assert.Contains(page.Descendants("figure"), figure => (string?)figure.Attribute("id") == "profile-over-time");

        string stats = Executable.Run(_directory, "survey", "stats", "--store", Store, "--json", "--baseline", $"{s_start.ToUnixTimeSeconds()}..{s_start.ToUnixTimeSeconds() + 19}").Output;
        JsonElement dns = JsonDocument.Parse(stats).RootElement.GetProperty("profile").GetProperty("dns");
        Assert.Equal((1, 90, 90), (dns.GetProperty("baseline").GetInt32(), dns.GetProperty("max").GetInt32(), dns.GetProperty("end").GetInt32()));
        Assert.DoesNotContain("profile", Executable.Run(_directory, "survey", "stats", "--store", Store, "--json").Output, StringComparison.Ordinal);
        Assert.Contains("AP7005: --baseline: it ends before it begins.", Executable.Run(_directory, "survey", "stats", "--store", Store, "--baseline", "20..10").Error, StringComparison.Ordinal);
    }
}
