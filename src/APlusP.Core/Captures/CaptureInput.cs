using System.Buffers.Binary;

namespace APlusP.Core.Captures;

/// <summary>A capture's octets in order, with the place for messages and the byte order of the machine that wrote it.</summary>
sealed class CaptureInput(Stream stream, string name) : IDisposable
{
    byte[] _buffer = new byte[1 << 16];
    int _start, _end;

    public string Name { get; } = name;

    /// <summary>Octets taken so far.</summary>
    public long Offset { get; private set; }

    public bool BigEndian { get; set; }

    /// <summary>
    /// Takes the next <paramref name="octets"/>; borrowed until the next call. False at the end of the file and where the file ends
    /// before; then <see cref="Remaining"/> says how many are left.
    /// </summary>
    public bool TryRead(int octets, out ReadOnlySpan<byte> bytes)
    {
        bool read = TryReadMemory(octets, out ReadOnlyMemory<byte> memory);
        bytes = memory.Span;
        return read;
    }

    public bool TryReadMemory(int octets, out ReadOnlyMemory<byte> bytes)
    {
        if (!Fill(octets))
        {
            bytes = default;
            return false;
        }

        bytes = _buffer.AsMemory(_start, octets);
        _start += octets;
        Offset += octets;
        return true;
    }

    /// <summary>Octets in the buffer that have not been taken: after a read that failed, all that the file has left.</summary>
    public int Remaining => _end - _start;

    bool Fill(int octets)
    {
        if (_end - _start >= octets) return true;
        _buffer.AsSpan(_start.._end).CopyTo(_buffer);
        _end -= _start;
        _start = 0;
        if (_buffer.Length < octets) Array.Resize(ref _buffer, octets);
        while (_end < octets)
        {
            int read;
            try
            {
                read = stream.Read(_buffer, _end, _buffer.Length - _end);
            }
            catch (IOException error)
            {
                throw new APlusPException(ErrorCodes.CaptureUnreadable, $"{Name} cannot be read beyond offset {Offset}: {error.Message}", error);
            }

            if (read == 0) return false;
            _end += read;
        }

        return true;
    }

    /// <summary>Passes over octets without holding them; false where the file ends before.</summary>
    public bool TrySkip(long octets)
    {
        while (octets > 0)
        {
            int part = (int)Math.Min(octets, 1 << 16);
            if (!TryRead(part, out _)) return false;
            octets -= part;
        }

        return true;
    }

    public ushort UInt16(ReadOnlySpan<byte> bytes) =>
        BigEndian ? BinaryPrimitives.ReadUInt16BigEndian(bytes) : BinaryPrimitives.ReadUInt16LittleEndian(bytes);

    public uint UInt32(ReadOnlySpan<byte> bytes) =>
        BigEndian ? BinaryPrimitives.ReadUInt32BigEndian(bytes) : BinaryPrimitives.ReadUInt32LittleEndian(bytes);

    public ulong UInt64(ReadOnlySpan<byte> bytes) =>
        BigEndian ? BinaryPrimitives.ReadUInt64BigEndian(bytes) : BinaryPrimitives.ReadUInt64LittleEndian(bytes);

    /// <summary>The capture contradicts its own format.</summary>
    public APlusPException Damaged(long offset, string what) =>
        new(ErrorCodes.CaptureDamaged, $"{Name} is damaged at offset {offset}: {what}.");

    public void Dispose() => stream.Dispose();
}
