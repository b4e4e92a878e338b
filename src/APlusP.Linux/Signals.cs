using System.Runtime.InteropServices;

namespace APlusP.Linux;

/// <summary>Signals to processes by their id.</summary>
public static partial class Signals
{
    public const int Hangup = 1;
    public const int Interrupt = 2;
    public const int Kill = 9;
    public const int Terminate = 15;

    /// <summary>Sends a signal to one process; false where it is gone already or is not ours to signal.</summary>
    public static bool Send(int processId, int signal) => processId > 0 && KillProcess(processId, signal) == 0;

    // int kill(pid_t pid, int sig);
    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int KillProcess(int pid, int signal);
}
