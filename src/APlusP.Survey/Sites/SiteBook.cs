using System.Security.Cryptography;
using APlusP.Core;

namespace APlusP.Survey.Sites;

/// <summary>
/// The sites of a collector, and their tokens' hashes: the file <c>sites</c> of its directory, a line each. It is read at each request, so that who is added or removed
/// is so at once; a token is in it as a hash, and nobody learns it from there.
/// </summary>
public sealed class SiteBook(string directory)
{
    const int LongestName = 40;

    readonly string _file = Path.Combine(directory, "sites");

    /// <summary>Where the samples of a site are.</summary>
    public string StoreOf(string site) => Path.Combine(directory, $"{site}.db");

    public IReadOnlyList<string> Names => [.. Read().Select(s => s.Name)];

    /// <summary>The site of a token; null for nobody's.</summary>
    internal string? Find(string token)
    {
        byte[] hash = Secret.HashOf(token);
        return Read().FirstOrDefault(s => CryptographicOperations.FixedTimeEquals(s.Hash, hash)).Name;
    }

    /// <summary>Adds a site, or gives one a new token in place of the old; gives the token, which nobody can read later.</summary>
    /// <exception cref="APlusPException">AP7012: the name cannot be one. AP7004: the file cannot be written.</exception>
    public string Add(string site)
    {
        if (!IsName(site)) throw new APlusPException(ErrorCodes.NoSuchSite, $"'{site}' cannot name a site: that takes 1 to {LongestName} lower-case letters, digits and hyphens, and begins with a letter or digit.");
        string token = Secret.New();
        Write([.. Read().Where(s => s.Name != site), (site, Secret.HashOf(token))]);
        return token;
    }

    /// <summary>Ends a site's token. What it sent stays.</summary>
    /// <exception cref="APlusPException">AP7012: there is none.</exception>
    public void Remove(string site)
    {
        (string Name, byte[] Hash)[] sites = Read();
        if (!sites.Any(s => s.Name == site)) throw new APlusPException(ErrorCodes.NoSuchSite, $"{_file} has no site '{site}'; it has {(sites.Length == 0 ? "none" : string.Join(", ", sites.Select(s => s.Name)))}.");
        Write([.. sites.Where(s => s.Name != site)]);
    }

    static bool IsName(string site) => site.Length is > 0 and <= LongestName && char.IsAsciiLetterOrDigit(site[0]) && site.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-');

    (string Name, byte[] Hash)[] Read()
    {
        try
        {
            return File.Exists(_file) ? [.. File.ReadLines(_file).Select(line => line.Split(' ')).Where(words => words is [_, { Length: 64 }]).Select(words => (words[0], Convert.FromHexString(words[1])))] : [];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or FormatException)
        {
            throw new APlusPException(ErrorCodes.SurveyStorage, $"the collector's sites {_file} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>As a whole, so that who reads meanwhile has the old or the new.</summary>
    void Write(IEnumerable<(string Name, byte[] Hash)> sites)
    {
        try
        {
            Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            string next = $"{_file}.new";
            File.Delete(next);
            using (var file = new StreamWriter(new FileStream(next, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite })))
                foreach ((string name, byte[] hash) in sites) file.WriteLine($"{name} {Convert.ToHexStringLower(hash)}");
            File.Move(next, _file, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new APlusPException(ErrorCodes.SurveyStorage, $"the collector's sites {_file} cannot be written: {error.Message}", error);
        }
    }
}
