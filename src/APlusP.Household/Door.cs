using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using APlusP.Core;
using APlusP.Node.Home;

namespace APlusP.Household;

/// <summary>A password as it is kept: PBKDF2 (RFC 8018) with SHA-256.</summary>
sealed record KeptPassword(byte[] Salt, byte[] Hash, int Rounds);

[JsonSerializable(typeof(KeptPassword))]
sealed partial class DoorJson : JsonSerializerContext;

/// <summary>
/// Who may come in. There is no default: the first start makes a key, which is in a file that only the router's administrator reads; with it a household sets a password, and then the key has gone.
/// </summary>
sealed class Door
{
    /// <summary>Characters of a password.</summary>
    public const int Shortest = 10, Longest = 100;

    const int Rounds = 300_000, SaltOctets = 16, HashOctets = 32, MostSessions = 64;

    static readonly TimeSpan s_session = TimeSpan.FromHours(12);

    readonly string _keyFile, _passwordFile;
    readonly TimeProvider _clock;
    readonly Lock _lock = new();
    readonly Dictionary<string, DateTimeOffset> _sessions = new(StringComparer.Ordinal);

    /// <exception cref="APlusPException">AP3040: the directory cannot be used.</exception>
    public Door(string directory, TimeProvider clock)
    {
        _keyFile = Path.Combine(directory, "household.key");
        _passwordFile = Path.Combine(directory, "household.password");
        _clock = clock;
        try
        {
            Directory.CreateDirectory(directory);
            if (!File.Exists(_passwordFile) && !File.Exists(_keyFile)) Keep(_keyFile, Secret.New() + "\n");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw NotKept(directory, error);
        }
    }

    /// <summary>Where the key is; null when there is a password.</summary>
    public string? KeyFile => File.Exists(_passwordFile) ? null : _keyFile;

    /// <summary>Takes the password away, and makes a new key; all who are in are out.</summary>
    /// <exception cref="APlusPException">AP3040.</exception>
    public static string Reset(string directory)
    {
        try
        {
            File.Delete(Path.Combine(directory, "household.password"));
            File.Delete(Path.Combine(directory, "household.key"));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw NotKept(directory, error);
        }

        return new Door(directory, TimeProvider.System).KeyFile!;
    }

    /// <summary>Begins a session, where this is the password, or the key as long as there is none; gives what its cookie says.</summary>
    public string? Open(string secret)
    {
        if (!IsRight(secret)) return null;
        string session = Secret.New();
        lock (_lock)
        {
            DateTimeOffset now = _clock.GetUtcNow();
            foreach (string over in _sessions.Where(s => s.Value <= now).Select(s => s.Key).ToArray()) _sessions.Remove(over);
            if (_sessions.Count >= MostSessions) _sessions.Remove(_sessions.MinBy(s => s.Value).Key);
            _sessions[Fingerprint(session)] = now + s_session;
        }

        return session;
    }

    bool IsRight(string secret)
    {
        if (secret.Length is 0 or > Longest) return false;
        if (File.Exists(_passwordFile))
        {
            KeptPassword kept = JsonSerializer.Deserialize(File.ReadAllBytes(_passwordFile), DoorJson.Default.KeptPassword)!;
            return CryptographicOperations.FixedTimeEquals(kept.Hash, HashOf(secret, kept.Salt, kept.Rounds));
        }

        return File.Exists(_keyFile) && CryptographicOperations.FixedTimeEquals(Secret.HashOf(File.ReadAllText(_keyFile).Trim()), Secret.HashOf(secret.Trim()));
    }

    /// <summary>Whether a cookie is of a session that goes on; it then goes on for as long again.</summary>
    public bool Knows(string? session)
    {
        if (session is null) return false;
        lock (_lock)
        {
            DateTimeOffset now = _clock.GetUtcNow();
            string fingerprint = Fingerprint(session);
            if (!_sessions.TryGetValue(fingerprint, out DateTimeOffset until) || until <= now) return false;
            _sessions[fingerprint] = now + s_session;
            return true;
        }
    }

    /// <summary>Ends a session.</summary>
    public void Close(string session)
    {
        lock (_lock) _sessions.Remove(Fingerprint(session));
    }

    /// <summary>Sets the password; the key and all other sessions end. False where it is too short, or too long.</summary>
    /// <param name="password">The new one.</param>
    /// <param name="session">Whose session stays.</param>
    /// <exception cref="APlusPException">AP3040.</exception>
    public bool SetPassword(string password, string session)
    {
        if (password.Length is < Shortest or > Longest) return false;
        byte[] salt = RandomNumberGenerator.GetBytes(SaltOctets);
        try
        {
            Keep(_passwordFile, JsonSerializer.Serialize(new KeptPassword(salt, HashOf(password, salt, Rounds), Rounds), DoorJson.Default.KeptPassword));
            File.Delete(_keyFile);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw NotKept(_passwordFile, error);
        }

        lock (_lock)
        {
            foreach (string other in _sessions.Keys.Where(k => k != Fingerprint(session)).ToArray()) _sessions.Remove(other);
        }

        return true;
    }

    static byte[] HashOf(string password, byte[] salt, int rounds) => Rfc2898DeriveBytes.Pbkdf2(Encoding.UTF8.GetBytes(password), salt, rounds, HashAlgorithmName.SHA256, HashOctets);

    static string Fingerprint(string session) => Convert.ToHexString(Secret.HashOf(session));

    static void Keep(string path, string text) => StateFile.Replace(path, file => file.Write(Encoding.UTF8.GetBytes(text)));

    static APlusPException NotKept(string path, Exception error) =>
        new(ErrorCodes.HouseholdState, $"the page of the household cannot keep its key and password in {path}: {error.Message}. Give --state a directory that this user may write.", error);
}
