using System.Diagnostics;
using System.Net;
using System.Text;
using System.Text.Json;

namespace APlusP.Tests.Registry;

/// <summary>The registry as a process, and the commands that ask it.</summary>
public sealed class RegistryProcessTests : IDisposable
{
    static string Executable => Path.Combine(AppContext.BaseDirectory, "aplusp");

    readonly string _directory = Path.Combine(Path.GetTempPath(), $"aplusp-process-{Guid.NewGuid():N}");
    readonly HttpClient _client = new(new SocketsHttpHandler { UseProxy = false }) { Timeout = TimeSpan.FromSeconds(20) };
    readonly int _port = FreePort.Next();
    Process? _registry;

    string Server => $"http://127.0.0.1:{_port}";

    async Task Start()
    {
        _registry = Process.Start(new ProcessStartInfo(Executable, ["registry", "--data", _directory, "--pool", "192.0.2.0/24", "--ports", "252", "--listen", $"127.0.0.1:{_port}"]) { UseShellExecute = false, RedirectStandardError = true });
        Task<string> log = _registry!.StandardError.ReadToEndAsync();
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(60))
        {
            if (_registry.HasExited) Assert.Fail($"the registry ended: {await log}");
            try
            {
                if ((await _client.GetAsync($"{Server}/v1/health")).IsSuccessStatusCode) return;
            }
            catch (Exception error) when (error is HttpRequestException or TaskCanceledException)
            {
                await Task.Delay(50);
            }
        }

        Assert.Fail("the registry did not answer within a minute");
    }

    static (int Exit, string Output, string Error) Run(params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(Executable, arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }

    /// <summary>Asks for leases until it is killed, and collects those that were answered.</summary>
    async Task AskUntilItIsGone(int from, List<JsonElement> answered)
    {
        for (int i = from, late = 0; late < 3; i++)
        {
            try
            {
                using HttpResponseMessage answer = await _client.PostAsync($"{Server}/v1/leases", new StringContent($$"""{"subscriber": "cpe-{{i}}", "softwire": "2001:db8::{{i:x}}"}""", Encoding.UTF8, "application/json"));
                if (answer.StatusCode != HttpStatusCode.Created) continue;
                JsonElement lease = JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement.Clone();
                lock (answered) answered.Add(lease);
            }
            catch (HttpRequestException)
            {
                return;
            }
            catch (TaskCanceledException)
            {
                // Not answered in time, so nothing is known of it; the registry may be there yet.
                late++;
            }
        }
    }

    [Fact]
    public async Task Killed_at_any_moment_it_loses_no_lease_that_it_answered_and_gives_none_twice()
    {
        var answered = new List<JsonElement>();
        for (int round = 0; round < 3; round++)
        {
            await Start();
            int enough = answered.Count + 20 + 7 * round;
            Task asking = AskUntilItIsGone(1 + round * 10_000, answered);
            while (!asking.IsCompleted)
            {
                lock (answered)
                    if (answered.Count >= enough) break;
                await Task.Delay(5);
            }

            _registry!.Kill();
            await _registry.WaitForExitAsync();
            await asking;
        }

        await Start();
        Assert.True(answered.Count >= 60, $"{answered.Count} leases in three rounds");
        Assert.Equal(answered.Count, answered.Select(l => $"{l.GetProperty("address")} {l.GetProperty("ranges")}").Distinct().Count());
        foreach (JsonElement lease in answered)
            Assert.Equal(lease.GetRawText(), await _client.GetStringAsync($"{Server}/v1/leases/{lease.GetProperty("id").GetString()}"));

        (int exit, string output, string error) = Run("registry", "verify", "--data", _directory);
        Assert.True(exit == 0 && output.Contains("are as they were written", StringComparison.Ordinal), output + error);

        JsonElement one = answered[0];
        string endpoint = $"{one.GetProperty("address")}:{one.GetProperty("ranges")[0][0]}";
        (exit, output, _) = Run("who", endpoint, "--at", one.GetProperty("from").GetString()!, "--json", "--server", Server);
        using JsonDocument who = JsonDocument.Parse(output);
        Assert.Equal((0, "cpe-1", one.GetProperty("id").GetString()), (exit, who.RootElement.GetProperty("subscriber").GetString(), who.RootElement.GetProperty("lease").GetString()));
        Assert.Equal(output, Run("who", endpoint, "--at", one.GetProperty("from").GetString()!, "--json", "--data", _directory).Output);
        (exit, output, _) = Run("who", endpoint, "--at", "2020-01-01T00:00:00Z", "--server", Server);
        Assert.Equal((3, $"nobody had {endpoint} at 2020-01-01T00:00:00.000Z\n"), (exit, output));
    }

    [Theory]
    [InlineData("AP6001: --data is missing", "registry")]
    [InlineData("AP6001: --pool is missing", "registry", "--data", "/nonexistent/x")]
    [InlineData("AP6001: --pool: 'x' is not an IPv4 prefix", "registry", "--data", "/nonexistent/x", "--pool", "x")]
    [InlineData("AP6001: --ports: not one block", "registry", "--data", "/nonexistent/x", "--pool", "192.0.2.0/24", "--ports", "65000")]
    [InlineData("AP6001: --listen: 'here'", "registry", "--data", "/nonexistent/x", "--pool", "192.0.2.0/24", "--listen", "here")]
    [InlineData("AP6001: --pool stands beside --config", "registry", "--config", "/nonexistent/x.toml", "--pool", "192.0.2.0/24")]
    [InlineData("AP6002: the connection string is not understood", "registry", "--data", "/tmp", "--pool", "192.0.2.0/24", "--database", "nonsense")]
    [InlineData("AP6002: there is no registry's database", "registry", "verify", "--data", "/nonexistent/x")]
    [InlineData("AP6007: no registry answers", "who", "192.0.2.1:1", "--server", "http://127.0.0.1:1")]
    [InlineData("AP6010: 'x' is not an IPv4 address and port", "who", "x")]
    [InlineData("AP6010: 'yesterday' is not a time", "who", "192.0.2.1:1", "--at", "yesterday")]
    public void What_cannot_be_is_told_with_what_to_do(string expected, params string[] arguments)
    {
        (int exit, _, string error) = Run(arguments);
        Assert.Equal(1, exit);
        Assert.StartsWith($"aplusp: {expected}", error, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _client.Dispose();
        if (_registry is { HasExited: false })
        {
            _registry.Kill();
            _registry.WaitForExit();
        }

        _registry?.Dispose();
        if (Directory.Exists(_directory)) Directory.Delete(_directory, recursive: true);
    }
}
