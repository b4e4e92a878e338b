using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Registry.Memory;
using APlusP.Registry.Storage;

namespace APlusP.Registry.Access;

/// <summary>Changes of credentials, within one transaction. Each is an event too.</summary>
sealed class CredentialBook(Transaction transaction, string actor)
{

    readonly Session _session = transaction.Session;

    /// <summary>The credential of a secret; null where there is none, or it is over.</summary>
    public static Credential? Find(Session session, string secret, DateTimeOffset now) =>
        session.One($"SELECT {Credential.Columns} FROM credential WHERE hash = @hash", Credential.From, ("hash", Secret.HashOf(secret))) is { } found && found.IsValid(now) ? found : null;

    /// <summary>The credential that a certificate became at its first use, revoked or not.</summary>
    public static Credential? Known(Session session, string print) => session.One($"SELECT {Credential.Columns} FROM credential WHERE hash = @hash", Credential.From, ("hash", Convert.FromHexString(print)));

    /// <summary>A certificate that is believed becomes a credential.</summary>
    /// <param name="print">Its SHA-256.</param>
    public Credential Know(string print, string subscriber, DateTimeOffset until) =>
        Known(_session, print) ?? Issue(Convert.FromHexString(print), Credential.Certificate, subscriber, until: until);

    /// <summary>Whether a credential that somebody came in with is good still.</summary>
    public static bool IsValid(Session session, string id, DateTimeOffset now) =>
        session.One($"SELECT {Credential.Columns} FROM credential WHERE id = @id", Credential.From, ("id", id))?.IsValid(now) == true;

    /// <summary>Whether a secret was ever issued, also where it is revoked now.</summary>
    public static bool IsKnown(Session session, string secret) => session.Any("SELECT 1 FROM credential WHERE hash = @hash", ("hash", Secret.HashOf(secret)));

    /// <summary>Makes a credential for a secret.</summary>
    public Credential Issue(string secret, string kind, string name, string role = "", string className = "", long? uses = null, TimeSpan? lifetime = null, string? replaces = null, IPv6Prefix? prefix = null) =>
        Issue(Secret.HashOf(secret), kind, name, role, className, uses, Rows.Time(transaction.Now) + lifetime, replaces, prefix);

    Credential Issue(byte[] hash, string kind, string name, string role = "", string className = "", long? uses = null, DateTimeOffset? until = null, string? replaces = null, IPv6Prefix? prefix = null)
    {
        DateTimeOffset now = Rows.Time(transaction.Now);
        var credential = new Credential(Guid.CreateVersion7(now).ToString("N"), kind, name, role, className, uses, now, until, null, replaces, prefix);
        transaction.Append(Event("issued", credential));
        _session.Write(
            $"INSERT INTO credential({Credential.Columns}, hash) VALUES(@id, @kind, @name, @role, @class, @uses, @created, @until, NULL, @replaces, @prefix, @hash)",
            ("id", credential.Id), ("kind", kind), ("name", name), ("role", role), ("class", className), ("uses", uses), ("created", transaction.Now),
            ("until", credential.Until?.ToUnixTimeMilliseconds()), ("replaces", replaces), ("prefix", prefix?.ToString() ?? ""), ("hash", hash));
        return credential;
    }

    /// <summary>Exchanges an enrolment token for a key of a subscriber.</summary>
    /// <param name="token">The enrolment token.</param>
    /// <param name="subscriber">The identity that is wanted; null for one that nobody has.</param>
    /// <param name="secret">The key's secret.</param>
    public Credential Enrol(Credential token, string? subscriber, string secret)
    {
        // As it is now: another may have used it since this request was let in.
        Credential current = Existing(token.Id);
        if (!current.IsValid(Rows.Time(transaction.Now)) || current.Uses is <= 0)
            throw new Refusal(ErrorCodes.NotAllowed, "This enrolment token is used up. Ask the operator for another.");
        string name = subscriber ?? $"smap-{RandomNumberGenerator.GetHexString(16, lowercase: true)}";
        if (_session.One("SELECT id FROM credential WHERE kind = 'key' AND name = @name AND revoked IS NULL", r => r.GetString(0), ("name", name)) is { } key)
            throw new Refusal(ErrorCodes.LeaseConflict, $"{name} is enrolled already. If it lost its key, an operator revokes that (DELETE /v1/credentials/{key}), and it enrols again.");
        if (_session.One("SELECT class FROM lease WHERE subscriber = @name AND ended IS NULL", r => r.GetString(0), ("name", name)) is not null)
            throw new Refusal(ErrorCodes.LeaseConflict, $"{name} has a lease that an operator gave it. Enrol under another name, or have the lease released first.");
        if (current.Uses is { } uses) _session.Write("UPDATE credential SET uses = @uses WHERE id = @id", ("uses", uses - 1), ("id", token.Id));
        return Issue(secret, Credential.Key, name, className: current.Class, prefix: current.Prefix);
    }

    /// <summary>A new key beside the old one, which ends when the new one is used for the first time: an answer that got lost locks nobody out.</summary>
    public Credential Rotate(Credential key, string secret) => Issue(secret, Credential.Key, key.Name, className: key.Class, replaces: key.Id, prefix: key.Prefix);

    /// <summary>The first use of a key that replaces another ends that.</summary>
    public void Settle(Credential key)
    {
        if (Existing(key.Id).Replaces is not { } old) return;
        _session.Write("UPDATE credential SET replaces = NULL WHERE id = @id", ("id", key.Id));
        if (Existing(old).Revoked is null) Revoke(old);
    }

    public Credential Revoke(string id)
    {
        Credential credential = Existing(id);
        if (credential.Revoked is { } then) throw new Refusal(ErrorCodes.NotThere, $"The credential '{id}' was revoked at {then:yyyy-MM-ddTHH:mm:ssZ} already.");
        if (credential is { Kind: Credential.Operator, Role: Credential.Operate } && _session.One(
            "SELECT COUNT(*) FROM credential WHERE kind = 'operator' AND role = 'operate' AND revoked IS NULL", r => r.GetInt64(0)) == 1)
            throw new Refusal(ErrorCodes.LeaseConflict, $"'{id}' is the last operator who may operate. Issue another first (POST /v1/credentials).");
        transaction.Append(Event("revoked", credential));
        _session.Write("UPDATE credential SET revoked = @now WHERE id = @id", ("now", transaction.Now), ("id", id));
        return credential with { Revoked = Rows.Time(transaction.Now) };
    }

    Credential Existing(string id) => _session.One($"SELECT {Credential.Columns} FROM credential WHERE id = @id", Credential.From, ("id", id))
        ?? throw new Refusal(ErrorCodes.NotThere, $"There is no credential '{id}'. GET /v1/credentials lists those that there are.");

    RegistryEvent Event(string kind, Credential credential) => new(
        kind, credential.Id, $"{credential.Kind} {credential.Name} {credential.Role}{credential.Class}{(credential.Prefix is { } prefix ? $" {prefix}" : "")}", null, null, null, credential.Until?.ToUnixTimeMilliseconds(), actor);
}
