using System.Net;
using System.Security.Cryptography;
using APlusP.Node.Names;

namespace APlusP.Node.WebProxy;

/// <summary>
/// IPv6 addresses of names, asked of the DNS once for as long as the answer holds, and which of the names did not answer by them. Names are in memory alone and in nobody's log.
/// </summary>
/// <param name="ask">Asks for the addresses of a name; null where no server answers.</param>
/// <param name="clock">The time.</param>
sealed class AddressBook(Func<string, Task<NameAddresses?>> ask, TimeProvider clock)
{
    /// <summary>Names at once; when they are full, half of them go.</summary>
    internal const int MostNames = 8192;

    /// <summary>How long a name goes by IPv4 that did not answer by IPv6, and for how long no server is asked again that did not answer.</summary>
    internal static readonly TimeSpan Deaf = TimeSpan.FromMinutes(10), Retry = TimeSpan.FromSeconds(5);

    static readonly Task<NameAddresses?> s_none = Task.FromResult<NameAddresses?>(null);

    readonly Lock _lock = new();

    /// <summary>Names that there are.</summary>
    internal int Count
    {
        get { lock (_lock) return _names.Count; }
    }

    readonly Dictionary<string, Entry> _names = new(StringComparer.Ordinal);

    sealed class Entry
    {
        public required Task<NameAddresses?> Answer { get; set; }

        /// <summary>Until when it holds, once it is there.</summary>
        public DateTimeOffset Until { get; set; }

        public DateTimeOffset DeafUntil { get; set; }
    }

    /// <summary>The addresses of a name; null where no server answers. One question is enough for all who ask at once.</summary>
    public Task<NameAddresses?> Find(string name)
    {
        lock (_lock)
        {
            DateTimeOffset now = clock.GetUtcNow();
            if (_names.TryGetValue(name, out Entry? known) && (!known.Answer.IsCompleted || known.Until > now)) return known.Answer;
            MakeRoom(now);
            var entry = new Entry { Answer = s_none, DeafUntil = known?.DeafUntil ?? default };
            _names[name] = entry;
            return entry.Answer = Task.Run(() => Ask(name, entry));
        }
    }

    async Task<NameAddresses?> Ask(string name, Entry entry)
    {
        NameAddresses? found = await ask(name);
        lock (_lock) entry.Until = clock.GetUtcNow() + (found?.Holds ?? Retry);
        return found;
    }

    /// <summary>Whether a name did not answer by IPv6 a while ago.</summary>
    public bool IsDeaf(string name)
    {
        lock (_lock) return _names.TryGetValue(name, out Entry? known) && known.DeafUntil > clock.GetUtcNow();
    }

    /// <summary>A name did not answer by IPv6.</summary>
    public void SetDeaf(string name)
    {
        lock (_lock)
            if (_names.TryGetValue(name, out Entry? known)) known.DeafUntil = clock.GetUtcNow() + Deaf;
    }

    void MakeRoom(DateTimeOffset now)
    {
        if (_names.Count < MostNames) return;
        foreach (string over in _names.Where(n => n.Value.Answer.IsCompleted && n.Value.Until <= now && n.Value.DeafUntil <= now).Select(n => n.Key).ToArray()) _names.Remove(over);
        if (_names.Count < MostNames) return;
        foreach (string any in _names.Keys.Take(MostNames / 2).ToArray()) _names.Remove(any);
    }

    /// <summary>Asks the given name servers, or those of this machine: the first at once, the next ones too when it is slow, and the first answer counts.</summary>
    public static Func<string, Task<NameAddresses?>> By(IReadOnlyList<IPAddress> given) => async name =>
    {
        TimeSpan patience = TimeSpan.FromSeconds(5), apart = TimeSpan.FromMilliseconds(150);
        byte[] question = AddressQuestion.Write(name, (ushort)RandomNumberGenerator.GetInt32(ushort.MaxValue + 1));
        using var enough = new CancellationTokenSource();
        var asked = new List<Task<NameAddresses?>>();
        foreach (IPAddress server in given.Count > 0 ? given : NameServers.Read().Servers)
        {
            asked.Add(NameServers.Ask<NameAddresses>(server, question, AddressQuestion.TryRead, patience, enough.Token));
            if (await Attempts.First(asked, Task.Delay(apart)) is { } early) return Over(early);
        }

        return await Attempts.First(asked, Task.Delay(patience)) is { } answer ? Over(answer) : null;

        NameAddresses Over(NameAddresses answer)
        {
            enough.Cancel();
            return answer;
        }
    };
}
