using System.CommandLine;
using System.Globalization;
using APlusP.Core;
using APlusP.Registry.Memory;
using APlusP.Survey;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;
using APlusP.Survey.Statistics;
using APlusP.Survey.Storage;

namespace APlusP.Cli.Verbs;

/// <summary>Options that several of the survey's verbs take, and what they say.</summary>
sealed class SurveyOptions
{
    public Option<string> Store { get; } = new("--store", "-s") { Description = "The survey: one SQLite file.", Required = true, HelpName = "FILE" };

    public Option<string?> Rules { get; } = new("--rules") { Description = "Which application a port is of (TOML); 'aplusp survey rules' prints those that are used otherwise.", HelpName = "FILE" };

    public Option<string[]> Inside { get; } = new("--inside") { Description = "Survey the hosts of this network alone, such as 192.168.2.0/24. May be given several times.", HelpName = "PREFIX" };

    public Option<bool> Addresses { get; } = new("--addresses") { Description = "Keep hosts by their addresses, in place of pseudonyms." };

    public Option<string?> Key { get; } = new("--key") { Description = "The pseudonyms' key; FILE.key beside the store when left out.", HelpName = "FILE" };

    public Option<string?> Family { get; } = FamilyOption();

    public Option<string?> Host { get; } = new("--host") { Description = "One host alone: its address, or its pseudonym." };

    public Option<string?> Baseline { get; } = new("--baseline") { Description = "When hosts did nothing of what is looked at: FROM..UNTIL, each in seconds since 1970 or as 2026-11-24T14:03:00Z; or how long from the beginning on, such as 60s. What they used then is taken off what came after.", HelpName = "TIME" };

    public Option<bool> Json { get; } = new("--json") { Description = "Print JSON." };

    static Option<string?> FamilyOption()
    {
        var family = new Option<string?>("--family") { Description = "IPv4 or IPv6 alone." };
        family.AcceptOnlyFromAmong("4", "6");
        return family;
    }

    public ApplicationRules ReadRules(ParseResult parsed) => parsed.GetValue(Rules) is { } path ? ApplicationRules.Load(path) : ApplicationRules.Standard;

    public InsideNetworks ReadInside(ParseResult parsed) => InsideNetworks.Of(parsed.GetValue(Inside) ?? []);

    public SurveyStore Open(ParseResult parsed) => SurveyStore.Open(parsed.GetValue(Store)!, parsed.GetValue(Key));

    public SurveyStore OpenToAdd(ParseResult parsed, ApplicationRules rules) => SurveyStore.OpenToAdd(parsed.GetValue(Store)!, rules, parsed.GetValue(Addresses), parsed.GetValue(Key));

    public SurveyPart ReadPart(ParseResult parsed, SurveyStore store) => new(
        parsed.GetValue(Family) switch { "4" => false, "6" => true, _ => null },
        parsed.GetValue(Host) is { } host ? store.HostOf(host) : null);

    /// <summary>The baseline's time, where one was given.</summary>
    public BaselineTime? ReadBaseline(ParseResult parsed, SurveyStore store)
    {
        const string option = "--baseline";
        if (parsed.GetValue(Baseline) is not { } text) return null;
        if (text.Split("..") is not [var from, var until]) return BaselineTime.First(store, Period(option, text));
        var time = new BaselineTime(Time(option, from), Time(option, until));
        return time.From <= time.Until ? time : throw new APlusPException(ErrorCodes.SurveySettings, $"{option}: it ends before it begins.");
    }

    /// <summary>Seconds, with or without a unit: 10, 10s, 15m, 2h, 7d.</summary>
    public static TimeSpan Period(string option, string text)
    {
        double unit = text.Length == 0 ? 0 : text[^1] switch { 's' => 1, 'm' => 60, 'h' => 3600, 'd' => 86400, _ => 0 };
        ReadOnlySpan<char> digits = unit > 0 ? text.AsSpan(0, text.Length - 1) : text;
        return double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number) && number * Math.Max(unit, 1) is >= 0.1 and <= 366 * 86400
            ? TimeSpan.FromSeconds(number * Math.Max(unit, 1))
            : throw new APlusPException(ErrorCodes.SurveySettings, $"{option}: '{text}' is not a time from 0.1 seconds to a year; write seconds, or 15m, 2h, 7d.");
    }

    /// <summary>Seconds since 1970, or a date.</summary>
    public static DateTimeOffset Time(string option, string text)
    {
        if (EpochSeconds.TryParse(text, out DateTimeOffset at)) return at;
        return Moment.TryParse(text, out DateTimeOffset moment) ? moment
            : throw new APlusPException(ErrorCodes.SurveySettings, $"{option}: '{text}' is neither seconds since 1970 nor {Moment.Form}.");
    }
}
