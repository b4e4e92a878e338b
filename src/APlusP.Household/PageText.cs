using System.Net;
using System.Text;
using APlusP.Core.PortSets;
using APlusP.Node.Control;

namespace APlusP.Household;

/// <summary>The pages as HTML. Everything works without script; what is live becomes so by page.js.</summary>
sealed class PageText
{
    readonly Words _words;
    readonly StringBuilder _html = new();

    PageText(Words words, string title, bool isIn)
    {
        _words = words;
        string others = string.Concat(Words.All.Where(w => w != words).Select(w => $" <a href=\"/?lang={w.Language}\" hreflang=\"{w.Language}\" lang=\"{w.Language}\">{Text(w.Name)}</a>"));
        string signOut = isIn ? $" <form method=\"post\" action=\"/sign-out\"><button>{Text(words.SignOut)}</button></form>" : "";
        _html.Append($"""
            <!DOCTYPE html>
            <html lang="{words.Language}">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>{Text(title)}</title>
            <link rel="stylesheet" href="/page.css">
            </head>
            <body>
            <header><h1>{Text(title)}</h1><div>{others}{signOut}</div></header>
            <main>

            """);
    }

    string End() => _html.Append("</main>\n</body>\n</html>\n").ToString();

    static string Text(string text) => WebUtility.HtmlEncode(text);

    /// <summary>A screen reader speaks each part in the language that it is in.</summary>
    static string Text(Said said) => Text(said.Text) + (said.English is { } english ? $" <span lang=\"en\">{Text(english)}</span>" : "");

    static string Input(string label, string name, string rest) => $"<label>{Text(label)}<input name=\"{name}\" {rest}></label>\n";

    // ---- Outside

    public static string SignIn(Words words, string? said = null)
    {
        var page = new PageText(words, words.Title, isIn: false);
        page.Say(said is null ? null : new Said(said));
        page._html.Append($"<p>{Text(words.SignInHint)}</p>\n<form class=\"fields\" method=\"post\" action=\"/sign-in\">\n"
            + Input(words.KeyOrPassword, "secret", "type=\"password\" required autocomplete=\"current-password\" maxlength=\"100\"") + $"<button>{Text(words.SignIn)}</button>\n</form>\n");
        return page.End();
    }

    /// <summary>A page of one sentence.</summary>
    public static string Sentence(Words words, string sentence, bool isIn) => Sentence(words, new Said(sentence), isIn);

    public static string Sentence(Words words, Said said, bool isIn)
    {
        var page = new PageText(words, words.Title, isIn);
        page._html.Append($"<p>{Text(said)}</p>\n<p><a href=\"/\">{Text(words.Back)}</a></p>\n");
        return page.End();
    }

    /// <summary>What a device hears that has used its volume up.</summary>
    public static string Notice(Words words, PolicyNotice notice)
    {
        var page = new PageText(words, words.NoticeTitle, isIn: false);
        page._html.Append($"<p class=\"state bad\">{Text(string.Format(null, words.Notice, words.Volume(notice.Used), words.Volume(notice.Volume)))}</p>\n<p>{Text(words.NoticeUntil)}</p>\n");
        return page.End();
    }

    void Say(Said? said)
    {
        if (said is not null) _html.Append($"<p class=\"said{(said.IsGood ? " good" : "")}\" role=\"alert\">{Text(said)}</p>\n");
    }

    // ---- Inside

    public static string Main(Words words, Moment moment, MappingsDocument? mappings, Said? said = null)
    {
        var page = new PageText(words, words.Title, isIn: true);
        page.Say(said);
        page._html.Append($"<p id=\"state\" class=\"state{(moment.Works ? "" : " bad")}\" role=\"status\">{Text(moment.State)}</p>\n");
        page.Line(moment);
        page.Hosts(moment);
        page.Policies(moment);
        if (mappings is not null) page.Forwards(mappings);
        if (moment.Proxy is not null) page._html.Append($"<h2>{Text(words.WebProxy)}</h2>\n<p id=\"web-proxy\">{Text(moment.WebProxy)}</p>\n");
        page._html.Append($"<h2>{Text(words.Check)}</h2>\n<p>{Text(words.CheckNote)}</p>\n<form method=\"post\" action=\"/check\"><button>{Text(words.CheckNow)}</button></form>\n");
        page._html.Append($"<h2>{Text(words.Password)}</h2>\n<p>{Text(words.PasswordNote)}</p>\n<form class=\"fields\" method=\"post\" action=\"/password\">\n"
            + Input(words.NewPassword, "password", $"type=\"password\" required autocomplete=\"new-password\" minlength=\"{Door.Shortest}\" maxlength=\"{Door.Longest}\"") + $"<button>{Text(words.Save)}</button>\n</form>\n");
        page._html.Append("<script src=\"/page.js\"></script>\n");
        return page.End();
    }

    void Line(Moment moment)
    {
        if (moment.Smap is not { } smap || !moment.HasSoftwire) return;
        _html.Append($"<dl><dt>{Text(_words.Address)}</dt><dd>{Text(smap.SharedAddress)}</dd><dt>{Text(_words.Ports)}</dt><dd>{PortsOf(smap.Ports)}</dd></dl>\n");
        _html.Append($"<p>{Text(string.Format(null, _words.SharedNote, smap.SharedAddress, smap.PortCount))}</p>\n");
        _html.Append($"<h2>{Text(_words.Use)}</h2>\n<p>{Text(_words.UseNote)}</p>\n<dl>\n");
        foreach (PortUse use in smap.PortsInUse)
        {
            string id = Moment.IdOf(use), name = use.Protocol.ToUpperInvariant();
            _html.Append($"<dt id=\"{id}-name\">{Text(name)}</dt><dd><span id=\"{id}-text\">{Text(moment.Use(use))}</span><meter id=\"{id}\" aria-labelledby=\"{id}-name\" min=\"0\" max=\"{smap.PortCount}\" high=\"{smap.PortCount * 9 / 10}\" value=\"{use.Ports}\"></meter></dd>\n");
        }

        _html.Append($"</dl>\n<p>{Text(_words.Refused)}: <strong id=\"refused\">{smap.Exhausted}</strong></p>\n");
    }

    /// <summary>A port set as ranges, which everybody understands; of many the first, and how many there are.</summary>
    string PortsOf(string ports)
    {
        string[] ranges = RangesOf(ports);
        string rest = ranges.Length > RangesShown ? $" <details><summary>{Text(string.Format(null, _words.AllRanges, ranges.Length))}</summary>{Text(string.Join(", ", ranges))}</details>" : "";
        return Text(Ranges(ports)) + rest;
    }

    const int RangesShown = 8;

    static string[] RangesOf(string ports) => PortSet.TryParse(ports, out PortSet? set, out _) ? [.. set!.Ranges.Select(r => $"{r}")] : [ports];

    /// <summary>The same in a sentence.</summary>
    public static string Ranges(string ports) => string.Join(", ", RangesOf(ports) is { Length: > RangesShown } many ? [.. many.Take(RangesShown), "…"] : RangesOf(ports));

    void Hosts(Moment moment)
    {
        if (!moment.HasSoftwire) return;
        _html.Append($"<h2 id=\"who\">{Text(_words.Hosts)}</h2>\n<table aria-labelledby=\"who\"><thead><tr><th scope=\"col\">{Text(_words.Host)}</th><th scope=\"col\" class=\"number\">{Text(_words.PortsInUse)}</th></tr></thead><tbody id=\"hosts\">");
        foreach (HostUse host in moment.Smap!.Hosts.OrderByDescending(h => h.Ports)) _html.Append($"<tr><td>{Text($"{host}")}</td><td class=\"number\">{host.Ports}</td></tr>");
        _html.Append("</tbody></table>\n");
        if (moment.Smap.Hosts.Count == 0) _html.Append($"<p>{Text(_words.NoHosts)}</p>\n");
    }

    void Policies(Moment moment)
    {
        if (moment.Smap?.Policies is not { Count: > 0 } policies) return;
        _html.Append($"<h2 id=\"rules\">{Text(_words.Rules)}</h2>\n");
        foreach (PolicyStatus policy in policies)
        {
            _html.Append("<ul>\n");
            if (policy.DnsAlone) _html.Append($"<li>{Text(_words.RuleUdp)}</li>\n");
            if (policy.OwnResolver) _html.Append($"<li>{Text(_words.RuleResolver)}</li>\n");
            if (policy.DailyVolume > 0) _html.Append($"<li>{Text(string.Format(null, _words.RuleVolume, _words.Volume(policy.DailyVolume)))}</li>\n");
            _html.Append("</ul>\n");
            if (policy.Hosts.Count == 0) continue;
            _html.Append($"<table aria-labelledby=\"rules\"><thead><tr><th scope=\"col\">{Text(_words.Host)}</th><th scope=\"col\" class=\"number\">{Text(_words.Today)}</th></tr></thead><tbody>");
            foreach (VolumeUse host in policy.Hosts) _html.Append($"<tr><td>{Text($"{host}")}</td><td class=\"number\">{Text(_words.Volume(host.Octets))}{(host.IsOver ? $" {Text(_words.UsedUp)}" : "")}</td></tr>");
            _html.Append("</tbody></table>\n");
        }
    }

    void Forwards(MappingsDocument mappings)
    {
        _html.Append($"<h2 id=\"forwards\">{Text(_words.Forwards)}</h2>\n<p>{Text(_words.ForwardsNote)}</p>\n<div>{PortsOf(mappings.Ports)}</div>\n");
        if (mappings.Entries.Count == 0) _html.Append($"<p>{Text(_words.NoForwards)}</p>\n");
        else
        {
            _html.Append("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-labelledby=\"forwards\"><table aria-labelledby=\"forwards\"><thead><tr>");
            foreach (string column in (string[])[_words.OutsidePort, _words.LeadsTo, _words.By, _words.Until]) _html.Append($"<th scope=\"col\">{Text(column)}</th>");
            _html.Append("</tr></thead><tbody>\n");
            foreach (MappingEntry entry in mappings.Entries) Row(entry);
            _html.Append("</tbody></table></div>\n");
        }

        _html.Append($"<h3>{Text(_words.AddForward)}</h3>\n<form class=\"fields\" method=\"post\" action=\"/forwards\">\n"
            + Input(_words.OutsidePort, "port", "required inputmode=\"numeric\" pattern=\"[0-9]{1,5}\" autocomplete=\"off\"")
            + Input(_words.HostAddress, "host", "required inputmode=\"decimal\" placeholder=\"192.168.1.10\" autocomplete=\"off\"")
            + Input(_words.HostPort, "host-port", "required inputmode=\"numeric\" pattern=\"[0-9]{1,5}\" autocomplete=\"off\"")
            + $"<label>{Text(_words.Protocol)}<select name=\"protocol\"><option value=\"tcp\">TCP</option><option value=\"udp\">UDP</option><option value=\"both\">{Text(_words.Both)}</option></select></label>\n<button>{Text(_words.Add)}</button>\n</form>\n");
    }

    public static string PortOf(MappingEntry entry) => $"{entry.Protocol.ToUpperInvariant()} {entry.Port}";

    void Row(MappingEntry entry)
    {
        string until = !entry.IsInForce ? _words.NotInForce : entry.SecondsLeft is { } seconds ? $"{TimeSpan.FromSeconds(seconds)}" : _words.Ever;
        string port = PortOf(entry), by = _words.Origins.GetValueOrDefault(entry.By, entry.By);
        string remove = entry.By == "configuration" ? ""
            : $"<form method=\"post\" action=\"/forwards/remove\"><input type=\"hidden\" name=\"port\" value=\"{entry.Port}\"><input type=\"hidden\" name=\"protocol\" value=\"{Text(entry.Protocol)}\"><button aria-label=\"{Text($"{_words.Remove}: {port}")}\">{Text(_words.Remove)}</button></form>";
        _html.Append($"<tr><td>{Text(port)}</td><td>{Text($"{entry.Host}:{entry.HostPort}")}{(entry.Description is { Length: > 0 } called ? $"<br>{Text(called)}" : "")}</td><td>{Text(by)}</td><td>{Text(until)}{remove}</td></tr>\n");
    }

    /// <summary>What the doctor found: in plain words, and below what it says to who knows more.</summary>
    public static string Findings(Words words, DoctorDocument found)
    {
        var page = new PageText(words, words.Check, isIn: true);
        Finding[] faults = [.. found.Findings.Where(f => f.Fault is not null)];
        if (faults.Length == 0) page._html.Append($"<p class=\"state\" role=\"status\">{Text(words.AllWell)}</p>\n");
        else
        {
            page._html.Append("<ul>\n");
            foreach (Finding fault in faults)
            {
                FaultWords plain = words.Faults.GetValueOrDefault(fault.Fault!) ?? new FaultWords(fault.Sentence, fault.Remedy ?? "");
                page._html.Append($"<li><strong>{Text(plain.What)}</strong><br>{Text(words.WhatToDo)} {Text(plain.Do)}</li>\n");
            }

            page._html.Append("</ul>\n");
        }

        page._html.Append($"<details><summary>{Text(words.Details)}</summary>\n<ul lang=\"en\">\n");
        foreach (Finding each in found.Findings) page._html.Append($"<li>{Text($"{each.State}: {each.Check}: {each.Sentence}")}{(each.Remedy is { } remedy ? $" {Text(remedy)}" : "")}</li>\n");
        page._html.Append($"</ul>\n</details>\n<p><a href=\"/\">{Text(words.Back)}</a></p>\n");
        return page.End();
    }
}
