namespace APlusP.Household;

/// <summary>A fault of the line in plain words: what is wrong, and what somebody at home can do.</summary>
sealed record FaultWords(string What, string Do);

/// <summary>Everything that the page says, in one language.</summary>
sealed record Words
{
    /// <summary>Of HTML's lang.</summary>
    public required string Language { get; init; }

    /// <summary>In itself.</summary>
    public required string Name { get; init; }

    public required string Title { get; init; }

    public required string SignIn { get; init; }

    public required string SignInHint { get; init; }

    public required string KeyOrPassword { get; init; }

    public required string Wrong { get; init; }

    public required string TooMany { get; init; }

    public required string SignOut { get; init; }

    public required string Works { get; init; }

    public required string WorksAlone { get; init; }

    public required string PortsShort { get; init; }

    public required string Down { get; init; }

    public required string LineDead { get; init; }

    public required string NoDaemon { get; init; }

    public required string Address { get; init; }

    public required string Ports { get; init; }

    /// <summary>With how many.</summary>
    public required string AllRanges { get; init; }

    /// <summary>With the address, and how many ports.</summary>
    public required string SharedNote { get; init; }

    public required string Use { get; init; }

    public required string UseNote { get; init; }

    /// <summary>With how many, and of how many.</summary>
    public required string OfPorts { get; init; }

    public required string Refused { get; init; }

    public required string Hosts { get; init; }

    public required string Host { get; init; }

    public required string PortsInUse { get; init; }

    public required string NoHosts { get; init; }

    /// <summary>What the network does not let devices do.</summary>
    public required string Rules { get; init; }

    public required string RuleUdp { get; init; }

    public required string RuleResolver { get; init; }

    /// <summary>With the volume of a day.</summary>
    public required string RuleVolume { get; init; }

    public required string Today { get; init; }

    public required string UsedUp { get; init; }

    public required string NoticeTitle { get; init; }

    /// <summary>With what was used, and of how much.</summary>
    public required string Notice { get; init; }

    public required string NoticeUntil { get; init; }

    /// <summary>Octets as the language writes them.</summary>
    public required Func<long, string> Volume { get; init; }

    public required string Forwards { get; init; }

    public required string ForwardsNote { get; init; }

    public required string NoForwards { get; init; }

    public required string Protocol { get; init; }

    public required string OutsidePort { get; init; }

    public required string LeadsTo { get; init; }

    public required string By { get; init; }

    public required string Until { get; init; }

    public required string Ever { get; init; }

    public required string NotInForce { get; init; }

    /// <summary>"configuration", "household", "pcp", "nat-pmp" and "upnp".</summary>
    public required IReadOnlyDictionary<string, string> Origins { get; init; }

    public required string Remove { get; init; }

    public required string AddForward { get; init; }

    public required string HostAddress { get; init; }

    public required string HostPort { get; init; }

    public required string Both { get; init; }

    public required string Add { get; init; }

    public required string NotDone { get; init; }

    /// <summary>AP1025: with the port that was asked for, and those that are there.</summary>
    public required string RefusedNotOurs { get; init; }

    /// <summary>AP1018: with the port, where it leads, and by whom.</summary>
    public required string RefusedTaken { get; init; }

    /// <summary>AP1018: with the endpoint at home, and the port that leads to it.</summary>
    public required string RefusedTwice { get; init; }

    /// <summary>AP1017: with the address.</summary>
    public required string RefusedShared { get; init; }

    /// <summary>AP3015: with what was written.</summary>
    public required string RefusedNoPort { get; init; }

    /// <summary>AP3015: with what was written.</summary>
    public required string RefusedNoHost { get; init; }

    /// <summary>AP3015: there are as many forwards as there may be.</summary>
    public required string RefusedFull { get; init; }

    /// <summary>AP3015: with the port, which is the configuration file's.</summary>
    public required string RefusedFile { get; init; }

    /// <summary>AP3015: with the port, which leads nowhere.</summary>
    public required string RefusedNowhere { get; init; }

    /// <summary>AP3042.</summary>
    public required string RefusedForm { get; init; }

    /// <summary>AP3040.</summary>
    public required string RefusedState { get; init; }

    public required string WebProxy { get; init; }

    /// <summary>With ports saved now, the most, and connections by IPv6 of all.</summary>
    public required string WebProxyNote { get; init; }

    public required string Check { get; init; }

    public required string CheckNote { get; init; }

    public required string CheckNow { get; init; }

    public required string AllWell { get; init; }

    public required string Details { get; init; }

    public required string WhatToDo { get; init; }

    public required string Back { get; init; }

    public required string Password { get; init; }

    public required string PasswordNote { get; init; }

    public required string NewPassword { get; init; }

    public required string PasswordTooShort { get; init; }

    public required string PasswordSet { get; init; }

    public required string Save { get; init; }

    public required string NotThere { get; init; }

    public required string Elsewhere { get; init; }

    /// <summary>By the doctor's name of each (docs/troubleshooting.md).</summary>
    public required IReadOnlyDictionary<string, FaultWords> Faults { get; init; }

    /// <summary>The languages that there are; the first is for those who read neither.</summary>
    public static IReadOnlyList<Words> All => [EnglishWords.Value, FrenchWords.Value];

    /// <summary>That of a language's name, else the one that a browser's Accept-Language likes best (RFC 9110 section 12.5.4).</summary>
    public static Words For(string? chosen, string? accepted)
    {
        if (All.FirstOrDefault(w => w.Language == chosen) is { } named) return named;
        IEnumerable<(string Language, double Weight)> wanted =
            from part in (accepted ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            let fields = part.Split(';', StringSplitOptions.TrimEntries)
            let weight = fields.Skip(1).FirstOrDefault(f => f.StartsWith("q=", StringComparison.Ordinal)) is { } q && double.TryParse(q.AsSpan(2), System.Globalization.CultureInfo.InvariantCulture, out double value) ? value : 1
            where weight > 0
            select (fields[0].Split('-')[0].ToLowerInvariant(), weight);
        return wanted.OrderByDescending(w => w.Weight).Select(w => All.FirstOrDefault(a => a.Language == w.Language)).FirstOrDefault(w => w is not null) ?? All[0];
    }
}
