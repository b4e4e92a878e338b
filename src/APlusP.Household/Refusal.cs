using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Node.Control;

namespace APlusP.Household;

/// <summary>What is said above a page about what was just done.</summary>
/// <param name="Text">In the language of the page.</param>
sealed record Said(string Text)
{
    /// <summary>What comes behind it in English alone: the router's own words, where the page has none for them.</summary>
    public string? English { get; init; }

    public bool IsGood { get; init; }
}

/// <summary>What somebody wrote into the form of a forward. Only who adds one says where it leads.</summary>
sealed record AskedForward(string Port, string Protocol)
{
    public string? Host { get; init; }

    public string? HostPort { get; init; }

    public bool IsAtPortOf(MappingEntry entry) => IsOf(entry) && Is(Port, entry.Port);

    public bool IsToEndpointOf(MappingEntry entry) => IsOf(entry) && Host == entry.Host && Is(HostPort, entry.HostPort);

    bool IsOf(MappingEntry entry) => Protocol == "both" || Protocol == entry.Protocol;

    static bool Is(string? text, int port) => ushort.TryParse(text, out ushort number) && number == port;
}

/// <summary>Why a form was refused, in the household's own words. The router says it by a code; what it was about the page knows itself, by the form and by what leads where.</summary>
static class Refusal
{
    /// <summary>All of it, with the code by which a technician finds it (docs/errors.md).</summary>
    public static Said Of(Words words, APlusPException refused, AskedForward? asked, MappingsDocument? mappings) => Sentence(words, refused.Code, asked, mappings) is { } sentence
        ? new Said($"{words.NotDone} {sentence} ({refused.Code})")
        : new Said(words.NotDone) { English = $"{refused.Message} ({refused.Code})" };

    static string? Sentence(Words words, string code, AskedForward? asked, MappingsDocument? mappings) => code switch
    {
        ErrorCodes.ConfigurationForwardNotOurs when asked is not null && mappings is not null => string.Format(null, words.RefusedNotOurs, asked.Port, PageText.Ranges(mappings.Ports)),
        ErrorCodes.ConfigurationTwice when asked is not null => Twice(words, asked, mappings),
        ErrorCodes.ConfigurationContradiction when asked is { Host: not null } => string.Format(null, words.RefusedShared, asked.Host),
        ErrorCodes.ForwardRequest when asked is not null => Request(words, asked, mappings),
        ErrorCodes.HouseholdRequest => words.RefusedForm,
        ErrorCodes.HouseholdState => words.RefusedState,
        ErrorCodes.NoDaemon => words.NoDaemon,
        _ => null,
    };

    /// <summary>Beside what the household or the file already leads somewhere. What devices asked for themselves makes way.</summary>
    static string? Twice(Words words, AskedForward asked, MappingsDocument? mappings)
    {
        MappingEntry[] fixedOnes = [.. (mappings?.Entries ?? []).Where(e => e.By is "configuration" or "household")];
        if (fixedOnes.FirstOrDefault(asked.IsAtPortOf) is { } there)
            return string.Format(null, words.RefusedTaken, PageText.PortOf(there), $"{there.Host}:{there.HostPort}", words.Origins.GetValueOrDefault(there.By, there.By));
        return fixedOnes.FirstOrDefault(asked.IsToEndpointOf) is { } other
            ? string.Format(null, words.RefusedTwice, $"{asked.Host}:{asked.HostPort}", PageText.PortOf(other)) : null;
    }

    /// <summary>In the order in which the router looks at it.</summary>
    static string? Request(Words words, AskedForward asked, MappingsDocument? mappings)
    {
        if (!IsPort(asked.Port)) return string.Format(null, words.RefusedNoPort, asked.Port);
        if (asked.Host is not null && !(IPv4Address.TryParse(asked.Host, out IPv4Address host) && host.IsUnicast)) return string.Format(null, words.RefusedNoHost, asked.Host);
        if (asked.HostPort is not null && !IsPort(asked.HostPort)) return string.Format(null, words.RefusedNoPort, asked.HostPort);

        // The form lets nobody choose another.
        if (asked.Protocol is not ("tcp" or "udp" or "both")) return null;
        if (asked.Host is not null) return words.RefusedFull;
        return string.Format(null, mappings?.Entries.Any(e => e.By == "configuration" && asked.IsAtPortOf(e)) == true ? words.RefusedFile : words.RefusedNowhere, asked.Port);
    }

    static bool IsPort(string text) => ushort.TryParse(text, out ushort port) && port > 0;
}
