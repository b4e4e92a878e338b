using System.Globalization;
using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Node.Configuration;

/// <summary>
/// Reads a bindings-file: one binding a line, ADDRESS PORTS SOFTWIRE [prr=ADDRESS] [path-mtu=N] [name=TEXT], and <c>#</c> comments.
/// Lines are taken from a buffer, none is kept.
/// </summary>
sealed class BindingsFile(SourceText source, ReadBindings bindings, DiagnosticList diagnostics)
{
    public const int LongestLine = 64 * 1024;

    static readonly string[] s_options = ["prr", "path-mtu", "name"];

    // Subscribers of different addresses have the same few sets: a million bindings may share 256 of them.
    readonly Dictionary<string, PortSet> _sets = new(StringComparer.Ordinal);

    public static void Read(string path, ReadBindings bindings, DiagnosticList diagnostics)
    {
        if (bindings.Table is not null) bindings.Expect(CountLines(path));
        using var reader = new StreamReader(path, Encoding.UTF8);
        new BindingsFile(new SourceText(path, () => File.OpenRead(path)), bindings, diagnostics).Read(reader);
    }

    /// <summary>A table that knows how many will come is made once, and not made larger a dozen times.</summary>
    static int CountLines(string path)
    {
        byte[] buffer = new byte[LongestLine];
        using FileStream file = File.OpenRead(path);
        int lines = 0;
        while (file.Read(buffer) is var read and > 0) lines += buffer.AsSpan(0, read).Count((byte)'\n');
        return lines;
    }

    void Read(StreamReader reader)
    {
        char[] buffer = new char[LongestLine];
        int length = 0, number = 0;
        while (true)
        {
            int read = reader.Read(buffer, length, buffer.Length - length);
            length += read;
            int start = 0;
            while (buffer.AsSpan(start, length - start).IndexOf('\n') is var end and >= 0)
            {
                ReadLine(buffer.AsSpan(start, end), ++number);
                start += end + 1;
            }

            buffer.AsSpan(start, length - start).CopyTo(buffer);
            length -= start;
            if (read == 0)
            {
                if (length > 0) ReadLine(buffer.AsSpan(0, length), ++number);
                return;
            }

            if (length < buffer.Length) continue;
            diagnostics.Error(new Place(source, number + 1, 1, 1), ErrorCodes.BindingsFileFault, $"This line is longer than {LongestLine} characters: this is no bindings-file. The rest was not read.");
            return;
        }
    }

    void ReadLine(ReadOnlySpan<char> line, int number)
    {
        int position = 0;
        if (!Next(line, ref position, out Range column)) return;
        int errors = diagnostics.Errors;
        if (!IPv4Address.TryParse(line[column], out IPv4Address address)) Fault(line, number, column, "is not an IPv4 address such as 192.0.2.1");
        else if (!address.IsUnicast) Fault(line, number, column, "is not an address that a host can have", ErrorCodes.ConfigurationNotUnicast);

        if (!Next(line, ref position, out Range portColumn))
        {
            Missing(line, number, "the port set and the softwire are");
            return;
        }

        PortSet? ports = Ports(line, portColumn, number);
        if (!Next(line, ref position, out column))
        {
            Missing(line, number, "the softwire is");
            return;
        }

        IPv6Address softwire = SoftwireEnd(line, number, column);
        IPv6Address? prr = null;
        int? pathMtu = null;
        string? name = null;
        while (Next(line, ref position, out column))
        {
            ReadOnlySpan<char> field = line[column];
            int equals = field.IndexOf('=');
            ReadOnlySpan<char> key = equals < 0 ? field : field[..equals], value = equals < 0 ? default : field[(equals + 1)..];
            Range place = (column.Start.Value + equals + 1)..column.End.Value;
            bool twice = key is "prr" ? prr is not null : key is "path-mtu" ? pathMtu is not null : key is "name" && name is not null;
            if (equals >= 0 && value.IsEmpty) Fault(line, number, column, "has no value");
            else if (twice) Fault(line, number, column, "stands twice");
            else if (equals >= 0 && key is "prr") prr = SoftwireEnd(line, number, place);
            else if (equals >= 0 && key is "name") name = new string(value);
            else if (equals >= 0 && key is "path-mtu")
            {
                if (int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int mtu) && mtu is >= ConfigurationFile.LeastPathMtu and <= 65535) pathMtu = mtu;
                else Fault(line, number, place, $"is not a path MTU from {ConfigurationFile.LeastPathMtu} (RFC 8200 section 5) to 65535", ErrorCodes.ConfigurationBadMtu);
            }
            else
                diagnostics.Error(At(number, column), ErrorCodes.BindingsFileFault, $"'{Shorten(field)}' is none of prr=ADDRESS, path-mtu=N and name=TEXT.",
                    equals >= 0 ? Spelling.Suggest(new string(key), s_options) : null);
        }

        if (diagnostics.Errors == errors) bindings.Add(address, ports!, softwire, prr, pathMtu, name, At(number, portColumn));
    }

    PortSet? Ports(ReadOnlySpan<char> line, Range column, int number)
    {
        if (_sets.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(line[column], out PortSet? ports)) return ports;
        if (!PortSet.TryParse(line[column], out ports, out string error))
        {
            diagnostics.Error(At(number, column), ErrorCodes.NotAPortSet, $"'{Shorten(line[column])}' is not a port set: {error}.");
            return null;
        }

        if (_sets.Count < 65536) _sets.Add(new string(line[column]), ports!);
        return ports;
    }

    IPv6Address SoftwireEnd(ReadOnlySpan<char> line, int number, Range column)
    {
        if (!IPv6Address.TryParse(line[column], out IPv6Address address)) Fault(line, number, column, "is not an IPv6 address such as 2001:db8::1");
        else if (!address.IsUnicast) Fault(line, number, column, "is not a unicast address", ErrorCodes.ConfigurationNotUnicast);
        return address;
    }

    static bool Next(ReadOnlySpan<char> line, ref int position, out Range column)
    {
        while (position < line.Length && line[position] is ' ' or '\t' or '\r' or '\ufeff') position++;
        int start = position;
        if (position < line.Length && line[position] == '#') position = line.Length;
        else
            while (position < line.Length && line[position] is not (' ' or '\t' or '\r')) position++;
        column = start..position;
        return position > start && line[start] != '#';
    }

    Place At(int number, Range column) => new(source, number, column.Start.Value + 1, Math.Max(1, column.End.Value - column.Start.Value));

    void Fault(ReadOnlySpan<char> line, int number, Range column, string what, string code = ErrorCodes.BindingsFileFault) =>
        diagnostics.Error(At(number, column), code, $"'{Shorten(line[column])}' {what}.");

    void Missing(ReadOnlySpan<char> line, int number, string what) =>
        diagnostics.Error(new Place(source, number, line.TrimEnd().Length + 1, 1), ErrorCodes.BindingsFileFault, $"Here {what} missing; a line is ADDRESS PORTS SOFTWIRE, such as 192.0.2.1 10000-11000 2001:db8:1::1");

    static string Shorten(ReadOnlySpan<char> text) => text.Length > 80 ? $"{text[..80]}..." : new string(text);
}
