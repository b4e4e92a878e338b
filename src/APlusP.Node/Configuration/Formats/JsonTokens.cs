using System.Text;
using System.Text.Json;

namespace APlusP.Node.Configuration.Formats;

/// <summary>Takes one token of a JSON text; what it means is up to the ones before it.</summary>
interface IJsonTokenReader
{
    void Take(ref Utf8JsonReader reader);
}

/// <summary>Reads a JSON text of any length in one pass, token by token, and knows where each stands.</summary>
sealed class JsonTokens(Stream stream, SourceText source)
{
    // A token longer than this is none that any key takes.
    const int LongestToken = 1 << 24;

    byte[] _buffer = new byte[1 << 16];
    int _length, _consumed, _tokenStart, _tokenLength;
    int _located, _line = 1, _column = 1;

    /// <summary>Where the token stands that is being taken.</summary>
    public Place Place
    {
        get
        {
            Locate(_tokenStart);
            return new Place(source, _line, _column, _tokenLength);
        }
    }

    /// <exception cref="ForeignSyntaxException">It is not JSON (RFC 8259).</exception>
    public void Read(IJsonTokenReader taker)
    {
        var state = new JsonReaderState();
        bool more = true;
        SkipByteOrderMark();
        while (more)
        {
            more = Fill();
            var reader = new Utf8JsonReader(_buffer.AsSpan(0, _length), !more, state);
            try
            {
                while (reader.Read())
                {
                    (_tokenStart, _tokenLength) = ((int)reader.TokenStartIndex, (int)Math.Max(1, reader.BytesConsumed - reader.TokenStartIndex));
                    taker.Take(ref reader);
                }
            }
            catch (JsonException error)
            {
                Place place = new(source, (int)(error.LineNumber ?? 0) + 1, (int)(error.BytePositionInLine ?? 0) + 1, 1);
                throw new ForeignSyntaxException(place, $"This is not JSON: {error.Message.Split(" LineNumber:")[0]}");
            }

            _consumed = (int)reader.BytesConsumed;
            state = reader.CurrentState;
            Locate(_consumed);
        }
    }

    void SkipByteOrderMark()
    {
        Fill();
        if (!_buffer.AsSpan(0, _length).StartsWith("\ufeff"u8)) return;
        _consumed = _located = 3;
    }

    /// <summary>Drops what was read and reads more behind what is left; false at the end of the file.</summary>
    bool Fill()
    {
        _buffer.AsSpan(_consumed, _length - _consumed).CopyTo(_buffer);
        _length -= _consumed;
        _located -= _consumed;
        _consumed = 0;
        if (_length == _buffer.Length)
        {
            if (_length >= LongestToken) throw new ForeignSyntaxException(new Place(source, _line, _column, 1), "This string is longer than 16 MB: this is no configuration.");
            Array.Resize(ref _buffer, _length * 2);
        }

        int read = stream.Read(_buffer, _length, _buffer.Length - _length);
        _length += read;
        return read > 0;
    }

    void Locate(int to)
    {
        if (to <= _located) return;
        Span<byte> passed = _buffer.AsSpan(_located, to - _located);
        _located = to;
        int last = passed.LastIndexOf((byte)'\n');
        if (last >= 0)
        {
            _line += passed.Count((byte)'\n');
            _column = 1;
        }

        _column += Encoding.UTF8.GetCharCount(passed[(last + 1)..]);
    }
}
