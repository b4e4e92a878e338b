using System.Diagnostics;
using System.Text.RegularExpressions;
using APlusP.Node.Configuration;
using APlusP.Tests.Configuration;

namespace APlusP.Tests.Cli;

/// <summary><c>aplusp config import</c> and <c>export</c> as a shell sees them.</summary>
public sealed class ConfigFormatsTests : IDisposable
{
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    (int Exit, string Output, string Error) Run(params string[] arguments) => Executable.Run(_directory, arguments);

    string Put(string name, string text)
    {
        File.WriteAllText(Path.Combine(_directory, name), text);
        return name;
    }

    string Get(string name) => File.ReadAllText(Path.Combine(_directory, name));

    [Theory]
    [InlineData("snabb", "snabb.conf")]
    [InlineData("vpp", "vpp.conf")]
    [InlineData("ietf-softwire", "ietf-softwire.json")]
    public void An_import_goes_to_standard_output_and_its_notes_to_standard_error(string format, string golden)
    {
        (int exit, string output, string error) = Run("config", "import", "--from", format, Put(golden, ImportedFiles.Golden(golden)));
        Assert.Equal(0, exit);
        Assert.Contains("softwire-address", output, StringComparison.Ordinal);
        Assert.All(error.TrimEnd().Split('\n'), line => Assert.Matches($"^{golden}:[0-9]+: warning AP1051: ", line));
        Assert.NotNull(ConfigurationFile.CheckPrr("prr.toml", output).Configuration);
    }

    [Fact]
    public void Many_bindings_go_to_a_bindings_file_and_the_two_are_sound()
    {
        string softwires = string.Concat(Enumerable.Range(0, 200).Select(i => $"softwire {{ ipv4 192.0.2.1; psid {i}; b4-ipv6 2001:db8:1:{i:x}::1; br-address 2001:db8::1; port-set {{ psid-length 8; }} }}\n"));
        Put("lwaftr.conf", $"softwire-config {{ binding-table {{ {softwires} }} }}");
        (int exit, string output, string error) = Run("config", "import", "--from", "snabb", "lwaftr.conf", "-o", "prr.toml");
        Assert.Equal((0, ""), (exit, output));
        Assert.Contains("200 binding(s) of 1 address(es) in prr.toml and prr.bindings", error, StringComparison.Ordinal);
        Assert.Equal(200, Get("prr.bindings").Count(c => c == '\n'));
        Assert.Equal(200, ConfigurationFile.CheckPrr(Path.Combine(_directory, "prr.toml")).Configuration!.Bindings.Count);

        // What exists stays as it is, and without the one the other is not written either.
        Assert.Contains("exists", Run("config", "import", "--from", "snabb", "lwaftr.conf", "-o", "prr.toml").Error, StringComparison.Ordinal);
        File.Delete(Path.Combine(_directory, "prr.toml"));
        (exit, _, error) = Run("config", "import", "--from", "snabb", "lwaftr.conf", "-o", "prr.toml");
        Assert.NotEqual(0, exit);
        Assert.Contains("prr.bindings", error, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(_directory, "prr.toml")));
    }

    [Fact]
    public void Faults_are_told_with_status_1_and_what_cannot_be_read_with_2()
    {
        (int exit, string output, string error) = Run("config", "import", "--from", "snabb", Put("lwaftr.conf", "softwire-config {\n  binding-tabel { }\n}\n"), "-o", "prr.toml");
        Assert.Equal((1, ""), (exit, output));
        Assert.StartsWith("lwaftr.conf:2:3: error AP1012: ", error, StringComparison.Ordinal);
        Assert.Contains("Did you mean 'binding-table'?", error, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(_directory, "prr.toml")));
        foreach (string format in new[] { "report", "snabb" })
        {
            (exit, _, error) = Run("config", "import", "--from", format, "none.conf");
            Assert.Equal(2, exit);
            Assert.StartsWith("aplusp: AP1001: ", error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_file_of_another_format_is_told_so()
    {
        Assert.EndsWith("Try --from snabb.\n", Run("config", "import", Put("snabb.conf", ImportedFiles.Golden("snabb.conf"))).Error, StringComparison.Ordinal);
        Assert.EndsWith("Try --from ietf-softwire.\n", Run("config", "import", "--from", "vpp", Put("br.json", ImportedFiles.Golden("ietf-softwire.json"))).Error, StringComparison.Ordinal);
    }

    [Fact]
    public void The_migration_page_shows_what_its_commands_print()
    {
        string page = DocumentationTests.Read("docs/migration.md");
        foreach (Match file in Regex.Matches(page, "```file (?<name>\\S+)\n(?<text>.*?)```", RegexOptions.Singleline | RegexOptions.ExplicitCapture)) Put(file.Groups["name"].Value, file.Groups["text"].Value);
        MatchCollection runs = Regex.Matches(page, @"(?<=```console\n|\G)\$ (?<command>[^\n]+)\n(?<output>((?!\$ |```)[^\n]*\n)*)", RegexOptions.ExplicitCapture);
        Assert.Equal(9, runs.Count);
        foreach (Match run in runs)
        {
            using Process shell = Process.Start(new ProcessStartInfo("sh", ["-c", $"PATH=\"{AppContext.BaseDirectory}:$PATH\"; exec 2>&1; {run.Groups["command"].Value}"])
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
                WorkingDirectory = _directory,
            })!;
            Assert.Equal(run.Groups["output"].Value, shell.StandardOutput.ReadToEnd());
            shell.WaitForExit();
            Assert.Equal(0, shell.ExitCode);
        }
    }

    [Fact]
    public void What_goes_out_by_rfc_8676_comes_back_in()
    {
        string prr = Run("config", "import", "--from", "snabb", Put("lwaftr.conf", "softwire-config { binding-table { softwire { ipv4 192.0.2.1; psid 5; b4-ipv6 2001:db8:1::1; br-address 2001:db8::1; port-set { psid-length 8; } } } }")).Output;
        (int exit, string json, string error) = Run("config", "export", "--to", "ietf-softwire", Put("prr.toml", prr));
        Assert.Equal(0, exit);
        Assert.StartsWith("aplusp: AP1051: ", error, StringComparison.Ordinal);
        string back = Run("config", "import", "--from", "ietf-softwire", Put("br.json", json)).Output;
        Assert.Equal(prr[prr.IndexOf('\n', StringComparison.Ordinal)..], back[back.IndexOf('\n', StringComparison.Ordinal)..]);
    }

    [Fact]
    public void A_home_goes_out_as_an_interface_of_OpenWrt()
    {
        const string prr = """
            softwire-address = "2001:db8::1"
            [[binding]]
            name = "Miller"
            address = "192.0.2.1"
            psid = { offset = 6, length = 8, psid = 52 }
            softwire = "2001:db8:1:100:0:c000:201:34"
            """;
        Put("prr.toml", prr);
        (int exit, string output, string error) = Run("config", "export", "--to", "uci", "prr.toml", "--binding", "Miller");
        Assert.Equal((0, ""), (exit, error));
        Assert.Contains("option psid '13312'", output, StringComparison.Ordinal);
        Assert.Equal(output, Run("config", "export", "--to", "uci", "prr.toml", "--binding", "2001:db8:1:100:0:c000:201:34").Output);
        (exit, output, error) = Run("config", "export", "--to", "uci", "prr.toml");
        Assert.Equal((1, ""), (exit, output));
        Assert.Contains("--binding NAME", error, StringComparison.Ordinal);
        Put("smap.toml", "softwire-address = \"2001:db8:1:100:0:c000:201:34\"\nprr-address = \"2001:db8::1\"\nshared-address = \"192.0.2.1\"\nports = \"10000-11000\"\n");
        (exit, output, error) = Run("config", "export", "--to", "uci", "smap.toml");
        Assert.Equal((1, ""), (exit, output));
        Assert.StartsWith("aplusp: AP1031: ", error, StringComparison.Ordinal);
    }
}
