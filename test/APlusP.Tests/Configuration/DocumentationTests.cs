using System.Reflection;
using System.Text.RegularExpressions;
using APlusP.Core;
using APlusP.Node.Configuration;
using APlusP.Registry.Configuration;

namespace APlusP.Tests.Configuration;

public class DocumentationTests
{
    public static string Read(string path) => File.ReadAllText(Repository.PathOf(path));

    [Fact]
    public void Every_key_stands_in_the_configuration_reference_and_no_other_does()
    {
        string text = Read("docs/configuration.md");
        string[] parts = Regex.Split(text, "^## ", RegexOptions.Multiline | RegexOptions.ExplicitCapture);
        foreach ((string heading, IReadOnlyDictionary<string, string[]> schema) in new[] { ("The PRR", ConfigurationSchema.Prr), ("The SMAP", ConfigurationSchema.Smap), ("The registry", RegistryConfigurationFile.Schema) })
        {
            string part = parts.Single(p => p.StartsWith(heading, StringComparison.Ordinal));
            var documented = Regex.Matches(part, @"^\| (?<keys>(`[a-z0-9-]+`(, )?)+) \|", RegexOptions.Multiline | RegexOptions.ExplicitCapture)
                .SelectMany(m => Regex.Matches(m.Groups["keys"].Value, "[a-z0-9-]+").Select(k => k.Value)).ToHashSet();

            // Tables and the parts of a PSID are told by headings and in the line of `psid`.
            string[] tables = ["icmp", "gateways", "fragments", "discovery", "registry", "binding", "rule", "forward", "napt", "timers", "tls", "ipfix", "pool", "class", "offset", "length", "psid", "port-control", "dhcpv6", "pcp", "lan", "dns", "firewall", "web-proxy", "household", "web-names"];
            var keys = schema.Values.SelectMany(k => k).Except(tables).ToHashSet();
            Assert.Empty(keys.Except(documented));
            Assert.Empty(documented.Except(keys).Except(tables));
        }
    }

    [Theory]
    [InlineData("docs/configuration.md")]
    [InlineData("docs/home.md")]
    [InlineData("docs/web-names.md")]
    [InlineData("README.md")]
    public void Every_example_is_a_sound_configuration(string path)
    {
        MatchCollection blocks = Regex.Matches(Read(path), "```toml ?(?<kind>prr|smap|registry)?\n(?<text>.*?)```", RegexOptions.Singleline | RegexOptions.ExplicitCapture);
        Assert.NotEmpty(blocks);
        foreach (Match block in blocks)
        {
            string text = block.Groups["text"].Value;
            IReadOnlyList<Diagnostic> found = block.Groups["kind"].Value switch
            {
                "smap" => ConfigurationFile.CheckSmap(path, text).Diagnostics,
                "registry" => RegistryConfigurationFile.Check(path, text).Diagnostics,
                _ => ConfigurationFile.CheckPrr(path, text).Diagnostics,
            };
            Assert.Empty(found.Select(d => d.Message));
        }
    }

    [Fact]
    public void Every_error_code_is_a_heading_and_every_heading_a_code()
    {
        var codes = typeof(ErrorCodes).GetFields(BindingFlags.Public | BindingFlags.Static).Select(f => (string)f.GetRawConstantValue()!).Order().ToArray();
        var headings = Regex.Matches(Read("docs/errors.md"), "^## (?<code>AP[0-9]+): ", RegexOptions.Multiline | RegexOptions.ExplicitCapture).Select(m => m.Groups["code"].Value).ToArray();
        Assert.Equal(codes, headings);
    }
}
