using APlusP.Lab;

namespace APlusP.LabTests.Registry;

/// <summary>One executable holds everything, but a daemon with a data plane carries nothing of the registry.</summary>
public class ApartTests
{
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
            string maps = File.ReadAllText($"/proc/{daemon.Id}/maps");
            Assert.Contains("aplusp", maps, StringComparison.Ordinal);
            foreach (string foreign in (string[])["AspNetCore", "Npgsql", "sqlite", "APlusP.Registry"]) Assert.DoesNotContain(foreign, maps, StringComparison.OrdinalIgnoreCase);
        }
        finally
        {
            daemon.Stop();
        }
    }
}
