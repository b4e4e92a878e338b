using System.Text.Json;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary>The SMAP as a process.</summary>
public sealed class SmapDaemonTests : IDisposable
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    readonly DaemonHost _host = new();

    public void Dispose() => _host.Dispose();

    [Fact]
    public void Fifty_starts_and_stops_leave_the_machine_as_it_was()
    {
        _host.ConfigureSmap(DaemonHost.Routed);
        string before = _host.Snapshot();
        for (int i = 0; i < 50; i++)
        {
            LabProcess daemon = _host.StartSmap();
            if (i == 0) Assert.Contains("default dev aplusp-smap", _host.Snapshot(), StringComparison.Ordinal);
            daemon.Signal(i % 2 == 0 ? Signals.Terminate : Signals.Interrupt);
            Assert.True(daemon.WaitForExit(s_patience), $"start {i} did not end:\n{daemon.ReadLog()}");
            Assert.Equal(before, _host.Snapshot());
        }
    }

    [Theory]
    [InlineData(DaemonHost.Routed)]
    [InlineData(DaemonHost.OfInterface)]
    public void A_question_goes_out_by_a_port_of_the_set_and_its_answer_comes_home(string end)
    {
        _host.ConfigureSmap(end);
        _host.StartSmap();
        (byte[]? question, string? answer) = _host.AskThroughSmap(end);
        Assert.NotNull(question);
        Assert.Equal([192, 0, 2, 1], question[12..16]);
        Assert.InRange(question[20] << 8 | question[21], 10000, 10999);
        Assert.Equal($"{DaemonHost.FarAway}:53", answer);

        using var status = JsonDocument.Parse(_host.Ask("status", "--json").Output);
        JsonElement smap = status.RootElement.GetProperty("smap");
        Assert.Equal(1, smap.GetProperty("flows").GetInt32());
        Assert.Equal(DaemonHost.Server, smap.GetProperty("hosts")[0].GetProperty("host").GetString());
    }

    [Fact]
    public void Its_flows_are_a_table_of_connections_which_a_survey_counts()
    {
        _host.ConfigureSmap(DaemonHost.Routed);
        _host.StartSmap();
        Assert.NotNull(_host.AskThroughSmap(DaemonHost.Routed).Answer);
        Assert.NotNull(_host.AskThroughSmap(DaemonHost.Routed).Answer);
        string[] flows = Commands.Require([LabFixture.Executable, "smap", "flows", "--socket", _host.ControlSocket]).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2, flows.Length);
        Assert.All(flows, flow => Assert.Matches($"""^udp +17 \d+ src={DaemonHost.Server} dst={DaemonHost.FarAway} sport=\d+ dport=53 src={DaemonHost.FarAway} dst=192.0.2.1 sport=53 dport=10\d\d\d$""", flow));

        string store = Path.Combine(Path.GetDirectoryName(_host.ControlSocket)!, "survey.db");
        Commands.Require([LabFixture.Executable, "survey", "--store", store, "--source", "smap", "--socket", _host.ControlSocket, "--every", "3", "--duration", "3"]);
        using var stats = JsonDocument.Parse(Commands.Require([LabFixture.Executable, "survey", "stats", "--store", store, "--json"]));
        Assert.Equal((2, 1, 2), (stats.RootElement.GetProperty("samples").GetInt32(), stats.RootElement.GetProperty("hosts").GetInt32(), stats.RootElement.GetProperty("ports").GetProperty("max").GetInt32()));
        Assert.Equal(2, stats.RootElement.GetProperty("applications").GetProperty("dns").GetProperty("mean").GetDouble());
    }

    [Fact]
    public void A_reload_with_the_same_ports_or_more_keeps_the_flows_and_one_with_others_ends_them()
    {
        _host.ConfigureSmap(DaemonHost.Routed);
        _host.StartSmap();
        Assert.NotNull(_host.AskThroughSmap(DaemonHost.Routed).Answer);
        Assert.True(_host.Ask("reload").Succeeded);
        Assert.Equal(1, Flows());
        _host.ConfigureSmap(DaemonHost.Routed, ports: "10000-11999");
        Assert.True(_host.Ask("reload").Succeeded);
        Assert.Equal(1, Flows());
        _host.ConfigureSmap(DaemonHost.Routed, ports: "12000-12999");
        Assert.True(_host.Ask("reload").Succeeded);
        Assert.Equal(0, Flows());
        File.WriteAllText(_host.ConfigurationPath, "shared-adress = 1\n");
        Assert.Contains("AP1002", _host.Ask("reload").Error, StringComparison.Ordinal);
        Assert.NotNull(_host.AskThroughSmap(DaemonHost.Routed).Answer);
    }

    int Flows()
    {
        using var status = JsonDocument.Parse(_host.Ask("status", "--json").Output);
        return status.RootElement.GetProperty("smap").GetProperty("flows").GetInt32();
    }
}
