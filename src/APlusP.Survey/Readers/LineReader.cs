namespace APlusP.Survey.Readers;

/// <summary>A file's lines as octets, with the memory of one line. Of a line that is too long to be sound only the beginning is given.</summary>
sealed class LineReader(Stream stream) : IDisposable
{
    /// <summary>Lines of connection tables have 150 to 400 octets.</summary>
    public const int Longest = 4096;

    readonly byte[] _buffer = new byte[1 << 17];
    int _start, _end;
    bool _inLongLine;

    /// <summary>From 1; that of the line read last.</summary>
    public long Number { get; private set; }

    /// <summary>Whether the line read last was longer than <see cref="Longest"/>.</summary>
    public bool IsTooLong { get; private set; }

    /// <summary>The next line without its end; borrowed until the next call.</summary>
    public bool TryRead(out ReadOnlySpan<byte> line)
    {
        while (true)
        {
            ReadOnlySpan<byte> rest = _buffer.AsSpan(_start, _end - _start);
            int length = rest[..Math.Min(rest.Length, Longest + 1)].IndexOf((byte)'\n');
            bool tooLong = length < 0 && rest.Length > Longest, ends = false;
            if (length < 0 && !tooLong)
            {
                if (Fill()) continue;
                ends = true;
                if (rest.IsEmpty)
                {
                    line = default;
                    return false;
                }
            }

            if (tooLong || ends) length = Math.Min(rest.Length, Longest);
            _start += Math.Min(rest.Length, tooLong ? length : length + 1);
            bool continues = _inLongLine;
            _inLongLine = tooLong;
            if (continues) continue;
            Number++;
            IsTooLong = tooLong;
            line = rest[..length].TrimEnd((byte)'\r');
            return true;
        }
    }

    bool Fill()
    {
        _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
        _end -= _start;
        _start = 0;
        int read = stream.Read(_buffer, _end, _buffer.Length - _end);
        _end += read;
        return read > 0;
    }

    public void Dispose() => stream.Dispose();
}
