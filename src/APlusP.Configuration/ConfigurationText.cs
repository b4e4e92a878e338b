using System.Security;
using System.Text;
using APlusP.Core;

namespace APlusP.Configuration;

/// <summary>The text of configuration files.</summary>
public static class ConfigurationText
{
    /// <exception cref="APlusPException">AP1001: the file cannot be read.</exception>
    public static string Read(string path)
    {
        try
        {
            using var reader = new StreamReader(path, Encoding.UTF8);
            return reader.ReadToEnd();
        }
        catch (Exception error) when (IsUnreadable(error))
        {
            throw Unreadable(path, error);
        }
    }

    /// <exception cref="APlusPException">AP1001: the file cannot be read.</exception>
    internal static void EnsureReadable(string path)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
        }
        catch (Exception error) when (IsUnreadable(error))
        {
            throw Unreadable(path, error);
        }
    }

    static APlusPException Unreadable(string path, Exception error) =>
        new(ErrorCodes.ConfigurationUnreadable, $"the configuration {path} cannot be read: {error.Message} Check the path and the rights.", error);

    internal static bool IsUnreadable(Exception error) => error is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException or SecurityException;
}
