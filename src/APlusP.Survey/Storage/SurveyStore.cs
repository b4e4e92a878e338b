using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Survey.Counting;
using Microsoft.Data.Sqlite;

namespace APlusP.Survey.Storage;

/// <summary>A host of a store.</summary>
/// <param name="Number">By which ticks name it.</param>
/// <param name="IsIPv6">Its family.</param>
/// <param name="Name">Its pseudonym, or its address.</param>
public sealed record StoredHost(int Number, bool IsIPv6, string Name);

/// <summary>When a sample was taken.</summary>
/// <param name="At">The time, UTC.</param>
/// <param name="Period">How long it stands for.</param>
public readonly record struct SampleTime(DateTimeOffset At, TimeSpan Period);

/// <summary>
/// A survey in one SQLite file; docs/survey.md describes its tables. A tick is a row, with the counts of all hosts in one compressed value: a week of 500 hosts at ten
/// seconds has 60,480 rows instead of thirty million.
/// </summary>
public sealed partial class SurveyStore : IDisposable
{
    const int SchemaStep = 1;

    const string Schema = """
        CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
        CREATE TABLE application(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE host(id INTEGER PRIMARY KEY, family INTEGER NOT NULL, name TEXT NOT NULL UNIQUE);
        CREATE TABLE tick(
            id INTEGER PRIMARY KEY, at INTEGER NOT NULL UNIQUE, period INTEGER NOT NULL, hosts INTEGER NOT NULL, ports4 INTEGER NOT NULL, ports6 INTEGER NOT NULL,
            beyond INTEGER NOT NULL, counts BLOB NOT NULL);
        """;

    readonly SqliteConnection _connection;
    readonly List<StoredHost> _hosts = [];
    readonly Dictionary<string, int> _numbers = new(StringComparer.Ordinal);
    readonly Dictionary<HostAddress, int> _known = [];
    readonly List<string> _applications = [];
    HostNames? _names;

    static SurveyStore() => SQLitePCL.raw.SetProvider(new SQLitePCL.SQLite3Provider_sqlite3());

    SurveyStore(string path, SqliteOpenMode mode)
    {
        Path = path;
        _connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Mode = mode, Pooling = false, DefaultTimeout = 60 }.ToString());
    }

    public string Path { get; }

    /// <summary>Those of the rules that counted, in the order in which <see cref="HostCounts.ByApplication"/> has them.</summary>
    public IReadOnlyList<string> Applications => _applications;

    public IReadOnlyList<StoredHost> Hosts => _hosts;

    /// <summary>How many ticks there are.</summary>
    public long Samples => (long)Scalar("SELECT COUNT(*) FROM tick WHERE id <= @last", ("@last", _lastKnown))!;

    /// <summary>When the last tick was, or null.</summary>
    public DateTimeOffset? Last => Scalar("SELECT MAX(at) FROM tick") is long at ? DateTimeOffset.FromUnixTimeMilliseconds(at) : null;

    /// <summary>Opens a survey that there is, to read it.</summary>
    /// <param name="keyFile">Where the pseudonyms' key is; null for beside the store.</param>
    /// <exception cref="APlusPException">AP7004: there is none, or it cannot be used.</exception>
    public static SurveyStore Open(string path, string? keyFile = null)
    {
        if (!File.Exists(path)) throw new APlusPException(ErrorCodes.SurveyStorage, $"there is no survey {path}. 'aplusp survey --store {path}' or 'aplusp survey import --store {path} FILE' makes one.");
        return Guarded(path, SqliteOpenMode.ReadWrite, store => store.ReadTables(keyFile));
    }

    /// <summary>Opens a survey to add to it, and makes it where there is none.</summary>
    /// <param name="byAddress">Hosts by their addresses, rather than pseudonyms; must be as it was when the store was made.</param>
    /// <exception cref="APlusPException">AP7004: it cannot be used. AP7005: hosts are named otherwise in it, or its key is missing.</exception>
    public static SurveyStore OpenToAdd(string path, ApplicationRules rules, bool byAddress, string? keyFile = null)
    {
        bool exists = File.Exists(path) && new FileInfo(path).Length > 0;
        if (!exists) MakeFile(path);
        return Guarded(path, SqliteOpenMode.ReadWrite, store =>
        {
            if (!exists) store.MakeTables(byAddress, keyFile);
            store.ReadTables(keyFile);
            store.RequireNames(byAddress, keyFile);
            foreach (string name in rules.Names.Except(store._applications).ToArray()) store.AddApplication(name);
        });
    }

    /// <summary>What hosts do is nobody else's business: the file is for its owner alone.</summary>
    static void MakeFile(string path)
    {
        try
        {
            new FileStream(path, new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }).Dispose();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new APlusPException(ErrorCodes.SurveyStorage, $"the survey {path} cannot be made: {error.Message} Check that its directory exists and may be written.", error);
        }
    }

    static SurveyStore Guarded(string path, SqliteOpenMode mode, Action<SurveyStore> prepare)
    {
        var store = new SurveyStore(path, mode);
        try
        {
            store._connection.Open();
            prepare(store);
            return store;
        }
        catch (SqliteException error)
        {
            store.Dispose();
            throw new APlusPException(ErrorCodes.SurveyStorage, $"the survey {path} cannot be used: {error.Message} Is it the file that 'aplusp survey' made?", error);
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    void MakeTables(bool byAddress, string? keyFile)
    {
        string file = keyFile ?? HostNames.KeyFileOf(Path);
        HostNames names = byAddress ? HostNames.ByAddress : HostNames.ByKeyIn(file) ?? HostNames.MakeKey(file);
        MakeTables(byAddress ? HostNames.Addresses : HostNames.Pseudonyms, names.Fingerprint);
    }

    void MakeTables(string hostsAre, string fingerprint)
    {
        using SqliteTransaction transaction = _connection.BeginTransaction();
        Execute(Schema);
        foreach ((string key, string value) in new[] { ("step", $"{SchemaStep}"), ("hosts", hostsAre), ("key", fingerprint) })
            Execute("INSERT INTO meta VALUES(@key, @value)", ("@key", key), ("@value", value));
        transaction.Commit();
    }

    void ReadTables(string? keyFile)
    {
        if (!int.TryParse(Meta("step"), out int step) || step != SchemaStep)
            throw new APlusPException(ErrorCodes.SurveyStorage, $"the survey {Path} was made by a newer aplusp (its tables are of step {Meta("step")}, this program knows {SchemaStep}). Run the newer program.");
        _lastKnown = Scalar("SELECT MAX(id) FROM tick") as long? ?? 0;
        foreach (object[] row in Rows("SELECT name FROM application ORDER BY id")) _applications.Add((string)row[0]);
        foreach (object[] row in Rows("SELECT id, family, name FROM host ORDER BY id")) Know(new StoredHost((int)(long)row[0], (long)row[1] == 6, (string)row[2]));
        _names = Meta("hosts") == HostNames.Addresses ? HostNames.ByAddress : HostNames.ByKeyIn(keyFile ?? HostNames.KeyFileOf(Path));
        if (_names is not null && _names.Fingerprint != Meta("key"))
            throw new APlusPException(ErrorCodes.SurveySettings, $"{keyFile ?? HostNames.KeyFileOf(Path)} is not the key of the survey {Path}; the hosts in it were named by another.");
    }

    string? Meta(string key) => (string?)Scalar("SELECT value FROM meta WHERE key = @key", ("@key", key));

    void RequireNames(bool byAddress, string? keyFile)
    {
        bool stored = Meta("hosts") == HostNames.Addresses;
        if (byAddress != stored)
            throw new APlusPException(ErrorCodes.SurveySettings, $"the survey {Path} has its hosts by {(stored ? "their addresses: add --addresses" : "pseudonyms: leave --addresses out")}, or begin another store.");
        if (_names is null)
            throw new APlusPException(ErrorCodes.SurveySettings, $"the key {keyFile ?? HostNames.KeyFileOf(Path)} of the survey {Path} is missing, and without it no host can be named as before. Put it back, or begin another store.");
    }

    void AddApplication(string name)
    {
        const int most = 64;
        if (_applications.Count == most) throw new APlusPException(ErrorCodes.SurveySettings, $"the survey {Path} has {most} applications already, as many as it can tell apart; begin another store.");
        Execute("INSERT INTO application VALUES(@id, @name)", ("@id", _applications.Count), ("@name", name));
        _applications.Add(name);
    }

    void Know(StoredHost host)
    {
        _hosts.Add(host);
        _numbers[host.Name] = host.Number;
    }

    /// <summary>The host of this pseudonym or address.</summary>
    /// <exception cref="APlusPException">AP7006: there is none, or it takes the key to find it.</exception>
    public StoredHost HostOf(string text)
    {
        if (_numbers.TryGetValue(text, out int number)) return _hosts[number - 1];
        if (!HostAddress.TryParse(text, out HostAddress address)) throw NoHost(text, "It is neither an address nor a pseudonym that stands in it.");
        if (_names is null) throw NoHost(text, $"To find an address takes the key {HostNames.KeyFileOf(Path)}, which is not there; ask for the pseudonym.");
        return _numbers.TryGetValue(_names.NameOf(address), out number) ? _hosts[number - 1] : throw NoHost(text, "It had no connection at any tick.");
    }

    APlusPException NoHost(string text, string why) => new(ErrorCodes.NoSuchHost, $"the survey {Path} has no host '{text}'. {why}");

    SqliteCommand Command(string sql, ReadOnlySpan<(string Name, object Value)> values)
    {
        SqliteCommand command = _connection.CreateCommand();
        command.CommandText = sql;
        command.CommandTimeout = 60;
        foreach ((string name, object value) in values) command.Parameters.AddWithValue(name, value);
        return command;
    }

    void Execute(string sql, params ReadOnlySpan<(string Name, object Value)> values)
    {
        using SqliteCommand command = Command(sql, values);
        command.ExecuteNonQuery();
    }

    object? Scalar(string sql, params ReadOnlySpan<(string Name, object Value)> values)
    {
        using SqliteCommand command = Command(sql, values);
        return command.ExecuteScalar();
    }

    List<object[]> Rows(string sql)
    {
        using SqliteCommand command = Command(sql, []);
        using SqliteDataReader reader = command.ExecuteReader();
        var rows = new List<object[]>();
        while (reader.Read())
        {
            var row = new object[reader.FieldCount];
            reader.GetValues(row);
            rows.Add(row);
        }

        return rows;
    }

    public void Dispose() => _connection.Dispose();
}
