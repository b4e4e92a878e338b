using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace APlusP.Tests.Configuration;

/// <summary>Holds docs/rfc-conformance.md to its word: tables are whole, "yes" has a test, and every test named is there.</summary>
public partial class RfcConformanceTests
{
    const string Header = "| § | Level | Requirement | Who | Answer | Remark | Tests |";
    const string Ruler = "|---|---|---|---|---|---|---|";

    static readonly string[] s_answers = ["yes", "by configuration", "differs", "not yet", "not ours"];
    static readonly string[] s_parties = ["PRR", "SMAP", "provisioning", "operator"];
    static readonly string[] s_rfcs = ["7596", "7597", "2473", "6333", "4787", "5382", "5508", "7857", "6346"];

    [Fact]
    public void The_page_has_a_sound_table_for_every_rfc_and_every_test_that_it_names_is_there()
    {
        IReadOnlySet<string> tests = Tests();
        Assert.Contains("SmapTests.Two_ranges_are_one_set", tests);
        Assert.Contains("Fig22Tests.Ping_reaches_the_internet", tests);
        Assert.Empty(Faults(DocumentationTests.Read("docs/rfc-conformance.md"), tests));
    }

    [Theory]
    [InlineData("| 1 | MUST | Something | PRR | yes | | `FooTests.Is_there` |", null)]
    [InlineData("| 1 | MUST | Something | PRR, SMAP | not yet | Nobody wrote it | |", null)]
    [InlineData("| 1 | MUST | Something | PRR | yes | | |", "names no test")]
    [InlineData("| 1 | MUST | Something | PRR | by configuration | By `key` | |", "names no test")]
    [InlineData("| 1 | MUST | Something | PRR | yes | | `FooTests.Is_gone` |", "no such test")]
    [InlineData("| 1 | MUST | Something | PRR | yes | | FooTests.Is_there |", "not a list of tests")]
    [InlineData("| 1 | MUST | Something | PRR | not yet | | |", "says not why")]
    [InlineData("| 1 | MUST | Something | PRR | perhaps | Who knows | |", "no answer")]
    [InlineData("| 1 | MUST | Something | nobody | yes | | `FooTests.Is_there` |", "nobody that we know")]
    [InlineData("| 1 | MUST | Something | PRR | yes | `FooTests.Is_there` |", "cells")]
    [InlineData("| 1 | | Something | PRR | yes | | `FooTests.Is_there` |", "is empty")]
    public void A_faulty_row_is_found(string row, string? fault)
    {
        string page = string.Concat(s_rfcs.Select(rfc => $"\n## RFC {rfc}: A title\n\nText: at hand.\n\n{Header}\n{Ruler}\n{row}\n"));
        string[] found = [.. Faults(page, new HashSet<string> { "FooTests.Is_there" })];
        if (fault is null) Assert.Empty(found);
        else Assert.All(s_rfcs, rfc => Assert.Contains(found, f => f.StartsWith($"RFC {rfc}", StringComparison.Ordinal) && f.Contains(fault, StringComparison.Ordinal)));
    }

    [Fact]
    public void A_page_without_its_tables_is_found()
    {
        Assert.All(s_rfcs, rfc => Assert.Contains($"RFC {rfc} has no section", Faults("# Nothing\n", new HashSet<string>())));
        string page = string.Concat(s_rfcs.Select(rfc => $"\n## RFC {rfc}: A title\n\nNo table.\n"));
        Assert.Contains("RFC 7596: there is no line that begins with \"Text: \"", Faults(page, new HashSet<string>()));
        Assert.Contains("RFC 7596: there is no table of the page's form", Faults(page, new HashSet<string>()));
    }

    static IEnumerable<string> Faults(string page, IReadOnlySet<string> tests)
    {
        string[] sections = page.Split("\n## ");
        foreach (string rfc in s_rfcs)
        {
            string? section = sections.FirstOrDefault(s => s.StartsWith($"RFC {rfc}: ", StringComparison.Ordinal));
            if (section is null)
            {
                yield return $"RFC {rfc} has no section";
                continue;
            }

            string[] lines = section.Split('\n');
            if (!lines.Any(l => l.StartsWith("Text: ", StringComparison.Ordinal))) yield return $"RFC {rfc}: there is no line that begins with \"Text: \"";
            int header = Array.IndexOf(lines, Header);
            string[] table = [.. lines.Where(l => l.StartsWith('|'))];
            if (header < 0 || lines.ElementAtOrDefault(header + 1) != Ruler || table.Length < 3)
            {
                yield return $"RFC {rfc}: there is no table of the page's form";
                continue;
            }

            foreach (string row in table.Skip(2))
                foreach (string fault in FaultsOf(row, tests))
                    yield return $"RFC {rfc}: {fault}: {row}";
        }
    }

    static IEnumerable<string> FaultsOf(string row, IReadOnlySet<string> tests)
    {
        string[] cells = [.. row.Split('|').Select(c => c.Trim())];
        if (cells.Length != 9 || cells[0].Length + cells[8].Length > 0)
        {
            yield return $"{cells.Length - 2} cells and not 7";
            yield break;
        }

        (string answer, string remark, string shown) = (cells[5], cells[6], cells[7]);
        if (cells[1..5].Any(c => c.Length == 0)) yield return "a cell is empty";
        if (cells[4].Split(", ").Except(s_parties).Any()) yield return "concerns nobody that we know";
        if (!s_answers.Contains(answer)) yield return "no answer that we know";
        if (answer is "yes" or "by configuration" && shown.Length == 0) yield return "names no test";
        if (answer is not "yes" && remark.Length == 0) yield return "says not why";
        if (shown.Length == 0) yield break;
        if (!TestList().IsMatch(shown)) yield return "not a list of tests";
        foreach (Match named in TestName().Matches(shown))
            if (!tests.Contains(named.Groups["name"].Value)) yield return $"no such test as {named.Groups["name"].Value}";
    }

    /// <summary>
    /// Every test method of both test projects, as "Class.Method", out of the sources: the lab's are not loaded here.
    /// </summary>
    static HashSet<string> Tests([CallerFilePath] string here = "")
    {
        string root = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "../.."));
        var tests = new HashSet<string>();
        foreach (string project in new[] { "APlusP.Tests", "APlusP.LabTests" })
        {
            foreach (string file in Directory.EnumerateFiles(Path.Combine(root, project), "*.cs", SearchOption.AllDirectories))
            {
                string type = "", text = File.ReadAllText(file);
                if (file.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal)) continue;
                foreach (Match match in Declaration().Matches(text))
                {
                    if (match.Groups["type"].Success) type = match.Groups["type"].Value;
                    else tests.Add($"{type}.{match.Groups["method"].Value}");
                }
            }
        }

        return tests;
    }

    // A class at the left margin, or a method that one of xUnit's attributes stands above.
    [GeneratedRegex(@"^public (?:(?:sealed|static|abstract|partial) )*class (?<type>\w+)|^ +\[(?:Fact|Theory|LabFact|LabTheory)\b[^\n]*\n(?: +\[[^\n]*\n| {8,}[^\n]*\n| *//[^\n]*\n| *\n)*? {4}public (?:static )?(?:async )?(?:void|Task|ValueTask) (?<method>\w+)\(", RegexOptions.Multiline)]
    private static partial Regex Declaration();

    [GeneratedRegex(@"^`\w+\.\w+`(, `\w+\.\w+`)*$", RegexOptions.ExplicitCapture)]
    private static partial Regex TestList();

    [GeneratedRegex(@"`(?<name>\w+\.\w+)`")]
    private static partial Regex TestName();
}
