using System.Text.Json;
using APlusP.Lab;
using Deque.AxeCore.Commons;
using Microsoft.Playwright;

namespace APlusP.LabTests;

/// <summary>Debian's Chromium on a host of a lab, driven as by somebody who sits before it, and what axe says of its pages.</summary>
sealed class Browser : IAsyncDisposable
{
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-browser-").FullName;
    IPlaywright? _playwright;
    IBrowser? _browser;

    /// <summary>Starts one on a host, whose network it has.</summary>
    public static async Task<Browser> StartAsync(NetworkNamespace host)
    {
        Programs.Require("chromium");
        var browser = new Browser();
        string there = Path.Combine(browser._directory, "chromium");
        await File.WriteAllTextAsync(there, $"#!/bin/sh\nexec {string.Join(' ', host.Entering(leavesMounts: false))} chromium \"$@\"\n");
        File.SetUnixFileMode(there, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        browser._playwright = await Playwright.CreateAsync();
        browser._browser = await browser._playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions { ExecutablePath = there, Args = ["--no-sandbox", "--disable-gpu"] });
        return browser;
    }

    /// <summary>An empty page of a window of that size, for somebody who reads that language.</summary>
    public Task<IPage> PageAsync(int width, int height, string locale = "en") =>
        _browser!.NewPageAsync(new BrowserNewPageOptions { ViewportSize = new ViewportSize { Width = width, Height = height }, Locale = locale, BypassCSP = true });

    /// <summary>Has axe look at a page; gives which rules it breaks, each with the first places, and how many it keeps.</summary>
    public static async Task<(IReadOnlyList<string> Broken, int Kept)> JudgeAsync(IPage page)
    {
        await page.AddScriptTagAsync(new PageAddScriptTagOptions { Content = new BundledAxeScriptProvider().GetScript() });
        string found = await page.EvaluateAsync<string>("""
            async () => {
                const result = await axe.run();
                return JSON.stringify({ broken: result.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map(n => n.html.slice(0, 200)).join(" ")), kept: result.passes.length });
            }
            """);
        using var told = JsonDocument.Parse(found);
        return ([.. told.RootElement.GetProperty("broken").EnumerateArray().Select(b => b.GetString()!)], told.RootElement.GetProperty("kept").GetInt32());
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null) await _browser.DisposeAsync();
        _playwright?.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
