using APlusP.Core;

namespace APlusP.Http;

/// <summary>A file that holds a token. It is read for each request, so that a new one counts at once.</summary>
static class TokenFile
{
    const UnixFileMode TooMany = UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    const int LongestToken = 4096;

    /// <exception cref="APlusPException">AP3010: it cannot be read, holds none, or others may read it.</exception>
    public static string Read(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            if ((File.GetUnixFileMode(file.SafeFileHandle) & TooMany) != 0)
                throw new APlusPException(ErrorCodes.RegistryCredential, $"others may read or change the token in {path}; give it the mode 0600 (chmod 600 {path}), or 0640 for a group.");
            using var reader = new StreamReader(file);
            char[] text = new char[LongestToken];
            string token = new string(text, 0, reader.ReadBlock(text, 0, text.Length)).Trim();
            return token.Length > 0 && token.All(c => c is > ' ' and <= '~') ? token
                : throw new APlusPException(ErrorCodes.RegistryCredential, $"{path} does not hold a token: that is one word of visible ASCII characters, such as the registry gives (POST /v1/credentials).");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new APlusPException(ErrorCodes.RegistryCredential, $"the token in {path} cannot be read: {error.Message}", error);
        }
    }
}
