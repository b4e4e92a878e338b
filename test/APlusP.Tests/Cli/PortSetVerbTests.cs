using System.Diagnostics;
using System.Text.Json;

namespace APlusP.Tests.Cli;

/// <summary>Runs the program itself, as a person does.</summary>
public class PortSetVerbTests
{
    static (int Exit, string Output, string Error) Run(params string[] arguments)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "aplusp"))
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        start.ArgumentList.Add("portset");
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(30)));
        return (process.ExitCode, output, error.Result);
    }

    [Fact]
    public void A_range_is_printed_as_json() =>
        Assert.Equal((0, "{\"ports\":1001,\"ranges\":[[10000,11000]]}\n", ""), Run("10000-11000", "--json"));

    [Fact]
    public void A_psid_set_is_printed_as_json_with_all_its_ranges()
    {
        (int exit, string output, _) = Run("--offset", "6", "--length", "8", "--psid", "52", "--json");
        Assert.Equal(0, exit);
        JsonElement set = JsonDocument.Parse(output).RootElement;
        Assert.Equal(["ports", "ranges"], set.EnumerateObject().Select(property => property.Name));
        Assert.Equal(252, set.GetProperty("ports").GetInt32());
        Assert.Equal(63, set.GetProperty("ranges").GetArrayLength());
        Assert.Equal("[1232,1235]", set.GetProperty("ranges")[0].GetRawText());
        Assert.Equal("[64720,64723]", set.GetProperty("ranges")[62].GetRawText());
    }

    [Fact]
    public void For_people_it_says_how_many_ports_there_are() =>
        Assert.Equal((0, "80,10000-11000: 1002 ports in 2 ranges\n  80\n  10000-11000\n", ""), Run("10000-11000,80"));

    [Theory]
    [InlineData("AP1010", "11000-10000")]
    [InlineData("AP1010", "--length", "8", "--psid", "256", "--json")]
    [InlineData("--length and --psid")]
    [InlineData("not both", "80", "--length", "8")]
    public void Bad_input_is_refused_with_the_reason(string why, params string[] arguments)
    {
        (int exit, string output, string error) = Run(arguments);
        Assert.InRange(exit, 1, 2);
        Assert.Contains(why, error);
        Assert.DoesNotContain("{", output);
    }
}
