using System.Text;
using APlusP.Core;
using APlusP.Node.Configuration;
using APlusP.Node.Configuration.Formats;
using CsCheck;

namespace APlusP.Tests.Configuration;

/// <summary>What the tests of all formats share: golden files, and damage.</summary>
static class ImportedFiles
{
    public static string Golden(string name)
    {
        using var reader = new StreamReader(typeof(ImportedFiles).Assembly.GetManifestResourceStream($"golden/{name}")!);
        return reader.ReadToEnd();
    }

    public static ForeignFile Of(string path, string text) => new(path, () => new MemoryStream(Encoding.UTF8.GetBytes(text)));

    public static string Toml(PrrConfiguration configuration, string comment = "Imported.")
    {
        var toml = new StringWriter();
        PrrToml.Write(configuration, comment, toml, null, "");
        return toml.ToString();
    }

    /// <summary>An import is the configuration that stands beside it, and its notes are those that do; and what was written reads back as the same.</summary>
    public static void IsGolden(ImportResult result, string name)
    {
        Assert.Empty(result.Diagnostics.Select(d => $"{d.Line}: {d.Message}"));
        string toml = Toml(result.Configuration!);
        Assert.Equal(Golden($"{name}.toml"), toml);
        Assert.Equal(Golden($"{name}.notes"), string.Concat(result.Notes.Select(n => $"{n}\n")));
        ReadsBack(result.Configuration!, toml);
    }

    public static void ReadsBack(PrrConfiguration configuration, string toml)
    {
        ConfigurationCheck<PrrConfiguration> check = ConfigurationFile.CheckPrr("prr.toml", toml);
        Assert.DoesNotContain(check.Diagnostics, d => d.Severity == DiagnosticSeverity.Error);
        Same(configuration, check.Configuration!);
    }

    public static void Same(PrrConfiguration expected, PrrConfiguration actual)
    {
        Assert.Equal(expected.Bindings, actual.Bindings);
        Assert.Equal(expected.Rules, actual.Rules);
        Assert.Equal(expected.Discovery, actual.Discovery);
        Assert.Equal(expected.Options.SoftwireAddresses, actual.Options.SoftwireAddresses);
        Assert.Equal(expected.Options with { SoftwireAddresses = [] }, actual.Options with { SoftwireAddresses = [] });
        Assert.Equal(expected.Names.OrderBy(n => n.Key), actual.Names.OrderBy(n => n.Key));
    }

    /// <summary>Whatever is done to a file, its reader takes it or tells a fault at a place of it, with a code that the docs know.</summary>
    public static void WithstandsDamage(string text, Func<ForeignFile, ImportResult> read)
    {
        string[] bits = ["{", "}", ";", "\"", "'", "/*", "//", "\n", "\\", "[", "]", ",", ":", "0", "-1", "99999999999999999999", "::", "1.2.3.4.5", "true", "null", "\0", "\ud83d\ude00", "é", "#", "+", "/", "map add ", "1e9", "65536"];
        Gen.Select(Gen.Int[0, text.Length], Gen.Int[0, bits.Length - 1], Gen.Int[0, 40]).Array[1, 5].Sample(damage =>
        {
            string damaged = text;
            foreach ((int at, int bit, int cut) in damage)
                damaged = damaged[..Math.Min(at, damaged.Length)] + bits[bit] + damaged[Math.Min(at + cut, damaged.Length)..];
            return IsToldOrTaken(damaged);
        }, iter: 2000);
        Gen.Int[0, text.Length].Sample(length => IsToldOrTaken(text[..length]), iter: 500);
        Gen.Byte.Array[0, 200].Sample(bytes => IsToldOrTaken(Encoding.Latin1.GetString(bytes)), iter: 500);

        bool IsToldOrTaken(string damaged)
        {
            ImportResult result = read(Of("damaged", damaged));
            foreach (Diagnostic diagnostic in result.Diagnostics) DiagnosticRenderer.Render(diagnostic);
            if (result.Configuration is { } configuration) ReadsBack(configuration, Toml(configuration));
            return result.Configuration is not null
                ? result.Diagnostics.All(d => d.Severity == DiagnosticSeverity.Warning)
                : result.Diagnostics.Any(d => d.Severity == DiagnosticSeverity.Error && d.Line >= 1 && d.Code.StartsWith("AP1", StringComparison.Ordinal));
        }
    }

    public static void TellsFault(ImportResult result, string code, int line, string words)
    {
        Assert.Null(result.Configuration);
        Assert.Contains(result.Diagnostics, d => d.Code == code && d.Line == line && d.Message.Contains(words, StringComparison.Ordinal));
    }
}
