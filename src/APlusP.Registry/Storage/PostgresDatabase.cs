using System.Data.Common;
using APlusP.Core;
using Npgsql;

namespace APlusP.Registry.Storage;

/// <summary>A PostgreSQL database, which several registries may share.</summary>
public sealed class PostgresDatabase : RegistryDatabase
{
    // Serialises the making of tables among registries that start at once.
    const long SchemaLock = 0x61706c757370;

    readonly NpgsqlDataSource _source;

    /// <exception cref="APlusPException">AP6002: not a connection string.</exception>
    public PostgresDatabase(string connectionString)
    {
        try
        {
            var settings = new NpgsqlConnectionStringBuilder(connectionString) { MaxAutoPrepare = 64, AutoPrepareMinUsages = 2, Enlist = false };
            Name = $"{settings.Database} on {settings.Host}";
            var builder = new NpgsqlSlimDataSourceBuilder(settings.ConnectionString);

            // Types of columns that only the server knows go as text here; asking for all of them costs a command that asks one question 8 of its 34 ms.
            builder.ConfigureTypeLoading(types => types.EnableTypeLoading(false));
            _source = builder.Build();
        }
        catch (Exception error) when (error is ArgumentException or FormatException or KeyNotFoundException or InvalidOperationException)
        {
            throw new APlusPException(ErrorCodes.RegistryStorage,
                $"the connection string is not understood: {error.Message} Write it such as \"Host=/var/run/postgresql;Database=aplusp;Username=aplusp\".", error);
        }
    }

    public override string Name { get; }

    internal override DbConnection Connect()
    {
        try
        {
            return _source.OpenConnection();
        }
        catch (Exception error) when (error is TimeoutException or IOException)
        {
            throw new NpgsqlException($"no answer: {error.Message}", error);
        }
    }

    internal override DbTransaction BeginSnapshot(DbConnection connection) => connection.BeginTransaction(System.Data.IsolationLevel.RepeatableRead);

    private protected override IReadOnlyList<string> Steps => Migrations.Postgres;

    internal override string PortsParameter => "@ports::int4multirange";

    internal override string HoldsPort => "AND b.ports @> @port::int AND int8range(b.valid_from, b.free_at) @> @at";

    internal override string ForUpdate => "FOR UPDATE";

    const string Topic = "aplusp_change";

    static readonly TimeSpan s_listenAgain = TimeSpan.FromSeconds(1);

    internal override string Announcement => $"SELECT pg_notify('{Topic}', '')";

    /// <summary>On a connection of its own; what was announced while it was lost is not told again, so coming back counts as an announcement.</summary>
    internal override async Task Listen(Action heard, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await using NpgsqlConnection connection = await _source.OpenConnectionAsync(stop);
                connection.Notification += (_, _) => heard();
                await using (NpgsqlCommand listen = connection.CreateCommand())
                {
                    listen.CommandText = $"LISTEN {Topic}";
                    await listen.ExecuteNonQueryAsync(stop);
                }

                heard();
                while (true) await connection.WaitAsync(stop);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (Exception error) when (error is NpgsqlException or IOException or TimeoutException)
            {
                // The server is away; whoever follows looks by themselves meanwhile.
                await Task.Delay(s_listenAgain, CancellationToken.None);
            }
        }
    }

    // Class 08 is a lost connection, 53 no room, 57 a shutdown, 40 a deadlock or a conflict of transactions.
    internal override bool IsPassing(Exception error) =>
        error is PostgresException { SqlState: var state } ? state[..2] is "08" or "53" or "57" or "40" : error is NpgsqlException or IOException or TimeoutException;

    private protected override void LockSchema(Session session) => session.Execute("SELECT pg_advisory_xact_lock(@key)", ("key", SchemaLock));

    private protected override string Advice => "Check that the server runs, that the database exists, and that its user may make tables there (it needs the extension btree_gist, of Debian's package postgresql).";

    protected override void Dispose(bool disposing)
    {
        _source.Dispose();
        base.Dispose(disposing);
    }
}
