using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using APlusP.Core;
using APlusP.Household;
using APlusP.Node.Control;
using APlusP.Node.Doctor;
using Microsoft.Extensions.Logging;

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

        public MappingsDocument? Mappings() => IsAway ? null : new MappingsDocument("192.0.2.1", Smap.Ports, Entries);

        public void AddForward(string port, string to, string protocol)
        {
            Asked.Add($"add {port} {to} {protocol}");
            if (port == "80") throw new APlusPException(ErrorCodes.ConfigurationForwardNotOurs, "port 80 is not in the set; there are 10000-10127 <only>.");
        }

        public void RemoveForward(string port, string protocol) => Asked.Add($"remove {port} {protocol}");

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
        using HttpResponseMessage refused = await _browser.PostAsync("/forwards", Form(("port", "80"), ("host", "192.168.1.10"), ("host-port", "80"), ("protocol", "tcp")));
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains("That was not done: port 80 is not in the set; there are 10000-10127 &lt;only&gt;. (AP1025)", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
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
