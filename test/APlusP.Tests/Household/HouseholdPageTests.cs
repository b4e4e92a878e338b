using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using APlusP.Core;
using APlusP.Core.Forwarding;
using APlusP.Household;
using APlusP.Node.Control;
using APlusP.Node.Daemons;
using APlusP.Node.Doctor;
using APlusP.Node.PortControl;
using APlusP.Tests.Forwarding;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using static APlusP.Tests.PortControl.DeskScene;

namespace APlusP.Tests.Household;

/// <summary>The page of the household, by HTTP, before a router that is made up.</summary>
public sealed partial class HouseholdPageTests : IAsyncLifetime
{
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-").FullName;
    readonly Router _router = new();
    HouseholdPage _page = null!;
    HttpClient _browser = null!;

    sealed class Router : IHousehold
    {
        public bool IsAway { get; set; }

        /// <summary>What it says to whoever adds a forward.</summary>
        public APlusPException? Refuses { get; set; }

        /// <summary>A real one, where what it says matters.</summary>
        public PortDesk? Desk { get; set; }

        public SmapStatus Smap { get; set; } = new()
        {
            SharedAddress = "192.0.2.1",
            PrrAddress = "2001:db8::1",
            Ports = "10000-10127,20000-20127",
            PortCount = 256,
            PortsInUse = [new("tcp", 40, 60), new("udp", 5, 9), new("icmp", 0, 1)],
            Flows = 45,
            MaxFlows = 4096,
            Exhausted = 3,
            Hosts = [new("192.168.1.10", 30) { Name = "tv-<b>" }, new("192.168.1.11", 15)],
        };

        public List<MappingEntry> Entries { get; } = [new("tcp", 10080, "192.168.1.10", 80, "household", IsInForce: true), new("udp", 10005, "192.168.1.11", 3074, "upnp", IsInForce: true) { SecondsLeft = 90, Description = "<script>alert('x')</script>" }];

        public List<string> Asked { get; } = [];

        public SmapStatus? Status() => IsAway ? null : Smap;

        public WebProxyStatus? WebProxy() => new()
        {
            Devices = ["lan"],
            Ports = [80, 443],
            Connections = 900,
            Open = 12,
            PortsSaved = 11,
            MostPortsSaved = 40,
            OverIPv6 = 800,
            NoName = 0,
            NoAddress = 100,
            NameLate = 0,
            NotAnswering = 0,
            Unreachable = 0,
            Pooled = 0,
            OctetsUp = 1,
            OctetsDown = 2,
        };

        public MappingsDocument? Mappings() => IsAway ? null : Desk is not null ? HouseholdForwards.Answer("mappings", Desk)!.Mappings : new MappingsDocument("192.0.2.1", Smap.Ports, Entries);

        public void AddForward(string port, string to, string protocol)
        {
            Asked.Add($"add {port} {to} {protocol}");
            if (Refuses is not null) throw Refuses;
            if (Desk is not null) HouseholdForwards.Answer($"forward add {port} {to} {protocol}", Desk);
        }

        public void RemoveForward(string port, string protocol)
        {
            Asked.Add($"remove {port} {protocol}");
            if (Desk is not null) HouseholdForwards.Answer($"forward remove {port} {protocol}", Desk);
        }

        public Task<DoctorDocument> Examine() => Task.FromResult(new DoctorDocument(IsWell: false, [new Finding("address", "ok", "there is one"), new Finding("mtu", "fault", "1400 of 1440") { Fault = Faults.MtuTooSmall, Remedy = "Set it." }]));
    }

    public async ValueTask InitializeAsync()
    {
        _page = await HouseholdPage.Start(new HouseholdPlace([new IPEndPoint(IPAddress.Loopback, 0)], _directory) { SmapSocket = "", WebProxySocket = "", Names = ["router.home.arpa"] }, _router, _ => { });
        _browser = Browser();
    }

    HttpClient Browser() => new(new HttpClientHandler { CookieContainer = new CookieContainer() }) { BaseAddress = new Uri(_page.Addresses[0]) };

    public async ValueTask DisposeAsync()
    {
        _browser.Dispose();
        await _page.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    string Key => File.ReadAllText(Path.Combine(_directory, "household.key")).Trim();

    static FormUrlEncodedContent Form(params (string Name, string Value)[] fields) => new(fields.Select(f => KeyValuePair.Create(f.Name, f.Value)));

    Task<HttpResponseMessage> SignIn(HttpClient browser, string secret) => browser.PostAsync("/sign-in", Form(("secret", secret)));

    async Task<string> MainPage(string path = "/")
    {
        using HttpResponseMessage page = await _browser.GetAsync(path);
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        return await page.Content.ReadAsStringAsync();
    }

    [Fact]
    public async Task Nobody_is_let_in_without_the_key_and_nothing_is_told_or_done()
    {
        Assert.DoesNotContain("192.0.2.1", await MainPage(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Unauthorized, (await _browser.GetAsync("/live.json")).StatusCode);
        foreach (string path in (string[])["/forwards", "/forwards/remove", "/password", "/check", "/sign-out"])
            Assert.Equal(HttpStatusCode.Unauthorized, (await _browser.PostAsync(path, Form(("port", "10080"), ("password", "long enough, this")))).StatusCode);
        Assert.Empty(_router.Asked);
        foreach (string wrong in (string[])["", "admin", Key + "x", new('x', 5000)]) Assert.Equal(HttpStatusCode.Unauthorized, (await SignIn(_browser, wrong)).StatusCode);
        Assert.Contains("type=\"password\"", await MainPage(), StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_directory, "household.key")));
    }

    [Fact]
    public async Task With_the_key_one_sees_address_ports_hosts_and_what_leads_where()
    {
        await SignIn(_browser, Key);
        string page = await MainPage();
        Assert.All((string[])["It works.", "192.0.2.1", "10000-10127, 20000-20127", "40 of 256", "tv-&lt;b&gt; (192.168.1.10)", "192.168.1.11", "TCP 10080", "192.168.1.10:80", "the device itself (UPnP)", "00:01:30", "11 saved now"], part => Assert.Contains(part, page, StringComparison.Ordinal));
        Assert.DoesNotContain("<script>alert", page, StringComparison.Ordinal);
        Assert.Contains("&lt;script&gt;alert", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_port_set_is_shown_as_ranges()
    {
        await SignIn(_browser, Key);
        _router.Smap = _router.Smap with { Ports = "offset=6, length=8, psid=1", PortCount = 252 };
        string page = WebUtility.HtmlDecode(await MainPage());
        Assert.Contains("1028-1031, 2052-2055, 3076-3079", page, StringComparison.Ordinal);
        Assert.Contains("all 63 ranges", page, StringComparison.Ordinal);
        Assert.DoesNotContain("psid", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_password_takes_the_key_s_place_and_ends_the_sessions_of_others()
    {
        using HttpClient other = Browser();
        await SignIn(_browser, Key);
        await SignIn(other, Key);
        string key = Key;
        Assert.Contains("too short", await (await _browser.PostAsync("/password", Form(("password", "short")))).Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Contains("is set", await (await _browser.PostAsync("/password", Form(("password", "a long one, éà")))).Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await _browser.GetAsync("/live.json")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await other.GetAsync("/live.json")).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await SignIn(other, key)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await SignIn(other, "a long one, éà")).StatusCode);
        Assert.DoesNotContain("a long one", File.ReadAllText(Path.Combine(_directory, "household.password")), StringComparison.Ordinal);
        Assert.Contains("household.key", HouseholdPage.Reset(_directory), StringComparison.Ordinal);
        Assert.NotEqual(key, Key);
    }

    [Fact]
    public async Task Signed_out_is_out()
    {
        await SignIn(_browser, Key);
        await _browser.PostAsync("/sign-out", Form());
        Assert.Equal(HttpStatusCode.Unauthorized, (await _browser.GetAsync("/live.json")).StatusCode);
    }

    [Fact]
    public async Task A_forward_is_added_and_removed_and_what_cannot_be_says_why()
    {
        await SignIn(_browser, Key);
        await _browser.PostAsync("/forwards", Form(("port", "10081"), ("host", "192.168.1.10"), ("host-port", "8081"), ("protocol", "both")));
        await _browser.PostAsync("/forwards/remove", Form(("port", "10080"), ("protocol", "tcp")));
        Assert.Equal(["add 10081 192.168.1.10:8081 both", "remove 10080 tcp"], _router.Asked);
        _router.Refuses = new APlusPException(ErrorCodes.ConfigurationForwardNotOurs, "only the router says this");
        using HttpResponseMessage refused = await _browser.PostAsync("/forwards", Form(("port", "80"), ("host", "192.168.1.10"), ("host-port", "80"), ("protocol", "tcp")));
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        string page = await refused.Content.ReadAsStringAsync();
        Assert.Contains("That was not done: Port 80 is not yours. Yours are 10000-10127, 20000-20127. (AP1025)", page, StringComparison.Ordinal);
        Assert.DoesNotContain("only the router says this", page, StringComparison.Ordinal);
    }

    /// <summary>By a desk of the router's own, so that the page knows whatever that says.</summary>
    [Theory]
    [InlineData("80 192.168.1.10 80 tcp", "Port 80 is not yours. Yours are 10000-10999. (AP1025)", "Le port 80 n’est pas à vous. Les vôtres : 10000-10999. (AP1025)")]
    [InlineData("10001 192.168.1.10 80 tcp", "TCP 10001 leads to 192.168.1.12:22 already (by: the router's file).", "TCP 10001 mène déjà à 192.168.1.12:22 (par : le fichier du routeur).")]
    [InlineData("10002 192.168.1.10 80 both", "UDP 10002 leads to 192.168.1.11:53 already (by: you).", "UDP 10002 mène déjà à 192.168.1.11:53 (par : vous).")]
    [InlineData("10003 192.168.1.12 22 both", "TCP 10001 leads to 192.168.1.12:22 already, which answers by one port alone.", "TCP 10001 mène déjà à 192.168.1.12:22, qui ne répond que par un seul port.")]
    [InlineData("10003 192.0.2.1 22 tcp", "192.0.2.1 is the address that you share with others", "192.0.2.1 est l’adresse que vous partagez avec d’autres")]
    [InlineData("70000 192.168.1.10 80 tcp", "'70000' is not a port.", "« 70000 » n’est pas un port.")]
    [InlineData("10003 192.168.1.10 x<b> tcp", "'x<b>' is not a port.", "« x<b> » n’est pas un port.")]
    [InlineData("10003 camera.example 80 tcp", "'camera.example' is not the address of a device.", "« camera.example » n’est pas l’adresse d’un appareil.")]
    [InlineData("10003 224.0.0.1 80 tcp", "'224.0.0.1' is not the address of a device.", "« 224.0.0.1 » n’est pas l’adresse d’un appareil.")]
    [InlineData("10001 - - tcp", "Where port 10001 leads stands in the router's file", "Où mène le port 10001 est écrit dans le fichier du routeur")]
    [InlineData("10001 - - udp", "Port 10001 leads nowhere already. (AP3015)", "Le port 10001 ne mène nulle part. (AP3015)")]
    [InlineData("0 - - both", "'0' is not a port.", "« 0 » n’est pas un port.")]
    public async Task Each_refusal_of_the_router_is_said_in_the_language_of_the_page(string form, string english, string french)
    {
        using PortDesk desk = ADesk();
        HouseholdForwards.Answer("forward add 10002 192.168.1.11:53 udp", desk);
        _router.Desk = desk;
        await SignIn(_browser, Key);
        Assert.Contains($"That was not done: {english}", await Refused("en", form), StringComparison.Ordinal);
        Assert.Contains($"Cela n’a pas été fait : {french}", await Refused("fr", form), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_has_as_many_forwards_as_there_may_be_hears_so_in_the_language_of_the_page()
    {
        using PortDesk desk = ADesk(o => o with { Forwards = [.. Enumerable.Range(10000, 1000).Select(p => Static(p, "192.168.1.12", p)), .. Enumerable.Range(10000, 24).Select(p => Static(p, "192.168.1.12", p, Core.Wire.IpProtocol.Udp))] });
        _router.Desk = desk;
        await SignIn(_browser, Key);
        Assert.Contains("There are as many ports that lead to a device as there may be.", await Refused("en", "10500 192.168.1.10 80 udp"), StringComparison.Ordinal);
        Assert.Contains("Il y a autant de ports qui mènent à un appareil qu’il peut y en avoir.", await Refused("fr", "10500 192.168.1.10 80 udp"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ErrorCodes.HouseholdRequest, "Something is missing", "Il manque quelque chose")]
    [InlineData(ErrorCodes.NoDaemon, "The router's program does not answer.", "Le programme du routeur ne répond pas.")]
    [InlineData(ErrorCodes.ControlRequestFailed, "<span lang=\"en\">in its <own> words (AP3004)</span>", "<span lang=\"en\">in its <own> words (AP3004)</span>")]
    public async Task What_else_keeps_a_form_from_being_done_is_said_too_and_what_the_page_does_not_know_is_marked_as_English(string code, string english, string french)
    {
        _router.Refuses = new APlusPException(code, "in its <own> words");
        await SignIn(_browser, Key);
        Assert.Contains($"That was not done: {english}", await Refused("en", "10003 192.168.1.10 80 tcp"), StringComparison.Ordinal);
        Assert.Contains($"Cela n’a pas été fait : {french}", await Refused("fr", "10003 192.168.1.10 80 tcp"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_password_that_cannot_be_kept_is_refused_in_the_language_of_the_page()
    {
        await SignIn(_browser, Key);
        Directory.CreateDirectory(Path.Combine(_directory, "household.password"));
        await MainPage("/?lang=fr");
        using HttpResponseMessage refused = await _browser.PostAsync("/password", Form(("password", "long enough, this")));
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains("Le routeur ne peut pas l’enregistrer", WebUtility.HtmlDecode(await refused.Content.ReadAsStringAsync()), StringComparison.Ordinal);
    }

    PortDesk ADesk(Func<SmapOptions, SmapOptions>? change = null)
    {
        var clock = new HandClock();
        Smap smap = GatewayScene.Make(clock, change ?? (o => o with { Forwards = [Static(10001, "192.168.1.12", 22)] }));
        var desk = new PortDesk(new PortControlSettings(Path.Combine(_directory, "state")), smap.Options, errand => errand(smap), new DaemonLog(NullLogger.Instance), clock, () => null);
        smap.Options = desk.With(smap.Options, desk.Settings);
        return desk;
    }

    /// <summary>What a form is answered with: port, address, port at the device and protocol; without an address it is one that removes.</summary>
    async Task<string> Refused(string language, string form)
    {
        await MainPage($"/?lang={language}");
        string[] fields = form.Split(' ');
        using HttpResponseMessage refused = await _browser.PostAsync(fields[1] == "-" ? "/forwards/remove" : "/forwards", Form(("port", fields[0]), ("host", fields[1]), ("host-port", fields[2]), ("protocol", fields[3])));
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        return WebUtility.HtmlDecode(await refused.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Whatever_a_device_asked_for_can_be_removed_and_what_the_file_says_cannot()
    {
        await SignIn(_browser, Key);
        _router.Entries.AddRange([new("tcp", 10006, "192.168.1.11", 1, "pcp", IsInForce: true), new("tcp", 10007, "192.168.1.11", 2, "nat-pmp", IsInForce: true), new("tcp", 10001, "192.168.1.12", 22, "configuration", IsInForce: true)]);
        string page = await MainPage();
        Assert.All((string[])["TCP 10080", "UDP 10005", "TCP 10006", "TCP 10007"], port => Assert.Contains($"aria-label=\"Remove: {port}\"", page, StringComparison.Ordinal));
        Assert.Contains("TCP 10001", page, StringComparison.Ordinal);
        Assert.DoesNotContain("Remove: TCP 10001", page, StringComparison.Ordinal);
        await _browser.PostAsync("/forwards/remove", Form(("port", "10005"), ("protocol", "udp")));
        Assert.Equal(["remove 10005 udp"], _router.Asked);
    }

    [Theory]
    [InlineData("evil.example", null, null)]
    [InlineData(null, "http://evil.example", null)]
    [InlineData(null, "null", null)]
    [InlineData(null, null, "cross-site")]
    [InlineData(null, null, "same-site")]
    public async Task A_foreign_site_in_a_browser_of_the_home_does_nothing(string? host, string? origin, string? site)
    {
        await SignIn(_browser, Key);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/forwards/remove") { Content = Form(("port", "10080"), ("protocol", "tcp")) };
        if (host is not null) request.Headers.Host = host;
        if (origin is not null) request.Headers.Add("Origin", origin);
        if (site is not null) request.Headers.Add("Sec-Fetch-Site", site);
        using HttpResponseMessage answer = await _browser.SendAsync(request);
        Assert.Equal(HttpStatusCode.MisdirectedRequest, answer.StatusCode);
        Assert.Empty(_router.Asked);
    }

    [Theory]
    [InlineData("en", "This device has used 1.6 GB today", "1.5 GB a day")]
    [InlineData("fr", "Cet appareil a utilisé 1,6 Go aujourd’hui", "1,5 Go par jour")]
    public async Task A_device_that_has_used_its_volume_up_is_told_so_in_place_of_the_page_that_it_wanted(string language, string used, string volume)
    {
        async Task<(HttpStatusCode Status, string Text)> Ask(string host)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/news?a=b");
            request.Headers.Host = host;
            request.Headers.AcceptLanguage.ParseAdd(language);
            using HttpResponseMessage answer = await _browser.SendAsync(request);
            return (answer.StatusCode, WebUtility.HtmlDecode(await answer.Content.ReadAsStringAsync()));
        }

        Assert.Equal(HttpStatusCode.MisdirectedRequest, (await Ask("www.example")).Status);
        _router.Smap = _router.Smap with { Policies = [new PolicyStatus("lan") { DailyVolume = 1_500_000_000, Hosts = [new VolumeUse("52:54:00:00:00:01", 1_600_000_000, IsOver: true) { Addresses = ["127.0.0.1"] }] }] };
        (HttpStatusCode status, string text) = await Ask("www.example");
        Assert.Equal(HttpStatusCode.NetworkAuthenticationRequired, status);
        Assert.Contains(used, text, StringComparison.Ordinal);
        Assert.Contains(volume, text, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await Ask("router.home.arpa")).Status);

        // Others are not.
        _router.Smap = _router.Smap with { Policies = [new PolicyStatus("lan") { DailyVolume = 1_500_000_000, Hosts = [new VolumeUse("52:54:00:00:00:01", 1_400_000_000, IsOver: false) { Addresses = ["127.0.0.1"] }] }] };
        Assert.Equal(HttpStatusCode.MisdirectedRequest, (await Ask("www.example")).Status);
    }

    [Fact]
    public async Task The_rules_of_the_network_and_who_has_used_how_much_stand_on_it()
    {
        await SignIn(_browser, Key);
        Assert.DoesNotContain("Rules of this network", await _browser.GetStringAsync("/"), StringComparison.Ordinal);
        _router.Smap = _router.Smap with { Policies = [new PolicyStatus("lan") { DnsAlone = true, OwnResolver = true, DailyVolume = 1_500_000_000, Hosts = [new VolumeUse("52:54:00:00:00:01", 1_600_000_000, IsOver: true) { Addresses = ["192.168.1.10"], Name = "tv-<b>" }, new VolumeUse("52:54:00:00:00:02", 20_000, IsOver: false)] }] };
        string page = await _browser.GetStringAsync("/");
        foreach (string part in (string[])["Rules of this network", "Of UDP only DNS", "this router alone", "1.5 GB a day", "tv-&lt;b&gt; (192.168.1.10)", "1.6 GB (used up)", "52:54:00:00:00:02", "20 kB"]) Assert.Contains(part, page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_is_there_by_its_name_too_and_says_what_a_browser_may_not_do_with_it()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/");
        request.Headers.Host = "router.home.arpa";
        using HttpResponseMessage answer = await _browser.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Contains("default-src 'none'", Assert.Single(answer.Headers.GetValues("Content-Security-Policy")), StringComparison.Ordinal);
        Assert.Equal("nosniff", Assert.Single(answer.Headers.GetValues("X-Content-Type-Options")));
        using HttpResponseMessage signedIn = await new HttpClient(new HttpClientHandler { AllowAutoRedirect = false }) { BaseAddress = _browser.BaseAddress }.PostAsync("/sign-in", Form(("secret", Key)));
        string cookie = Assert.Single(signedIn.Headers.GetValues("Set-Cookie"));
        Assert.Contains("httponly", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("samesite=strict", cookie, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task It_speaks_French_to_who_wants_it()
    {
        await SignIn(_browser, Key);
        string page = await MainPage("/?lang=fr");
        Assert.Contains("<html lang=\"fr\">", page, StringComparison.Ordinal);
        Assert.Contains("Tout fonctionne.", page, StringComparison.Ordinal);
        Assert.Contains("<html lang=\"fr\">", await MainPage(), StringComparison.Ordinal);
        Assert.Contains("La ligne porte de plus petits paquets", WebUtility.HtmlDecode(await (await _browser.PostAsync("/check", Form())).Content.ReadAsStringAsync()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_changes_is_told_without_the_page()
    {
        await SignIn(_browser, Key);
        using var live = JsonDocument.Parse(await _browser.GetStringAsync("/live.json"));
        Assert.True(live.RootElement.GetProperty("works").GetBoolean());
        Assert.Equal(40, live.RootElement.GetProperty("meters").GetProperty("use-tcp").GetInt32());
        string page = await MainPage();
        foreach (JsonProperty text in live.RootElement.GetProperty("texts").EnumerateObject()) Assert.Contains($"id=\"{text.Name}\"", page, StringComparison.Ordinal);
        foreach (JsonProperty meter in live.RootElement.GetProperty("meters").EnumerateObject()) Assert.Contains($"<meter id=\"{meter.Name}\"", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_says_so_when_IPv4_or_the_line_is_down_when_ports_run_short_and_when_the_router_s_program_is_away()
    {
        await SignIn(_browser, Key);
        _router.Smap = _router.Smap with { PortsInUse = [new("tcp", 240, 240)] };
        Assert.Contains("nearly used up", await MainPage(), StringComparison.Ordinal);
        _router.Smap = _router.Smap with { IsLineDead = true };
        Assert.Contains("The line is dead", await MainPage(), StringComparison.Ordinal);
        using var live = JsonDocument.Parse(await _browser.GetStringAsync("/live.json"));
        Assert.False(live.RootElement.GetProperty("works").GetBoolean());
        _router.Smap = _router.Smap with { IsSuspended = true };
        Assert.Contains("IPv4 does not work", await MainPage(), StringComparison.Ordinal);
        _router.IsAway = true;
        Assert.Contains("does not answer", await MainPage(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_no_request_of_ours_is_answered_and_changes_nothing()
    {
        await SignIn(_browser, Key);
        var random = new Random(721);
        for (int i = 0; i < 300; i++)
        {
            byte[] body = new byte[random.Next(200)];
            random.NextBytes(body);
            using var content = new ByteArrayContent(body);
            content.Headers.TryAddWithoutValidation("Content-Type", random.Next(3) switch { 0 => "application/x-www-form-urlencoded", 1 => "multipart/form-data; boundary=x", _ => "text/plain" });
            using HttpResponseMessage answer = await _browser.PostAsync(((string[])["/forwards/remove", "/password", "/nowhere"])[i % 3], content);
            Assert.NotEqual(HttpStatusCode.InternalServerError, answer.StatusCode);
        }

        Assert.Equal(HttpStatusCode.OK, (await _browser.GetAsync("/live.json")).StatusCode);
    }

    // ---- Words

    [Theory]
    [InlineData(null, null, "en")]
    [InlineData(null, "fr-FR,fr;q=0.9,en;q=0.8", "fr")]
    [InlineData(null, "de, en;q=0.3, fr;q=0.5", "fr")]
    [InlineData(null, "fr;q=0, en", "en")]
    [InlineData(null, "de", "en")]
    [InlineData("fr", "en", "fr")]
    [InlineData("xx", "fr", "fr")]
    public void The_language_is_the_one_that_is_wanted(string? chosen, string? accepted, string language) => Assert.Equal(language, Words.For(chosen, accepted).Language);

    [Fact]
    public void Each_fault_that_the_doctor_may_find_is_said_in_plain_words_in_each_language()
    {
        string[] faults = [.. typeof(Faults).GetFields().Select(f => (string)f.GetRawConstantValue()!)];
        Assert.NotEmpty(faults);
        Assert.All(Words.All, words => Assert.Equal(faults.Order(StringComparer.Ordinal), words.Faults.Keys.Order(StringComparer.Ordinal)));
    }

    [GeneratedRegex(@"\{[0-9]\}")]
    private static partial Regex Hole { get; }

    [Fact]
    public void Each_language_fills_in_the_same()
    {
        foreach (System.Reflection.PropertyInfo property in typeof(Words).GetProperties().Where(p => p.PropertyType == typeof(string)))
        {
            string[] said = [.. Words.All.Select(w => (string)property.GetValue(w)!)];
            Assert.All(said, text => Assert.NotEmpty(text));
            Assert.Single(said.Select(text => string.Concat(Hole.Matches(text).Select(m => m.Value).Order(StringComparer.Ordinal))).Distinct());
        }
    }
}
