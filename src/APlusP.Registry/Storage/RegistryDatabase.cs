using System.Data.Common;
using APlusP.Core;

namespace APlusP.Registry.Storage;

/// <summary>Where leases and their history are kept. SQL is the same for both kinds but for what stands here.</summary>
public abstract class RegistryDatabase : IDisposable
{
    /// <summary>How it is called in messages, without secrets.</summary>
    public abstract string Name { get; }

    /// <summary>A connection that is ready for use.</summary>
    internal abstract DbConnection Connect();

    /// <summary>A transaction that reads everything as of one moment, and lets others write meanwhile.</summary>
    internal abstract DbTransaction BeginSnapshot(DbConnection connection);

    private protected abstract IReadOnlyList<string> Steps { get; }

    /// <summary>How a parameter becomes a value of the column block.ports.</summary>
    internal abstract string PortsParameter { get; }

    /// <summary>What finds the blocks that hold @port at @at by an index, besides the bounds that both kinds compare.</summary>
    internal abstract string HoldsPort { get; }

    /// <summary>Behind a SELECT: nobody else reads this row for a change until we have ended.</summary>
    internal abstract string ForUpdate { get; }

    /// <summary>What tells other registries on this database of a change, within its transaction; null where there are none.</summary>
    internal virtual string? Announcement => null;

    /// <summary>Hears what others announce, and whatever is uncertain, until it is stopped. Where nobody else can be there is nothing to hear.</summary>
    internal virtual Task Listen(Action heard, CancellationToken stop) => Task.CompletedTask;

    /// <summary>Whether the same may succeed a moment later: the server restarts, the disk was full, somebody else held a lock.</summary>
    internal abstract bool IsPassing(Exception error);

    /// <summary>The database that a connection string names: key=value pairs for PostgreSQL.</summary>
    public static RegistryDatabase Open(string? connectionString, string directory) =>
        connectionString is null ? new SqliteDatabase(Path.Combine(directory, SqliteDatabase.FileName)) : new PostgresDatabase(connectionString);

    /// <summary>Makes the tables, or brings them up to date.</summary>
    /// <exception cref="APlusPException">AP6002: cannot be opened. AP6003: a newer program made the tables.</exception>
    public void Migrate()
    {
        try
        {
            using DbConnection connection = Connect();
            using var session = new Session(this, connection);
            session.Begin();
            LockSchema(session);
            session.Execute("CREATE TABLE IF NOT EXISTS schema_step(step BIGINT PRIMARY KEY, at BIGINT NOT NULL)");
            long have = session.One("SELECT COALESCE(MAX(step), 0) FROM schema_step", r => r.GetInt64(0));
            if (have > Steps.Count)
                throw new APlusPException(ErrorCodes.RegistryTooNew, $"the database {Name} was made by a newer aplusp (its tables are of step {have}, this program knows {Steps.Count}). Run the newer program, or restore a backup of before.");
            for (long step = have; step < Steps.Count; step++)
            {
                session.Script(Steps[(int)step]);
                session.Execute("INSERT INTO schema_step VALUES(@step, @at)", ("step", step + 1), ("at", TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds()));
                if (step == 0) session.Execute("INSERT INTO chain VALUES(1, 0, 0, @hash, 0, 0, @hash)", ("hash", new byte[32]));
            }

            session.Commit();
        }
        catch (DbException error)
        {
            throw new APlusPException(ErrorCodes.RegistryStorage, $"the database {Name} cannot be used: {error.Message} {Advice}", error);
        }
    }

    private protected virtual void LockSchema(Session session)
    {
    }

    private protected abstract string Advice { get; }

    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
    }
}
