using System.Diagnostics;
using APlusP.Core;
using APlusP.Linux;

namespace APlusP.Lab;

/// <summary>One host of a lab: a named network namespace (ip-netns(8)), and what runs in it.</summary>
public sealed class NetworkNamespace
{
    NetworkNamespace(string name) => Name = name;

    /// <summary>The name that <c>ip netns</c> shows.</summary>
    public string Name { get; }

    /// <summary>Makes a namespace, with its loopback up. Root.</summary>
    /// <exception cref="APlusPException">AP5002, with the kernel's words.</exception>
    public static NetworkNamespace Create(string name)
    {
        Commands.Require("ip", "netns", "add", name);
        var created = new NetworkNamespace(name);
        created.Ip("link set lo up");
        return created;
    }

    /// <summary>A namespace that exists already, or will.</summary>
    public static NetworkNamespace Open(string name) => new(name);

    /// <summary>All namespaces of this machine whose names begin so.</summary>
    public static IReadOnlyList<NetworkNamespace> FindAll(string prefix) =>
        Directory.Exists(NetworkNamespaces.Directory)
            ? [.. Directory.EnumerateFiles(NetworkNamespaces.Directory).Select(path => Path.GetFileName(path)!)
                .Where(name => name.StartsWith(prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal).Select(Open)]
            : [];

    public bool Exists => File.Exists(Path.Combine(NetworkNamespaces.Directory, Name));

    /// <summary>Runs the lines of an <c>ip -batch</c> file in here: what follows the word ip.</summary>
    /// <exception cref="APlusPException">AP5002, with the kernel's words.</exception>
    public void Ip(params IEnumerable<string> lines) =>
        Commands.Require(["ip", "-n", Name, "-batch", "-"], input: string.Join('\n', lines) + "\n");

    /// <summary>Runs a shell script in here; it stops at the first command that fails.</summary>
    public string Shell(string script) => Require("sh", "-ec", script);

    /// <summary>Runs a program in here and waits for it.</summary>
    public CommandResult Run(IReadOnlyList<string> command, string? input = null, TimeSpan? timeout = null) =>
        Commands.Run(Inside(command), input, timeout);

    /// <inheritdoc cref="Run(IReadOnlyList{string}, string?, TimeSpan?)"/>
    public CommandResult Run(params string[] command) => Run(command, input: null);

    /// <summary>Runs a program in here that must succeed; gives its standard output.</summary>
    /// <exception cref="APlusPException">AP5002, with what the program said.</exception>
    public string Require(params string[] command) => Commands.Require(Inside(command));

    /// <summary>Runs a program in here at our own terminal, as if it had been typed; gives its exit code.</summary>
    public int RunHere(IReadOnlyList<string> command)
    {
        string[] words = Inside(command);
        using Process process = Commands.Start(new ProcessStartInfo(words[0], words[1..]) { UseShellExecute = false });
        process.WaitForExit();
        return process.ExitCode;
    }

    /// <summary>Starts a program in here that goes on, in a session of its own, its outputs in <paramref name="log"/>.</summary>
    public LabProcess Start(string name, string log, params IReadOnlyList<string> command) => LabProcess.Start(this, name, log, command);

    /// <summary>Runs code on a thread inside the namespace: sockets that it makes stay here and may be handed out.</summary>
    public T Call<T>(Func<T> work) => NetworkNamespaces.Run(Name, work);

    /// <inheritdoc cref="Call{T}"/>
    public void Call(Action work) => NetworkNamespaces.Run(Name, work);

    /// <summary>The processes that live in here now, whoever started them.</summary>
    public IReadOnlyList<int> ProcessIds() =>
        Exists ? [.. Commands.Run("ip", "netns", "pids", Name).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)] : [];

    /// <summary>Ends the processes that live in these namespaces (politely, then after two seconds by SIGKILL), and removes them. Nothing to do is fine.</summary>
    public static void Delete(params IReadOnlyList<NetworkNamespace> namespaces)
    {
        LabProcess.EndAll([.. namespaces.SelectMany(n => n.ProcessIds())], TimeSpan.FromSeconds(2));
        foreach (NetworkNamespace gone in namespaces)
        {
            if (gone.Exists) Commands.Require("ip", "netns", "del", gone.Name);
            string files = Path.Combine("/etc/netns", gone.Name);
            if (Directory.Exists(files)) Directory.Delete(files, recursive: true);
        }
    }

    string[] Inside(IReadOnlyList<string> command) => [.. Entering(leavesMounts: false), .. command];

    /// <summary>The words before a command that bring it in here.</summary>
    /// <param name="leavesMounts">As in <see cref="LabProcess.Start"/>.</param>
    public string[] Entering(bool leavesMounts) =>
        leavesMounts ? ["nsenter", $"--net={Path.Combine(NetworkNamespaces.Directory, Name)}"] : ["ip", "netns", "exec", Name];
}
