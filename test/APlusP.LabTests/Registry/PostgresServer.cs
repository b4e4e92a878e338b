using System.Diagnostics;
using APlusP.Lab;
using APlusP.Linux;
using Npgsql;

namespace APlusP.LabTests.Registry;

/// <summary>
/// A real PostgreSQL of this test alone: its own directory, no port but a unix socket there, run as the user postgres, since it refuses root.
/// </summary>
public sealed class PostgresServer : IDisposable
{
    const string User = "postgres";

    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-postgres-").FullName;
    readonly string _programs;
    Process _server;
    int _databases;

    public PostgresServer()
    {
        _programs = Directory.EnumerateDirectories("/usr/lib/postgresql").OrderByDescending(d => int.Parse(Path.GetFileName(d))).Select(d => Path.Combine(d, "bin")).FirstOrDefault()
            ?? throw new InvalidOperationException("there is no /usr/lib/postgresql: install the Debian package postgresql (./dev setup does)");
        Commands.Require("chown", $"{User}:{User}", _directory);
        Commands.Require(As([Path.Combine(_programs, "initdb"), "-D", Data, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"]), timeout: TimeSpan.FromMinutes(2));
        _server = Start();
    }

    string Data => Path.Combine(_directory, "data");

    static string[] As(IEnumerable<string> command) => ["setpriv", $"--reuid={User}", $"--regid={User}", "--clear-groups", .. command];

    public string ConnectionString(string database) => $"Host={_directory};Username={User};Database={database};Timeout=10";

    /// <summary>A database that nobody has used.</summary>
    public string NewDatabase()
    {
        string name = $"registry{++_databases}";
        using var connection = new NpgsqlConnection(ConnectionString("postgres") + ";Pooling=false");
        connection.Open();
        using NpgsqlCommand command = connection.CreateCommand();
        command.CommandText = $"CREATE DATABASE {name}";
        command.ExecuteNonQuery();
        return ConnectionString(name);
    }

    Process Start()
    {
        // Killed before, it leaves children behind that hold its memory for a moment; until they are gone it does not start.
        Process? server = null;
        bool ready = Wait.Until(() =>
        {
            if (server is null || server.HasExited) server = StartOnce();
            return Commands.Run(Path.Combine(_programs, "pg_isready"), "-q", "-h", _directory).Succeeded;
        }, TimeSpan.FromSeconds(60));
        return ready ? server! : throw new InvalidOperationException($"PostgreSQL does not accept connections:\n{File.ReadAllText(Log)}");
    }

    string Log => Path.Combine(_directory, "log");

    Process StartOnce()
    {
        string[] command = As([Path.Combine(_programs, "postgres"), "-D", Data, "-k", _directory, "-c", "listen_addresses="]);
        return Process.Start("/bin/sh", ["-c", "log=$1; shift; exec \"$@\" </dev/null >>\"$log\" 2>&1", "sh", Log, .. command]);
    }

    /// <summary>Ends the server as a crash would.</summary>
    public void Kill()
    {
        Signals.Send(_server.Id, Signals.Kill);
        _server.WaitForExit(TimeSpan.FromSeconds(10));
    }

    public void StartAgain() => _server = Start();

    public void Dispose()
    {
        // SIGINT is its fast shutdown: connections are ended, nothing is lost.
        Signals.Send(_server.Id, Signals.Interrupt);
        if (!_server.WaitForExit(TimeSpan.FromSeconds(20))) Kill();
        Directory.Delete(_directory, recursive: true);
    }
}
