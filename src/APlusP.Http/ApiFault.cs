using System.Net;

namespace APlusP.Http;

/// <summary>A server did not do what it was asked: it refuses, or does not answer at all. The message is for people, and says which server.</summary>
/// <param name="code">One of <see cref="Core.ErrorCodes"/>: the server's own where it answered.</param>
sealed class ApiFault(string code, string message, Exception? inner = null) : Exception(message, inner)
{
    public string Code { get; } = code;

    /// <summary>What it answered with; null where it did not.</summary>
    public HttpStatusCode? Status { get; init; }

    /// <summary>When the server says that asking again may help.</summary>
    public TimeSpan? RetryAfter { get; init; }
}
