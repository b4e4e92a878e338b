using APlusP.Core;
using APlusP.Registry.Storage;
using CsCheck;

namespace APlusP.Tests.Registry;

/// <summary>The suite on SQLite, and what concerns its file.</summary>
public sealed class SqliteRegistryTests : RegistrySuite, IDisposable
{
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-registry-").FullName;
    int _databases;

    string NewPath() => Path.Combine(_directory, $"{++_databases}.db");

    protected override RegistryDatabase NewDatabase() => new SqliteDatabase(NewPath());

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Whatever_many_subscribers_do_no_port_has_two_owners() => Gen.Int.Sample(
        seed =>
        {
            using RegistryScene scene = Scene(LeaseModel.Tight);
            LeaseModel.Run(scene, new Random(seed), steps: 60);
        }, iter: 10, threads: 1);

    [Fact]
    public void A_database_of_a_newer_program_is_left_alone()
    {
        string path = NewPath();
        using (var scene = new RegistryScene(new SqliteDatabase(path))) scene.Grant("cpe-1");
        using (var database = new SqliteDatabase(path))
        using (var session = new Session(database, database.Connect())) session.Execute("INSERT INTO schema_step VALUES(99, 0)");
        Assert.Equal(ErrorCodes.RegistryTooNew, Assert.Throws<APlusPException>(() => new RegistryScene(new SqliteDatabase(path))).Code);
    }

    [Fact]
    public void A_file_that_is_no_database_and_a_directory_that_is_not_there_are_told()
    {
        string path = NewPath();
        File.WriteAllText(path, "this is no database, and longer than the header of one would be, which has one hundred octets at its beginning.");
        APlusPException error = Assert.Throws<APlusPException>(() => new RegistryScene(new SqliteDatabase(path)));
        Assert.Equal(ErrorCodes.RegistryStorage, error.Code);
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        Assert.Equal(ErrorCodes.RegistryStorage, Assert.Throws<APlusPException>(() => new RegistryScene(new SqliteDatabase(Path.Combine(_directory, "no", "such.db")))).Code);
    }

    [Fact]
    public void A_copy_of_the_file_and_its_log_taken_at_any_moment_has_every_lease_that_was_answered()
    {
        string path = NewPath(), copy = NewPath();
        using var scene = new RegistryScene(new SqliteDatabase(path));
        for (int i = 1; i <= 40; i++)
        {
            scene.Grant($"cpe-{i}");
            if (i % 8 != 0) continue;
            foreach (string file in Directory.EnumerateFiles(_directory, Path.GetFileName(copy) + "*")) File.Delete(file);
            foreach (string suffix in (string[])["", "-wal"]) File.Copy(path + suffix, copy + suffix);
            using var restored = new RegistryScene(new SqliteDatabase(copy), clock: new Clock { Now = scene.Clock.Now });
            Assert.Equal(i, restored.Blocks().Count);
            Assert.Empty(restored.Registrar.Verify().Faults);
        }
    }
}
