using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>Fig. 22 where Linux itself is the SMAP of room 1: a peer that nobody of this project wrote.</summary>
public sealed class KernelPeerLab() : LabFixture(LabPlan.Fig22("tkernel").With(1, room => room with { Kind = SmapKind.Kernel }));

/// <summary>
/// The PRR against Linux's own IPv4-in-IPv6. There is no hairpinning here: without a NAPT Linux takes the shared address for its own
/// alone, and a packet that comes from it for a martian.
/// </summary>
public sealed class IndependentPeerTests(KernelPeerLab lab) : IClassFixture<KernelPeerLab>
{
    [Fact]
    public void Pages_are_fetched_through_linux_and_through_our_smap_at_once() => lab.Test(() =>
    {
        int before = lab.Lab.AccessLog("www4").Count;
        Task.WaitAll([.. ((string[])["smap1", "A"]).Select(host => Task.Run(() => lab[host].Do(
            "curl", "-sS", "--fail", "--max-time", "20", "-A", host, "--cacert", lab.Lab.Certificate, "-o", "/dev/null", "https://www4.example/film.mp4")))]);
        IReadOnlyList<AccessLogEntry> log = lab.Logged("www4", before, 2);
        Assert.All(log, entry => Assert.Equal(LabPlan.SharedAddress, entry.Address));
        Assert.InRange(Assert.Single(log, entry => entry.Agent == "smap1").Port, 10000, 11000);
        Assert.InRange(Assert.Single(log, entry => entry.Agent == "A").Port, 11001, 12000);
    });

    [Fact]
    public void Ping_goes_out_with_an_identifier_of_the_set_and_the_internet_pings_any_of_them() => lab.Test(() =>
    {
        lab["smap1"].Ping("-e", "10001", "-c", "3", "-i", "0.2", "-W", "2", LabTopology.Www4Address);
        lab["www4"].Ping("-e", "10777", "-c", "3", "-i", "0.2", "-W", "2", LabPlan.SharedAddress);
    });

    [Fact]
    public void A_port_outside_the_set_does_not_get_out() => lab.Test(() =>
    {
        lab.AwaitQuiet("prr");
        IReadOnlyDictionary<string, long> moved = lab.Moved("prr", () => Assert.False(lab["smap1"].Run(
            "curl", "-sS", "--connect-timeout", "1", "--local-port", "11500", $"http://{LabTopology.Www4Address}/").Succeeded));
        Assert.True(moved.GetValueOrDefault("from-smap-drop-source-port-not-bound") >= 1);
        Assert.DoesNotContain("from-smap-forwarded", moved.Keys);
    });
}
