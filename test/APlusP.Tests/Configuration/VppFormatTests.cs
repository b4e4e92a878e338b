using System.Diagnostics;
using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;
using APlusP.Node.Configuration;
using APlusP.Node.Configuration.Formats;

namespace APlusP.Tests.Configuration;

public class VppFormatTests
{
    const string Domain = "map add domain ip4-pfx 192.0.2.1/32 ip6-pfx ::/0 ip6-src 2001:db8::1 ea-bits-len 0 psid-offset 6 psid-len 8 mtu 1500\n";
    const string Rule = "map add rule index 0 psid 52 ip6-dst 2001:db8:1::1\n";

    static ImportResult Read(string text) => VppFormat.Read(ImportedFiles.Of("vpp.conf", text));

    [Fact]
    public void A_whole_configuration_comes_over_and_what_does_not_is_listed() =>
        ImportedFiles.IsGolden(Read(ImportedFiles.Golden("vpp.conf")), "vpp");

    [Fact]
    public void A_rule_is_a_binding_of_the_psid_that_rfc_7597_means()
    {
        PrrConfiguration configuration = Read(Domain + Rule).Configuration!;
        Assert.Equal(PortSet.FromPsid(6, 8, 52), Assert.Single(configuration.Bindings).Ports);
        Assert.Equal("2001:db8:1::1", configuration.Bindings[0].Softwire.ToString());
        Assert.Equal(1460, configuration.Bindings[0].PayloadMtu);
    }

    [Fact]
    public void A_domain_with_ea_bits_is_the_mapping_rule_that_gives_a_home_what_vpp_gives_it()
    {
        RuleBinding binding = Assert.Single(Read("map add domain tag east ip4-pfx 192.0.2.0/24 ip6-pfx 2001:db8:f000::/40 ip6-src 2001:db8::1 ea-bits-len 16 psid-offset 6 psid-len 8 mtu 1500\n").Configuration!.Rules);
        Assert.Equal(("east", 1460, "2001:db8::1"), (binding.Name, binding.PayloadMtu, binding.Prr.ToString()));

        // map_get_pfx and map_get_sfx of VPP's map.h, with suffix 18 and PSID 52.
        Assert.True(binding.Rule.TryFindCe(IPv4Address.Parse("192.0.2.18"), 1232, out IPv6Address ce));
        Assert.Equal("2001:db8:f012:3400:0:c000:212:34", ce.ToString());
        Assert.False(binding.Rule.TryFindCe(IPv4Address.Parse("192.0.2.18"), 1023, out _));
    }

    [Fact]
    public void A_tag_that_stands_twice_names_the_first()
    {
        const string domain = "map add domain tag east ip4-pfx 192.0.2.0/24 ip6-pfx 2001:db8:f000::/40 ip6-src 2001:db8::1 ea-bits-len 16 psid-offset 6 psid-len 8 mtu 1500\n";
        ImportResult result = Read(domain + domain.Replace("192.0.2", "198.51.100", StringComparison.Ordinal).Replace("f000", "e000", StringComparison.Ordinal));
        Assert.Equal(["east", null], result.Configuration!.Rules.Select(r => r.Name));
        Assert.Contains("tag", Assert.Single(result.Notes).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Indices_are_given_as_vpp_gives_them()
    {
        // 0 and 1 are freed, in this order; the next domain is 1, and the one after it 0.
        string text = Domain + Domain.Replace("192.0.2.1", "192.0.2.2", StringComparison.Ordinal) + "map del domain index 0\nmap del domain index 1\n"
            + Domain.Replace("192.0.2.1", "192.0.2.3", StringComparison.Ordinal) + Domain.Replace("192.0.2.1", "192.0.2.4", StringComparison.Ordinal) + Rule;
        Assert.Equal("192.0.2.4", Assert.Single(Read(text).Configuration!.Bindings).Address.ToString());
    }

    [Fact]
    public void A_rule_that_stands_twice_is_the_last_of_the_two() =>
        Assert.Equal("2001:db8:9::1", Assert.Single(Read(Domain + Rule + Rule.Replace("db8:1", "db8:9", StringComparison.Ordinal)).Configuration!.Bindings).Softwire.ToString());

    [Theory]
    [InlineData("psid 52", "psid 256", "AP1010", 2, "0 to 255")]
    [InlineData("psid 52", "psid 5x", "AP1014", 2, "5x")]
    [InlineData("psid 52 ", "", "AP1016", 2, "A rule needs")]
    [InlineData("psid 52", "pisd 52", "AP1012", 2, "'pisd'")]
    [InlineData("index 0", "index 1", "AP1015", 2, "no domain '1'")]
    [InlineData("2001:db8:1::1", "2001:db8:1::/64", "AP1015", 2, "not an IPv6 address")]
    [InlineData("2001:db8:1::1", "ff02::1", "AP1019", 2, "ff02::1")]
    [InlineData("192.0.2.1/32", "192.0.2.1", "AP1015", 1, "not an IPv4 prefix")]
    [InlineData("192.0.2.1/32", "192.0.2.1/33", "AP1015", 1, "not an IPv4 prefix")]
    [InlineData("ip6-src 2001:db8::1 ", "", "AP1016", 1, "lacks 'ip6-src'")]
    [InlineData("psid-len 8", "psid-len 12", "AP1010", 1, "16 bits")]
    [InlineData("psid-len 8", "psid-len 8 psid-len 8", "AP1018", 1, "twice")]
    [InlineData("psid-len", "psid-length", "AP1012", 1, "'psid-length'")]
    [InlineData("ip4-pfx 192.0.2.1/32 ip6-pfx ::/0 ip6-src 2001:db8::1 ea-bits-len 0", "ip4-pfx 192.0.2.0/24 ip6-pfx 2001:db8:f000::/40 ip6-src 2001:db8::1 ea-bits-len 16", "AP1017", 2, "EA bits")]
    [InlineData("ip4-pfx 192.0.2.1/32 ip6-pfx ::/0 ip6-src 2001:db8::1 ea-bits-len 0", "ip4-pfx 192.0.2.0/24 ip6-pfx 2001:db8:f000::/40 ip6-src 2001:db8::1 ea-bits-len 20", "AP1040", 1, "PSID length")]
    [InlineData("ip4-pfx 192.0.2.1/32 ip6-pfx ::/0 ip6-src 2001:db8::1 ea-bits-len 0", "ip4-pfx 192.0.2.0/24 ip6-pfx 2001:db8:f000::/56 ip6-src 2001:db8::1 ea-bits-len 16", "AP1040", 1, "first 64 bits")]
    [InlineData("mtu 1500", "mtu 1000", "AP1020", 1, "1000")]
    [InlineData("mtu 1500", "mtu", "AP1014", 1, "'mtu'")]
    [InlineData("map add rule", "map add rool", "AP1012", 2, "'map add rool'")]
    [InlineData("map add rule index 0 psid 52 ip6-dst 2001:db8:1::1", "map params icmp7 unreachables on", "AP1012", 2, "no setting")]
    [InlineData("map add rule index 0 psid 52 ip6-dst 2001:db8:1::1", "map", "AP1012", 2, "no command")]
    [InlineData("map add rule index 0 psid 52 ip6-dst 2001:db8:1::1", "map del domain index 0", "AP1016", 1, "no softwire")]
    public void A_fault_is_told_at_its_line(string right, string wrong, string code, int line, string words)
    {
        Assert.Contains(right, Domain + Rule, StringComparison.Ordinal);
        ImportedFiles.TellsFault(Read((Domain + Rule).Replace(right, wrong, StringComparison.Ordinal)), code, line, words);
    }

    [Fact]
    public void A_file_of_something_else_holds_no_softwire() => ImportedFiles.TellsFault(Read("softwire-config {\n}\n"), "AP1016", 1, "no softwire");

    [Fact]
    public void A_damaged_file_is_told_or_taken_and_never_throws() => ImportedFiles.WithstandsDamage(ImportedFiles.Golden("vpp.conf"), VppFormat.Read);

    /// <summary>A million take under 4 s on two cores; a hundred thousand get 15 s of a busy machine before this fails.</summary>
    [Fact]
    public void Many_rules_come_over_in_seconds()
    {
        const int count = 100_000;
        var text = new StringBuilder();
        for (int i = 0; i < count; i++)
        {
            if ((i & 255) == 0) text.Append(Domain.Replace("192.0.2.1", $"198.18.{i >> 16}.{i >> 8 & 255}", StringComparison.Ordinal));
            text.Append($"map add rule index {i >> 8} psid {i & 255} ip6-dst 2001:db8:1{i >> 16:x}:{i & 65535:x}::1\n");
        }

        ForeignFile file = ImportedFiles.Of("vpp.conf", text.ToString());
        var clock = Stopwatch.StartNew();
        PrrConfiguration configuration = VppFormat.Read(file).Configuration!;
        TimeSpan taken = clock.Elapsed;
        Assert.Equal(count, configuration.Bindings.Count);
        Assert.True(taken < TimeSpan.FromSeconds(15), $"{taken}");
    }
}
