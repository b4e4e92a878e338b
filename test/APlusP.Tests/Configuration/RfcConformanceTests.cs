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
    static readonly string[] s_rfcs = ["7596", "7597", "2473", "6333", "4787", "5382", "5508", "7857", "6346", "6886", "6887", "7753", "8585"];

    /// <summary>
    /// How often each section of the RFCs' texts says MUST, SHOULD and the like about us, counted in the texts; of those with numbered requirements in the summary, and elsewhere what that does not
    /// have. RFC 2473 writes none in capitals; those of PCP, NAT-PMP and RFC 8585 are not counted yet, and their rows have small letters.
    /// </summary>
    static readonly Dictionary<string, string> s_texts = new()
    {
        ["7596"] = "4: MUST; 5.1: MUST ×8, SHOULD ×2, RECOMMENDED; 5.2: MUST ×3, SHOULD; 5.2.1: MUST ×3, SHOULD; 6.1: MUST ×4; 6.2: MUST ×5, SHOULD ×2; "
            + "7: MUST, RECOMMENDED, SHOULD; 8: MUST; 8.1: SHOULD ×2, MUST ×6; 8.2: MUST, SHOULD; 9: MUST",
        ["7597"] = "4: MUST ×2, MUST NOT; 5: MUST ×3; 5.1: MUST ×3; 5.2: MUST; 7: MUST ×2; 7.2: MUST ×2; 8: MUST ×2; 8.1: MUST ×3; 8.2: MUST ×2, SHOULD; 8.3.1: SHOULD NOT; "
            + "9: SHOULD, MUST; 10: SHOULD ×2; B: MUST ×4, SHOULD ×3",
        ["2473"] = "",
        ["6333"] = "4.2: SHOULD NOT, SHOULD ×4; 4.3: SHOULD; 5.3: MUST ×3, MUST NOT; 5.4: SHOULD; 5.5: SHOULD; 5.6: SHOULD, SHOULD NOT; 6.3: MUST ×3, SHOULD; 6.5: SHOULD; 7.1: MUST ×2; "
            + "8.1: MUST NOT; 8.2: MUST; 11: MUST ×2",
        ["4787"] = "REQ-1: MUST; REQ-2: RECOMMENDED; REQ-3: MUST NOT; REQ-3a: RECOMMENDED ×2; REQ-4: RECOMMENDED; REQ-5: MUST NOT; REQ-5c: RECOMMENDED; REQ-6: MUST; REQ-7: MUST; "
            + "REQ-8: RECOMMENDED ×2; REQ-9: MUST; REQ-9a: MUST; REQ-10: SHOULD; REQ-10a: RECOMMENDED; REQ-11: MUST, MUST NOT; REQ-12: MUST NOT; REQ-12a: SHOULD NOT; "
            + "REQ-12b: RECOMMENDED; REQ-13: MUST; REQ-13a: MUST, SHOULD; REQ-14: MUST ×2; REQ-14a: MUST; 9: SHOULD",
        ["5382"] = "REQ-1: MUST; REQ-2: MUST; REQ-2a: MUST; REQ-3: RECOMMENDED ×2; REQ-4: MUST NOT, MUST, SHOULD; REQ-4a: MUST; REQ-5: MUST NOT ×2; REQ-6: RECOMMENDED; REQ-7: MUST NOT; "
            + "REQ-8: MUST; REQ-8a: MUST; REQ-9: SHOULD; REQ-10: MUST NOT",
        ["5508"] = "REQ-1: MUST; REQ-1a: SHOULD; REQ-2: MUST NOT; REQ-2a: RECOMMENDED; REQ-3: SHOULD; REQ-3a: SHOULD; REQ-3b: MUST; REQ-3c: SHOULD NOT; REQ-3d: MUST; REQ-4: SHOULD, MUST; "
            + "REQ-5: SHOULD, MUST; REQ-6: MUST NOT; REQ-7: MUST ×2; REQ-7a: MUST; REQ-8: SHOULD; REQ-10a: MUST; REQ-10c: SHOULD NOT; REQ-10d to f: RECOMMENDED; "
            + "3.1: SHOULD; 7.1.1: MUST ×4; 7.1.2: MUST; 7.2: MUST ×2; 7.3: SHOULD NOT; 7.4 to 7.6: MUST ×3; 7.7: SHOULD; 10: NOT RECOMMENDED",
        ["7857"] = "2: SHOULD; 2.1: SHOULD, RECOMMENDED; 2.2: MUST, SHOULD; 4: SHOULD ×2; 5: SHOULD, MUST; 6: SHOULD, MUST; 7: SHOULD NOT, SHOULD; 7.1: SHOULD NOT; 8: SHOULD; 9: SHOULD ×4; 10: SHOULD",
        ["6886"] = "",
        ["6887"] = "",
        ["7753"] = "",
        ["8585"] = "",
        ["6346"] = "3.2: SHOULD; 3.3.1: MUST ×2, SHOULD; 3.3.2: MUST; 3.3.3: SHOULD; 5.1.1: MUST, SHOULD; 5.1.3: MUST ×2; 5.3.1: MUST NOT",
    };

    public static TheoryData<string> Rfcs => [.. s_rfcs];

    [Theory]
    [MemberData(nameof(Rfcs))]
    public void Each_section_has_as_many_answers_of_each_level_as_the_text_has_requirements(string rfc)
    {
        string section = DocumentationTests.Read("docs/rfc-conformance.md").Split("\n## ").Single(s => s.StartsWith($"RFC {rfc}: ", StringComparison.Ordinal));
        var rows = section.Split('\n').Where(l => l.StartsWith('|')).Skip(2).Select(r => r.Split('|')).Select(cells => (cells[1].Trim(), cells[2]));
        var sentences = s_texts[rfc].Split(';', StringSplitOptions.RemoveEmptyEntries).Select(s => s.Split(": ")).Select(s => (s[0].Trim(), s[1]));
        Assert.Equal(Requirements(sentences), Requirements(rows));
    }

    [Fact]
    public void A_row_too_few_and_a_row_of_another_level_are_found()
    {
        Assert.Equal(["1 MUST 3", "1 SHOULD NOT 1", "2 MUST NOT 2"], Requirements([("1", "MUST ×2"), ("2", "MUST NOT ×2"), ("1", "SHOULD NOT, MUST"), ("1", "MAY"), ("1", "must")]));
        Assert.NotEqual(Requirements([("1", "MUST ×2")]), Requirements([("1", "MUST")]));
        Assert.NotEqual(Requirements([("1", "MUST")]), Requirements([("1", "MUST NOT")]));
    }

    /// <summary>"5.1 MUST 8" and so on: how many requirements of which level each section has, optional ones and small letters left out.</summary>
    static string[] Requirements(IEnumerable<(string Section, string Levels)> answers) =>
    [
        .. from answer in answers
           from Match level in Level().Matches(answer.Levels)
           group level.Groups["times"] is { Success: true } times ? int.Parse(times.ValueSpan, null) : 1 by $"{answer.Section} {level.Groups["level"].Value}" into same
           orderby same.Key
           select $"{same.Key} {same.Sum()}",
    ];

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

    [GeneratedRegex("(?<level>(NOT )?(MUST|SHOULD|RECOMMENDED)( NOT)?)( ×(?<times>[0-9]+))?", RegexOptions.ExplicitCapture)]
    private static partial Regex Level();

    // A class at the left margin, or a method that one of xUnit's attributes stands above.
    [GeneratedRegex(@"^public (?:(?:sealed|static|abstract|partial) )*class (?<type>\w+)|^ +\[(?:Fact|Theory|LabFact|LabTheory)\b[^\n]*\n(?: +\[[^\n]*\n| {8,}[^\n]*\n| *//[^\n]*\n| *\n)*? {4}public (?:static )?(?:async )?(?:void|Task|ValueTask) (?<method>\w+)\(", RegexOptions.Multiline)]
    private static partial Regex Declaration();

    [GeneratedRegex(@"^`\w+\.\w+`(, `\w+\.\w+`)*$", RegexOptions.ExplicitCapture)]
    private static partial Regex TestList();

    [GeneratedRegex(@"`(?<name>\w+\.\w+)`")]
    private static partial Regex TestName();
}
