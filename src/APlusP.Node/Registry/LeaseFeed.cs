using APlusP.Core;

namespace APlusP.Node.Registry;

/// <summary>Who takes over what a feed says.</summary>
interface ILeaseTaker
{
    /// <summary>All leases follow, and nobody has one who is not among them; or else changes.</summary>
    void Begin(bool snapshot);

    void Take(in FeedLine lease);

    void Remove(in FeedLine gone);

    /// <summary>What came since the beginning, or since the last time, is complete.</summary>
    void Complete();
}

/// <summary>
/// Follows a feed line by line, whether it comes from a registry or from the copy of one on the disk: what came is checked to be in order and whole, handed on, and copied.
/// </summary>
sealed class LeaseFeed(ILeaseTaker taker, SavedCopy? copy)
{
    /// <summary>No line is longer.</summary>
    public const int LongestLine = 128 * 1024;

    readonly FeedLineReader _reader = new();
    bool _isSnapshot;
    long _lines;

    /// <summary>The last version that is complete; null before the first, or when all must be told anew.</summary>
    public string? Version { get; set; }

    /// <summary>Told of each version, changes of it or not, after it was taken over.</summary>
    public Action<FeedLine>? Completed { get; init; }

    /// <summary>Told what begins: a snapshot, and why, or changes.</summary>
    public Action<FeedLine>? Begun { get; init; }

    /// <summary>Another stream begins: what the last one left unfinished is told again.</summary>
    public void Restart() => _lines = 0;

    /// <summary>Reads until the stream ends, or is silent for too long.</summary>
    /// <exception cref="ApiFault">What came is no feed, or something of it is missing.</exception>
    /// <exception cref="IOException">The stream broke.</exception>
    /// <exception cref="OperationCanceledException">It was silent, or is to be left.</exception>
    public async Task Read(Stream stream, TimeSpan silence, CancellationToken stop)
    {
        Restart();
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        byte[] buffer = new byte[2 * LongestLine];
        int length = 0;
        while (true)
        {
            patience.CancelAfter(silence);
            int read = await stream.ReadAsync(buffer.AsMemory(length), patience.Token);
            if (read == 0) return;
            length += read;
            int taken = TakeLines(buffer.AsSpan(0, length));
            if (length - taken > LongestLine) throw Broken("a line has no end");
            buffer.AsSpan(taken, length - taken).CopyTo(buffer);
            length -= taken;
        }
    }

    /// <summary>Takes over the whole lines of what there is; gives how much of it they are.</summary>
    public int TakeLines(ReadOnlySpan<byte> lines)
    {
        int start = 0, toCopy = 0;
        while (lines[start..].IndexOf((byte)'\n') is var end and >= 0)
        {
            FeedLine line = ReadLine(lines.Slice(start, end));
            bool isHeartbeat = line.Kind == FeedLineKind.Version && line.Version == Version && !_isSnapshot;
            if (line.Kind == FeedLineKind.Snapshot || isHeartbeat)
            {
                copy?.Write(lines[toCopy..start]);
                toCopy = isHeartbeat ? start + end + 1 : start;
                if (!isHeartbeat) copy?.Begin();
            }

            Take(line);
            start += end + 1;
            if (line.Kind != FeedLineKind.Version || isHeartbeat) continue;
            copy?.Write(lines[toCopy..start]);
            toCopy = start;
            copy?.Complete(line.Version!);
        }

        copy?.Write(lines[toCopy..start]);
        return start;
    }

    FeedLine ReadLine(ReadOnlySpan<byte> line)
    {
        try
        {
            return _reader.Read(line);
        }
        catch (FormatException error)
        {
            throw Broken(error.Message);
        }
    }

    void Take(in FeedLine line)
    {
        switch (line.Kind)
        {
            case FeedLineKind.Snapshot or FeedLineKind.Changes:
                _isSnapshot = line.Kind == FeedLineKind.Snapshot;
                _lines = 0;
                taker.Begin(_isSnapshot);
                Begun?.Invoke(line);
                break;
            case FeedLineKind.Lease:
                _lines++;
                taker.Take(line);
                break;
            case FeedLineKind.Gone:
                _lines++;
                taker.Remove(line);
                break;
            default:
                Finish(line);
                break;
        }
    }

    void Finish(in FeedLine line)
    {
        // A gap: what is missing is asked for again from the last version that is whole; where that does not help, as a snapshot.
        if (line.Lines != _lines) throw Broken($"version {line.Version} has {line.Lines} lines, and {_lines} came");
        if (!_isSnapshot && line.After != Version)
        {
            (string? before, Version) = (Version, null);
            throw Broken($"version {line.Version} follows {line.After}, and we have {before ?? "none"}");
        }

        taker.Complete();
        (_isSnapshot, _lines, Version) = (false, 0, line.Version);
        Completed?.Invoke(line);
    }

    static ApiFault Broken(string why) => new(ErrorCodes.BrokenFeed, $"what the registry tells of its leases is broken: {why}");
}
