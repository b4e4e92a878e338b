using System.Diagnostics;
using APlusP.Core;
using APlusP.Linux;

namespace APlusP.Lab;

/// <summary>
/// A program that goes on running in a namespace: a daemon under test, a server, a capture. It is known by its process id and the
/// moment it started, so that a number that was given to another process meanwhile is never signalled.
/// </summary>
/// <param name="Name">What it is called in messages and in the state of a lab.</param>
/// <param name="Namespace">Where it lives.</param>
/// <param name="Id">Process id.</param>
/// <param name="StartedAt">Clock ticks after boot, field 22 of proc_pid_stat(5).</param>
/// <param name="Log">The file that holds its standard output and error.</param>
public sealed record LabProcess(string Name, string Namespace, int Id, long StartedAt, string Log)
{
    /// <summary>Starts a program in a namespace, in a session of its own: it outlives us and hears nothing of our terminal's Ctrl-C.</summary>
    /// <param name="at">Where.</param>
    /// <param name="name">What it is called.</param>
    /// <param name="log">The file for its outputs.</param>
    /// <param name="command">The program and its arguments.</param>
    /// <param name="leavesMounts">Whether it sees the mounts of this machine and leaves its own behind, unlike in <c>ip netns exec</c>, which gives it a copy.</param>
    /// <exception cref="APlusPException">The program is not there (AP5001).</exception>
    public static LabProcess Start(NetworkNamespace at, string name, string log, IReadOnlyList<string> command, bool leavesMounts = false)
    {
        if (Programs.Find(command[0]) is null)
            throw new APlusPException(ErrorCodes.LabProgramMissing, $"cannot run '{command[0]}' in '{at.Name}': there is no such program. {Programs.Advice(command[0])}");
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(log))!);

        // Every step execs the next, so the id that we see is the program's own. Signals that our own parent had us ignore (nohup, a job in the
        // background) are not ignored there.
        var start = new ProcessStartInfo("/bin/sh");
        foreach (string argument in (string[])["-c", "log=$1; shift; exec env --default-signal=HUP,INT,QUIT setsid \"$@\" </dev/null >>\"$log\" 2>&1", "sh", log, .. at.Entering(leavesMounts), .. command])
            start.ArgumentList.Add(argument);
        using Process process = Commands.Start(start);
        return new LabProcess(name, at.Name, process.Id, ProcessIdentity.StartTime(process.Id) ?? 0, log);
    }

    public bool IsRunning => new ProcessIdentity(Id, StartedAt).IsRunning;

    /// <summary>What it has printed so far.</summary>
    public string ReadLog() => File.Exists(Log) ? File.ReadAllText(Log) : "";

    /// <summary>Sends a signal, where it still runs.</summary>
    public bool Signal(int signal) => IsRunning && Signals.Send(Id, signal);

    /// <summary>Asks it to end by SIGTERM, and after <paramref name="grace"/> (10 s by default) kills it. Gives whether it went by itself.</summary>
    public bool Stop(TimeSpan? grace = null)
    {
        Signal(Signals.Terminate);
        if (WaitForExit(grace ?? TimeSpan.FromSeconds(10))) return true;
        Signal(Signals.Kill);
        WaitForExit(TimeSpan.FromSeconds(2));
        return false;
    }

    public bool WaitForExit(TimeSpan timeout) => Wait.Until(() => !IsRunning, timeout);

    /// <summary>Waits until <paramref name="ready"/> says so.</summary>
    /// <exception cref="APlusPException">It ended, or the time is over (AP5006); the end of its log is in the message.</exception>
    public void WaitUntil(Func<bool> ready, TimeSpan timeout, string what)
    {
        bool good = false;
        Wait.Until(() => (good = ready()) || !IsRunning, timeout);
        if (good) return;
        string state = IsRunning ? $"did not {what} within {timeout.TotalSeconds} s" : $"ended before it could {what}";
        string log = ReadLog();
        throw new APlusPException(ErrorCodes.LabProcessEnded,
            $"{Name} in '{Namespace}' {state}. Its log ({Log}) ends:\n{(log.Length > 2000 ? log[^2000..] : log).TrimEnd()}");
    }

    /// <summary>Ends processes by their ids: SIGTERM to all, then SIGKILL to those that are left after <paramref name="grace"/>.</summary>
    internal static void EndAll(IReadOnlyList<int> processes, TimeSpan grace)
    {
        ProcessIdentity[] started = [.. processes.Select(ProcessIdentity.Of).OfType<ProcessIdentity>()];
        foreach (ProcessIdentity process in started) process.Signal(Signals.Terminate);
        bool AllGone() => started.All(p => !p.IsRunning);
        if (Wait.Until(AllGone, grace)) return;
        foreach (ProcessIdentity process in started) process.Signal(Signals.Kill);
        Wait.Until(AllGone, TimeSpan.FromSeconds(2));
    }
}

/// <summary>Waiting for things to become so.</summary>
public static class Wait
{
    /// <summary>Asks every 20 ms until the answer is yes or the time is over; gives the last answer.</summary>
    public static bool Until(Func<bool> condition, TimeSpan timeout)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(start) > timeout) return condition();
            Thread.Sleep(20);
        }

        return true;
    }
}
