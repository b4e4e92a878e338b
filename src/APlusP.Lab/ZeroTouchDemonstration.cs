using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace APlusP.Lab;

/// <summary>How a home came up by itself.</summary>
/// <param name="Subscriber">The name that it made for itself.</param>
/// <param name="Softwire">Its end of the softwire.</param>
/// <param name="Ports">Of its lease.</param>
/// <param name="Took">From the start of its SMAP, which knew nothing but a token, to the first page.</param>
/// <param name="Seen">Address and port that the web server saw.</param>
public sealed record DemonstratedHome(string Subscriber, string Softwire, string Ports, TimeSpan Took, IPEndPoint Seen);

/// <summary>A home that had too few ports.</summary>
/// <param name="Connections">That it opened at once.</param>
/// <param name="Before">Ports that it had.</param>
/// <param name="After">Ports that it has.</param>
public sealed record DemonstratedGrowth(int Connections, int Before, int After);

/// <summary>What homes that nobody configured have to show; everything in it was read from the running system.</summary>
/// <param name="Homes">In the order in which they came.</param>
/// <param name="Growth">Of the first one.</param>
/// <param name="Farewell">What the SMAP of the last one says when it is revoked.</param>
/// <param name="Answers">What <c>aplusp who</c> says, question by question.</param>
/// <param name="Facts">What had to be so.</param>
public sealed record ZeroTouchDemonstration(
    IReadOnlyList<DemonstratedHome> Homes, DemonstratedGrowth Growth, string Farewell, IReadOnlyList<(string Question, string Answer)> Answers, IReadOnlyList<DemonstratedFact> Facts)
{
    const int Connections = 160;

    public bool Succeeded => Facts.All(fact => fact.True);

    /// <summary>Lets the homes of a lab come up, one run short of ports, and the last one be revoked.</summary>
    public static ZeroTouchDemonstration Run(ZeroTouchLab lab, Action<string>? progress = null, CancellationToken cancel = default)
    {
        progress?.Invoke($"a router advertises itself; a registry has {ZeroTouchLab.Pool}, and a PRR without a binding follows it");
        lab.Advertise();
        lab.StartRegistry();
        lab.StartPrr();
        DemonstratedHome[] homes = [.. Enumerable.Range(0, lab.Homes.Count).Select(home => ComeUp(lab, home, progress, cancel))];
        DateTimeOffset then = TimeProvider.System.GetUtcNow();

        progress?.Invoke($"home 1 opens {Connections} connections at once, more than it has ports");
        using TcpClient first = lab.Connect(0);
        bool echoedBefore = ZeroTouchLab.Echoes(first);
        (DemonstratedGrowth growth, int answered) = Load(lab, cancel);
        bool echoesStill = ZeroTouchLab.Echoes(first);

        int last = homes.Length - 1;
        progress?.Invoke($"home {last + 1} is revoked");
        lab.Revoke(last);
        lab.Await(last, () => lab.Seen(last) is null && lab.Status(last).GetProperty("isSuspended").GetBoolean(), "stop");
        string farewell = $"{lab.State(last)}: {lab.Sentence(last)}";
        cancel.ThrowIfCancellationRequested();

        progress?.Invoke("who was it?");
        string gone = $"{homes[last].Seen}";
        (string Question, string Answer)[] answers = [Ask($"{homes[0].Seen}", null), Ask(gone, then), Ask(gone, null)];
        return new ZeroTouchDemonstration(homes, growth, farewell, answers,
        [
            new($"{homes.Length} homes came up with a token alone, each with ports of its own", homes.Select(home => (home.Seen.Address, home.Ports)).Distinct().Count() == homes.Length),
            new($"all {Connections} connections of home 1 got through, by {growth.After} ports in place of {growth.Before}", answered == Connections && growth.After > growth.Before),
            new("the connection that it had before goes on", echoedBefore && echoesStill),
            new($"home {last + 1} reaches nobody any more, and home 1 still does", lab.Seen(last) is null && lab.Seen(0) is not null),
            new("`aplusp who` knows who had the port, and when", answers[0].Answer.Contains(homes[0].Subscriber, StringComparison.Ordinal) && answers[1].Answer.Contains(homes[last].Subscriber, StringComparison.Ordinal)
                && !answers[2].Answer.Contains(homes[last].Subscriber, StringComparison.Ordinal)),
        ]);

        (string Question, string Answer) Ask(string endpoint, DateTimeOffset? at) =>
            ($"aplusp who {endpoint}{(at is null ? "" : $" --at {at:HH:mm:ss}Z")}", lab.Who(endpoint, at).Text.Trim());
    }

    static DemonstratedHome ComeUp(ZeroTouchLab lab, int home, Action<string>? progress, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        progress?.Invoke($"home {home + 1}: aplusp smap --registry {ZeroTouchLab.Registry} --token-file token");
        long start = TimeProvider.System.GetTimestamp();
        lab.BeginSmap(home);
        IPEndPoint? seen = null;
        lab.Await(home, () => (seen = lab.Seen(home)) is not null, "reach the web server");
        TimeSpan took = TimeProvider.System.GetElapsedTime(start);
        JsonElement status = lab.Status(home);
        return new DemonstratedHome(lab.Subscriber(home), lab.LeaseOf(home).GetProperty("softwire").GetString()!, status.GetProperty("ports").GetString()!, took, seen!);
    }

    /// <summary>Connections of two hosts, all at once; those for which there is no port try again until there is one.</summary>
    static (DemonstratedGrowth Growth, int Answered) Load(ZeroTouchLab lab, CancellationToken cancel)
    {
        int before = lab.PortCount(0);
        var connections = new List<TcpClient>();
        try
        {
            for (int i = 0; i < Connections; i++)
            {
                cancel.ThrowIfCancellationRequested();
                connections.Add(lab.Connect(0, i % 2 == 0 ? ZeroTouchLab.Host : ZeroTouchLab.OtherHost));
            }

            return (new DemonstratedGrowth(Connections, before, lab.PortCount(0)), connections.Count(ZeroTouchLab.Echoes));
        }
        finally
        {
            foreach (TcpClient connection in connections) connection.Dispose();
        }
    }
}
