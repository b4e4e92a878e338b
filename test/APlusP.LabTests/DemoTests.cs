using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary><c>aplusp demo</c>.</summary>
[Collection(Alone.Name)]
public sealed class DemoTests : IDisposable
{
    public void Dispose() => RunningLab.Down("demo");

    [Fact]
    public void The_demo_shows_four_hosts_behind_one_address_and_a_refused_lie_then_cleans_up()
    {
        CommandResult demo = Commands.Run([LabFixture.Executable, "demo"], timeout: TimeSpan.FromSeconds(60));
        Assert.True(demo.Succeeded, demo.Text);
        Assert.All((string[])["192.108.119.27", "10000-11000", "11001-12000", "48 pages arrived whole", "0 before, 1 after", "nothing arrived"], part => Assert.Contains(part, demo.Output));
        Assert.DoesNotContain("WRONG", demo.Output);
        Assert.Empty(NetworkNamespace.FindAll("ap-demo-"));
    }

    [Fact]
    public void The_demo_of_homes_that_nobody_configured_shows_growth_a_revocation_and_who_it_was_then_cleans_up()
    {
        CommandResult demo = Commands.Run([LabFixture.Executable, "demo", "zero-touch"], timeout: TimeSpan.FromMinutes(5));
        Assert.True(demo.Succeeded, demo.Text);
        Assert.All((string[])["192.0.2.0", "160 connections", "revoked: forwards nothing", "aplusp who 192.0.2.0:"], part => Assert.Contains(part, demo.Output));
        Assert.DoesNotContain("WRONG", demo.Output);
        Assert.Empty(NetworkNamespace.FindAll("ap-zero-touch-"));
    }

    [Fact]
    public void The_demo_of_a_survey_counts_what_is_played_and_leaves_a_report_and_a_plan_then_cleans_up()
    {
        string directory = Directory.CreateTempSubdirectory("aplusp-").FullName;
        try
        {
            CommandResult demo = Commands.Run([LabFixture.Executable, "demo", "survey", "--out", directory], timeout: TimeSpan.FromMinutes(3));
            Assert.True(demo.Succeeded, demo.Text);
            Assert.DoesNotContain("WRONG", demo.Output);
            Assert.All((string[])["report.html", "plan.json", "registry.toml", "survey.db", "applications-over-time.png", "profile-over-time.png"], file => Assert.True(new FileInfo(Path.Combine(directory, file)).Length > 200, file));
            Assert.Empty(NetworkNamespace.FindAll("ap-demosurvey-"));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public async Task The_demo_interrupted_leaves_nothing()
    {
        using var demo = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("env", ["--default-signal=INT", LabFixture.Executable, "demo"])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task<string> output = demo.StandardOutput.ReadToEndAsync(), error = demo.StandardError.ReadToEndAsync();
        Assert.True(Wait.Until(() => NetworkNamespace.FindAll("ap-demo-").Count > 5, TimeSpan.FromSeconds(20)));
        Signals.Send(demo.Id, Signals.Interrupt);
        Assert.True(demo.WaitForExit(TimeSpan.FromSeconds(30)), "the demo did not end");
        await Task.WhenAll(output, error);
        Assert.Equal(130, demo.ExitCode);
        Assert.Empty(NetworkNamespace.FindAll("ap-demo-"));
    }
}
