using System.Data.Common;
using System.Globalization;
using APlusP.Core;
using Npgsql;

namespace APlusP.Registry.Storage;

/// <summary>Takes everything that a registry knows from its SQLite file to a PostgreSQL that knows nothing yet, history and chain of hashes too.</summary>
public static class Move
{
    static readonly string[] s_tables = ["pool", "address", "lease", "block", "reservation", "service_port", "server_name", "event", "chain", "request", "credential", "export"];

    /// <summary>All or nothing; gives how many rows. The source stays as it is.</summary>
    /// <exception cref="APlusPException">AP6002: one cannot be read or written. AP6008: the target is in use.</exception>
    public static long Run(SqliteDatabase from, PostgresDatabase to)
    {
        if (!File.Exists(from.Name)) throw new APlusPException(ErrorCodes.RegistryStorage, $"there is no registry's database at {from.Name}. Name the directory that the registry was started with by --data.");
        from.Migrate();
        to.Migrate();
        try
        {
            using var source = new Session(from, from.Connect());
            using DbConnection target = to.Connect();
            using DbTransaction transaction = target.BeginTransaction();

            // A registry that still runs on the file would write on behind our back.
            source.Begin();
            Require(target, "SELECT COUNT(*) FROM event", $"the database {to.Name} has a registry's events already. Take an empty database.");
            Execute(target, "DELETE FROM chain; DELETE FROM pool; DELETE FROM address");
            long rows = s_tables.Sum(table => Copy(source, (NpgsqlConnection)target, table));
            Execute(target, "SELECT setval(pg_get_serial_sequence('block', 'id'), (SELECT COALESCE(MAX(id), 0) + 1 FROM block), false); ANALYZE");
            transaction.Commit();
            source.Rollback();
            return rows;
        }
        catch (DbException error)
        {
            throw new APlusPException(ErrorCodes.RegistryStorage, $"{from.Name} cannot be moved to {to.Name}: {error.Message} Stop the registry first.", error);
        }
    }

    static void Require(DbConnection target, string count, string message)
    {
        using DbCommand command = target.CreateCommand();
        command.CommandText = count;
        if ((long)command.ExecuteScalar()! > 0) throw new APlusPException(ErrorCodes.DatabaseInUse, message);
    }

    static void Execute(DbConnection target, string sql)
    {
        using DbCommand command = target.CreateCommand();
        command.CommandText = sql;
        command.CommandTimeout = 0;
        command.ExecuteNonQuery();
    }

    static long Copy(Session source, NpgsqlConnection target, string table)
    {
        // Both have the same columns, perhaps in another order.
        string[] columns = [.. source.All($"SELECT name FROM pragma_table_info('{table}')", r => r.GetString(0))];
        long rows = 0;
        using TextWriter writer = target.BeginTextImport($"COPY {table}({string.Join(", ", columns)}) FROM STDIN");
        source.Each($"SELECT {string.Join(", ", columns)} FROM {table}", row =>
        {
            for (int i = 0; i < columns.Length; i++)
            {
                if (i > 0) writer.Write('\t');
                writer.Write(Field(row.GetValue(i)));
            }

            writer.Write('\n');
            rows++;
        });
        return rows;
    }

    /// <summary>A value in the text form of COPY.</summary>
    static string Field(object value) => value switch
    {
        DBNull => "\\N",
        long number => number.ToString(CultureInfo.InvariantCulture),
        byte[] octets => $"\\\\x{Convert.ToHexStringLower(octets)}",
        string text => text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\t", "\\t", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal).Replace("\r", "\\r", StringComparison.Ordinal),
        _ => throw new InvalidOperationException($"a column holds {value.GetType()}"),
    };
}
