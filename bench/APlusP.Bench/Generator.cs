using System.Diagnostics;
using System.Reflection;
using APlusP.Lab;
using APlusP.Linux;
using APlusP.Linux.Bpf;

namespace APlusP.Bench;

/// <summary>Sends frames by a recipe as fast as one processor can, or at a pace, until it is told to stop.</summary>
sealed class Generator : IDisposable
{
    // As fast as can be, some two seconds; while it waits for the next frame to be due, some four.
    const int Repeat = 10_000_000, PacedRepeat = 100_000_000;

    // A run that nobody stops ends all the same.
    static readonly TimeSpan s_longest = TimeSpan.FromSeconds(20);

    readonly BpfObject _object = BpfObject.Load("generator.o", new Dictionary<string, uint>(StringComparer.Ordinal), Assembly.GetExecutingAssembly());
    readonly MappedArray<RecipeEntry> _recipe;
    readonly MappedArray<ProgressEntry> _progress;
    Task _running = Task.CompletedTask;

    public Generator()
    {
        _recipe = _object.Map("recipes").Share<RecipeEntry>();
        _progress = _object.Map("progresses").Share<ProgressEntry>();
    }

    /// <summary>Frames of this run so far.</summary>
    public long Sent => (long)Volatile.Read(ref _progress[0].Sent);

    public bool IsRunning => !_running.IsCompleted;

    /// <summary>Begins to send from a namespace, on processor 0.</summary>
    public void Start(NetworkNamespace at, Recipe recipe)
    {
        _recipe[0] = recipe.Entry();
        _progress[0] = default;
        byte[] frame = recipe.Frame();
        int program = _object.Program(recipe.Softwire is null ? "plain" : "softwire");
        int repeat = recipe.PerSecond == 0 ? Repeat : PacedRepeat;
        _running = Task.Factory.StartNew(() => at.Call(() =>
        {
            Processors.Pin(0);
            long start = Stopwatch.GetTimestamp();
            while (_progress[0].Stop == 0 && (recipe.Most == 0 || Sent < recipe.Most) && Stopwatch.GetElapsedTime(start) < s_longest) BpfObject.RunLive(program, frame, repeat);
        }), TaskCreationOptions.LongRunning);
    }

    /// <summary>Stops sending; gives what went wrong, if anything did, as an exception.</summary>
    public void Stop()
    {
        Volatile.Write(ref _progress[0].Stop, 1);
        _running.GetAwaiter().GetResult();
    }

    /// <summary>Sends all that a recipe has.</summary>
    public void RunToEnd(NetworkNamespace at, Recipe recipe)
    {
        Start(at, recipe);
        Wait.Until(() => Sent >= recipe.Most || !IsRunning, s_longest);
        Stop();
    }

    public void Dispose()
    {
        Volatile.Write(ref _progress[0].Stop, 1);
        ((IAsyncResult)_running).AsyncWaitHandle.WaitOne();
        _recipe.Dispose();
        _progress.Dispose();
        _object.Dispose();
    }
}
