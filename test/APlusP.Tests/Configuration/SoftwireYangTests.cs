using System.Diagnostics;
using System.Text;
using System.Text.Json;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Node.Configuration;
using APlusP.Node.Configuration.Formats;
using CsCheck;

namespace APlusP.Tests.Configuration;

/// <summary>RFC 8676 in JSON, in and out.</summary>
public class SoftwireYangTests
{
    static readonly IPv6Address s_prr = IPv6Address.Parse("2001:db8::1");

    static ImportResult Read(string text, string? instance = null) => SoftwireYangReader.Read(ImportedFiles.Of("br.json", text), instance);

    static string Instances(string instances) => $"{{\"ietf-softwire-br:br-instances\": {{\"binding\": {{\"bind-instance\": [\n{instances}\n]}}}}}}";

    static string Instance(string entries, string name = "a", string more = "") =>
        $"{{\"name\": \"{name}\", \"softwire-num-max\": 10, \"softwire-payload-mtu\": 1460, \"softwire-path-mru\": 1500{more}, \"binding-table\": {{\"binding-entry\": [\n{entries}\n]}}}}";

    static string Entry(string smap, int psid, string address = "192.0.2.1", int offset = 6, int length = 8) =>
        $"{{\"binding-ipv6info\": \"{smap}\", \"binding-ipv4-addr\": \"{address}\", \"port-set\": {{\"psid-offset\": {offset}, \"psid-len\": {length}, \"psid\": {psid}}}, \"br-ipv6-addr\": \"2001:db8::1\"}}";

    static (string Json, IReadOnlyList<string> Unsaid) Write(PrrConfiguration configuration)
    {
        using var output = new MemoryStream();
        IReadOnlyList<string> unsaid = SoftwireYangWriter.Write(configuration, output);
        return (Encoding.UTF8.GetString(output.ToArray()), unsaid);
    }

    static PrrConfiguration Prr(string toml) => ConfigurationFile.CheckPrr("prr.toml", toml).Configuration!;

    [Fact]
    public void A_whole_configuration_comes_over_and_what_does_not_is_listed() =>
        ImportedFiles.IsGolden(Read(ImportedFiles.Golden("ietf-softwire.json")), "ietf-softwire");

    [Fact]
    public void Defaults_are_the_modules()
    {
        PrrOptions options = Read(Instances(Instance(Entry("2001:db8:1::1", 1)))).Configuration!.Options;
        Assert.True(options is { Hairpinning: true, AllowIcmpFromInternet: true, SendIcmpV4Errors: true, SendIcmpV6Errors: true });
        string withoutOffset = Entry("2001:db8:1::1", 1).Replace("\"psid-offset\": 6, ", "", StringComparison.Ordinal);
        Assert.Equal(PortSet.FromPsid(0, 8, 1), Read(Instances(Instance(withoutOffset))).Configuration!.Bindings[0].Ports);
    }

    [Theory]
    [InlineData("2001:db8:2:100::/56", 52, "2001:db8:2:100:0:c000:201:34")]
    [InlineData("2001:db8:2:177::/56", 52, "2001:db8:2:100:0:c000:201:34")]
    [InlineData("2001:db8:2:3::/64", 255, "2001:db8:2:3:0:c000:201:ff")]
    [InlineData("2001:db8:2:3::4/128", 52, "2001:db8:2:3::4")]
    public void A_home_makes_its_address_of_a_prefix_as_rfc_7596_says(string prefix, int psid, string address) =>
        Assert.Equal(address, Read(Instances(Instance(Entry(prefix, psid)))).Configuration!.Bindings[0].Softwire.ToString());

    [Fact]
    public void Annotations_are_passed_over_and_told()
    {
        ImportResult result = Read(Instances(Instance(Entry("2001:db8:1::1", 1), more: ", \"@\": {\"x:last-modified\": [1, {}]}, \"@name\": {\"x:tag\": \"}\"}")));
        Assert.Single(result.Configuration!.Bindings);
        Assert.Equal(2, Assert.Single(result.Notes, n => n.Message.Contains("annotations", StringComparison.Ordinal)).Count);
    }

    [Fact]
    public void Instances_that_agree_are_one_prr_and_those_that_do_not_are_taken_one_by_one()
    {
        string two = Instances(Instance(Entry("2001:db8:1::1", 1)) + ",\n" + Instance(Entry("2001:db8:2::1", 2), "b", ", \"enable-hairpinning\": false"));
        ImportedFiles.TellsFault(Read(two), "AP1017", 5, "'a' and 'b' differ in enable-hairpinning");
        Assert.True(Read(two, "a").Configuration!.Options.Hairpinning);
        Assert.False(Read(two, "b").Configuration!.Options.Hairpinning);
        ImportedFiles.TellsFault(Read(two, "c"), "AP1016", 1, "no instance 'c'");
        Assert.Equal(2, Read(two.Replace("false", "true", StringComparison.Ordinal)).Configuration!.Bindings.Count);
    }

    [Theory]
    [InlineData("\"psid\": 1", "\"psid\": 256", "AP1010", "the PSID 256")]
    [InlineData("\"psid\": 1", "\"psid\": 70000", "AP1014", "from 0 to 65535")]
    [InlineData("\"psid\": 1", "\"psid\": \"1\"", "AP1013", "without quotes")]
    [InlineData("\"psid\": 1", "\"psid\": 1.5", "AP1014", "1.5")]
    [InlineData("\"psid\": 1", "\"psid\": 1, \"psid\": 1", "AP1018", "twice")]
    [InlineData("\"psid-len\": 8", "\"psid-len\": 16", "AP1014", "from 0 to 15")]
    [InlineData("\"psid-len\": 8, ", "", "AP1016", "psid-len")]
    [InlineData("192.0.2.1", "192.0.2", "AP1015", "not a value of 'binding-ipv4-addr'")]
    [InlineData("192.0.2.1", "224.0.0.1", "AP1019", "224.0.0.1")]
    [InlineData("2001:db8:1::1", "2001:db8:1::1/129", "AP1015", "binding-ipv6info")]
    [InlineData("2001:db8:1::1", "2001:db8:1::/80", "AP1015", "80 bits")]
    [InlineData("\"2001:db8:1::1\"", "5", "AP1013", "in quotes")]
    [InlineData("\"br-ipv6-addr\": \"2001:db8::1\"", "\"br-ip6-addr\": \"2001:db8::1\"", "AP1012", "'br-ip6-addr'")]
    [InlineData("\"port-set\": {", "\"port-set\": [{", "AP1013", "'port-set' is an object")]
    [InlineData("{\"binding-ipv6info\"", "7, {\"binding-ipv6info\"", "AP1013", "an array of objects")]
    [InlineData("\"psid\": 1}", "\"psid\": 1,}", "AP1050", "not JSON")]
    public void A_fault_of_an_entry_is_told_at_its_line(string right, string wrong, string code, string words)
    {
        string text = Instances(Instance("\n" + Entry("2001:db8:1::1", 1)));
        Assert.Contains(right, text, StringComparison.Ordinal);
        ImportedFiles.TellsFault(Read(text.Replace(right, wrong, StringComparison.Ordinal)), code, 4, words);
    }

    [Theory]
    [InlineData("", "AP1050", "not JSON")]
    [InlineData("[]", "AP1050", "an array")]
    [InlineData("5", "AP1050", "one value")]
    [InlineData("{}", "AP1016", "br-instances")]
    [InlineData("{\"br-instances\": {}}", "AP1012", "RFC 7951")]
    [InlineData("{\"ietf-softwire-br:br-instances\": {}}", "AP1016", "no softwire")]
    public void A_file_of_something_else_is_told_so(string text, string code, string words) => ImportedFiles.TellsFault(Read(text), code, 1, words);

    const string Rule = """{"name": "east", "enable": true, "br-ipv6-addr": "2001:db8::1", "ea-len": 16, "rule-ipv6-prefix": "2001:db8:f000::/40", "rule-ipv4-prefix": "192.0.2.0/24", "forwarding": true, "port-set": {"psid-offset": 6, "psid-len": 8, "psid": 0}}""";

    static string Algorithms(string rules) => $"{{\"ietf-softwire-br:br-instances\": {{\"algorithm\": {{\"algo-instance\": [\n{rules}\n]}}}}}}";

    [Fact]
    public void An_algorithm_instance_is_a_mapping_rule_for_all_its_psids()
    {
        ImportResult result = Read(Algorithms(Rule));
        RuleBinding binding = Assert.Single(result.Configuration!.Rules);
        Assert.Equal(new MappingRule(IPv6Prefix.Of(IPv6Address.Parse("2001:db8:f000::"), 40), IPv4Prefix.Of(IPv4Address.Parse("192.0.2.0"), 24), 16), binding.Rule);
        Assert.Equal(("east", s_prr, 1460), (binding.Name, binding.Prr, binding.PayloadMtu));
        Assert.Contains("MTU", Assert.Single(result.Notes).Message, StringComparison.Ordinal);
        ImportedFiles.ReadsBack(result.Configuration, ImportedFiles.Toml(result.Configuration));

        // The port set may lack, and the offset then is that of RFC 7597.
        Assert.Equal(binding, Assert.Single(Read(Algorithms(Rule.Replace(", \"port-set\": {\"psid-offset\": 6, \"psid-len\": 8, \"psid\": 0}", "", StringComparison.Ordinal))).Configuration!.Rules));

        (string json, IReadOnlyList<string> unsaid) = Write(result.Configuration);
        Assert.Equal(JsonSerializer.Serialize(JsonDocument.Parse(Algorithms(Rule))), JsonSerializer.Serialize(JsonDocument.Parse(json)));
        Assert.Equal(2, unsaid.Count);
    }

    [Theory]
    [InlineData("\"psid-len\": 8", "\"psid-len\": 7", "AP1040", "PSID length")]
    [InlineData("\"ea-len\": 16", "\"ea-len\": 64", "AP1040", "EA-bits length")]
    [InlineData("\"ea-len\": 16, ", "", "AP1016", "lacks ea-len")]
    [InlineData("192.0.2.0/24", "192.0.2.1/24", "AP1015", "rule-ipv4-prefix")]
    [InlineData("192.0.2.0/24", "0.0.0.0/0", "AP1040", "PSID")]
    [InlineData("\"name\": \"east\", ", "", "AP1016", "no 'name'")]
    public void A_fault_of_a_rule_is_told_at_its_line(string right, string wrong, string code, string words) =>
        ImportedFiles.TellsFault(Read(Algorithms(Rule.Replace(right, wrong, StringComparison.Ordinal))), code, 2, words);

    [Fact]
    public void Damaged_rules_are_told_or_taken_and_never_throw() => ImportedFiles.WithstandsDamage(Algorithms(Rule), file => SoftwireYangReader.Read(file));

    [Fact]
    public void Rules_that_translate_or_are_switched_off_are_left_out_and_told()
    {
        string other = Rule.Replace("east", "west", StringComparison.Ordinal).Replace("192.0.2", "198.51.100", StringComparison.Ordinal).Replace("f000", "e000", StringComparison.Ordinal);
        foreach ((string right, string wrong, string words) in new[] { ("\"br-ipv6-addr\": \"2001:db8::1\"", "\"dmr-ipv6-prefix\": \"2001:db8:ffff::/96\"", "MAP-T"), ("\"enable\": true", "\"enable\": false", "not enabled") })
        {
            ImportResult result = Read(Algorithms($"{Rule},\n{other.Replace(right, wrong, StringComparison.Ordinal)}"));
            Assert.Equal("east", Assert.Single(result.Configuration!.Rules).Name);
            Assert.Contains(result.Notes, n => n.Line == 3 && n.Message.Contains(words, StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Rules_beside_bindings_and_what_only_ours_can_say_are_refused()
    {
        const string rule = """
            softwire-address = "2001:db8::1"
            [[rule]]
            rule-ipv6-prefix = "2001:db8:f000::/40"
            rule-ipv4-prefix = "192.0.2.0/24"
            ea-length = 16

            """;
        const string binding = "[[binding]]\naddress = \"198.51.100.1\"\nports = \"all\"\nsoftwire = \"2001:db8:1::1\"\n";
        Assert.Contains("\"aplusp-1\"", Write(Prr(rule)).Json, StringComparison.Ordinal);
        Assert.Contains("choice br-type", Assert.Throws<APlusPException>(() => Write(Prr(rule + binding))).Message, StringComparison.Ordinal);
        Assert.Contains("draft-03", Assert.Throws<APlusPException>(() => Write(Prr($"{rule}interface-identifier = \"draft-03\"\n"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Two_entries_of_one_home_and_an_mtu_that_cannot_be_are_refused()
    {
        ImportedFiles.TellsFault(Read(Instances(Instance(Entry("2001:db8:1::1", 1) + ",\n" + Entry("2001:db8:1::1", 2)))), "AP1003", 4, "same softwire");
        ImportedFiles.TellsFault(Read(Instances(Instance(Entry("2001:db8:1::1", 1))).Replace("1460", "1000", StringComparison.Ordinal)), "AP1020", 2, "1040");
        ImportedFiles.TellsFault(Read(Instances(Instance(Entry("2001:db8:1::1", 1))).Replace("\"softwire-payload-mtu\": 1460, ", "", StringComparison.Ordinal)), "AP1016", 2, "softwire-payload-mtu");
    }

    [Fact]
    public void A_damaged_file_is_told_or_taken_and_never_throws() =>
        ImportedFiles.WithstandsDamage(ImportedFiles.Golden("ietf-softwire.json"), file => SoftwireYangReader.Read(file));

    [Fact]
    public void What_goes_out_is_of_the_modules_names_and_types()
    {
        (string json, IReadOnlyList<string> unsaid) = Write(Prr("""
            softwire-address = "2001:db8::1"
            icmp-source = "192.0.2.254"
            hop-limit = 30
            [[binding]]
            name = "Miller"
            address = "192.0.2.1"
            psid = { offset = 6, length = 8, psid = 52 }
            softwire = "2001:db8:1::1"
            """));
        JsonElement instance = JsonDocument.Parse(json).RootElement.GetProperty("ietf-softwire-br:br-instances").GetProperty("binding").GetProperty("bind-instance")[0];
        Assert.Equal(["name", "softwire-num-max", "softwire-payload-mtu", "softwire-path-mru", "enable-hairpinning", "binding-table", "icmp-policy"], instance.EnumerateObject().Select(p => p.Name));
        Assert.Equal("""{"binding-ipv6info":"2001:db8:1::1","binding-ipv4-addr":"192.0.2.1","port-set":{"psid-offset":6,"psid-len":8,"psid":52},"br-ipv6-addr":"2001:db8::1"}""",
            JsonSerializer.Serialize(instance.GetProperty("binding-table").GetProperty("binding-entry")[0]));
        Assert.Equal("""{"icmpv4-errors":{"allow-incoming-icmpv4":true,"generate-icmpv4-errors":false},"icmpv6-errors":{"generate-icmpv6-errors":false,"icmpv6-rate":100}}""",
            JsonSerializer.Serialize(instance.GetProperty("icmp-policy")));
        foreach (string word in new[] { "icmp-source", "hop-limit", "names" }) Assert.Contains(unsaid, line => line.Contains(word, StringComparison.Ordinal));
    }

    [Fact]
    public void Plain_ranges_go_out_as_the_psid_that_says_them_and_are_refused_where_none_does()
    {
        const string two = """
            softwire-address = "2001:db8::1"
            [[binding]]
            address = "192.0.2.1"
            ports = "4096-8191"
            softwire = "2001:db8:1::1"
            [[binding]]
            name = "Smith"
            address = "192.0.2.1"
            ports = "PORTS"
            softwire = "2001:db8:2::1"
            """;
        string said = Write(Prr(two.Replace("PORTS", "8192-12287", StringComparison.Ordinal))).Json;
        Assert.Equal([PortSet.FromPsid(0, 4, 1), PortSet.FromPsid(0, 4, 2)], Read(said).Configuration!.Bindings.Select(b => b.Ports));
        foreach (string ports in new[] { "10000-11000", "8192-10239", "8193", "8192-9215,20000-20999" })
        {
            APlusPException error = Assert.Throws<APlusPException>(() => Write(Prr(two.Replace("PORTS", ports, StringComparison.Ordinal))));
            Assert.Equal(ErrorCodes.NotExportable, error.Code);
            Assert.Contains($"Smith: {ports} of 192.0.2.1", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Whatever_psids_say_goes_out_and_comes_back_the_same() =>
        Gen.Select(Gen.Int[0, 8], Gen.Int[0, 7], Gen.Bool.Array[4], Gen.Int[0, 2000], Gen.Int[1, 40]).Sample(drawn =>
        {
            (int offset, int length, bool[] flags, int rate, int count) = drawn;
            Binding[] bindings =
            [
                .. Enumerable.Range(0, count).Where(i => length > 0 || i == 0 || i % (1 << length) == 0).Select(i => new Binding(
                    new IPv4Address(0xc6120000 + (uint)(i >> length)), length == 0 ? PortSet.WholeAddress : PortSet.FromPsid(offset, length, i % (1 << length)),
                    new IPv6Address(s_prr.Value + ((UInt128)(i + 1) << 64)), new IPv6Address(s_prr.Value + (uint)(i & 1)), i % 3 == 0 ? 1240 : 1460)),
            ];
            var configuration = new PrrConfiguration
            {
                Bindings = bindings,
                Names = new Dictionary<IPv6Address, string>(),
                Options = new PrrOptions
                {
                    SoftwireAddresses = [.. bindings.Select(b => b.Prr).Distinct()],
                    Hairpinning = flags[0],
                    AllowIcmpFromInternet = flags[1],
                    SendIcmpV4Errors = flags[2],
                    SendIcmpV6Errors = flags[3],
                    IcmpErrorsPerSecond = rate,
                },
            };
            PrrConfiguration back = Read(Write(configuration).Json).Configuration!;

            // Instances are by MTU, and so their order is.
            Assert.Equal(bindings.OrderBy(b => b.Softwire), back.Bindings.OrderBy(b => b.Softwire));
            Assert.Equal(configuration.Options.SoftwireAddresses.Order(), back.Options.SoftwireAddresses.Order());
            Assert.Equal(configuration.Options with { SoftwireAddresses = [] }, back.Options with { SoftwireAddresses = [] });
        }, iter: 300);

    /// <summary>A million take under 4 s each way on two cores; a hundred thousand get 20 s of a busy machine before this fails.</summary>
    [Fact]
    public void Many_softwires_go_out_and_come_back_in_seconds()
    {
        Binding[] bindings = [.. Enumerable.Range(0, 100_000).Select(i => new Binding(
            new IPv4Address(0xc6120000 + (uint)(i >> 8)), PortSet.FromPsid(0, 8, i & 255), new IPv6Address(s_prr.Value + ((UInt128)(i + 1) << 64)), s_prr))];
        var configuration = new PrrConfiguration { Bindings = bindings, Names = new Dictionary<IPv6Address, string>(), Options = new PrrOptions { SoftwireAddresses = [s_prr] } };
        var clock = Stopwatch.StartNew();
        PrrConfiguration back = Read(Write(configuration).Json).Configuration!;
        TimeSpan taken = clock.Elapsed;
        Assert.Equal(bindings, back.Bindings);
        Assert.True(taken < TimeSpan.FromSeconds(20), $"{taken}");
    }
}
