using APlusP.Registry.Leases;
using APlusP.Registry.Memory;
using APlusP.Registry.Storage;

namespace APlusP.Tests.Registry;

/// <summary>The suite on SQLite, and a copy of the file that is put back.</summary>
public sealed class SqliteFeedTests : FeedSuite, IDisposable
{
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-feed-").FullName;
    int _databases;

    string NewPath() => Path.Combine(_directory, $"{++_databases}.db");

    protected override RegistryDatabase NewDatabase() => new SqliteDatabase(NewPath());

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void A_backup_that_is_restored_and_goes_on_otherwise_does_not_know_the_versions_that_it_lost()
    {
        string path = NewPath(), copy = NewPath();
        FeedVersion shared, lost;
        using (RegistryScene scene = Scene(new SqliteDatabase(path)))
        {
            scene.Grant("cpe-1");
            shared = Head(scene);
            foreach (string suffix in (string[])["", "-wal"]) File.Copy(path + suffix, copy + suffix);
            scene.Grant("cpe-2");
            lost = Head(scene);
        }

        using RegistryScene restored = Scene(new SqliteDatabase(copy));
        Assert.Null(WhyNot(restored, shared));
        Assert.NotNull(WhyNot(restored, lost));
        restored.Pass(1);
        restored.Grant("cpe-3");
        restored.Grant("cpe-4");
        Assert.Contains("of another history", WhyNot(restored, lost), StringComparison.Ordinal);
    }
}
