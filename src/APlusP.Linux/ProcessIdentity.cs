using System.Globalization;

namespace APlusP.Linux;

/// <summary>A process by its number and the moment that it started, so that a number that was given to another one meanwhile is never taken for it.</summary>
/// <param name="Id">Process id.</param>
/// <param name="StartedAt">Clock ticks after boot, field 22 of proc_pid_stat(5).</param>
public readonly record struct ProcessIdentity(int Id, long StartedAt)
{
    /// <summary>The process that has this number now; null where there is none.</summary>
    public static ProcessIdentity? Of(int id) => StartTime(id) is { } startedAt ? new ProcessIdentity(id, startedAt) : null;

    public bool IsRunning => StartTime(Id) == StartedAt;

    /// <summary>Sends a signal, where it still runs.</summary>
    public bool Signal(int signal) => IsRunning && Signals.Send(Id, signal);

    /// <summary>What <see cref="ToString"/> gives; null for anything else.</summary>
    public static ProcessIdentity? Parse(string text) =>
        text.Trim().Split(' ') is [var id, var startedAt] && int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            && long.TryParse(startedAt, NumberStyles.None, CultureInfo.InvariantCulture, out long moment) ? new ProcessIdentity(number, moment) : null;

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Id} {StartedAt}");

    /// <summary>When a process started, or null where there is none or only its zombie: its other threads, who may hold files and sockets yet, have ended too.</summary>
    public static long? StartTime(int id)
    {
        try
        {
            // "pid (name) S ppid ...": the name may hold spaces and parentheses, so fields are counted after the last one.
            string stat = File.ReadAllText($"/proc/{id}/stat");
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            bool isLastThread = int.Parse(fields[17], CultureInfo.InvariantCulture) <= 1;
            return fields[0] is "X" || (fields[0] is "Z" && isLastThread) ? null : long.Parse(fields[19], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return null;
        }
    }
}
