using System.Globalization;
using System.Text.RegularExpressions;
using APlusP.Core.PortSets;
using APlusP.Lab;
using APlusP.Lab.Links;

namespace APlusP.LabTests;

public sealed class LinkLab() : LabFixture(LabPlan.Smaps("tlink", 1).WithLink("room1").WithLink("prr"));

/// <summary>The emulated links of a lab, measured with real programs.</summary>
[Collection(Alone.Name)]
public sealed partial class LinkTests(LinkLab lab) : IClassFixture<LinkLab>
{
    LabLinkHandle Room => lab.Lab.Link("room1");

    // Each test leaves a sound link to the next, and a SMAP that has not heard of a smaller path.
    void Test(Action body) => lab.Test(() =>
    {
        try
        {
            body();
        }
        finally
        {
            Room.Heal();
            lab.Lab.Link("prr").Heal();
            ForgetPathMtu();
        }
    });

    void ForgetPathMtu() => lab["smap1"].Do("ip", "-6", "route", "flush", "cache");

    double[] RoundTrips(int count, params string[] options) =>
        [.. RoundTripForm.Matches(lab["smap1"].Run([.. (string[])["ping", "-6", "-n", "-c", $"{count}", "-i", "0.01", "-W", "1"], .. options, PrrLeg]).Output)
            .Select(match => double.Parse(match.Groups["ms"].Value, CultureInfo.InvariantCulture))];

    const string PrrLeg = "2001:660:7301:d002::26";

    [GeneratedRegex(@"time=(?<ms>[0-9.]+) ms", RegexOptions.ExplicitCapture)]
    private static partial Regex RoundTripForm { get; }

    [Fact]
    public void A_delay_of_each_way_adds_up_and_is_added_to_what_the_path_takes_anyway() => Test(() =>
    {
        double[] before = RoundTrips(20);
        Room.Set(LinkWay.Down, delayMs: 30);
        Room.Set(LinkWay.Up, delayMs: 10);
        double[] delayed = RoundTrips(20);

        // No packet is early; a busy machine makes some late, so the best of them tells how exact the link is. The last one's answer is waited for twice as long as any took, and no longer.
        Assert.InRange(delayed.Length, 19, 20);
        Assert.True(delayed.Min() >= 40, $"{delayed.Min()} ms");
        Assert.InRange(delayed.Min() - before.Min(), 39, 45);
    });

    [Fact]
    public void Loss_takes_its_share_and_counts_it() => Test(() =>
    {
        // The neighbours know each other before: a lost solicitation costs seconds, and none of it is this test's matter.
        RoundTrips(1);
        LinkCounters before = Room.Set(LinkWay.Up, lossPercent: 50, seed: 7).Up.Counters;
        int arrived = RoundTrips(60).Length;
        LinkCounters after = Room.State().Up.Counters;
        long received = after.Received - before.Received, lost = after.Lost - before.Lost, carried = after.Carried - before.Carried;
        Assert.InRange(arrived, 15, 45);
        Assert.Equal(received, lost + carried);

        // Others use the link too: after a test that narrowed it, the PRR asks how large packets may be again, in echoes of two fragments.
        long others = received - 60;
        Assert.True(others >= 0, $"{received} packets of 60");
        Assert.InRange(lost, 60 - arrived - 1, 60 - arrived + others);
    });

    [Fact]
    public void A_smaller_mtu_is_told_to_the_sender_and_a_black_hole_tells_nothing() => Test(() =>
    {
        Room.Set(LinkWay.Up, mtu: 1300);
        string told = lab["smap1"].Run("ping", "-6", "-n", "-c", "2", "-i", "0.2", "-W", "2", "-M", "do", "-s", "1400", PrrLeg).Text;
        Assert.Contains("Packet too big: mtu=1300", told);
        Assert.Equal(0, Room.State().Up.Counters.TooBigSilent);

        // The way down still takes 1500: the MTU is of one way.
        string down = lab["core"].Do("ping", "-6", "-n", "-c", "1", "-W", "2", "-M", "do", "-s", "1252", LabTopology.WanOf(lab.Lab.Plan.Room(1)));
        Assert.Contains(" 0% packet loss", down);

        ForgetPathMtu();
        long silent = Room.Set(LinkWay.Up, blackHole: true).Up.Counters.TooBigSilent;
        string nothing = lab["smap1"].Run("ping", "-6", "-n", "-c", "2", "-i", "0.2", "-W", "1", "-M", "do", "-s", "1400", PrrLeg).Text;
        Assert.DoesNotContain("too big", nothing, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("100% packet loss", nothing);
        Assert.Equal(2, Room.State().Up.Counters.TooBigSilent - silent);
    });

    [Fact]
    public void Two_links_behind_each_other_carry_a_whole_page_through_delay_loss_reordering_and_a_rate() => Test(() =>
    {
        Room.Set(delayMs: 5, jitterMs: 2, lossPercent: 1, reorderPercent: 2, reorderMs: 3, duplicatePercent: 1, rateMbit: 50);
        lab.Lab.Link("prr").Set(delayMs: 5);
        string page = lab["h1"].Do("bash", "-o", "pipefail", "-ec",
            $"curl -sS --fail --max-time 20 http://{LabTopology.Www4Address}/picture.jpg | cmp - {Path.Combine(lab.Lab.Directory, "www4", "pages", "picture.jpg")} && echo same");
        Assert.Equal("same", page);
        LinkState state = Room.State();
        Assert.True(state.Down.Counters.Carried > 200);
        Assert.Equal(0, state.Down.Counters.SendFailures + state.Up.Counters.SendFailures);
    });

    [Fact]
    public void The_command_changes_a_link_and_refuses_what_cannot_be() => Test(() =>
    {
        string[] link = [LabFixture.Executable, "lab", "link"], named = ["room1", "--lab", lab.Lab.Plan.Name];
        Commands.Require([.. link, "set", .. named, "--way", "down", "--mtu", "1280", "--black-hole", "true", "--delay-ms", "2.5"]);
        LinkState state = Room.State();
        Assert.Equal((1280, true, 2.5), (state.Down.Settings.Mtu, state.Down.Settings.BlackHole, state.Down.Settings.DelayMs));
        Assert.Equal(new LinkSettings(), state.Up.Settings with { Seed = 1 });

        CommandResult refused = Commands.Run([.. link, "set", .. named, "--loss-percent", "120"]);
        Assert.Equal(1, refused.ExitCode);
        Assert.StartsWith("aplusp: AP5007: loss-percent", refused.Error);
        Assert.Contains("\"mtu\": 1280", Commands.Require([.. link, "show", .. named, "--json"]));
        Assert.Contains("path MTU 1500, emulated link room1 link runs (", Commands.Require(LabFixture.Executable, "lab", "status", lab.Lab.Plan.Name));
        Assert.StartsWith("aplusp: AP5005: ", Commands.Run([.. link, "show", "room9", "--lab", lab.Lab.Plan.Name]).Error);
    });

    [Fact]
    public void A_router_that_filters_packet_too_big_can_be_had_without_an_emulated_link() => Test(() =>
    {
        lab.Lab.SetMtu("core", "prr", 1280);
        string[] ping = ["ping", "-6", "-n", "-c", "2", "-i", "0.2", "-W", "1", "-M", "do", "-s", "1400", PrrLeg];
        try
        {
            lab.Lab.FilterPacketTooBig("core", true);
            Assert.DoesNotContain("too big", lab["smap1"].Run(ping).Text, StringComparison.OrdinalIgnoreCase);
            lab.Lab.FilterPacketTooBig("core", false);
            ForgetPathMtu();
            Assert.Contains("Packet too big: mtu=1280", lab["smap1"].Run(ping).Text);
        }
        finally
        {
            lab.Lab.FilterPacketTooBig("core", false);
            lab.Lab.SetMtu("core", "prr", 1500);
        }
    });

    [Theory]
    [InlineData("")]
    [InlineData("--udp")]
    [InlineData("--tcp", "-P", "80")]
    public void Mtr_sees_every_hop_from_the_home_by_every_protocol_and_the_delay_where_it_lies(params string[] protocol) => Test(() =>
    {
        const double delay = 60;
        Room.Set(LinkWay.Down, delayMs: delay);
        (string Hop, double Best)[] hops = Mtr("h1", LabTopology.Www4Address, protocol);
        Assert.Equal(["192.168.1.1", LabPlan.PrrAddress, "192.108.119.25", LabTopology.Www4Address], hops.Select(hop => hop.Hop));

        // The link lies between SMAP and PRR.
        Assert.True(hops[0].Best < delay, $"the SMAP answers within {hops[0].Best} ms");
        Assert.All(hops[1..], hop => Assert.True(hop.Best >= delay, $"{hop.Hop} answers within {hop.Best} ms"));
    });

    [Fact]
    public void Traceroute_and_mtr_see_every_hop_from_the_internet_to_a_port_of_the_home() => Test(() =>
    {
        // The host opens the port by calling out from it; it is in the room's set, and the NAT keeps it. Nobody listens there afterwards, so that
        // the host answers probes by "port unreachable".
        int port = PortSet.Parse(lab.Lab.Plan.Room(1).Ports).Ranges.First().First;
        lab["h1"].Do("sh", "-c", $"echo here | socat - UDP4-SENDTO:{LabTopology.Www4Address}:9,sourceport={port}");
        const double delay = 500;
        Room.Set(LinkWay.Up, delayMs: delay);

        string[] expected = ["203.0.113.1", LabPlan.PrrAddress, LabPlan.SharedAddress, LabPlan.SharedAddress];
        string traced = lab["www4"].Do("traceroute", "-n", "-U", "-p", $"{port}", "-q", "1", "-w", "3", "-m", "8", LabPlan.SharedAddress);
        (string Hop, double Best)[] hops = [.. TraceForm.Matches(traced).Select(Parse)];
        Assert.Equal(expected, hops.Select(hop => hop.Hop));

        // The third is the SMAP: its own errors come from the address that the world knows. The answers of the home took the link, the PRR's did not.
        Assert.True(hops[1].Best < delay, traced);
        Assert.All(hops[2..], hop => Assert.True(hop.Best >= delay, traced));

        // mtr ends at the first answer of its destination's address.
        Assert.Equal(expected[..3], Mtr("www4", LabPlan.SharedAddress, "--udp", "-P", $"{port}").Select(hop => hop.Hop));
    });

    [Fact]
    public void A_traceroute_from_the_internet_to_a_port_of_nobody_ends_at_the_prr() => Test(() =>
    {
        // The system ports are in no home's set.
        string traced = lab["www4"].Run("traceroute", "-n", "-U", "-p", "53", "-q", "1", "-w", "1", "-m", "4", LabPlan.SharedAddress).Text;
        string[] hops = [.. TraceForm.Matches(traced).Select(match => Parse(match).Hop)];
        Assert.Equal("203.0.113.1", hops[0]);
        Assert.All(hops[1..], hop => Assert.Equal(LabPlan.PrrAddress, hop));
        Assert.DoesNotContain(LabPlan.SharedAddress, hops);
    });

    (string Hop, double Best)[] Mtr(string host, string destination, params string[] options) =>
        [.. MtrForm.Matches(lab[host].Do([.. "mtr -n -r -c 3 -i 0.2 -G 1".Split(' '), .. options.Where(option => option.Length > 0), destination])).Select(Parse)];

    static (string Hop, double Best) Parse(Match match) => (match.Groups["hop"].Value, double.Parse(match.Groups["ms"].Value, CultureInfo.InvariantCulture));

    // "  2.|-- 192.108.119.26   0.0%     3    0.5   1.7   0.4   4.2   2.2": the best is the sixth number.
    [GeneratedRegex(@"^ *\d+\.\|-- (?<hop>\S+) +\S+% +\d+ +\S+ +\S+ +(?<ms>[0-9.]+)", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex MtrForm { get; }

    [GeneratedRegex(@"^ *\d+ +(?<hop>[0-9.]+) +(?<ms>[0-9.]+) ms", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex TraceForm { get; }
}
