using System.Text.Json.Serialization;
using APlusP.Core;

namespace APlusP.Lab.Links;

/// <summary>Which way a frame goes over an emulated link: away from the Internet (down) or towards it (up).</summary>
[JsonConverter(typeof(JsonStringEnumConverter<LinkWay>))]
public enum LinkWay
{
    Down,
    Up,
}

/// <summary>What an emulated link does to the frames of one way. All zero: nothing at all.</summary>
public sealed record LinkSettings
{
    /// <summary>How long a frame is under way, in milliseconds.</summary>
    public double DelayMs { get; init; }

    /// <summary>By how much the delay varies, evenly up and down, in milliseconds. The order of frames stays: that is what <see cref="ReorderPercent"/> is for.</summary>
    public double JitterMs { get; init; }

    /// <summary>Of 100 frames, how many are lost, each by its own throw of the dice.</summary>
    public double LossPercent { get; init; }

    /// <summary>Of 100 frames, how many are held back by <see cref="ReorderMs"/>, so that later ones overtake them.</summary>
    public double ReorderPercent { get; init; }

    /// <summary>How much later a frame comes that is reordered, in milliseconds.</summary>
    public double ReorderMs { get; init; } = 10;

    /// <summary>Of 100 frames, how many arrive twice.</summary>
    public double DuplicatePercent { get; init; }

    /// <summary>What the link carries, in Mbit/s; 0 is without limit. Frames wait for each other, then travel for the delay.</summary>
    public double RateMbit { get; init; }

    /// <summary>How many frames are on the link at most, waiting or travelling; those that come then are dropped.</summary>
    public int Queue { get; init; } = 4096;

    /// <summary>Octets of the largest packet inside a frame, 0 for no limit. Larger IPv4 packets that may be fragmented are.</summary>
    public int Mtu { get; init; }

    /// <summary>
    /// A larger packet vanishes without an answer, and no Packet Too Big (or "fragmentation needed") of anybody passes this way: the
    /// filtering that RFC 2923 section 2.1 calls a black hole. Otherwise the link answers as a router with such an MTU does.
    /// </summary>
    public bool BlackHole { get; init; }

    /// <summary>Where the dice begin; the same seed loses the same frames of the same sequence.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>These settings with what a change names.</summary>
    /// <exception cref="APlusPException">AP5007: a value cannot be.</exception>
    public LinkSettings With(LinkChange change)
    {
        var changed = new LinkSettings
        {
            DelayMs = change.DelayMs ?? DelayMs,
            JitterMs = change.JitterMs ?? JitterMs,
            LossPercent = change.LossPercent ?? LossPercent,
            ReorderPercent = change.ReorderPercent ?? ReorderPercent,
            ReorderMs = change.ReorderMs ?? ReorderMs,
            DuplicatePercent = change.DuplicatePercent ?? DuplicatePercent,
            RateMbit = change.RateMbit ?? RateMbit,
            Queue = change.Queue ?? Queue,
            Mtu = change.Mtu ?? Mtu,
            BlackHole = change.BlackHole ?? BlackHole,
            Seed = change.Seed ?? Seed,
        };
        changed.Check();
        return changed;
    }

    /// <summary>The change that leads here from any settings.</summary>
    public LinkChange ToChange(LinkWay? way) => new()
    {
        Way = way,
        DelayMs = DelayMs,
        JitterMs = JitterMs,
        LossPercent = LossPercent,
        ReorderPercent = ReorderPercent,
        ReorderMs = ReorderMs,
        DuplicatePercent = DuplicatePercent,
        RateMbit = RateMbit,
        Queue = Queue,
        Mtu = Mtu,
        BlackHole = BlackHole,
        Seed = Seed,
    };

    /// <exception cref="APlusPException">AP5007: a value cannot be.</exception>
    public void Check()
    {
        // 68 octets is the least that an IPv4 link carries, RFC 791; a minute is longer than any path of this planet.
        Within("delay-ms", DelayMs, 60_000);
        Within("jitter-ms", JitterMs, 60_000);
        Within("loss-percent", LossPercent, 100);
        Within("reorder-percent", ReorderPercent, 100);
        Within("reorder-ms", ReorderMs, 60_000);
        Within("duplicate-percent", DuplicatePercent, 100);
        Within("rate-mbit", RateMbit, 1_000_000);
        if (JitterMs > DelayMs) throw Wrong("jitter-ms", $"{JitterMs}", $"0 to delay-ms, which is {DelayMs}: no frame arrives before it was sent");
        if (Queue is < 1 or > 1_000_000) throw Wrong("queue", $"{Queue}", "1 to 1000000 frames");
        if (Mtu is not 0 and (< 68 or > 65535)) throw Wrong("mtu", $"{Mtu}", "68 to 65535 octets, or 0 for no limit");
    }

    static void Within(string name, double value, double most)
    {
        if (!(value >= 0 && value <= most)) throw Wrong(name, $"{value}", $"0 to {most}");
    }

    static APlusPException Wrong(string name, string value, string right) =>
        new(ErrorCodes.LinkSettingWrong, $"{name} of a link cannot be {value}; write {right}.");
}

/// <summary>A change of some settings of a link, of one way or (without <see cref="Way"/>) of both; what is null stays.</summary>
public sealed record LinkChange
{
    public LinkWay? Way { get; init; }

    public double? DelayMs { get; init; }

    public double? JitterMs { get; init; }

    public double? LossPercent { get; init; }

    public double? ReorderPercent { get; init; }

    public double? ReorderMs { get; init; }

    public double? DuplicatePercent { get; init; }

    public double? RateMbit { get; init; }

    public int? Queue { get; init; }

    public int? Mtu { get; init; }

    public bool? BlackHole { get; init; }

    public ulong? Seed { get; init; }
}
