using System.Diagnostics;
using APlusP.Lab;
using APlusP.Linux.Bpf;

namespace APlusP.Bench;

/// <summary>
/// A device under test between two ends that the generator has, and what it sends is counted. <see cref="WorkAlone"/> keeps all of that on processor 1.
/// <code>
///   generator's namespace            its own
///   NAME-a-far  (sink) ------------- NAME-a   towards subscribers
///   NAME-b-far  (sink) ------------- NAME-b   towards the Internet
/// </code>
/// </summary>
sealed class Lane : IDisposable
{
    /// <param name="place">The row's.</param>
    /// <param name="name">Its name, short enough for devices.</param>
    /// <param name="sends">Whether it sends by XDP, or by tc as the kernel itself.</param>
    public Lane(Workplace place, string name, BpfHook sends)
    {
        Host = place.Host(name);
        (A, FarA) = VethEnd.Pair(Host, $"{name}-a", place.Host("generator"), $"{name}-a-far");
        (B, FarB) = VethEnd.Pair(Host, $"{name}-b", place.Host("generator"), $"{name}-b-far");
        SinkA = new Sink(FarA, sends);
        SinkB = new Sink(FarB, sends);
        A.TakeXdp();
        B.TakeXdp();
    }

    public NetworkNamespace Host { get; }

    public VethEnd A { get; }

    public VethEnd B { get; }

    public VethEnd FarA { get; }

    public VethEnd FarB { get; }

    public Sink SinkA { get; }

    public Sink SinkB { get; }

    /// <summary>Gives what arrives processor 1 to be worked on; otherwise that happens where the generator is. To be said when programs have been put on the devices.</summary>
    public Lane WorkAlone()
    {
        A.WorkAlone();
        B.WorkAlone();
        return this;
    }

    public void Dispose()
    {
        SinkA.Dispose();
        SinkB.Dispose();
    }
}

/// <summary>Frames a second.</summary>
readonly record struct Rate(double Received, double Sent)
{
    const double Million = 1e6;

    static readonly TimeSpan s_warmUp = TimeSpan.FromSeconds(0.3);

    /// <summary>Sends by a recipe, and counts what arrives, in millions.</summary>
    public static Rate Measure(Workplace place, Generator generator, Recipe recipe, Sink sink)
    {
        generator.Start(recipe.Into.Namespace, recipe);
        Thread.Sleep(s_warmUp);
        (long Sent, long Received, long At) Read() => (generator.Sent, sink.Frames, Stopwatch.GetTimestamp());
        (long sent, long received, long at) = Read();
        Thread.Sleep(place.Window);
        (long sentThen, long receivedThen, long then) = Read();
        generator.Stop();
        double seconds = Stopwatch.GetElapsedTime(at, then).TotalSeconds;
        return new Rate((receivedThen - received) / seconds / Million, (sentThen - sent) / seconds / Million);
    }
}
