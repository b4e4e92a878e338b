using APlusP.Lab;
using Microsoft.Playwright;

namespace APlusP.LabTests;

/// <summary>Shows pages in a browser without a network, and has axe judge them for who cannot see them, or not well.</summary>
sealed class AxeJudge : IDisposable
{
    // Without a device that is up: what a page would fetch is not there.
    readonly NetworkNamespace _nowhere = NetworkNamespace.Create($"ap-page-{LabFixture.NewMark()}");

    public void Dispose() => NetworkNamespace.Delete(_nowhere);

    /// <summary>Has a browser of that size ("360,800") show a page and axe look at it; gives which rules it breaks, each with the first places, and how many it keeps.</summary>
    public (IReadOnlyList<string> Broken, int Kept) Judge(string html, string size)
    {
        int[] sides = [.. size.Split(',').Select(int.Parse)];
        return JudgeAsync(html, sides[0], sides[1]).GetAwaiter().GetResult();
    }

    async Task<(IReadOnlyList<string> Broken, int Kept)> JudgeAsync(string html, int width, int height)
    {
        await using Browser browser = await Browser.StartAsync(_nowhere);
        IPage page = await browser.PageAsync(width, height);
        await page.SetContentAsync(html);
        return await Browser.JudgeAsync(page);
    }
}
