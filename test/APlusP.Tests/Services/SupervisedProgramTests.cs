using System.Diagnostics;
using APlusP.Core;
using APlusP.Linux;
using APlusP.Node.Daemons;
using APlusP.Node.Services;
using Microsoft.Extensions.Logging;

namespace APlusP.Tests.Services;

public sealed class SupervisedProgramTests : IDisposable
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-program-").FullName;
    readonly Lines _lines = new();

    string PidFile => Path.Combine(_directory, "program.pid");

    SupervisedProgram Start(params string[] command) => new(new ProgramPlan("helper", "helper-package", PidFile, command), new DaemonLog(_lines));

    static int RunningId(SupervisedProgram program)
    {
        Assert.True(SpinWait.SpinUntil(() => program.Status.ProcessId is not null, s_patience));
        return program.Status.ProcessId!.Value;
    }

    [Fact]
    public void A_program_that_is_killed_is_started_again_after_a_tenth_of_a_second()
    {
        using SupervisedProgram program = Start("sleep", "600");
        int first = RunningId(program);
        Signals.Send(first, Signals.Kill);
        _lines.WaitFor("It is started again in 0.1 s");
        Assert.True(SpinWait.SpinUntil(() => program.Status.ProcessId is { } now && now != first, s_patience));
        Assert.Equal(("running", 1), (program.Status.State, program.Status.Restarts));
        Assert.Contains("137", program.Status.LastFault);
    }

    [Fact]
    public void It_ends_with_the_daemon_and_leaves_no_file()
    {
        SupervisedProgram program = Start("sleep", "600");
        ProcessIdentity process = ProcessIdentity.Of(RunningId(program))!.Value;
        Assert.True(SpinWait.SpinUntil(() => File.Exists(PidFile), s_patience));
        program.Dispose();
        Assert.False(process.IsRunning);
        Assert.False(File.Exists(PidFile));
    }

    [Fact]
    public void Who_watches_it_may_come_to_an_end_after_the_daemon_did()
    {
        using var held = new ManualResetEventSlim();
        Thread? keeper = null;
        _lines.Heard = line =>
        {
            if (!line.Contains("is down", StringComparison.Ordinal)) return;
            Volatile.Write(ref keeper, Thread.CurrentThread);
            held.Wait();
        };
        SupervisedProgram program = Start("true");
        Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref keeper) is not null, s_patience));
        program.Dispose();
        held.Set();
        Assert.True(keeper!.Join(s_patience));
    }

    [Fact]
    public void One_that_does_not_hear_is_killed()
    {
        SupervisedProgram program = Start("sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done");
        ProcessIdentity process = ProcessIdentity.Of(RunningId(program))!.Value;
        _lines.WaitFor("helper: deaf");
        program.Dispose();
        Assert.False(process.IsRunning);
    }

    [Fact]
    public void What_a_killed_daemon_left_is_ended()
    {
        using Process left = Process.Start("sleep", "600");
        File.WriteAllText(PidFile, $"{ProcessIdentity.Of(left.Id)}\n");
        using SupervisedProgram program = Start("sleep", "600");
        Assert.True(left.WaitForExit(s_patience));
        _lines.WaitFor("left behind");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(null)]
    public void A_stranger_that_has_the_number_now_is_not_touched(int? earlier)
    {
        using Process stranger = Process.Start("sleep", "600");
        ProcessIdentity known = ProcessIdentity.Of(stranger.Id)!.Value;
        File.WriteAllText(PidFile, earlier is { } ticks ? $"{known with { StartedAt = known.StartedAt - ticks }}\n" : $"{stranger.Id}\n");
        using SupervisedProgram program = Start("sleep", "600");
        RunningId(program);
        Assert.True(known.IsRunning);
        stranger.Kill();
    }

    [Fact]
    public void What_it_says_is_in_the_log_and_why_it_ended_in_the_status()
    {
        using SupervisedProgram program = Start("sh", "-c", "echo hello; echo no such port >&2; exit 3");
        _lines.WaitFor("helper: hello");
        _lines.WaitFor("helper is down: it ended with 3");
        Assert.True(SpinWait.SpinUntil(() => program.Status.LastFault?.Contains("ended with 3", StringComparison.Ordinal) == true, s_patience));
    }

    [Fact]
    public void One_that_is_not_installed_is_told_with_its_package()
    {
        using SupervisedProgram program = Start("no-such-program-anywhere");
        Assert.True(SpinWait.SpinUntil(() => program.Status.LastFault is not null, s_patience));
        Assert.Contains(ErrorCodes.ProgramNotRun, program.Status.LastFault);
        Assert.Contains("apt-get install helper-package", program.Status.LastFault);
        Assert.Equal("down", program.Status.State);
    }

    [Fact]
    public void A_wanted_restart_is_no_fault()
    {
        using SupervisedProgram program = Start("sleep", "600");
        int first = RunningId(program);
        program.Restart();
        Assert.True(SpinWait.SpinUntil(() => program.Status.ProcessId is { } now && now != first, s_patience));
        Assert.Equal((0, null), (program.Status.Restarts, program.Status.LastFault));
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    sealed class Lines : ILogger
    {
        readonly List<string> _lines = [];

        /// <summary>Told of each line, by whoever says it.</summary>
        public Action<string>? Heard { get; set; }

        public void WaitFor(string text) => Assert.True(SpinWait.SpinUntil(() => Has(text), s_patience), text);

        bool Has(string text)
        {
            lock (_lines) return _lines.Any(l => l.Contains(text, StringComparison.Ordinal));
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            string line = formatter(state, exception);
            lock (_lines) _lines.Add(line);
            Heard?.Invoke(line);
        }
    }
}
