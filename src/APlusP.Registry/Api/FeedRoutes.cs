using System.IO.Pipelines;
using APlusP.Core;
using APlusP.Registry.Access;
using APlusP.Registry.Memory;
using APlusP.Registry.Storage;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace APlusP.Registry.Api;

/// <summary>
/// The bindings, for PRRs to follow: all of them, and then each change, on a response that stays open. A line is a JSON object (<see cref="FeedLines"/>); what stands before a line with a version
/// belongs together, and is in force when that line has come.
/// </summary>
static class FeedRoutes
{
    static readonly TimeSpan s_heartbeat = TimeSpan.FromSeconds(5);

    /// <summary>How long changes may go unnoticed that nobody announced: of a registry whose word was lost, or of a program that wrote to the database itself.</summary>
    static readonly TimeSpan s_lookAgain = TimeSpan.FromSeconds(1);

    /// <summary>Between two readings, so that a thousand changes a second are some fifty readings.</summary>
    static readonly TimeSpan s_breath = TimeSpan.FromMilliseconds(20);

    /// <summary>Who takes longer for all leases keeps a transaction of the database open for too long.</summary>
    static readonly TimeSpan s_longestSnapshot = TimeSpan.FromMinutes(5);

    public static IEnumerable<Route> All => [new("GET", "/v1/bindings", Needs.Feed, Follow)];

    static async Task Follow(Request request)
    {
        RequestFields fields = RequestFields.OfQuery(request.Context, "after", "follow");
        string? text = fields.Text("after", required: false, most: 64);
        bool follow = fields.Word("follow", required: false, "true", "false") == "true";
        FeedVersion? after = null;
        if (text is not null && !FeedVersion.TryParse(text, out after)) fields.Fault("after", "must be a version that this feed has told, such as 2:23836071eca1d3a4");
        fields.Check();

        CancellationToken stopping = request.Context.RequestServices.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(request.Context.RequestAborted, stopping);
        try
        {
            await Follow(request, after, follow, ended.Token);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The answer ends here; whoever follows asks the next registry, or this one when it is back.
        }
        catch (Exception error) when (error is not Refusal && request.Registrar.Database.IsPassing(error))
        {
            // In the midst of it there is nothing to say but that it ends.
            if (!request.Context.Response.HasStarted && request.Context.Response.BodyWriter.UnflushedBytes == 0) throw new Refusal(ErrorCodes.StorageAway, $"The database does not answer ({error.Message}). Ask again in a few seconds.");
            request.Context.Abort();
        }
    }

    static async Task Follow(Request request, FeedVersion? after, bool follow, CancellationToken ended)
    {
        Registrar registrar = request.Registrar;
        PipeWriter body = request.Context.Response.BodyWriter;
        string? why = after is { } asked ? registrar.Read(s => LeaseFeed.WhyNotFrom(s, asked)) : "no version was given";
        request.Context.Response.ContentType = "application/x-ndjson";
        if (why is null) FeedLines.BeginChanges(body);
        long spoken = 0;
        while (true)
        {
            Task next = registrar.Changes.Next;
            FedChanges? changes = why is null && after is { } known ? registrar.Read(s => LeaseFeed.Since(s, known)) : null;
            if (changes is null)
            {
                // Also in the midst of a stream: a database can be restored under a registry that runs.
                why ??= registrar.Read(s => LeaseFeed.WhyNotFrom(s, after!.Value)) ?? "the database was restored";
                request.Log.Snapshot(request.Caller.Name, why);
                after = await Task.Factory.StartNew(() => WriteAll(registrar, body, why, ended), ended, TaskCreationOptions.LongRunning, TaskScheduler.Default);
                why = null;
            }
            else if (changes.Version != after || spoken == 0 || registrar.Clock.GetElapsedTime(spoken) >= s_heartbeat)
            {
                foreach (FedLease lease in changes.Leases) FeedLines.Write(body, lease);
                FeedLines.WriteVersion(body, changes.Version, after, changes.Leases.Count, changes.At, registrar.Now);
                after = changes.Version;
            }

            if (body.UnflushedBytes > 0) spoken = registrar.Clock.GetTimestamp();
            if ((await body.FlushAsync(ended)).IsCompleted || !follow) return;
            if (request.Caller.Credential is { } credential && !registrar.Read(s => CredentialBook.IsValid(s, credential.Id, registrar.Now))) return;
            await Task.Delay(s_breath, ended);
            await Task.WhenAny(next, Task.Delay(s_lookAgain, ended));
            ended.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Every lease, and its version; on a thread of its own, which waits for the reader as it goes: nothing is held but some buffers.</summary>
    static FeedVersion WriteAll(Registrar registrar, PipeWriter body, string why, CancellationToken ended)
    {
        const int flushAt = 64 * 1024;
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(ended);
        patience.CancelAfter(s_longestSnapshot);
        using var session = new Session(registrar.Database, registrar.Database.Connect());
        int lines = 0;
        (FeedVersion version, long at) = LeaseFeed.All(session, count => FeedLines.BeginSnapshot(body, count, why), lease =>
        {
            FeedLines.Write(body, lease);
            lines++;
            if (body.UnflushedBytes >= flushAt && body.FlushAsync(patience.Token).AsTask().GetAwaiter().GetResult().IsCompleted) throw new OperationCanceledException("whoever asked has gone");
        });
        FeedLines.WriteVersion(body, version, null, lines, at, registrar.Now);
        return version;
    }
}
