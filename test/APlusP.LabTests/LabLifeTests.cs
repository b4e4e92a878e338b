using System.Text.Json;
using APlusP.Core;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary>The verb <c>aplusp lab</c> as people use it.</summary>
public sealed class LabLifeTests : IDisposable
{
    static readonly string Name = LabFixture.NameHere("tlife");

    public LabLifeTests() => RunningLab.Down(Name);

    public void Dispose() => RunningLab.Down(Name);

    [Fact]
    public async Task A_lab_is_built_shown_used_captured_and_removed_by_separate_commands()
    {
        Aplusp("lab", "up", Name);
        string drawing = Aplusp("lab", "status", Name);
        Assert.All((string[])["smap1", "192.108.119.27", "10000-11000", "nginx runs", "aplusp runs"], part => Assert.Contains(part, drawing));
        using JsonDocument json = JsonDocument.Parse(Aplusp("lab", "status", Name, "--json"));
        Assert.All(json.RootElement[0].GetProperty("processes").EnumerateArray(), process => Assert.True(process.GetProperty("running").GetBoolean()));

        string captures = Directory.CreateTempSubdirectory("aplusp-capture-").FullName;
        try
        {
            Task<string> capture = Task.Run(() => Aplusp("lab", "capture", "--lab", Name, captures, "--seconds", "3"));
            Assert.True(Wait.Until(() => Directory.EnumerateFiles(captures).Count() >= 26, TimeSpan.FromSeconds(10)));
            do Assert.Equal("", Aplusp("lab", "exec", "--lab", Name, "B", "curl", "-sS", "--retry", "3", "--max-time", "5", "-o", "/dev/null", "http://www4.example/"));
            while (!capture.IsCompleted);
            await capture;
            Assert.Contains(": IP 192.108.119.27.", Commands.Require("tcpdump", "-nr", Path.Combine(captures, "core-smap1.pcap")));
            Assert.Contains("IP 192.168.1.142.", Commands.Require("tcpdump", "-nr", Path.Combine(captures, "B-eth0.pcap")));
        }
        finally
        {
            Directory.Delete(captures, recursive: true);
        }

        Assert.Contains("removed", Aplusp("lab", "down", Name));
        Assert.Contains("nothing to do", Aplusp("lab", "down", Name));
        Assert.Empty(NetworkNamespace.FindAll($"ap-{Name}-"));
    }

    [Fact]
    public void A_command_in_a_lab_hands_its_exit_code_on()
    {
        Aplusp("lab", "up", Name, "--smaps", "1");
        Assert.Equal(7, Commands.Run(LabFixture.Executable, "lab", "exec", "--lab", Name, "h1", "sh", "-c", "exit 7").ExitCode);
    }

    [Fact]
    public void A_lab_that_crashed_is_removed_with_all_that_lives_in_it()
    {
        RunningLab lab = RunningLab.Up(LabPlan.Fig22(Name), LabFixture.Executable);
        LabProcess[] processes = [.. lab.State.Processes, lab.Host("A").Start("stray", Path.Combine(lab.Directory, "stray.log"), "sleep", "100")];
        lab.Process("prr", "aplusp")!.Signal(Signals.Kill);
        File.Delete(Path.Combine(lab.Directory, "lab.json"));
        lab.Host("dns").Run("ip", "link", "del", "eth0");

        Assert.True(RunningLab.Down(Name));
        Assert.Empty(NetworkNamespace.FindAll($"ap-{Name}-"));
        Assert.DoesNotContain(Name, RunningLab.Names());
        Assert.All(processes, process => Assert.False(process.IsRunning, process.Name));
        Assert.DoesNotContain(Directory.Exists("/etc/netns") ? Directory.EnumerateDirectories("/etc/netns") : [], path => path.Contains($"ap-{Name}-"));
    }

    [Fact]
    public void A_second_lab_of_the_same_name_is_refused_and_the_first_lives_on()
    {
        RunningLab lab = RunningLab.Up(LabPlan.Smaps(Name, 1), LabFixture.Executable);
        Assert.Equal(ErrorCodes.LabExists, Assert.Throws<APlusPException>(() => RunningLab.Up(LabPlan.Fig22(Name), LabFixture.Executable)).Code);
        Assert.All(lab.State.Processes, process => Assert.True(process.IsRunning, process.Name));
    }

    [Fact]
    public void A_lab_that_cannot_come_up_leaves_nothing_and_says_what_failed()
    {
        APlusPException error = Assert.Throws<APlusPException>(() => RunningLab.Up(LabPlan.Smaps(Name, 1), "/bin/false"));
        Assert.Equal(ErrorCodes.LabProcessEnded, error.Code);
        Assert.Empty(NetworkNamespace.FindAll($"ap-{Name}-"));
        Assert.DoesNotContain(Name, RunningLab.Names());
    }

    [Theory]
    [InlineData("../etc")]
    [InlineData("a-b")]
    [InlineData("")]
    public void A_name_that_is_not_one_touches_nothing(string name) =>
        Assert.Equal(ErrorCodes.LabNotFound, Assert.Throws<APlusPException>(() => RunningLab.Down(name)).Code);

    static string Aplusp(params string[] arguments)
    {
        CommandResult result = Commands.Run([LabFixture.Executable, .. arguments]);
        Assert.True(result.Succeeded, $"aplusp {string.Join(' ', arguments)} ended with {result.ExitCode}: {result.Text}");
        return result.Output;
    }
}
