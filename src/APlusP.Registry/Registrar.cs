using System.Collections.Concurrent;
using System.Data.Common;
using APlusP.Core;
using APlusP.Registry.Leases;
using APlusP.Registry.Memory;
using APlusP.Registry.Storage;
using APlusP.Registry.Allocation;

namespace APlusP.Registry;

/// <summary>An answer that is kept beside its request id.</summary>
sealed record StoredAnswer(int Status, string Body);

/// <summary>The registry without its server: leases in a database. Everything that it knows stands there, so it starts at once, and several share one.</summary>
sealed class Registrar : IDisposable
{
    static readonly TimeSpan s_keepAnswers = TimeSpan.FromDays(1);

    readonly RegistryDatabase _database;
    readonly TimeProvider _clock;
    readonly Writer _writer;
    readonly ConcurrentBag<Session> _readers = [];

    /// <summary>Connections that wait for the next question; each holds memory of its own.</summary>
    const int MostIdle = 8;

    /// <summary>Brings the database up to date and makes the pools' rows.</summary>
    /// <exception cref="APlusPException">The database cannot be used, or contradicts the policy.</exception>
    public Registrar(RegistryDatabase database, LeasePolicy policy, TimeProvider clock)
    {
        _database = database;
        _clock = clock;
        Policy = policy;
        database.Migrate();
        _writer = new Writer(database, clock, Changes.Ring);
        try
        {
            _writer.Do(transaction =>
            {
                Pools.Establish(transaction.Session, policy.Pools);
                return true;
            }).GetAwaiter().GetResult();
        }
        catch (Exception error)
        {
            Dispose();
            if (error is DbException) throw new APlusPException(ErrorCodes.RegistryStorage, $"the database {database.Name} cannot be used: {error.Message}", error);
            if (error is Refusal refusal) throw new APlusPException(refusal.Code, refusal.Message, refusal);
            throw;
        }
    }

    public LeasePolicy Policy { get; }

    public RegistryDatabase Database => _database;

    public DateTimeOffset Now => _clock.GetUtcNow();

    public TimeProvider Clock => _clock;

    /// <summary>Rings when something was changed, here or by another registry on the database.</summary>
    public ChangeWatch Changes { get; } = new();

    /// <summary>Changes something, and gives the answer once it is stored.</summary>
    public Task<T> Change<T>(Func<Transaction, T> what) => _writer.Do(what);

    /// <summary>Changes leases in somebody's name.</summary>
    public Task<T> Change<T>(string actor, Func<LeaseBook, T> what) => _writer.Do(transaction => what(new LeaseBook(transaction, Policy, actor)));

    /// <summary>Changes something once for each request id: asked again with the same, it gives the same answer and changes nothing.</summary>
    /// <param name="id">The id, with who asks; null for none.</param>
    /// <param name="fingerprint">What was asked, so that an id is not used for two things.</param>
    /// <param name="what">Makes the change and its answer.</param>
    public Task<StoredAnswer> Once(string? id, string fingerprint, Func<Transaction, StoredAnswer> what) => _writer.Do(transaction =>
    {
        if (id is null) return what(transaction);
        if (transaction.Session.One("SELECT fingerprint, status, body FROM request WHERE id = @id", r => (r.GetString(0), r.GetInt64(1), r.GetString(2)), ("id", id)) is { Item1: { } asked } known)
            return asked == fingerprint ? new StoredAnswer((int)known.Item2, known.Item3)
                : throw new Refusal(ErrorCodes.RequestIdUsed, "This Request-Id was used for another request within the last day. Take a new one for each request, and the same only to repeat one.");
        StoredAnswer answer = what(transaction);
        transaction.Session.Write("INSERT INTO request VALUES(@id, @at, @fingerprint, @status, @body)",
            ("id", id), ("at", transaction.Now), ("fingerprint", fingerprint), ("status", (long)answer.Status), ("body", answer.Body));
        return answer;
    });

    /// <summary>Reads, on a connection beside the writer's.</summary>
    public T Read<T>(Func<Session, T> what)
    {
        for (bool again = false; ; again = true)
        {
            Session? session = null;
            try
            {
                if (again || !_readers.TryTake(out session)) session = new Session(_database, _database.Connect());
                T result = what(session);
                if (_readers.Count < MostIdle) _readers.Add(session);
                else Discard(session);
                return result;
            }
            catch (Exception error) when (error is not Refusal and not APlusPException && _database.IsPassing(error))
            {
                Discard(session);
                if (again) throw new Refusal(ErrorCodes.StorageAway, $"The database does not answer ({error.Message}). Ask again in a few seconds.");
            }
            catch
            {
                Discard(session);
                throw;
            }
        }
    }

    static void Discard(Session? session)
    {
        try
        {
            session?.Dispose();
        }
        catch (Exception error) when (error is DbException or InvalidOperationException or IOException)
        {
            // It was broken; that is why it goes.
        }
    }

    /// <summary>Does what time demands: ends leases, frees ports, forgets what is old. Writes only where there is something to do.</summary>
    public async Task Upkeep(TimeSpan? retention)
    {
        bool more = true;
        while (more)
        {
            long now = Now.ToUnixTimeMilliseconds();
            bool due = Read(s =>
                s.Any("SELECT 1 FROM lease WHERE ended IS NULL AND until <= @now LIMIT 1", ("now", now))
                || s.Any("SELECT 1 FROM block WHERE reclaimed = 0 AND free_at <= @now LIMIT 1", ("now", now)));
            more = due && await Change("registry", book => book.ExpireOverdue(LeaseBook.WorkAtOnce) + book.Reclaim(LeaseBook.WorkAtOnce)) >= LeaseBook.WorkAtOnce;
        }

        long stale = (Now - s_keepAnswers).ToUnixTimeMilliseconds();
        if (Read(s => s.Any("SELECT 1 FROM request WHERE at < @stale LIMIT 1", ("stale", stale))))
            await Change(t => t.Session.Execute("DELETE FROM request WHERE at < @stale", ("stale", stale)));
        if (retention is not { } keep) return;

        // A day's worth at a time, so that forgetting does not itself fill the memory with events.
        long horizon = (Now - keep - TimeSpan.FromDays(1)).ToUnixTimeMilliseconds();
        if (Read(s => s.One("SELECT at FROM event ORDER BY seq LIMIT 1", r => r.GetInt64(0))) is var oldest && oldest > 0 && oldest < horizon)
            while (await Change(t => Retention.Forget(t, Now - keep, ForgetAtOnce)))
            {
            }
    }

    const int ForgetAtOnce = 5000;

    public WhoAnswer Who(Core.Addresses.IPv4Address address, ushort port, DateTimeOffset at) => Read(s => WhoAnswer.Find(s, address, port, at));

    public Verification Verify() => Read(Verification.Run);

    public void Dispose()
    {
        _writer.Dispose();
        while (_readers.TryTake(out Session? session)) Discard(session);
    }
}
