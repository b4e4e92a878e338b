using System.ComponentModel;
using System.Diagnostics;
using APlusP.Core;
using APlusP.Linux;
using APlusP.Node.Control;
using APlusP.Node.Daemons;

namespace APlusP.Node.Services;

/// <summary>What is to run.</summary>
/// <param name="Name">What people call it.</param>
/// <param name="Package">The Debian package that brings it.</param>
/// <param name="PidFile">Where it is written down who it is, so that the next daemon finds one that this one could not end.</param>
/// <param name="Command">The program and its arguments; it stays in the foreground.</param>
sealed record ProgramPlan(string Name, string Package, string PidFile, IReadOnlyList<string> Command);

/// <summary>
/// A program that does some of a daemon's work in a process of its own: started again when it ends, ended with the daemon. One that a killed daemon has left behind is ended before the
/// first start, and known by its number and the moment it started, so that nobody else's process is ever touched. What it says goes to the daemon's log.
/// </summary>
sealed class SupervisedProgram : IDisposable
{
    /// <summary>How long it stays away: after the first end, and after many in a row. The most, and what a start takes, is below 5 s, in which whatever dies is back.</summary>
    static readonly TimeSpan s_first = TimeSpan.FromMilliseconds(100), s_most = TimeSpan.FromSeconds(3);

    /// <summary>One that has run for so long is sound, and begins anew with the shortest wait.</summary>
    static readonly TimeSpan s_settled = TimeSpan.FromSeconds(30);

    static readonly TimeSpan s_grace = TimeSpan.FromSeconds(2), s_look = TimeSpan.FromMilliseconds(500);

    const int LongestLine = 500;

    readonly ProgramPlan _plan;
    readonly DaemonLog _log;
    readonly Thread _keeper;
    readonly Lock _changing = new();
    readonly AutoResetEvent _wake = new(false);
    ProcessIdentity? _running;
    string? _lastLine, _fault;
    DateTimeOffset _since = TimeProvider.System.GetUtcNow();
    int _restarts;
    bool _again;
    volatile bool _stopping;

    public SupervisedProgram(ProgramPlan plan, DaemonLog log)
    {
        _plan = plan;
        _log = log;
        EndLeftover();

        // A thread of its own: the program is born into the network namespace of whoever starts it, and this one has that of the daemon.
        _keeper = new Thread(Keep) { IsBackground = true, Name = plan.Name };
        _keeper.Start();
    }

    public ServiceStatus Status
    {
        get
        {
            lock (_changing) return new ServiceStatus(_plan.Name, _running is null ? "down" : "running", _since, _restarts, _fault) { ProcessId = _running?.Id };
        }
    }

    /// <summary>Starts it anew at once, because what it reads at its start has changed.</summary>
    public void Restart()
    {
        lock (_changing)
        {
            _again = true;
            _running?.Signal(Signals.Terminate);
        }

        _wake.Set();
    }

    /// <summary>What a daemon that was killed has left.</summary>
    void EndLeftover()
    {
        if (!File.Exists(_plan.PidFile)) return;
        if (ProcessIdentity.Parse(File.ReadAllText(_plan.PidFile)) is { IsRunning: true } left)
        {
            _log.ProgramLeft(_plan.Name, left.Id);
            End(left);
        }

        File.Delete(_plan.PidFile);
    }

    static void End(ProcessIdentity process)
    {
        process.Signal(Signals.Terminate);
        if (!SpinWait.SpinUntil(() => !process.IsRunning, s_grace)) process.Signal(Signals.Kill);
        SpinWait.SpinUntil(() => !process.IsRunning, s_grace);
    }

    void Keep()
    {
        TimeSpan wait = s_first;
        while (!_stopping)
        {
            long began = Stopwatch.GetTimestamp();
            string fault;
            try
            {
                fault = Run();
            }
            catch (Exception error) when (error is Win32Exception or IOException or UnauthorizedAccessException)
            {
                fault = $"{ErrorCodes.ProgramNotRun}: cannot run {_plan.Command[0]}: {error.Message}";
            }

            lock (_changing)
            {
                _running = null;
                _since = TimeProvider.System.GetUtcNow();
                if (_stopping) return;
                if (_again)
                {
                    wait = s_first;
                    continue;
                }

                _fault = fault;
                _restarts++;
            }

            if (Stopwatch.GetElapsedTime(began) > s_settled) wait = s_first;
            _log.ProgramEnded(_plan.Name, fault, wait.TotalSeconds);
            _wake.WaitOne(wait);
            wait = wait + wait < s_most ? wait + wait : s_most;
        }
    }

    /// <summary>Runs it until it ends; gives why it did.</summary>
    string Run()
    {
        lock (_changing) _again = false;
        string program = Executables.Find(_plan.Command[0])
            ?? throw new IOException($"it is not installed. On Debian: apt-get install {_plan.Package}.");
        var start = new ProcessStartInfo(program, _plan.Command.Skip(1)) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task hears = Task.WhenAll(Hear(process.StandardOutput), Hear(process.StandardError));
        lock (_changing)
        {
            _running = ProcessIdentity.Of(process.Id);
            _since = TimeProvider.System.GetUtcNow();
            _lastLine = null;
            if (_stopping || _again) _running?.Signal(Signals.Terminate);
        }

        if (_running is { } known) File.WriteAllText(_plan.PidFile, $"{known}\n");

        // Without a limit it would wait as well until everybody who has inherited its outputs has closed them.
        while (!process.WaitForExit(s_look))
        {
        }

        hears.Wait(s_look);
        return $"it ended with {process.ExitCode}" + (_lastLine is null ? "" : $", having said: {_lastLine}");
    }

    async Task Hear(StreamReader output)
    {
        while (await output.ReadLineAsync() is { } line)
        {
            if (line.Length > LongestLine) line = line[..LongestLine];
            _lastLine = line;
            _log.ProgramSays(_plan.Name, line);
        }
    }

    public void Dispose()
    {
        ProcessIdentity? running;
        lock (_changing)
        {
            _stopping = true;
            running = _running;
        }

        _wake.Set();
        if (running is { } process) End(process);
        bool ended = _keeper.Join(s_grace);

        // A keeper that is later than that, on a machine that is busy enough, still uses what is its own. Where it may leave a program behind, the next daemon finds that by the file.
        if (ended || running is { IsRunning: false }) File.Delete(_plan.PidFile);
        if (ended) _wake.Dispose();
    }
}
