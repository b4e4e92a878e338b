using APlusP.Core;
using Microsoft.AspNetCore.Http;

namespace APlusP.Registry.Api;

/// <summary>How each refusal is told over HTTP: problem details, RFC 9457.</summary>
static class Problems
{
    static readonly Dictionary<string, (int Status, string Title)> s_known = new()
    {
        [ErrorCodes.BadRequest] = (StatusCodes.Status400BadRequest, "Request not understood"),
        [ErrorCodes.NotAuthenticated] = (StatusCodes.Status401Unauthorized, "Not authenticated"),
        [ErrorCodes.NotAllowed] = (StatusCodes.Status403Forbidden, "Not allowed"),
        [ErrorCodes.NotThere] = (StatusCodes.Status404NotFound, "Not there"),
        [ErrorCodes.LeaseConflict] = (StatusCodes.Status409Conflict, "Contradicts what there is"),
        [ErrorCodes.PoolExhausted] = (StatusCodes.Status503ServiceUnavailable, "No ports left"),
        [ErrorCodes.LeaseLimit] = (StatusCodes.Status409Conflict, "Limit of the class"),
        [ErrorCodes.TooSoon] = (StatusCodes.Status429TooManyRequests, "Too soon"),
        [ErrorCodes.RequestIdUsed] = (StatusCodes.Status422UnprocessableEntity, "Request id used"),
        [ErrorCodes.TooManyWrongTokens] = (StatusCodes.Status429TooManyRequests, "Too many wrong tokens"),
        [ErrorCodes.StorageAway] = (StatusCodes.Status503ServiceUnavailable, "Database away"),
        [ErrorCodes.RegistryFault] = (StatusCodes.Status500InternalServerError, "Fault of the registry"),
    };

    public static Task Tell(HttpContext context, Refusal refusal, int? status = null)
    {
        if (context.Response.HasStarted) return Task.CompletedTask;
        (int usual, string title) = s_known[refusal.Code];
        int code = status ?? usual;
        context.Response.StatusCode = code;
        TimeSpan? wait = refusal.RetryAfter ?? (refusal.Code == ErrorCodes.StorageAway ? TimeSpan.FromSeconds(5) : null);
        if (wait is { } time) context.Response.Headers.RetryAfter = $"{Math.Max(1, (long)Math.Ceiling(time.TotalSeconds))}";
        if (code == StatusCodes.Status401Unauthorized) context.Response.Headers.WWWAuthenticate = "Bearer realm=\"aplusp registry\"";
        var problem = new ProblemDocument($"urn:aplusp:error:{refusal.Code}", title, code, refusal.Message, refusal.Code,
            refusal.Fields.Count > 0 ? [.. refusal.Fields.Select(f => new FieldProblem(f.Field, f.Fault))] : null);
        return context.Response.WriteAsJsonAsync(problem, ApiJson.Plain.ProblemDocument, "application/problem+json", context.RequestAborted);
    }
}
