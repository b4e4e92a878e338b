using System.Security.Cryptography;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Forwarding;
using APlusP.Core.PortControl;
using APlusP.Node.Daemons;

namespace APlusP.Node.PortControl;

/// <summary>
/// The ports of a home that lead to its hosts: those that hosts ask for, and those that the household gives. The book of them is the worker's, who alone looks into it, between batches;
/// who asks waits for him, and for the disk.
/// </summary>
sealed class PortDesk : IMappingDesk, IDisposable
{
    readonly Action<Action<Smap>> _between;
    readonly TimeProvider _time;
    readonly Func<Uptime?> _uptime;
    readonly DaemonLog _log;
    readonly MappingStore _store;
    readonly MappingBook _book;
    readonly Lock _saving = new();
    readonly long _start;
    readonly ITimer _timer;
    long _nextEnd = long.MaxValue, _savedVersion;
    long _began; // ticks since _start: before it where the epoch goes on over a restart
    bool _cannotSave;

    /// <param name="settings">What hosts may have.</param>
    /// <param name="options">Of the SMAP that starts.</param>
    /// <param name="between">Does something while no packet passes.</param>
    /// <param name="log">Told of what goes wrong.</param>
    /// <param name="time">The clock.</param>
    /// <param name="uptime">How long the machine has been up; null where that is not known.</param>
    /// <exception cref="APlusPException">AP3016: what was kept cannot be read.</exception>
    public PortDesk(PortControlSettings settings, SmapOptions options, Action<Action<Smap>> between, DaemonLog log, TimeProvider time, Func<Uptime?> uptime)
    {
        (_between, _time, _log, _uptime) = (between, time, log, uptime);
        _start = time.GetTimestamp();
        _store = new MappingStore(settings.State, log);
        Settings = settings;
        SavedMappings? saved = _store.Load();
        _book = new MappingBook(MappingTerms.Of(options, settings.Limits), Random.Shared);
        if (saved is not null) Restore(saved);
        _savedVersion = _book.Version;
        Identity = new UpnpIdentity(saved?.DeviceId ?? Guid.NewGuid(), saved?.Secret ?? RandomNumberGenerator.GetHexString(16, lowercase: true), saved?.WebPort ?? 0, (saved?.BootId ?? 0) + 1);
        _timer = time.CreateTimer(_ => Tick(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>From now on mappings end by themselves, and not before there is a worker who can be asked.</summary>
    public void Begin() => _timer.Change(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));

    void Restore(SavedMappings saved)
    {
        TimeSpan passed = Since(saved);
        (PortForward Forward, MappingProtocol By, MappingClaim Claim)[] claims = [.. saved.Claims.Select(c => c.Read((long)passed.TotalSeconds, 0)).Where(c => c.Claim.Until > 0)];
        _book.Restore(saved.Address is { } address ? IPv4Address.Parse(address) : null, saved.Household.Select(f => f.Read()), claims);
        _nextEnd = _book.NextEnd;

        // Only an epoch that falls behind tells clients of a loss (RFC 6886 section 3.6). Where all have ended, the clock may have leapt and not they have been silent; and no epoch is longer than 32 bits.
        bool goesOn = (claims.Length > 0 || saved.Claims.Count == 0) && saved.Epoch + passed.TotalSeconds <= uint.MaxValue;
        if (goesOn) _began = -(TimeSpan.FromSeconds(saved.Epoch) + passed).Ticks;
    }

    /// <summary>How long ago something was saved. Within a boot the kernel knows, whatever its clock was set to meanwhile; else a clock that is behind the time of saving is taken to stand there.</summary>
    TimeSpan Since(SavedMappings saved)
    {
        if (saved.Up is { } then && _uptime() is { } up && up.Boot == then.Boot && up.Seconds >= then.Seconds) return TimeSpan.FromSeconds(Math.Round(up.Seconds - then.Seconds, 3));
        TimeSpan passed = _time.GetUtcNow() - saved.Saved;
        return passed < TimeSpan.Zero ? TimeSpan.Zero : passed;
    }

    public PortControlSettings Settings { get; private set; }

    /// <summary>By what UPnP knows us.</summary>
    public UpnpIdentity Identity { get; private set; }

    /// <summary>Mappings changed, came or went.</summary>
    public event Action? Changed;

    /// <summary>What mappings stand on changed: those who have them should hear.</summary>
    public event Action<MappingChange>? Upset;

    TimeSpan Elapsed => _time.GetElapsedTime(_start);

    long Now => (long)Elapsed.TotalSeconds;

    double EpochSeconds => TimeSpan.FromTicks(Math.Max(0, Elapsed.Ticks - Interlocked.Read(ref _began))).TotalSeconds;

    public uint Epoch => (uint)EpochSeconds;

    public T Ask<T>(Func<MappingBook, IPortsInUse, long, T> request)
    {
        T answer = default!;
        long version = 0;
        bool isOther = false;
        SavedMappings? toSave = null;
        _between(smap =>
        {
            uint before = _book.UpdateId;
            answer = request(_book, smap, Now);
            isOther = _book.UpdateId != before;

            // Only what leads somewhere is exchanged; what the file says stays the daemon's affair.
            IReadOnlyList<PortForward> forwards = _book.Forwards;
            if (!smap.Options.Forwards.SequenceEqual(forwards)) smap.Options = smap.Options with { Forwards = forwards };
            (version, toSave) = Kept();
        });
        Save(version, toSave);
        if (isOther) Changed?.Invoke();
        return answer;
    }

    /// <summary>The options of a SMAP with all ports that lead somewhere. For the worker, or before there is one.</summary>
    public SmapOptions With(SmapOptions options, PortControlSettings settings)
    {
        Settings = settings;
        MappingChange change = _book.Adopt(MappingTerms.Of(options, settings.Limits));
        BeginAnewFor(change);
        if (change.IsAny) ThreadPool.QueueUserWorkItem(_ => Tell(change));
        return options with { Forwards = _book.Forwards };
    }

    /// <summary>Who lost a mapping asks again when the epoch begins anew (RFC 6887 section 8.5).</summary>
    void BeginAnewFor(MappingChange? change)
    {
        if (change is { Lost.Count: > 0, IsByHousehold: false }) Interlocked.Exchange(ref _began, Elapsed.Ticks);
    }

    void Tell(MappingChange change)
    {
        Upset?.Invoke(change);
        Changed?.Invoke();
    }

    /// <summary>Adds a forward of the household's, or takes some away, when it was looked at.</summary>
    public void Change(Func<MappingBook, SmapOptions, MappingChange?> change)
    {
        MappingChange? upset = Ask((book, napt, _) =>
        {
            MappingChange? made = change(book, ((Smap)napt).Options);
            BeginAnewFor(made);
            return made;
        });
        if (upset is { IsAny: true }) Tell(upset);
    }

    void Tick()
    {
        if (Interlocked.Read(ref _nextEnd) > Now) return;
        try
        {
            Ask((book, _, now) =>
            {
                book.Expire(now);
                return 0;
            });
        }
        catch (InvalidOperationException)
        {
            // The worker has ended, and the daemon with it.
        }
    }

    // ---- What outlives a restart

    /// <summary>Keeps what there is from now on, so that the epoch goes on over the next start; and where the UPnP device's pages are.</summary>
    public void Remember(int webPort)
    {
        Identity = Identity with { WebPort = webPort };
        Interlocked.Exchange(ref _savedVersion, -1);
        Ask((_, _, _) => 0);
    }

    (long Version, SavedMappings? Saved) Kept()
    {
        long now = Now;
        Interlocked.Exchange(ref _nextEnd, _book.NextEnd);
        if (_book.Version == Interlocked.Read(ref _savedVersion)) return (_book.Version, null);
        return (_book.Version, new SavedMappings
        {
            Saved = _time.GetUtcNow(),
            Up = _uptime(),
            Epoch = Math.Min(EpochSeconds, uint.MaxValue),
            Address = _book.LastAddress?.ToString(),
            DeviceId = Identity.Id,
            Secret = Identity.Secret,
            WebPort = Identity.WebPort,
            BootId = Identity.BootId,
            Household = [.. _book.Household.Select(SavedForward.Of)],
            Claims = [.. _book.Mappings.SelectMany(m => m.Claims.Select(c => SavedClaim.Of(m, c.By, c.Claim, now)))],
        });
    }

    void Save(long version, SavedMappings? saved)
    {
        if (saved is null) return;
        lock (_saving)
        {
            // Of two that changed something, the later one's may be written already.
            if (version < _savedVersion) return;
            try
            {
                _store.Save(saved);
                Interlocked.Exchange(ref _savedVersion, version);
                _cannotSave = false;
            }
            catch (APlusPException fault)
            {
                if (!_cannotSave) _log.MappingsNotKept(fault.Code, fault.Message);
                _cannotSave = true;
            }
        }
    }

    public void Dispose() => _timer.Dispose();
}

/// <summary>By what UPnP knows a SMAP: kept, so that programs find it again as they knew it.</summary>
sealed record UpnpIdentity(Guid Id, string Secret, int WebPort, uint BootId);
