namespace APlusP.Registry.Allocation;

/// <summary>How many ports subscribers of one kind have: from the start, at each step, and at most (RFC 6346 section 5.2).</summary>
/// <param name="Name">home, gamer, business, server, or what the operator calls it.</param>
/// <param name="Start">Ports of a new lease.</param>
/// <param name="Add">Ports that a lease grows by.</param>
/// <param name="Limit">Ports that a lease never exceeds, so that no subscriber takes those of the others (RFC 6888 REQ-4).</param>
public sealed record SubscriberClass(string Name, int Start, int Add, int Limit)
{
    public const string Default = "home";

    /// <summary>The classes of an operator who names none, in blocks of a pool.</summary>
    public static IReadOnlyList<SubscriberClass> Standard(int block) =>
    [
        new(Default, block, block, 8 * block), new("gamer", 2 * block, block, 16 * block),
        new("business", 4 * block, 2 * block, 32 * block), new("server", 8 * block, 4 * block, 64 * block),
    ];
}
