using System.Buffers;
using System.Net.Sockets;

namespace APlusP.Node.Control;

/// <summary>What a verb of the control socket is that begins a stream of requests, a line each.</summary>
interface ILineStream
{
    /// <summary>Answers a line by one or more.</summary>
    void Answer(ReadOnlySpan<byte> line, IBufferWriter<byte> answers);

    /// <summary>Says that a line has no end within <see cref="LineServer.LongestLine"/>; nothing behind it is read.</summary>
    void AnswerTooLong(IBufferWriter<byte> answers);
}

/// <summary>
/// Serves such a stream until the other side ends it. Answers are kept while more lines wait to be read, so that a thousand requests sent at once take few system calls; whoever waits
/// for an answer has it at once.
/// </summary>
sealed class LineServer(Socket client, ILineStream stream) : IBufferWriter<byte>
{
    public const int LongestLine = 64 * 1024;

    /// <summary>Answers kept at most; a long list goes out in pieces of this.</summary>
    const int Full = 32 * 1024;

    readonly byte[] _lines = new byte[LongestLine];
    readonly ArrayBufferWriter<byte> _answers = new(Full * 2);

    /// <param name="first">What was read already.</param>
    /// <exception cref="SocketException">The other side has gone.</exception>
    public void Run(ReadOnlySpan<byte> first)
    {
        first.CopyTo(_lines);
        int length = first.Length;
        while (true)
        {
            int start = 0;
            while (_lines.AsSpan(start, length - start).IndexOf((byte)'\n') is var end and >= 0)
            {
                ReadOnlySpan<byte> line = _lines.AsSpan(start, end);
                if (!line.Trim(" \t\r"u8).IsEmpty) stream.Answer(line, this);
                start += end + 1;
            }

            bool isTooLong = start == 0 && length == _lines.Length;
            if (isTooLong) stream.AnswerTooLong(this);
            Flush();
            if (isTooLong) return;
            _lines.AsSpan(start, length - start).CopyTo(_lines);
            length -= start;
            int read = client.Receive(_lines.AsSpan(length));
            if (read == 0) return;
            length += read;
        }
    }

    void Flush()
    {
        for (ReadOnlySpan<byte> left = _answers.WrittenSpan; !left.IsEmpty;) left = left[client.Send(left)..];
        _answers.ResetWrittenCount();
    }

    public void Advance(int count)
    {
        _answers.Advance(count);
        if (_answers.WrittenCount >= Full) Flush();
    }

    public Memory<byte> GetMemory(int sizeHint = 0) => _answers.GetMemory(sizeHint);

    public Span<byte> GetSpan(int sizeHint = 0) => _answers.GetSpan(sizeHint);
}
