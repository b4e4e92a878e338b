namespace APlusP.Node.Home;

/// <summary>A file of what outlives a restart: readable by nobody else at any moment, and whole after a power cut.</summary>
static class StateFile
{
    public const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Replaces it as a whole.</summary>
    public static void Replace(string path, Action<Stream> write)
    {
        string next = $"{path}.new";
        File.Delete(next);
        using (var file = new FileStream(next, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }))
        {
            write(file);
            file.Flush(flushToDisk: true);
        }

        File.Move(next, path, overwrite: true);
    }
}
