using APlusP.Lab;

namespace APlusP.LabTests.Registry;

/// <summary>One executable holds everything, but a daemon with a data plane starts nothing of the registry, and takes memory for none of it.</summary>
public class ApartTests
{
    const int MostKilobytes = 48 * 1024;

    [Theory]
    [InlineData("prr")]
    [InlineData("smap")]
    public void A_data_plane_loads_no_web_server_and_no_database(string role)
    {
        using var host = new DaemonHost();
        if (role == "prr") host.Configure();
        else host.ConfigureSmap(DaemonHost.Routed);
        LabProcess daemon = role == "prr" ? host.Start() : host.StartSmap();
        try
        {
            // What an executable for development loads it loads by file; the native one has it all, and shows by what it takes and listens to that it uses none.
            string maps = File.ReadAllText($"/proc/{daemon.Id}/maps");
            Assert.Contains("aplusp", maps, StringComparison.Ordinal);
            foreach (string foreign in (string[])["/Microsoft.AspNetCore.", "/Npgsql", "sqlite", "/APlusP.Registry"]) Assert.DoesNotContain(foreign, maps.Replace("/Microsoft.AspNetCore.App/", "/", StringComparison.Ordinal), StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("LISTEN", host.Prr.Do("ss", "-Hltn"), StringComparison.Ordinal);
            Assert.InRange(OwnKilobytes(daemon.Id), 1, MostKilobytes);
        }
        finally
        {
            daemon.Stop();
        }
    }

    /// <summary>Memory that is the process's alone.</summary>
    static int OwnKilobytes(int process)
    {
        string line = File.ReadLines($"/proc/{process}/status").Single(l => l.StartsWith("RssAnon:", StringComparison.Ordinal));
        return int.Parse(line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture);
    }
}
