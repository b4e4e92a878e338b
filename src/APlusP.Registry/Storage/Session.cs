using System.Data.Common;

namespace APlusP.Registry.Storage;

/// <summary>One connection with its prepared commands. Used by one thread at a time.</summary>
sealed class Session(RegistryDatabase database, DbConnection connection) : IDisposable
{
    readonly Dictionary<string, DbCommand> _commands = new(StringComparer.Ordinal);
    DbTransaction? _transaction;

    public RegistryDatabase Database => database;

    public void Begin() => _transaction = connection.BeginTransaction();

    /// <inheritdoc cref="RegistryDatabase.BeginSnapshot"/>
    public void BeginSnapshot() => _transaction = database.BeginSnapshot(connection);

    public void Commit() => End(t => t.Commit());

    public void Rollback() => End(t => t.Rollback());

    void End(Action<DbTransaction> how)
    {
        if (_transaction is not { } transaction) return;
        _transaction = null;
        using (transaction) how(transaction);
    }

    /// <summary>Runs a statement; gives how many rows it changed.</summary>
    public int Execute(string sql, params ReadOnlySpan<(string Name, object? Value)> values) => Command(sql, values).ExecuteNonQuery();

    /// <summary>The first row, or the type's default where there is none.</summary>
    public T? One<T>(string sql, Func<DbDataReader, T> read, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        using DbDataReader reader = Command(sql, values).ExecuteReader();
        return reader.Read() ? read(reader) : default;
    }

    /// <summary>Whether there is a row.</summary>
    public bool Any(string sql, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        using DbDataReader reader = Command(sql, values).ExecuteReader();
        return reader.Read();
    }

    public List<T> All<T>(string sql, Func<DbDataReader, T> read, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        var rows = new List<T>();
        using DbDataReader reader = Command(sql, values).ExecuteReader();
        while (reader.Read()) rows.Add(read(reader));
        return rows;
    }

    /// <summary>Row by row, for more of them than memory should hold, and however long it takes.</summary>
    public void Each(string sql, Action<DbDataReader> read)
    {
        DbCommand command = Command(sql, []);
        command.CommandTimeout = 0;
        using DbDataReader reader = command.ExecuteReader();
        while (reader.Read()) read(reader);
    }

    /// <summary>Several statements without parameters, however long they take.</summary>
    public void Script(string sql)
    {
        using DbCommand command = connection.CreateCommand();
        command.Transaction = _transaction;
        command.CommandText = sql;
        command.CommandTimeout = 0;
        command.ExecuteNonQuery();
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
