using System.CommandLine;
using System.Text.Json;
using APlusP.Core;
using APlusP.Core.PortSets;

namespace APlusP.Cli.Verbs;

/// <summary><c>aplusp portset</c>: which ports a set has, told by PSID (RFC 7597 section 5.1) or by ranges.</summary>
static class PortSetVerb
{
    // A set of offset 15 has 32767 ranges: enough to scroll everything else away.
    const int RangesShown = 16;

    public static Command Create()
    {
        var text = new Argument<string?>("set")
        {
            Description = "The set: 10000-11000, several ranges with commas, offset=6,length=8,psid=52, or all.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var offset = new Option<int>("--offset", "-a") { Description = "PSID offset a, 0 to 15; 0 where left out." };
        var length = new Option<int>("--length", "-k") { Description = "PSID length k, 0 to 16 less the offset." };
        var psid = new Option<int>("--psid", "-p") { Description = "The PSID, 0 to 2^k - 1." };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("portset", "Print the ports of a port set.") { text, offset, length, psid, json };
        command.Validators.Add(result =>
        {
            bool byText = result.GetValue(text) is not null, byLength = result.GetResult(length) is not null, byPsid = result.GetResult(psid) is not null;
            bool any = byLength || byPsid || result.GetResult(offset) is not null;
            if (byText && any) result.AddError("Give the set either as text or by --offset, --length and --psid, not both.");
            if (!byText && !(byLength && byPsid))
                result.AddError("Give a set such as 10000-11000, or --length and --psid (and --offset where it is not 0).");
        });
        command.SetAction(parse =>
        {
            PortSet set = parse.GetValue(text) is { } given ? Parse(given)
                : FromPsid(parse.GetValue(offset), parse.GetValue(length), parse.GetValue(psid));
            if (parse.GetValue(json)) PrintJson(set);
            else Print(set);
        });
        return command;
    }

    static PortSet Parse(string text) => PortSet.TryParse(text, out PortSet? set, out string error)
        ? set! : throw new APlusPException(ErrorCodes.NotAPortSet, $"'{text}' is not a port set: {error}.");

    static PortSet FromPsid(int offset, int length, int psid) => new Psid(offset, length, psid).Fault is { } fault
        ? throw new APlusPException(ErrorCodes.NotAPortSet, $"--offset {offset} --length {length} --psid {psid} is not a port set: {fault}.")
        : PortSet.FromPsid(offset, length, psid);

    static void Print(PortSet set)
    {
        PortRange[] ranges = [.. set.Ranges];
        Console.WriteLine($"{set}: {Count(set.Count, "port")} in {Count(ranges.Length, "range")}");
        foreach (PortRange range in ranges.Take(RangesShown)) Console.WriteLine($"  {range}");
        if (ranges.Length > RangesShown) Console.WriteLine($"  ... and {ranges.Length - RangesShown} more, up to {ranges[^1]}; --json prints all");
    }

    static string Count(int count, string what) => count == 1 ? $"1 {what}" : $"{count} {what}s";

    static void PrintJson(PortSet set)
    {
        using var stream = Console.OpenStandardOutput();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            PortSetJson.WritePortsAndRanges(writer, set);
            writer.WriteEndObject();
        }

        stream.Write("\n"u8);
    }
}
