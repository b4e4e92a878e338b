using System.Data.Common;
using APlusP.Core;
using Microsoft.Data.Sqlite;

namespace APlusP.Registry.Storage;

/// <summary>One file in the registry's directory (and its write-ahead log beside it); nothing to set up.</summary>
public sealed class SqliteDatabase : RegistryDatabase
{
    public const string FileName = "registry.db";

    // Results of SQLite that pass: busy, locked, an I/O error, a full disk.
    static readonly int[] s_passing = [5, 6, 10, 13];

    readonly string _path;
    readonly string _connectionString;

    static SqliteDatabase() => SQLitePCL.raw.SetProvider(new SQLitePCL.SQLite3Provider_sqlite3());

    public SqliteDatabase(string path)
    {
        _path = path;
        _connectionString = new SqliteConnectionStringBuilder { DataSource = path, DefaultTimeout = 30, Pooling = true }.ToString();
    }

    public override string Name => _path;

    internal override DbConnection Connect()
    {
        KeepFromOthers();
        var connection = new SqliteConnection(_connectionString);
        try
        {
            connection.Open();
            using SqliteCommand command = connection.CreateCommand();

            // FULL: what was answered is on the disk, also after a power cut.
            command.CommandText = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;";
            command.ExecuteNonQuery();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Who had which ports is nobody else's business: the file, and the log that SQLite makes like it, are for its owner alone.</summary>
    void KeepFromOthers()
    {
        if (File.Exists(_path)) return;
        try
        {
            new FileStream(_path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }).Dispose();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // SQLite says better what is wrong there.
        }
    }

    internal override DbTransaction BeginSnapshot(DbConnection connection) => ((SqliteConnection)connection).BeginTransaction(deferred: true);

    private protected override IReadOnlyList<string> Steps => Migrations.Sqlite;

    internal override string PortsParameter => "@ports";

    internal override string HoldsPort => "";

    internal override string ForUpdate => "";

    internal override bool IsPassing(Exception error) => error is SqliteException sqlite && s_passing.Contains(sqlite.SqliteErrorCode);

    private protected override string Advice => "Check that the directory exists, that its user may write there, and that the disk has room.";

    protected override void Dispose(bool disposing)
    {
        using var connection = new SqliteConnection(_connectionString);
        SqliteConnection.ClearPool(connection);
        base.Dispose(disposing);
    }
}
