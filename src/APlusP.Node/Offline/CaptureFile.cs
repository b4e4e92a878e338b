using System.Text.Json;
using APlusP.Core;
using APlusP.Core.Captures;

namespace APlusP.Node.Offline;

/// <summary>Captures as files.</summary>
public static class CaptureFile
{
    /// <exception cref="APlusPException">AP4001: it cannot be opened. AP4002 to AP4004: it is not a capture that is read here.</exception>
    public static CaptureReader Open(string path) => new(Guarded(path, "opened", () => File.OpenRead(path)), path);

    /// <exception cref="APlusPException">AP4001: it cannot be made.</exception>
    public static CaptureWriter Create(string path, bool nanoseconds) =>
        Guarded(path, "written", () => new CaptureWriter(new BufferedStream(File.Create(path, bufferSize: 0), 1 << 17), nanoseconds));

    /// <summary>Writes a JSON document to a file.</summary>
    /// <exception cref="APlusPException">AP4001: it cannot be written.</exception>
    public static void WriteJson(string path, Action<Utf8JsonWriter> write) => Guarded(path, "written", () =>
    {
        using FileStream file = File.Create(path);
        using (var writer = new Utf8JsonWriter(file, new JsonWriterOptions { Indented = true })) write(writer);
        file.Write("\n"u8);
        return true;
    });

    /// <summary>Turns what the file system says into an error that names the file.</summary>
    internal static T Guarded<T>(string path, string tried, Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            string why = error switch
            {
                FileNotFoundException => "there is no such file",
                DirectoryNotFoundException => "its directory does not exist",
                UnauthorizedAccessException when Directory.Exists(path) => "it is a directory",
                UnauthorizedAccessException => "the right to do so is missing",
                _ => error.Message.TrimEnd('.'),
            };
            throw new APlusPException(ErrorCodes.CaptureUnreadable, $"{(path.Length == 0 ? "''" : path)} cannot be {tried}: {why}.", error);
        }
    }
}
