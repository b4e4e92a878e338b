using System.Globalization;
using APlusP.Lab;
using APlusP.Linux.Bpf;

namespace APlusP.Bench;

/// <summary>What a row works with: namespaces and daemons of its own, which go with it, and how long it may take.</summary>
sealed class Workplace : IDisposable
{
    const string Prefix = "ap-bench-", FilesPrefix = "aplusp-bench-";

    readonly Dictionary<string, NetworkNamespace> _namespaces = new(StringComparer.Ordinal);
    readonly List<IDisposable> _held = [];
    readonly CancellationToken _interrupted;

    /// <param name="executable">The <c>aplusp</c> under test.</param>
    /// <param name="rounds">How often each figure is measured.</param>
    /// <param name="window">How long, each time.</param>
    /// <param name="interrupted">Ends the row at the next round.</param>
    public Workplace(string executable, int rounds, TimeSpan window, CancellationToken interrupted)
    {
        Executable = executable;
        Rounds = rounds;
        Window = window;
        _interrupted = interrupted;
        Files = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), FilesPrefix + Environment.ProcessId)).FullName;
    }

    public string Executable { get; }

    public int Rounds { get; }

    public TimeSpan Window { get; }

    /// <summary>A directory for configurations, sockets and logs.</summary>
    public string Files { get; }

    /// <summary>A host, made when it is first asked for.</summary>
    public NetworkNamespace Host(string name)
    {
        if (_namespaces.TryGetValue(name, out NetworkNamespace? there)) return there;
        NetworkNamespace made = NetworkNamespace.Create($"{Prefix}{Environment.ProcessId}-{name}");
        _namespaces.Add(name, made);
        made.Shell("echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding; echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter; echo 0 >/proc/sys/net/ipv4/conf/default/rp_filter");
        return made;
    }

    /// <summary>Disposes something with the row, last first, before the namespaces go.</summary>
    public T Hold<T>(T resource)
        where T : IDisposable
    {
        _held.Add(resource);
        return resource;
    }

    /// <summary>Does something in every round.</summary>
    public void EachRound(Action round)
    {
        for (int i = 0; i < Rounds; i++)
        {
            _interrupted.ThrowIfCancellationRequested();
            Console.Error.Write($"\r  round {i + 1} of {Rounds}");
            round();
        }

        Console.Error.WriteLine();
    }

    public void Dispose()
    {
        try
        {
            for (int i = _held.Count - 1; i >= 0; i--) _held[i].Dispose();
        }
        finally
        {
            NetworkNamespace.Delete([.. _namespaces.Values]);
            Remove(Files);
        }
    }

    /// <summary>Removes a row's directory, and in it what a daemon that could not detach itself has pinned.</summary>
    static void Remove(string files)
    {
        foreach (string pins in Directory.GetDirectories(files, "*.bpf")) BpfFileSystem.Unmount(pins);
        Directory.Delete(files, recursive: true);
    }

    /// <summary>Removes what benches have left that were killed before they could.</summary>
    public static void RemoveLeftovers()
    {
        NetworkNamespace.Delete([.. NetworkNamespace.FindAll(Prefix).Where(n => !IsAlive(n.Name[Prefix.Length..].Split('-')[0]))]);
        foreach (string files in Directory.GetDirectories(Path.GetTempPath(), FilesPrefix + "*").Where(d => !IsAlive(Path.GetFileName(d)[FilesPrefix.Length..]))) Remove(files);
    }

    static bool IsAlive(string process) => int.TryParse(process, CultureInfo.InvariantCulture, out int id) && Directory.Exists($"/proc/{id}");
}
