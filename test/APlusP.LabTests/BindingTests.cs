using System.Diagnostics;
using System.Text;
using System.Text.Json;
using APlusP.Core;
using APlusP.Lab;
using APlusP.Node.Control;

namespace APlusP.LabTests;

/// <summary>Bindings that come, change and go while a PRR runs.</summary>
[Collection(Alone.Name)]
public sealed class BindingTests : IDisposable
{
    readonly DaemonHost _host = new();

    public void Dispose() => _host.Dispose();

    CommandResult Binding(params string[] arguments) => Commands.Run([LabFixture.Executable, "binding", .. arguments, "--socket", _host.ControlSocket]);

    string Says(params string[] arguments)
    {
        CommandResult result = Binding(arguments);
        Assert.True(result.Succeeded, result.Text);
        return result.Output.Trim();
    }

    /// <summary>One request for each of so many other subscribers, 50 to an address.</summary>
    static byte[] Request(string op, int number, int round = 0) => Encoding.UTF8.GetBytes(op == "remove"
        ? $"{{\"op\":\"remove\",\"softwire\":\"2001:db8:7::{number:x}\"}}\n"
        : $"{{\"op\":\"{op}\",\"address\":\"198.18.{number / 50 / 250}.{number / 50 % 250 + 1}\",\"ports\":\"{1024 + number % 50 * 1000 + round}-{1523 + number % 50 * 1000 + round}\",\"softwire\":\"2001:db8:7::{number:x}\"}}\n");

    [Fact]
    public void A_subscriber_comes_changes_and_goes_and_the_next_packet_knows()
    {
        _host.Configure("hop-limit = 63");
        _host.Start();
        Assert.Null(_host.FromInternet(port: 20001, seconds: 2));
        Assert.Equal("removed", Says("remove", DaemonHost.Softwire));
        Assert.Null(_host.FromInternet(seconds: 2));
        Assert.DoesNotContain(DaemonHost.Shared, _host.Prr.Shell("ip route show dev aplusp-prr"));

        Assert.Equal("added", Says("add", DaemonHost.Shared, "20000-20999", DaemonHost.Softwire, "--name", "miller"));
        Assert.Equal(DaemonHost.Routed, _host.FromInternet(port: 20001));
        Assert.Equal($"{DaemonHost.Shared}:20001", _host.FromSubscriber(DaemonHost.Routed, port: 20001));
        Assert.Equal("changed", Says("change", "miller", "--ports", "30000-30999"));
        Assert.Null(_host.FromInternet(port: 20001, seconds: 2));
        Assert.Equal(DaemonHost.Routed, _host.FromInternet(port: 30001));
        Assert.Equal("changed", Says("change", "miller", "--name", "smith"));
        Assert.Equal($"{DaemonHost.Shared} 30000-30999 {DaemonHost.Softwire} prr={DaemonHost.Routed} path-mtu=1500 name=smith", Says("show", "smith"));
        Assert.Contains("\"changesSinceLoad\":4", _host.Ask("status", "--json").Output);
        CommandResult refused = Binding("add", DaemonHost.Shared, "30999", "2001:db8:5::2");
        Assert.Equal((1, true), (refused.ExitCode, refused.Error.Contains(ErrorCodes.BindingConflict, StringComparison.Ordinal)));

        // The file is what a reload goes by.
        Assert.True(_host.Ask("reload").Succeeded);
        Assert.Equal($"{DaemonHost.Shared} 10000-10999 {DaemonHost.Softwire}", Says("list"));
        Assert.Equal(DaemonHost.Routed, _host.FromInternet());
        Assert.Equal(1, Binding("show", "smith").ExitCode);
    }

    [Fact]
    public void What_is_listed_is_a_bindings_file_that_keeps_what_was_applied()
    {
        _host.Configure();
        _host.Start();
        CommandResult applied = Commands.Run([LabFixture.Executable, "binding", "apply", "--socket", _host.ControlSocket], input: string.Concat(
            Enumerable.Range(0, 2000).Select(i => Encoding.UTF8.GetString(Request("set", i)))) + "{\"op\":\"remove\",\"name\":\"nobody\"}\n");
        Assert.Equal(1, applied.ExitCode);
        Assert.Contains("2,000 done, 1 refused", applied.Output);
        Assert.Contains($"line 2001: {ErrorCodes.NoSuchBinding}: ", applied.Error);

        string listed = Says("list");
        Assert.Equal(2001, listed.Split('\n').Length);
        File.WriteAllText(Path.Combine(Path.GetDirectoryName(_host.ConfigurationPath)!, "all.txt"), listed + "\n");
        File.WriteAllText(_host.ConfigurationPath, $"softwire-address = \"{DaemonHost.Routed}\"\ncontrol-socket = \"{_host.ControlSocket}\"\n{LabFixture.FastPathLine}\nbindings-file = \"all.txt\"\n");
        Assert.Contains("bindings +0 -0 ~0, 2001 in all", _host.Ask("reload").Output);
        Assert.Equal("0", JsonDocument.Parse(_host.Ask("status", "--json").Output).RootElement.GetProperty("prr").GetProperty("changesSinceLoad").ToString());
    }

    [Fact]
    public void A_smap_has_no_bindings_and_says_so()
    {
        _host.ConfigureSmap(DaemonHost.OfInterface);
        _host.StartSmap();
        CommandResult asked = Binding("list");
        Assert.Equal(1, asked.ExitCode);
        Assert.Contains(ErrorCodes.ControlRequestFailed, asked.Error);
    }

    /// <summary>Asked for: 10,000 a second. What a busy machine still does is asserted; the output has the figures.</summary>
    [Fact]
    public async Task A_stream_of_changes_loses_no_packet_of_another_subscriber_and_keeps_the_counters()
    {
        const int subscribers = 10_000, packets = 5000;
        _host.Configure();
        _host.Start();
        using var client = new BindingClient(_host.ControlSocket);
        Dictionary<string, long> before = Counters();
        using var datagrams = new NumberedDatagrams(_host, packets, perSecond: 1000);
        var latencies = new List<double>();
        long changes = 0, took = 0;
        for (int round = 0; round == 0 || datagrams.AreSent; round++)
        {
            long start = Stopwatch.GetTimestamp();
            Task answers = Task.Run(() =>
            {
                for (int i = 0; i < subscribers; i++) Assert.Contains("\"done\":", client.ReadLine(), StringComparison.Ordinal);
            }, TestContext.Current.CancellationToken);
            for (int i = 0; i < subscribers; i++) client.Send(Request(round == 0 ? "add" : "set", i, round % 2));
            await answers;
            took += Stopwatch.GetTimestamp() - start;
            changes += subscribers;
            for (int i = 0; i < 100; i++)
            {
                start = Stopwatch.GetTimestamp();
                client.Send(Request("set", i, 1 - round % 2));
                Assert.Contains("\"changed\"", client.ReadLine(), StringComparison.Ordinal);
                latencies.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds);
            }
        }

        Assert.Equal(packets, datagrams.Received());
        Dictionary<string, long> after = Counters();
        Assert.Equal(packets, after["from-internet-forwarded"] - before["from-internet-forwarded"]);
        Assert.Equal(0, after["from-internet-dropped"] - before["from-internet-dropped"]);
        latencies.Sort();
        double perSecond = changes / ((double)took / Stopwatch.Frequency);
        TestContext.Current.TestOutputHelper?.WriteLine($"{perSecond:F0} changes a second; one change answered in {latencies[latencies.Count / 2]:F0} us at the median of {latencies.Count}, {latencies[^1]:F0} at worst");
        Assert.True(perSecond > 2000, $"{perSecond:F0} changes a second");
        Assert.True(latencies[latencies.Count / 2] < 5000, $"{latencies[latencies.Count / 2]:F0} us for one change");
    }

    Dictionary<string, long> Counters() => ControlClient.Ask(_host.ControlSocket, "counters").Counters!;
}
