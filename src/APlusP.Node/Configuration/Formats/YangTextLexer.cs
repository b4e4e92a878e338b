using System.Text;

namespace APlusP.Node.Configuration.Formats;

enum YangToken
{
    End,
    Open,
    Close,
    Semicolon,
    Text,
}

/// <summary>
/// Splits a configuration in the syntax of YANG (RFC 7950 section 6.1: words, quoted strings joined by +, braces, semicolons, C comments) into tokens.
/// It goes through a buffer, so that a file of any length is read in one pass.
/// </summary>
sealed class YangTextLexer(TextReader reader, SourceText source)
{
    // A word or quoted string longer than this is none that any key takes.
    const int LongestText = 1 << 20;

    char[] _buffer = new char[1 << 16];
    int _start, _at, _end;
    long _bufferOffset, _lineStart, _tokenOffset;
    int _line = 1, _tokenLine = 1, _tokenColumn = 1, _tokenLength = 1;
    string? _quoted;

    /// <summary>The word or string, until the next token is read.</summary>
    public ReadOnlySpan<char> Text => _quoted is not null ? _quoted : _buffer.AsSpan(_start, _tokenLength);

    /// <summary>Where the token stands.</summary>
    public Place Place => new(source, _tokenLine, _tokenColumn, _tokenLength);

    /// <exception cref="ForeignSyntaxException">A comment or string that does not end.</exception>
    public YangToken Next()
    {
        _quoted = null;
        SkipBlanks();
        Begin();
        switch (Peek())
        {
            case -1: return YangToken.End;
            case '{': return Single(YangToken.Open);
            case '}': return Single(YangToken.Close);
            case ';': return Single(YangToken.Semicolon);
            case '"' or '\'':
                ReadQuoted();
                return YangToken.Text;
            default:
                ReadWord();
                return YangToken.Text;
        }
    }

    void Begin()
    {
        _start = _at;
        _tokenOffset = _bufferOffset + _at;
        _tokenLine = _line;
        _tokenColumn = (int)Math.Min(_tokenOffset - _lineStart + 1, int.MaxValue);
        _tokenLength = 1;
    }

    YangToken Single(YangToken token)
    {
        _at++;
        return token;
    }

    void ReadWord()
    {
        while (Peek() is var c and >= 0)
        {
            if (c is ' ' or '\t' or '\n' or '\r' or ';' or '{' or '}' or '"' or '\'' || (c == '/' && PeekSecond() is '/' or '*')) break;
            _at++;
            if (_at - _start > LongestText) throw new ForeignSyntaxException(Place, "This word is longer than a million characters: this is no configuration.");
        }

        _tokenLength = _at - _start;
    }

    void ReadQuoted()
    {
        var text = new StringBuilder();
        do
        {
            int quote = Take();
            while (true)
            {
                int c = Take();
                if (c < 0) throw new ForeignSyntaxException(Place, $"This string has no closing {(char)quote}.");
                if (c == quote) break;
                if (c == '\\' && quote == '"')
                {
                    int escaped = Take();
                    c = escaped switch { 'n' => '\n', 't' => '\t', _ => escaped };
                    if (c < 0) continue;
                }

                text.Append((char)c);
                if (text.Length > LongestText) throw new ForeignSyntaxException(Place, "This string is longer than a million characters: this is no configuration.");
            }
        }
        while (TakePlus());

        _quoted = text.ToString();
        _tokenLength = (int)Math.Clamp(_bufferOffset + _at - _tokenOffset, 1, 1 << 20);
    }

    /// <summary>Whether a + and another string follow.</summary>
    bool TakePlus()
    {
        _start = _at;
        SkipBlanks();
        if (Peek() != '+') return false;
        _at++;
        _start = _at;
        SkipBlanks();
        if (Peek() is not ('"' or '\'')) throw new ForeignSyntaxException(Place, "Behind the + after this string another string in quotes is missing.");
        _start = _at;
        return true;
    }

    void SkipBlanks()
    {
        while (true)
        {
            _start = _at;
            switch (Peek())
            {
                case ' ' or '\t' or '\r' or '\n' or '\v' or '\f' or '\ufeff':
                    Take();
                    break;
                case '/' when PeekSecond() == '/':
                    while (Peek() is not (-1 or '\n')) Take();
                    break;
                case '/' when PeekSecond() == '*':
                    Begin();
                    Take();
                    Take();
                    while (!(Peek() == '*' && PeekSecond() == '/'))
                    {
                        _start = _at;
                        if (Take() < 0) throw new ForeignSyntaxException(Place, "This comment has no closing */.");
                    }

                    Take();
                    Take();
                    break;
                default:
                    return;
            }
        }
    }

    int Take()
    {
        // A string is collected apart, so its beginning need not stay in the buffer.
        _start = _at;
        int c = Peek();
        if (c < 0) return c;
        _at++;
        if (c != '\n') return c;
        _line++;
        _lineStart = _bufferOffset + _at;
        return c;
    }

    int Peek() => _at < _end || Fill() ? _buffer[_at] : -1;

    int PeekSecond() => _at + 1 < _end || Fill() ? _buffer[_at + 1] : -1;

    /// <summary>Reads more behind what is kept from the token's beginning on.</summary>
    bool Fill()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _bufferOffset += _start;
            _at -= _start;
            _end -= _start;
            _start = 0;
        }

        if (_end == _buffer.Length) Array.Resize(ref _buffer, _buffer.Length * 2);
        int read = reader.Read(_buffer, _end, _buffer.Length - _end);
        _end += read;
        return read > 0;
    }
}
