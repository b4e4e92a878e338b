using System.Text.Json;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary><c>aplusp doctor</c> at a home in which one thing after another is broken, and mended.</summary>
public class DoctorTests
{
    static ZeroTouchLab Lab(string keys)
    {
        var lab = new ZeroTouchLab(LabFixture.NameHere("dr"), LabFixture.Executable, 1, LabFixture.FastPathLine);
        lab.Advertise();
        lab.StartRegistry();
        lab.StartPrr();
        lab.StartSmap(0, keys);
        lab.Await(0, "online");
        AwaitHealth(lab);
        return lab;
    }

    static JsonElement Examine(ZeroTouchLab lab) => JsonDocument.Parse(lab.Doctor(0, "--json").Output).RootElement;

    /// <summary>The faults and what they say, of a home that has come to have exactly these.</summary>
    static Dictionary<string, JsonElement> Await(ZeroTouchLab lab, params string[] faults)
    {
        Dictionary<string, JsonElement> found = [];
        lab.Await(0, () => (found = FaultsOf(Examine(lab))).Keys.Order(StringComparer.Ordinal).SequenceEqual(faults.Order(StringComparer.Ordinal)), $"have these faults: {string.Join(", ", faults)}");
        return found;
    }

    static Dictionary<string, JsonElement> FaultsOf(JsonElement diagnosis) =>
        diagnosis.GetProperty("findings").EnumerateArray().Where(f => f.GetProperty("state").GetString() == "fault").ToDictionary(f => f.GetProperty("fault").GetString()!, f => f);

    static string Sentence(JsonElement finding) => finding.GetProperty("sentence").GetString()!;

    static string Remedy(JsonElement finding) => finding.GetProperty("remedy").GetString()!;

    static void AwaitHealth(ZeroTouchLab lab) => lab.Await(0, () => lab.Doctor(0).Succeeded, "be well");

    [Fact]
    public void A_home_that_is_well_has_every_check_ok()
    {
        using ZeroTouchLab lab = Lab("");
        CommandResult told = lab.Doctor(0);
        Assert.Equal(0, told.ExitCode);
        JsonElement diagnosis = Examine(lab);
        Assert.True(diagnosis.GetProperty("isWell").GetBoolean(), $"{diagnosis}");
        Assert.Equal(1, diagnosis.GetProperty("version").GetInt32());
        JsonElement[] findings = [.. diagnosis.GetProperty("findings").EnumerateArray()];
        Assert.All(findings, f => Assert.Equal("ok", f.GetProperty("state").GetString()));
        Assert.Equal(["daemon", "ipv6", "nat", "registry", "clock", "lease", "prr", "mtu", "protocol-4", "ports"], findings.Select(f => f.GetProperty("check").GetString()));
        Assert.All(findings, f => Assert.Contains(f.GetProperty("check").GetString()!, told.Output, StringComparison.Ordinal));
    }

    [Fact]
    public void What_is_in_the_way_of_the_softwire_is_named()
    {
        using ZeroTouchLab lab = Lab("");
        NetworkNamespace home = lab.Homes[0];

        // Protocol 4, one way and the other.
        foreach ((string hook, string device) in new[] { ("postrouting", "oifname"), ("prerouting", "iifname") })
        {
            home.Require("nft", $"add table ip6 t; add chain ip6 t c {{ type filter hook {hook} priority 0; }}; add rule ip6 t c {device} wan meta l4proto 4 drop");
            JsonElement filtered = Await(lab, "protocol-4-filtered").Single().Value;
            Assert.Contains("the PRR answers a ping", Sentence(filtered), StringComparison.Ordinal);
            Assert.Equal(1, lab.Doctor(0).ExitCode);
            home.Require("nft", "delete table ip6 t");
            AwaitHealth(lab);
        }

        // A link of 1400 here, and one of 1420 that nobody tells of.
        home.Ip("link set wan mtu 1400");
        JsonElement narrow = Await(lab, "mtu-too-small").Single().Value;
        Assert.Contains("1460 octets inside the softwire need 1500 outside, and the path to the PRR carries 1400", Sentence(narrow), StringComparison.Ordinal);
        Assert.Contains("path-mtu = 1400", Remedy(narrow), StringComparison.Ordinal);
        Assert.Contains("1360 octets at most", Remedy(narrow), StringComparison.Ordinal);
        home.Ip("link set wan mtu 1500");
        lab.Prr.Require("nft", "add table ip6 t; add chain ip6 t c { type filter hook prerouting priority 0; }; add rule ip6 t c iifname access meta length > 1420 drop");
        Assert.Contains("carries 1420", Sentence(Await(lab, "mtu-too-small").Single().Value), StringComparison.Ordinal);
        lab.Prr.Require("nft", "delete table ip6 t");
        AwaitHealth(lab);

        lab.StopPrr();
        JsonElement gone = Await(lab, "prr-unreachable").Single().Value;
        Assert.Contains(ZeroTouchLab.PrrEnd, Sentence(gone), StringComparison.Ordinal);
        lab.StartPrr();
        AwaitHealth(lab);
    }

    [Fact]
    public void What_a_lease_lacks_is_named()
    {
        using ZeroTouchLab lab = Lab("check-every = 1");

        lab.StopRegistry();
        lab.Await(0, "online-alone");
        Dictionary<string, JsonElement> away = Await(lab, "registry-unreachable", "lease-not-renewed");
        Assert.Contains("refused", Sentence(away["registry-unreachable"]), StringComparison.OrdinalIgnoreCase);
        lab.StartRegistry();
        AwaitHealth(lab);

        lab.StopAdvertising();
        Assert.Contains("no router has advertised itself", Sentence(Await(lab, "no-router-advertisement", "lease-not-renewed", "prr-unreachable")["no-router-advertisement"]), StringComparison.Ordinal);
        lab.Advertise();
        AwaitHealth(lab);

        lab.Revoke(0);
        lab.Await(0, "revoked");
        JsonElement revoked = Await(lab, "token-revoked").Single().Value;
        Assert.Contains("does not know our key any more", Sentence(revoked), StringComparison.Ordinal);
        Assert.Contains("new enrolment token", Remedy(revoked), StringComparison.Ordinal);
    }

    [Fact]
    public void Where_no_daemon_runs_that_is_said()
    {
        var nobody = NetworkNamespace.Create($"ap-{LabFixture.NameHere("dr0")}");
        try
        {
            CommandResult told = nobody.Run(LabFixture.Executable, "doctor", "--json", "--socket", "/nonexistent/smap.sock");
            Assert.Equal(1, told.ExitCode);
            Assert.Equal(["no-daemon", "no-router-advertisement"], FaultsOf(JsonDocument.Parse(told.Output).RootElement).Keys);
        }
        finally
        {
            NetworkNamespace.Delete([nobody]);
        }
    }
}
