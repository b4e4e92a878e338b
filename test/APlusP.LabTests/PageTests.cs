using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>Pages as a browser shows them, in Chromium, judged by axe for who cannot see them, or not well.</summary>
public sealed class PageTests : IDisposable
{
    readonly AxeJudge _axe = new();
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-").FullName;

    public void Dispose()
    {
        _axe.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Theory]
    [InlineData("1280,900")]
    [InlineData("360,800")]
    public void A_survey_s_report_breaks_no_rule_of_axe(string size)
    {
        string store = Path.Combine(_directory, "survey.db"), report = Path.Combine(_directory, "report.html");
        Commands.Require([LabFixture.Executable, "survey", "bench", "--store", store, "--hosts", "30", "--days", "1.5"]);
        Commands.Require([LabFixture.Executable, "survey", "report", "--store", store, "--out", report]);
        (IReadOnlyList<string> broken, int kept) = _axe.Judge(File.ReadAllText(report), size);
        Assert.Empty(broken);
        Assert.True(kept >= 20, $"axe had only {kept} rules to keep");
    }

    [Fact]
    public void Axe_finds_what_is_wrong()
    {
        (IReadOnlyList<string> broken, _) = _axe.Judge("<!DOCTYPE html><html><head><title>x</title></head><body><img src=\"x.png\"><p style=\"color: #ccc; background: #fff\">pale</p></body></html>", "800,600");
        Assert.Contains(broken, rule => rule.StartsWith("image-alt:", StringComparison.Ordinal));
        Assert.Contains(broken, rule => rule.StartsWith("color-contrast:", StringComparison.Ordinal));
        Assert.Contains(broken, rule => rule.StartsWith("html-has-lang:", StringComparison.Ordinal));
    }
}
