using APlusP.Lab;
using APlusP.Node.Control;

namespace APlusP.LabTests;

/// <summary>Both rooms are Linux itself, so that nothing but the PRR is between them and the Internet.</summary>
public sealed class ReloadLab() : LabFixture(LabPlan.Fig22("treload")
    .With(1, room => room with { Kind = SmapKind.Kernel }).With(2, room => room with { Kind = SmapKind.Kernel }));

/// <summary>A PRR that is reloaded all the time.</summary>
public sealed class ReloadTests(ReloadLab lab) : IClassFixture<ReloadLab>
{
    const int Reloads = 1000;

    [Fact]
    public async Task A_thousand_reloads_that_change_other_bindings_lose_no_packet_of_this_one()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string path = lab.Lab.ConfigurationPath("prr"), socket = lab.Lab.ControlSocket("prr"), configured = File.ReadAllText(path);

        // As many packets as take about as long as the reloads; both end by themselves.
        Task<CommandResult> ping = Task.Run(() => lab["smap1"].Run(
            ["ping", "-e", "10001", "-i", "0.002", "-c", "10000", "-q", "-W", "2", LabTopology.Www4Address], timeout: TimeSpan.FromSeconds(90)), cancel);
        Task<CommandResult> transfer = Task.Run(() => lab["smap2"].Run(
            ["sh", "-ec", $"for i in $(seq 20); do curl -sS --fail --max-time 30 --limit-rate 1M -o /dev/null http://{LabTopology.Www4Address}/film.mp4; done"], timeout: TimeSpan.FromSeconds(120)), cancel);
        IReadOnlyDictionary<string, long> before = lab.Lab.Counters("prr");
        try
        {
            for (int i = 0; i < Reloads; i++)
            {
                // Two others of the same address that swap their ports, a third that comes and goes.
                string first = i % 2 == 0 ? "20000-20999" : "21000-21999", second = i % 2 == 0 ? "21000-21999" : "20000-20999";
                string third = i % 3 == 0 ? Binding("22000-22999", "2001:660:7301:4666::9") : "";
                File.WriteAllText(path, configured + Binding(first, "2001:660:7301:4666::7") + Binding(second, "2001:660:7301:4666::8") + third);
                ControlClient.Ask(socket, "reload");
            }
        }
        finally
        {
            File.WriteAllText(path, configured);
            ControlClient.Ask(socket, "reload");
        }

        CommandResult pinged = await ping, fetched = await transfer;
        Assert.True(fetched.Succeeded, fetched.Text);
        IReadOnlyDictionary<string, long> after = lab.Lab.Counters("prr");
        string moved = string.Join(", ", after.Where(c => c.Value != before.GetValueOrDefault(c.Key)).Select(c => $"{c.Key} +{c.Value - before.GetValueOrDefault(c.Key)}"));
        Assert.True(pinged.Output.Contains(" 10000 received, 0% packet loss", StringComparison.Ordinal), $"{pinged.Text}\n{moved}");
        Assert.DoesNotContain("-drop-", moved);
    }

    static string Binding(string ports, string softwire) => $"""

        [[binding]]
        address = "{LabPlan.SharedAddress}"
        ports = "{ports}"
        softwire = "{softwire}"

        """;
}
