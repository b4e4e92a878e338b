using System.Text.Unicode;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Node.Registry;

/// <summary>A lease as the copy has it; <paramref name="Until"/> in ms since 1970.</summary>
readonly record struct SavedLease(IPv6Address Softwire, IPv4Address Address, PortSet Ports, long Until, ServedName[]? Names);

/// <summary>
/// The feed on the disk: the last snapshot as it came, and every change behind it. Whoever starts again reads it as if the registry told it. What a crash left unfinished at its end is not whole, and
/// is told again by the registry. When the changes have become longer than what they change, all of it is written anew, while the old file goes on.
/// </summary>
/// <param name="path">Where. Beside it is the next one, until it is whole.</param>
/// <param name="leases">Every lease as it is now, for writing it anew.</param>
sealed class SavedCopy(string path, Func<IEnumerable<SavedLease>> leases) : IDisposable
{
    /// <summary>So much is never too long.</summary>
    const long Small = 1 << 20;

    const int Buffer = 64 * 1024;

    FileStream? _file, _next;
    long _snapshot, _rewriteFrom;
    Task<FileStream>? _rewriting;

    /// <summary>What the disk said, where it did not take or give the copy; it is tried again with the next snapshot.</summary>
    public string? Fault { get; private set; }

    /// <summary>Reads what there is into a feed, and goes on behind it.</summary>
    /// <returns>Whether something whole was there.</returns>
    public bool Load(LeaseFeed feed)
    {
        if (!File.Exists(path)) return false;
        long whole = 0;
        try
        {
            using (FileStream file = File.OpenRead(path)) whole = ReadAll(file, feed);
            if (whole == 0) return false;
            _file = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.Read, Buffer);

            // What is behind the last whole version will come again.
            _file.SetLength(whole);
            _file.Seek(0, SeekOrigin.End);
            _snapshot = whole;
            return true;
        }
        catch (Exception error) when (IsOfTheDisk(error))
        {
            Fail(error);
            return whole > 0;
        }
    }

    /// <summary>How far it is whole.</summary>
    static long ReadAll(FileStream file, LeaseFeed feed)
    {
        byte[] buffer = new byte[2 * LeaseFeed.LongestLine];
        int length = 0;
        long position = 0, whole = 0;
        try
        {
            while (file.Read(buffer, length, buffer.Length - length) is var read and > 0)
            {
                length += read;
                int start = 0;
                while (buffer.AsSpan(start, length - start).IndexOf((byte)'\n') is var end and >= 0)
                {
                    string? before = feed.Version;
                    feed.TakeLines(buffer.AsSpan(start, end + 1));
                    start += end + 1;
                    if (feed.Version != before) whole = position + start;
                }

                buffer.AsSpan(start, length - start).CopyTo(buffer);
                length -= start;
                position += start;
                if (length == buffer.Length) return whole;
            }
        }
        catch (ApiFault)
        {
            // Torn here.
        }

        feed.Restart();
        return whole;
    }

    /// <summary>A snapshot begins: it goes beside the file that there is, and takes its place when it is whole.</summary>
    public void Begin()
    {
        Try(() =>
        {
            GiveUpNext();
            _next = Create();
        });
    }

    /// <summary>Whole lines.</summary>
    public void Write(ReadOnlySpan<byte> lines)
    {
        if (lines.IsEmpty || (_next ?? _file) is not { } to) return;
        try
        {
            to.Write(lines);
        }
        catch (Exception error) when (IsOfTheDisk(error))
        {
            Fail(error);
        }
    }

    /// <summary>What was written is whole up to here.</summary>
    public void Complete(string version) => Try(() =>
    {
        if (_next is { } next)
        {
            next.Flush(flushToDisk: true);
            Take(next);
            _next = null;
            _snapshot = next.Length;
            return;
        }

        if (_file is not { } file) return;
        file.Flush();
        if (_rewriting is { IsCompleted: true }) FinishRewriting(file);
        else if (_rewriting is null && file.Length - _snapshot > Math.Max(_snapshot, Small)) BeginRewriting(file, version);
    });

    // ---- Anew

    void BeginRewriting(FileStream file, string version)
    {
        _rewriteFrom = file.Length;
        IEnumerable<SavedLease> now = leases();
        _rewriting = Task.Run(() => WriteAnew(now, version));
    }

    /// <summary>Leases as they are while this goes on; every change since it began is behind them in the old file, and brings each to where it is.</summary>
    FileStream WriteAnew(IEnumerable<SavedLease> leases, string version)
    {
        FileStream file = Create();
        file.Write("{\"begins\":\"snapshot\"}\n"u8);
        byte[] line = new byte[LeaseFeed.LongestLine];
        long lines = 0;
        foreach ((IPv6Address softwire, IPv4Address address, PortSet ports, long until, ServedName[]? names) in leases)
        {
            string named = names is null ? "" : $",\"names\":[{string.Join(',', names.Select(Json))}]";
            Utf8.TryWrite(line, $"{{\"softwire\":\"{softwire}\",\"address\":\"{address}\",\"ports\":\"{(ports.IsWholeAddress ? "all" : ports)}\",\"until\":{until}{named}}}\n", out int octets);
            file.Write(line, 0, octets);
            lines++;
        }

        Utf8.TryWrite(line, $"{{\"version\":\"{version}\",\"lines\":{lines},\"now\":{TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds()}}}\n", out int last);
        file.Write(line, 0, last);
        file.Flush(flushToDisk: true);
        return file;
    }

    static string Json(ServedName name) =>
        $"{{\"name\":\"{name.Name}\"{(name.Http > 0 ? $",\"http\":{name.Http}" : "")}{(name.Https > 0 ? $",\"https\":{name.Https}" : "")}{(name.IsProxied ? ",\"proxied\":true" : "")}}}";

    void FinishRewriting(FileStream old)
    {
        Task<FileStream> done = _rewriting!;
        _rewriting = null;
        FileStream anew = done.GetAwaiter().GetResult();
        _snapshot = anew.Length;
        using (FileStream since = File.OpenRead(path))
        {
            since.Seek(_rewriteFrom, SeekOrigin.Begin);
            since.CopyTo(anew);
        }

        anew.Flush(flushToDisk: true);
        Take(anew);
    }

    // ---- Files

    string Beside => $"{path}.new";

    FileStream Create()
    {
        if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } directory) Directory.CreateDirectory(directory);
        File.Delete(Beside);
        return new FileStream(Beside, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            Share = FileShare.Read,
            BufferSize = Buffer,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        });
    }

    /// <summary>Puts a file that is whole in the place of the other.</summary>
    void Take(FileStream file)
    {
        File.Move(Beside, path, overwrite: true);
        _file?.Dispose();
        _file = file;
        Fault = null;
    }

    /// <summary>One that is being written goes, whoever writes it.</summary>
    void GiveUpNext()
    {
        if (_rewriting is { } rewriting)
        {
            _rewriting = null;
            ((IAsyncResult)rewriting).AsyncWaitHandle.WaitOne();
            if (rewriting.IsCompletedSuccessfully) rewriting.Result.Dispose();
        }

        _next?.Dispose();
        _next = null;
    }

    void Try(Action what)
    {
        try
        {
            what();
        }
        catch (Exception error) when (IsOfTheDisk(error))
        {
            Fail(error);
        }
    }

    static bool IsOfTheDisk(Exception error) => error is IOException or UnauthorizedAccessException or NotSupportedException;

    /// <summary>A copy with a hole is none: it goes on with the next snapshot.</summary>
    void Fail(Exception error)
    {
        Fault = $"the copy of the registry's leases in {path} cannot be kept: {error.Message}";
        (FileStream? file, FileStream? next) = (_file, _next);
        (_file, _next) = (null, null);
        Dispose(file);
        Dispose(next);
    }

    static void Dispose(FileStream? file)
    {
        try
        {
            file?.Dispose();
        }
        catch (IOException)
        {
            // Its buffer does not go to the disk either.
        }
    }

    public void Dispose()
    {
        Try(GiveUpNext);
        Dispose(_file);
        _file = null;
    }
}
