using System.Diagnostics;

namespace APlusP.Tests.Cli;

/// <summary>The executable as a shell sees it.</summary>
public class CommandLineTests
{
    const string Prr = """
        softwire-address = "2001:db8::1"
        [[binding]]
        name = "Miller"
        address = "192.0.2.1"
        ports = "10000-11000"
        softwire = "2001:db8:1::1"
        """;

    static string Executable => Path.Combine(AppContext.BaseDirectory, "aplusp");

    static (int Exit, string Output, string Error) Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }

    static void WithConfiguration(Action<string> use)
    {
        string path = Path.Combine(Path.GetTempPath(), $"aplusp-{Guid.NewGuid():N}.toml");
        File.WriteAllText(path, Prr);
        try
        {
            use(path);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void Help_names_every_verb()
    {
        string help = Run(Executable, "--help").Output;
        foreach (string verb in new[] { "bench", "binding", "completion", "config", "counters", "demo", "doctor", "explain", "lab", "plan", "portset", "prr", "registry", "reload", "replay", "rule", "smap", "status", "survey", "who" })
            Assert.Contains($"\n  {verb} ", help, StringComparison.Ordinal);
    }

    [Fact]
    public void Bash_completes_a_verb_by_the_script_that_the_program_prints()
    {
        string script = $"source <('{Executable}' completion bash); COMP_WORDS=('{Executable}' expl); COMP_CWORD=1; COMP_LINE='aplusp expl'; COMP_POINT=11; _aplusp; echo \"${{COMPREPLY[@]}}\"";
        Assert.Equal("explain\n", Run("bash", "-c", script).Output);
    }

    [Fact]
    public void Explain_says_whose_a_port_is() => WithConfiguration(path =>
    {
        Assert.Contains("belongs to Miller", Run(Executable, "explain", "--config", path, "192.0.2.1:10050").Output, StringComparison.Ordinal);
        Assert.Contains("nearest below: 11000, of Miller", Run(Executable, "explain", "--config", path, "192.0.2.1:11001").Output, StringComparison.Ordinal);
        Assert.Contains("no binding names this address", Run(Executable, "explain", "--config", path, "192.0.2.2:1").Output, StringComparison.Ordinal);
    });

    [Fact]
    public void Explain_says_by_which_rule_a_subscriber_has_a_port() => WithConfiguration(path =>
    {
        File.AppendAllText(path, "\n[[rule]]\nname = \"domain\"\nrule-ipv6-prefix = \"2001:db8:8000::/40\"\nrule-ipv4-prefix = \"198.51.100.0/24\"\nea-length = 16\n");
        string text = Run(Executable, "explain", "--config", path, "198.51.100.18:1232").Output;
        Assert.Contains("belongs to the subscriber with 2001:db8:8012:3400::/56", text, StringComparison.Ordinal);
        Assert.Contains("domain: 198.51.100.0/24 over 2001:db8:8000::/40, 16 EA bits", text, StringComparison.Ordinal);
        Assert.Contains("\"endUserPrefix\": \"2001:db8:8012:3400::/56\"", Run(Executable, "explain", "--config", path, "--json", "198.51.100.18:1232").Output, StringComparison.Ordinal);
        Assert.Contains("nobody has this port", Run(Executable, "explain", "--config", path, "198.51.100.18:80").Output, StringComparison.Ordinal);
        Assert.Contains("and no rule has it", Run(Executable, "explain", "--config", path, "203.0.113.1:80").Output, StringComparison.Ordinal);
        Assert.Contains("by the rule for 198.51.100.0/24", Run(Executable, "explain", "--config", path, "tcp 203.0.113.7:443 > 198.51.100.18:1232").Output, StringComparison.Ordinal);
        string spoof = Run(Executable, "explain", "--config", path, "udp 198.51.100.18:1236 > 203.0.113.7:53 via 2001:db8:8012:3400:0:c633:6412:34").Output;
        Assert.Contains("source-port-not-bound", spoof, StringComparison.Ordinal);
    });

    [Fact]
    public void Explain_follows_a_packet_by_the_data_planes_own_code() => WithConfiguration(path =>
    {
        string forwarded = Run(Executable, "explain", "--config", path, "tcp 198.51.100.7:443 > 192.0.2.1:10050").Output;
        Assert.Contains("softwire 2001:db8:1::1", forwarded, StringComparison.Ordinal);
        Assert.Contains("forwarded; sends IPv6 2001:db8::1 > 2001:db8:1::1", forwarded, StringComparison.Ordinal);
        string spoof = Run(Executable, "explain", "--config", path, "--json", "udp 192.0.2.1:9 > 198.51.100.7:53 via 2001:db8:1::1").Output;
        Assert.Contains("\"reason\": \"source-port-not-bound\"", spoof, StringComparison.Ordinal);
    });

    [Fact]
    public void An_error_goes_to_standard_error_with_its_code_and_a_status()
    {
        (int exit, string output, string error) = Run(Executable, "explain", "--config", "/nonexistent/prr.toml", "192.0.2.1:1");
        Assert.Equal((1, ""), (exit, output));
        Assert.StartsWith("aplusp: AP1001: ", error, StringComparison.Ordinal);
        Assert.Equal(2, Run(Executable, "config", "check", "/nonexistent/prr.toml").Exit);
    }
}
