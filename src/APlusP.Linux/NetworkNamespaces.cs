using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using APlusP.Core;
using Microsoft.Win32.SafeHandles;

namespace APlusP.Linux;

/// <summary>Runs code inside named network namespaces, those of <c>ip netns</c>.</summary>
public static partial class NetworkNamespaces
{
    /// <summary>Where iproute2 keeps the names, ip-netns(8).</summary>
    public const string Directory = "/run/netns";

    const int CloneNewNet = 0x40000000;

    /// <summary>
    /// Runs <paramref name="work"/> on a thread of its own that has moved into the namespace. A socket stays in the namespace in which it was
    /// created, so one that <paramref name="work"/> returns may be used from any thread. CAP_SYS_ADMIN.
    /// </summary>
    /// <exception cref="APlusPException">The namespace cannot be entered (AP2101). What <paramref name="work"/> throws comes through as it is.</exception>
    public static T Run<T>(string name, Func<T> work)
    {
        T result = default!;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                Enter(name);
                result = work();
            }
            catch (Exception error)
            {
                failure = ExceptionDispatchInfo.Capture(error);
            }
        })
        {
            Name = $"netns {name}",
            IsBackground = true,
        };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result;
    }

    /// <inheritdoc cref="Run{T}"/>
    public static void Run(string name, Action work) => Run(name, () =>
    {
        work();
        return true;
    });

    static void Enter(string name)
    {
        string path = Path.Combine(Directory, name);
        SafeFileHandle handle;
        try
        {
            handle = File.OpenHandle(path);
        }
        catch (IOException error)
        {
            throw new APlusPException(ErrorCodes.NamespaceNotEntered, $"cannot open the network namespace '{name}' at {path}: {error.Message}. `ip netns list` shows those that exist.", error);
        }

        using (handle)
        {
            if (SetNs((int)handle.DangerousGetHandle(), CloneNewNet) == 0) return;
            string reason = Marshal.GetLastPInvokeErrorMessage();
            throw new APlusPException(ErrorCodes.NamespaceNotEntered, $"cannot enter the network namespace '{name}' (setns on {path}): {reason}. Run as root; it takes CAP_SYS_ADMIN.");
        }
    }

    // int setns(int fd, int nstype);
    [LibraryImport("libc", EntryPoint = "setns", SetLastError = true)]
    private static partial int SetNs(int fd, int nstype);
}
