using System.Text.Json;
using APlusP.Lab;

namespace APlusP.Bench;

/// <summary>A daemon under test: the native executable, in its namespace.</summary>
sealed class Subject : IDisposable
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    readonly Workplace _place;
    readonly string _verb, _configuration, _socket;
    readonly NetworkNamespace _at;
    readonly LabProcess _process;

    /// <param name="place">Its row's.</param>
    /// <param name="at">Where.</param>
    /// <param name="verb">prr or smap.</param>
    /// <param name="configuration">Its file, without the control socket.</param>
    /// <param name="processor">The one that it is kept on, or null.</param>
    public Subject(Workplace place, NetworkNamespace at, string verb, string configuration, int? processor = null)
    {
        (_place, _at, _verb) = (place, at, verb);
        string name = Path.Combine(place.Files, at.Name);
        (_configuration, _socket) = (name + ".toml", name + ".sock");
        File.WriteAllText(_configuration, $"control-socket = \"{_socket}\"\n{configuration}\n");
        string[] pinned = processor is null ? [] : ["taskset", "-c", $"{processor}"];

        // The mounts are the machine's, or nobody could take the fast path away afterwards.
        _process = LabProcess.Start(at, $"aplusp {verb}", name + ".log", [.. pinned, place.Executable, verb, "--config", _configuration], leavesMounts: true);
        try
        {
            _process.WaitUntil(() => LabDaemons.Answers(_socket), s_patience, "answer");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public JsonElement Status() => LabDaemons.Ask(_place.Executable, "status", _socket);

    /// <summary>Packets that were forwarded so far: in all, and by the kernel's fast path.</summary>
    public Forwarded Forwarded()
    {
        JsonElement counters = LabDaemons.Ask(_place.Executable, "counters", _socket);
        long Sum(string prefix) => counters.EnumerateObject()
            .Where(c => c.Name.StartsWith(prefix, StringComparison.Ordinal) && (c.Name.EndsWith("-forwarded", StringComparison.Ordinal) || c.Name.EndsWith("-hairpinned", StringComparison.Ordinal)))
            .Sum(c => c.Value.GetInt64());
        return new Forwarded(Sum("from-"), Sum("fast-path-from-"));
    }

    public void Dispose()
    {
        if (_process.IsRunning) _process.Stop();

        // What the fast path has left, it takes away; that there is nothing is fine.
        if (Directory.Exists(Path.ChangeExtension(_socket, "bpf"))) Commands.Run([.. _at.Entering(leavesMounts: true), _place.Executable, _verb, "detach", "--config", _configuration]);
    }
}

/// <summary>Packets that a daemon's counters call forwarded: in all, and without the daemon.</summary>
readonly record struct Forwarded(long All, long ByKernel)
{
    public static Forwarded operator +(Forwarded a, Forwarded b) => new(a.All + b.All, a.ByKernel + b.ByKernel);

    public static Forwarded operator -(Forwarded a, Forwarded b) => new(a.All - b.All, a.ByKernel - b.ByKernel);

    public override string ToString() => All == 0 ? "nothing" : ByKernel == 0 ? "daemon" : $"kernel {(double)ByKernel / All:P1}";
}
