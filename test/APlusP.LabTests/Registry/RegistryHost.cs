using APlusP.Lab;

namespace APlusP.LabTests.Registry;

/// <summary>A machine with nothing but a loopback, on which the registry runs as a process: in a namespace that this test makes and removes.</summary>
sealed class RegistryHost : IDisposable
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    public RegistryHost()
    {
        Machine = NetworkNamespace.Create($"ap-reg-{LabFixture.NewMark()}");
        Machine.Ip("link set lo up");
    }

    public NetworkNamespace Machine { get; }

    public string Directory { get; } = System.IO.Directory.CreateTempSubdirectory("aplusp-registry-lab-").FullName;

    public string File(string name) => Path.Combine(Directory, name);

    /// <summary>Writes a file, and gives where it is.</summary>
    public string Write(string name, string content)
    {
        System.IO.File.WriteAllText(File(name), content);
        return File(name);
    }

    /// <summary>Starts the registry with a configuration that begins with its directory.</summary>
    public LabProcess Start(string configuration, string scheme = "http")
    {
        string file = Write("registry.toml", $"data = \"{File("data")}\"\n{configuration}");
        LabProcess registry = Machine.Start("registry", File("registry.log"), LabFixture.Executable, "registry", "--config", file);
        registry.WaitUntil(() => Curl($"{scheme}://127.0.0.1:8646/v1/health", "-k").Succeeded, s_patience, "answer");
        return registry;
    }

    public string Token => System.IO.File.ReadAllText(File("data/operator.token")).Trim();

    /// <summary>curl; its output is what was answered, then the status on a line of its own.</summary>
    public CommandResult Curl(string url, params string[] more) => Machine.Run(["curl", "-sS", "--max-time", "20", "-w", "\n%{http_code}\n", .. more, url]);

    /// <summary>Waits until something is so.</summary>
    public static void Until(Func<bool> condition, string what) => Assert.True(Wait.Until(condition, s_patience), what);

    public void Dispose()
    {
        NetworkNamespace.Delete(Machine);
        System.IO.Directory.Delete(Directory, recursive: true);
    }
}
