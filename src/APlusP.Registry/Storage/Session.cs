using System.Data.Common;

namespace APlusP.Registry.Storage;

/// <summary>One connection with its prepared commands. Used by one thread at a time.</summary>
sealed class Session(RegistryDatabase database, DbConnection connection) : IDisposable
{
    readonly Dictionary<string, DbCommand> _commands = new(StringComparer.Ordinal);
    readonly List<(string Sql, (string Name, object? Value)[] Values)> _waiting = [];
    DbTransaction? _transaction;

    public RegistryDatabase Database => database;

    public void Begin() => _transaction = connection.BeginTransaction();

    /// <inheritdoc cref="RegistryDatabase.BeginSnapshot"/>
    public void BeginSnapshot() => _transaction = database.BeginSnapshot(connection);

    public void Commit()
    {
        Flush();
        End(t => t.Commit());
    }

    public void Rollback()
    {
        _waiting.Clear();
        End(t => t.Rollback());
    }

    void End(Action<DbTransaction> how)
    {
        if (_transaction is not { } transaction) return;
        _transaction = null;
        using (transaction) how(transaction);
    }

    /// <summary>
    /// Changes something within the transaction. Where the database is a server it goes along with the next question, or with the commit: a lease then costs a round trip for each
    /// question, and none for what it writes.
    /// </summary>
    public void Write(string sql, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        if (connection.CanCreateBatch) _waiting.Add((sql, values.ToArray()));
        else Execute(sql, values);
    }

    /// <summary>Runs a statement; gives how many rows it changed.</summary>
    public int Execute(string sql, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        Flush();
        return Command(sql, values).ExecuteNonQuery();
    }

    /// <summary>The first row, or the type's default where there is none.</summary>
    public T? One<T>(string sql, Func<DbDataReader, T> read, params ReadOnlySpan<(string Name, object? Value)> values) => Ask(sql, values, reader => reader.Read() ? read(reader) : default);

    /// <summary>Whether there is a row.</summary>
    public bool Any(string sql, params ReadOnlySpan<(string Name, object? Value)> values) => Ask(sql, values, reader => reader.Read());

    public List<T> All<T>(string sql, Func<DbDataReader, T> read, params ReadOnlySpan<(string Name, object? Value)> values) => Ask(sql, values, reader =>
    {
        var rows = new List<T>();
        while (reader.Read()) rows.Add(read(reader));
        return rows;
    });

    /// <summary>Row by row, for more of them than memory should hold, and however long it takes.</summary>
    public void Each(string sql, Action<DbDataReader> read)
    {
        Flush();
        DbCommand command = Command(sql, []);
        command.CommandTimeout = 0;
        using DbDataReader reader = command.ExecuteReader();
        while (reader.Read()) read(reader);
    }

    /// <summary>Several statements without parameters, however long they take.</summary>
    public void Script(string sql)
    {
        Flush();
        using DbCommand command = connection.CreateCommand();
        command.Transaction = _transaction;
        command.CommandText = sql;
        command.CommandTimeout = 0;
        command.ExecuteNonQuery();
    }

    /// <summary>Asks, and sends what waits to be written in front of the question.</summary>
    T Ask<T>(string sql, ReadOnlySpan<(string Name, object? Value)> values, Func<DbDataReader, T> read)
    {
        if (_waiting.Count == 0)
        {
            using DbDataReader alone = Command(sql, values).ExecuteReader();
            return read(alone);
        }

        using DbBatch batch = Waiting();
        Add(batch, sql, values);
        using DbDataReader reader = batch.ExecuteReader();
        return read(reader);
    }

    void Flush()
    {
        if (_waiting.Count == 0) return;
        using DbBatch batch = Waiting();
        batch.ExecuteNonQuery();
    }

    /// <summary>What waited, which waits no longer.</summary>
    DbBatch Waiting()
    {
        DbBatch batch = connection.CreateBatch();
        batch.Transaction = _transaction;
        foreach ((string sql, (string Name, object? Value)[] values) in _waiting) Add(batch, sql, values);
        _waiting.Clear();
        return batch;
    }

    static void Add(DbBatch batch, string sql, ReadOnlySpan<(string Name, object? Value)> values)
    {
        DbBatchCommand command = batch.CreateBatchCommand();
        command.CommandText = sql;
        foreach ((string name, object? value) in values)
        {
            DbParameter parameter = command.CreateParameter();
            parameter.ParameterName = name;
            parameter.Value = value ?? DBNull.Value;
            command.Parameters.Add(parameter);
        }

        batch.BatchCommands.Add(command);
    }

    DbCommand Command(string sql, ReadOnlySpan<(string Name, object? Value)> values)
    {
        if (!_commands.TryGetValue(sql, out DbCommand? command))
        {
            command = connection.CreateCommand();
            command.CommandText = sql;
            foreach ((string name, _) in values)
            {
                DbParameter parameter = command.CreateParameter();
                parameter.ParameterName = name;
                command.Parameters.Add(parameter);
            }

            _commands.Add(sql, command);
        }

        command.Transaction = _transaction;
        for (int i = 0; i < values.Length; i++) command.Parameters[i].Value = values[i].Value ?? DBNull.Value;
        return command;
    }

    public void Dispose()
    {
        foreach (DbCommand command in _commands.Values) command.Dispose();
        _transaction?.Dispose();
        connection.Dispose();
    }
}
