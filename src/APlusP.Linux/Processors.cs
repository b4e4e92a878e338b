using System.Runtime.InteropServices;

namespace APlusP.Linux;

/// <summary>Which processors a thread may run on, sched_setaffinity(2).</summary>
public static unsafe partial class Processors
{
    /// <summary>Keeps the calling thread on one of the first 64 processors.</summary>
    /// <exception cref="System.ComponentModel.Win32Exception">There is no such processor for us.</exception>
    public static void Pin(int processor)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)processor, 64u, nameof(processor));
        ulong mask = 1ul << processor;
        if (SetAffinity(0, sizeof(ulong), &mask) != 0) throw new System.ComponentModel.Win32Exception(Marshal.GetLastPInvokeError());
    }

    // int sched_setaffinity(pid_t pid, size_t cpusetsize, const cpu_set_t *mask);
    [LibraryImport("libc", EntryPoint = "sched_setaffinity", SetLastError = true)]
    private static partial int SetAffinity(int pid, nuint size, ulong* mask);
}
