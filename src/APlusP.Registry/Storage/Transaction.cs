using APlusP.Registry.Memory;

namespace APlusP.Registry.Storage;

/// <summary>
/// A change of the registry from its beginning to its commit. It holds the tail of the chain of events, and by that goes alone: whoever else
/// writes, in this process or in another registry on the same database, waits at the same row.
/// </summary>
sealed class Transaction
{
    long _seq;
    long _last;
    byte[] _hash;
    bool _appended;

    public Transaction(Session session, TimeProvider clock)
    {
        Session = session;
        (_seq, _last, _hash) = session.One($"SELECT seq, at, hash FROM chain WHERE one = 1 {session.Database.ForUpdate}", r => (r.GetInt64(0), r.GetInt64(1), r.Bytes(2)));

        // Time never goes back here, whatever a clock does: what came later in the chain was later.
        Now = Math.Max(clock.GetUtcNow().ToUnixTimeMilliseconds(), _last);
    }

    public Session Session { get; }

    /// <summary>The moment of this change, in ms since 1970.</summary>
    public long Now { get; }

    /// <summary>Puts an event at the end of the chain; gives its number.</summary>
    public long Append(RegistryEvent change)
    {
        _seq++;
        _hash = change.Hash(_hash, _seq, Now);
        _appended = true;
        Session.Write(
            $"INSERT INTO event({RegistryEvent.Columns}) VALUES(@seq, @at, @kind, @subject, @subscriber, @softwire, @address, @ports, @until, @actor, @hash)",
            ("seq", _seq), ("at", Now), ("kind", change.Kind), ("subject", change.Subject), ("subscriber", change.Subscriber), ("softwire", change.Softwire),
            ("address", change.Address), ("ports", change.Ports), ("until", change.Until), ("actor", change.Actor), ("hash", _hash));
        return _seq;
    }

    /// <summary>Writes the chain's new tail, and tells other registries when it is committed; the last thing before that.</summary>
    public void Finish()
    {
        if (!_appended) return;
        Session.Write("UPDATE chain SET seq = @seq, at = @at, hash = @hash WHERE one = 1", ("seq", _seq), ("at", Now), ("hash", _hash));
        if (Session.Database.Announcement is { } announce) Session.Write(announce);
    }
}
