using System.Text.Json;
using APlusP.Survey.Models;

namespace APlusP.Tests.Cli;

/// <summary><c>aplusp lab models</c>, and what <c>aplusp lab whatif</c> says without playing anything.</summary>
public sealed class LabModelTests : IDisposable
{
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    (int Exit, string Output, string Error) Run(params string[] arguments) => Executable.Run(_directory, arguments);

    [Fact]
    public void All_models_are_listed_and_each_is_a_file_to_begin_with()
    {
        string list = Run("lab", "models").Output;
        Assert.All(ModelLibrary.Names, name => Assert.Contains($" {name} ", list, StringComparison.Ordinal));
        string path = Path.Combine(_directory, "mine.toml");
        File.WriteAllText(path, Run("lab", "models", "facebook").Output.Replace("name = \"facebook\"", "name = \"mine\"", StringComparison.Ordinal));
        (int exit, string output, string error) = Run("lab", "models", "--check", path);
        Assert.Equal((0, ""), (exit, error));
        Assert.Contains(" mine ", output, StringComparison.Ordinal);
        Assert.Contains("AP7011: there is no model 'nobody'", Run("lab", "models", "nobody").Error, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_to_be_expected_is_told_without_root()
    {
        (int exit, string output, string error) = Run("lab", "whatif", "--predict", "--json", "--ports", "1000,10");
        Assert.Equal((0, ""), (exit, error));
        JsonElement document = JsonDocument.Parse(output).RootElement;
        JsonElement[] sizes = [.. document.GetProperty("sizes").EnumerateArray()];
        Assert.Equal([10, 1000], sizes.Select(size => size.GetProperty("ports").GetInt32()));
        Assert.Equal(["work", "everything"], sizes[0].GetProperty("loads").EnumerateArray().Select(load => load.GetProperty("load").GetString()));
        Assert.All(sizes[0].GetProperty("loads").EnumerateArray(), load => Assert.InRange(load.GetProperty("predictedShare").GetDouble(), 0.5, 1));
        Assert.All(sizes[1].GetProperty("loads").EnumerateArray(), load => Assert.Equal((0, 0.0), (load.GetProperty("predicted").GetInt32(), load.GetProperty("plannerShare").GetDouble())));
        Assert.False(document.TryGetProperty("largestError", out _));
        Assert.Contains("ports are enough for all of it", Run("lab", "whatif", "--predict", "--model", "skype").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_report_s_two_hundred_ports_are_enough_for_work_with_any_seed()
    {
        for (int seed = 1; seed <= 3; seed++)
        {
            JsonElement work = JsonDocument.Parse(Run("lab", "whatif", "--predict", "--json", "--ports", "200", "--seed", $"{seed}").Output).RootElement.GetProperty("sizes")[0].GetProperty("loads")[0];
            Assert.Equal(("work", 0), (work.GetProperty("load").GetString(), work.GetProperty("predicted").GetInt32()));
        }
    }

    [Theory]
    [InlineData("AP5008: the time scale is 100, but it is from 1 to 60", "--time-scale", "100")]
    [InlineData("AP5008: the port sets of all homes are of one address", "--ports", "60000")]
    [InlineData("AP5008: 8 homes of 100 users are 800 hosts", "--users", "100")]
    [InlineData("AP5008: the load lasts 5 s", "--duration", "5")]
    [InlineData("AP7020: --ports: 'many' is no size", "--ports", "many")]
    [InlineData("AP7011: there is no model 'nobody'", "--model", "nobody")]
    public void What_cannot_be_played_is_refused_with_what_can(string fault, string option, string value) => Assert.Contains(fault, Run("lab", "whatif", "--predict", option, value).Error, StringComparison.Ordinal);
}
