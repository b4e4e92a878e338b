namespace APlusP.Registry;

/// <summary>A request that is not granted, in words for whoever asked: what is wrong, where, and what to do. Nothing that it asked for was stored.</summary>
/// <param name="code">One of <see cref="Core.ErrorCodes"/>.</param>
/// <param name="message">For people.</param>
sealed class Refusal(string code, string message) : Exception(message)
{
    public string Code { get; } = code;

    /// <summary>When asking again may help.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Which fields of the request are meant, and what is wrong with each.</summary>
    public IReadOnlyList<(string Field, string Fault)> Fields { get; init; } = [];
}
