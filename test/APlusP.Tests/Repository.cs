namespace APlusP.Tests;

/// <summary>The repository that these tests were built in.</summary>
static class Repository
{
    static readonly string s_root = Find();

    /// <summary>A file or folder of it, by its path within.</summary>
    public static string PathOf(string path) => Path.Combine(s_root, path);

    static string Find()
    {
        string directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "aplusp.slnx"))) directory = Path.GetDirectoryName(directory)!;
        return directory;
    }
}
