using System.Text.Json;
using APlusP.Lab;
using Deque.AxeCore.Commons;

namespace APlusP.LabTests;

/// <summary>Pages as a browser shows them, in Chromium, judged by axe for who cannot see them, or not well.</summary>
public sealed class PageTests : IDisposable
{
    const string Found = "axe-found";

    // Without a device that is up: what a page would fetch is not there.
    readonly NetworkNamespace _nowhere = NetworkNamespace.Create($"ap-page-{Environment.ProcessId}");
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-").FullName;

    public PageTests() => Programs.Require("chromium");

    public void Dispose()
    {
        NetworkNamespace.Delete(_nowhere);
        Directory.Delete(_directory, recursive: true);
    }

    /// <summary>Has a browser of that size show a page and axe look at it; gives which rules it breaks, each with the first places, and how many it keeps.</summary>
    (IReadOnlyList<string> Broken, int Kept) Judge(string html, string size)
    {
        string axe = new BundledAxeScriptProvider().GetScript().Replace("</script", "<\\/script", StringComparison.OrdinalIgnoreCase);
        string judge = $$"""
            axe.run().then(result => {
                const found = document.createElement("pre");
                found.id = "{{Found}}";
                found.textContent = btoa(unescape(encodeURIComponent(JSON.stringify({ broken: result.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 200)).join(" ")), kept: result.passes.length }))));
                document.body.replaceChildren(found);
            });
            """;
        string page = Path.Combine(_directory, "page.html");
        File.WriteAllText(page, html.Replace("</body>", $"<script>{axe}</script><script>{judge}</script></body>", StringComparison.Ordinal));
        string shown = _nowhere.Require(
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", $"--window-size={size}", $"--user-data-dir={Path.Combine(_directory, "profile")}", "--virtual-time-budget=60000", "--dump-dom", $"file://{page}");
        string marker = $"<pre id=\"{Found}\">";
        int start = shown.IndexOf(marker, StringComparison.Ordinal);
        Assert.True(start >= 0, $"axe said nothing; the page ends: {shown[^Math.Min(500, shown.Length)..]}");
        start += marker.Length;
        using var found = JsonDocument.Parse(Convert.FromBase64String(shown[start..shown.IndexOf('<', start)]));
        return ([.. found.RootElement.GetProperty("broken").EnumerateArray().Select(b => b.GetString()!)], found.RootElement.GetProperty("kept").GetInt32());
    }

    [Theory]
    [InlineData("1280,900")]
    [InlineData("360,800")]
    public void A_survey_s_report_breaks_no_rule_of_axe(string size)
    {
        string store = Path.Combine(_directory, "survey.db"), report = Path.Combine(_directory, "report.html");
        Commands.Require([LabFixture.Executable, "survey", "bench", "--store", store, "--hosts", "30", "--days", "1.5"]);
        Commands.Require([LabFixture.Executable, "survey", "report", "--store", store, "--out", report]);
        (IReadOnlyList<string> broken, int kept) = Judge(File.ReadAllText(report), size);
        Assert.Empty(broken);
        Assert.True(kept >= 20, $"axe had only {kept} rules to keep");
    }

    [Fact]
    public void Axe_finds_what_is_wrong()
    {
        (IReadOnlyList<string> broken, _) = Judge("<!DOCTYPE html><html><head><title>x</title></head><body><img src=\"x.png\"><p style=\"color: #ccc; background: #fff\">pale</p></body></html>", "800,600");
        Assert.Contains(broken, rule => rule.StartsWith("image-alt:", StringComparison.Ordinal));
        Assert.Contains(broken, rule => rule.StartsWith("color-contrast:", StringComparison.Ordinal));
        Assert.Contains(broken, rule => rule.StartsWith("html-has-lang:", StringComparison.Ordinal));
    }
}
