using System.Text.Json;
using APlusP.Lab;
using Deque.AxeCore.Commons;

namespace APlusP.LabTests;

/// <summary>Shows pages in Chromium, without a network, and has axe judge them for who cannot see them, or not well.</summary>
sealed class AxeJudge : IDisposable
{
    const string Found = "axe-found";

    // Without a device that is up: what a page would fetch is not there.
    readonly NetworkNamespace _nowhere = NetworkNamespace.Create($"ap-page-{Environment.ProcessId}-{Guid.NewGuid():N}"[..24]);
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-axe-").FullName;

    public AxeJudge() => Programs.Require("chromium");

    public void Dispose()
    {
        NetworkNamespace.Delete(_nowhere);
        Directory.Delete(_directory, recursive: true);
    }

    /// <summary>Has a browser of that size show a page and axe look at it; gives which rules it breaks, each with the first places, and how many it keeps.</summary>
    public (IReadOnlyList<string> Broken, int Kept) Judge(string html, string size)
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
}
