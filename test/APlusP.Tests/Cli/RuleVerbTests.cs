using System.Diagnostics;
using System.Text.Json;

namespace APlusP.Tests.Cli;

/// <summary>Runs the program itself, as a person does.</summary>
public class RuleVerbTests
{
    static readonly string[] s_a1 = ["--rule6", "2001:db8::/40", "--rule4", "192.0.2.0/24", "--ea", "16", "--offset", "6"];

    static (int Exit, string Output, string Error) Run(params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "aplusp"), ["rule", .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(30)));
        return (process.ExitCode, output, error.Result);
    }

    [Fact]
    public void By_end_user_prefix_and_by_port_it_prints_the_same_json()
    {
        (int exit, string output, string error) = Run([.. s_a1, "--end-user", "2001:db8:12:3400::/56", "--json"]);
        Assert.Equal((0, ""), (exit, error));
        JsonElement answer = JsonDocument.Parse(output).RootElement;
        Assert.Equal(["address", "psid", "psidLength", "ports", "ranges", "ce"], answer.EnumerateObject().Select(property => property.Name));
        Assert.Equal("""{"address":"192.0.2.18","psid":52,"psidLength":8,"ports":252,"ranges":[[1232,1235],[2256,2259],""", output[..95]);
        Assert.Equal("2001:db8:12:3400:0:c000:212:34", answer.GetProperty("ce").GetString());
        Assert.Equal(63, answer.GetProperty("ranges").GetArrayLength());
        Assert.Equal(output, Run([.. s_a1, "--address", "192.0.2.18", "--port", "64723", "--json"]).Output);
    }

    [Fact]
    public void A_rule_without_ea_bits_and_one_of_a_japanese_provider_and_one_of_prefixes()
    {
        string output = Run("--rule6", "2001:db8:12:3400::/56", "--rule4", "192.0.2.18/32", "--ea", "0", "--psid-len", "8", "--psid", "52", "--end-user", "2001:db8:12:3400::/56", "--json").Output;
        Assert.Contains("\"psid\":52,", output);
        output = Run("--rule6", "240b:10::/31", "--rule4", "106.72.0.0/15", "--ea", "25", "--offset", "4", "--draft03", "--end-user", "240b:10:2a40:9600::/64", "--json").Output;
        Assert.Contains("\"ce\":\"240b:10:2a40:9600:6a:482a:4000:9600\"", output);
        output = Run("--rule6", "2001:db8::/48", "--rule4", "192.0.2.0/24", "--ea", "6", "--address", "192.0.2.17", "--json").Output;
        Assert.Equal("{\"address\":\"192.0.2.16/30\",\"psid\":0,\"psidLength\":0,\"ports\":65536,\"ranges\":[[0,65535]],\"ce\":\"2001:db8:0:1000:0:c000:210:0\"}\n", output);
    }

    [Fact]
    public void For_people_it_says_where_address_and_psid_come_from()
    {
        (int exit, string output, _) = Run([.. s_a1, "--end-user", "2001:db8:12:3400::/56"]);
        Assert.Equal(0, exit);
        Assert.Equal("""
            The subscriber with 2001:db8:12:3400::/56 has 252 ports of 192.0.2.18
              address   192.0.2.18          192.0.2.0/24, then 8 EA bits, 0x12
              PSID      52 (0x34)           the last 8 of the EA bits, offset 6
              ports     252 in 63 ranges: 1232-1235, 2256-2259, 3280-3283, 4304-4307 ... 64720-64723
              CE        2001:db8:12:3400:0:c000:212:34, its end of the softwire
            The rule holds up to 65,536 subscribers, 256 on each address of 192.0.2.0/24.

            """, output);
        Assert.Contains("Beware: bits 54 to 55", Run("--rule6", "2001:db8::/48", "--rule4", "192.0.2.0/24", "--ea", "6", "--end-user", "2001:db8:0:1200::/56").Output);
    }

    [Theory]
    [InlineData("must be 4, not 8", "--rule6", "2001:db8::/32", "--rule4", "192.0.0.0/16", "--ea", "20", "--psid-len", "8", "--end-user", "2001:db8:12:3400::/56", "--json")]
    [InlineData("write 192.0.2.0/24", "--rule6", "2001:db8::/40", "--rule4", "192.0.2.1/24", "--ea", "16", "--end-user", "2001:db8:12:3400::/56")]
    [InlineData("AP1041", "--rule6", "2001:db8::/40", "--rule4", "192.0.2.0/24", "--ea", "16", "--address", "192.0.2.1", "--port", "80", "--json")]
    [InlineData("say which by --port", "--rule6", "2001:db8::/40", "--rule4", "192.0.2.0/24", "--ea", "16", "--address", "192.0.2.1")]
    [InlineData("not from 0 to 65535", "--rule6", "2001:db8::/40", "--rule4", "192.0.2.0/24", "--ea", "16", "--address", "192.0.2.1", "--port", "65536")]
    [InlineData("either --end-user", "--rule6", "2001:db8::/40", "--rule4", "192.0.2.0/24", "--ea", "16")]
    [InlineData("either --end-user", "--rule6", "2001:db8::/40", "--rule4", "192.0.2.0/24", "--ea", "16", "--address", "192.0.2.1", "--end-user", "2001:db8::/56")]
    public void Bad_input_is_refused_with_the_reason(string why, params string[] arguments)
    {
        (int exit, string output, string error) = Run(arguments);
        Assert.InRange(exit, 1, 2);
        Assert.Contains(why, error);
        Assert.DoesNotContain("{", output);
    }
}
