using System.Data.Common;

namespace APlusP.Registry.Storage;

/// <summary>One connection with its prepared commands. Used by one thread at a time.</summary>
sealed class Session(RegistryDatabase database, DbConnection connection) : IDisposable
{
    readonly Dictionary<string, DbCommand> _commands = new(StringComparer.Ordinal);
    DbTransaction? _transaction;

    public RegistryDatabase Database => database;

    public void Begin() => _transaction = connection.BeginTransaction();

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

    public List<T> All<T>(string sql, Func<DbDataReader, T> read, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        var rows = new List<T>();
        Each(sql, r => rows.Add(read(r)), values);
        return rows;
    }

    /// <summary>Row by row, for more of them than memory should hold.</summary>
    public void Each(string sql, Action<DbDataReader> read, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        using DbDataReader reader = Command(sql, values).ExecuteReader();
        while (reader.Read()) read(reader);
    }

    /// <summary>Several statements without parameters.</summary>
    public void Script(string sql)
    {
        using DbCommand command = connection.CreateCommand();
        command.Transaction = _transaction;
        command.CommandText = sql;
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
