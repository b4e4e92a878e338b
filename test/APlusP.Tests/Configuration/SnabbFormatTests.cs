using System.Diagnostics;
using System.Text;
using APlusP.Core;
using APlusP.Core.PortSets;
using APlusP.Node.Configuration;
using APlusP.Node.Configuration.Formats;

namespace APlusP.Tests.Configuration;

public class SnabbFormatTests
{
    static ImportResult Read(string text) => SnabbFormat.Read(ImportedFiles.Of("lwaftr.conf", text));

    static string Softwires(string softwires) => $"softwire-config {{\n  binding-table {{\n{softwires}\n  }}\n}}\n";

    static string Softwire(int psid, string smap, int length, int reserved, string address = "192.0.2.1") =>
        $"softwire {{ ipv4 {address}; psid {psid}; b4-ipv6 {smap}; br-address 2001:db8::1; port-set {{ psid-length {length}; reserved-ports-bit-count {reserved}; }} }}\n";

    [Fact]
    public void A_whole_configuration_comes_over_and_what_does_not_is_listed() =>
        ImportedFiles.IsGolden(Read(ImportedFiles.Golden("snabb.conf")), "snabb");

    /// <summary>Snabb's own look-up of a PSID (apps/lwaftr/binding_table.lua, lookup_psid), port by port.</summary>
    static bool SnabbGives(int length, int reserved, int psid, int port)
    {
        int shift = 16 - length - reserved, mask = (1 << length) - 1;
        int found = port >> shift & mask;
        if (length + shift < 16 && port < 1 << (16 - length - shift)) found = mask + 1;
        return found == psid;
    }

    [Fact]
    public void A_softwire_has_exactly_the_ports_that_snabbs_data_plane_gives_it()
    {
        var random = new Random(7);
        for (int length = 0; length <= 16; length++)
            for (int reserved = 0; length + reserved <= 16; reserved++)
                foreach (int psid in new[] { 0, 1, (1 << length) - 1, 1 << length, (1 << length) + 1, random.Next(1 << length) }.Where(p => p <= 65535).Distinct())
                {
                    bool[] expected = new bool[65536], actual = new bool[65536];
                    for (int port = 0; port < 65536; port++) expected[port] = SnabbGives(length, reserved, psid, port);
                    if (SnabbFormat.Ports(length, reserved, psid) is { } set)
                        foreach (PortRange range in set.Ranges) actual.AsSpan(range.First, range.Count).Fill(true);
                    Assert.True(expected.AsSpan().SequenceEqual(actual), $"psid-length {length}, reserved-ports-bit-count {reserved}, psid {psid}");
                }
    }

    [Fact]
    public void Snabbs_sets_are_psids_where_rfc_7597_says_the_same_and_plain_ranges_elsewhere()
    {
        Assert.Equal(PortSet.FromPsid(0, 6, 5), SnabbFormat.Ports(6, 0, 5));
        Assert.Equal(PortSet.FromPsid(8, 4, 5), SnabbFormat.Ports(4, 8, 5));
        PortSet six = SnabbFormat.Ports(8, 6, 52)!;
        Assert.Null(six.Psid);
        Assert.Equal(new PortRange(208, 211), six.Ranges.First());
        Assert.Equal(PortSet.FromPsid(6, 8, 52).Ranges, six.Ranges.Skip(1));
        Assert.Equal(new PortRange(1024, 1025), PortSet.FromRanges(SnabbFormat.Ports(5, 10, 0)!.Ranges).Ranges.First());
    }

    [Theory]
    [InlineData(0, "offset=0,length=4,psid=5", null)]
    [InlineData(8, "offset=8,length=4,psid=5", null)]
    [InlineData(6, "offset=6,length=4,psid=5", "keeps ports 64-1023 from everyone, which Snabb gave to homes")]
    [InlineData(10, "offset=10,length=4,psid=5", "gives ports 64-1023 to homes, which Snabb kept from everyone")]
    public void Homes_that_go_by_rfc_7597_can_keep_their_psids(int reserved, string ports, string? note)
    {
        ImportResult result = SnabbFormat.Read(ImportedFiles.Of("lwaftr.conf", Softwires(Softwire(5, "2001:db8:1::1", 4, reserved))), rfc7597Ports: true);
        Assert.Equal(ports, Assert.Single(result.Configuration!.Bindings).Ports.ToString());
        string[] notes = [.. result.Notes.Select(n => n.Message).Where(m => m.StartsWith("Taken", StringComparison.Ordinal))];
        if (note is null) Assert.Empty(notes);
        else Assert.Contains(note, Assert.Single(notes), StringComparison.Ordinal);
    }

    [Fact]
    public void A_home_that_stands_twice_becomes_one_binding_with_all_its_ranges()
    {
        ImportResult result = Read(Softwires(Softwire(1, "2001:db8:1::1", 4, 0) + Softwire(3, "2001:db8:1::1", 4, 0)));
        Assert.Equal("4096-8191,12288-16383", Assert.Single(result.Configuration!.Bindings).Ports.ToString());
    }

    [Theory]
    [InlineData("softwire { ipv4 192.0.2.1; psid 1; b4-ipv6 2001:db8:1::1; br-address 2001:db8::1; }", "AP1016", 3, "lacks port-set")]
    [InlineData("softwire { ipv4 192.0.2.256; psid 1; b4-ipv6 2001:db8:1::1; br-address 2001:db8::1; port-set { psid-length 4; } }", "AP1015", 3, "not an IPv4 address")]
    [InlineData("softwire { ipv4 192.0.2.1; psid 1; b4-ipv6 2001:db8:1::g; br-address 2001:db8::1; port-set { psid-length 4; } }", "AP1015", 3, "not an IPv6 address")]
    [InlineData("softwire { ipv4 192.0.2.1; psid 1; b4-ipv6 ff02::1; br-address 2001:db8::1; port-set { psid-length 4; } }", "AP1019", 3, "ff02::1")]
    [InlineData("softwire { ipv4 192.0.2.1; psid 70000; b4-ipv6 2001:db8:1::1; br-address 2001:db8::1; port-set { psid-length 4; } }", "AP1014", 3, "0 to 65535")]
    [InlineData("softwire { ipv4 192.0.2.1; psid 1; psid 1; b4-ipv6 2001:db8:1::1; br-address 2001:db8::1; port-set { psid-length 4; } }", "AP1018", 3, "twice")]
    [InlineData("softwire { ipv4 192.0.2.1; psid 1; b4-ipv6 2001:db8:1::1; br-address 2001:db8::1; port-set { psid-length 9; reserved-ports-bit-count 8; } }", "AP1010", 3, "16 bits")]
    [InlineData("softwire { ipv4 192.0.2.1; psid 1; b4-ipv6 2001:db8:1::1; br 1; port-set { psid-length 4; } }", "AP1012", 3, "migrate-configuration")]
    [InlineData("softwir { ipv4 192.0.2.1; }", "AP1012", 3, "'softwir'")]
    [InlineData("softwire { ipv4 192.0.2.1 psid 1; }", "AP1050", 3, "a ; is missing")]
    [InlineData("softwire { ipv4; }", "AP1050", 3, "has no value")]
    [InlineData("softwire ;", "AP1050", 3, "needs a {")]
    [InlineData("{ }", "AP1050", 3, "no name")]
    [InlineData("/* never closed", "AP1050", 3, "no closing */")]
    [InlineData("\n\"never closed", "AP1050", 4, "no closing \"")]
    [InlineData("} } }", "AP1050", 3, "closes nothing")]
    [InlineData("softwire {", "AP1050", 1, "not closed")]
    [InlineData("", "AP1016", 1, "no softwire")]
    public void A_fault_is_told_at_its_place(string softwires, string code, int line, string words) =>
        ImportedFiles.TellsFault(Read(Softwires(softwires)), code, line, words);

    [Theory]
    [InlineData("external-interface { generate-icmp-errors false; }", false, true, 100, "unbound ports")]
    [InlineData("internal-interface { generate-icmp-errors false; }", true, false, 100, null)]
    [InlineData("external-interface { error-rate-limiting { packets 30; period 10; } }", true, true, 103, "sum")]
    [InlineData("internal-interface { error-rate-limiting { packets 4000000000; period 1; } }", true, true, 1_000_000, "sum")]
    public void Errors_are_told_and_limited_as_they_were(string statement, bool v4, bool v6, int rate, string? note)
    {
        ImportResult result = Read($"softwire-config {{ {statement} binding-table {{ {Softwire(1, "2001:db8:1::1", 4, 0)} }} }}");
        Assert.Equal((v4, v6, rate), (result.Configuration!.Options.SendIcmpV4Errors, result.Configuration.Options.SendIcmpV6Errors, result.Configuration.Options.IcmpErrorsPerSecond));
        Assert.Equal(note is null ? 0 : 1, result.Notes.Count);
        if (note is not null) Assert.Contains(note, result.Notes[0].Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_snabb_cannot_mean_is_refused()
    {
        ImportedFiles.TellsFault(Read(Softwires(Softwire(1, "2001:db8:1::1", 4, 0) + Softwire(2, "2001:db8:2::1", 5, 0))), "AP1017", 4, "make them alike");
        ImportedFiles.TellsFault(Read(Softwires(Softwire(1, "2001:db8:1::1", 4, 0) + Softwire(1, "2001:db8:2::1", 4, 0))), "AP1003", 4, "4096-8191");
        ImportedFiles.TellsFault(Read(Softwires(Softwire(1, "2001:db8:1::1", 4, 0) + Softwire(1, "2001:db8:1::1", 4, 0, "192.0.2.2"))), "AP1003", 4, "same softwire");
        ImportedFiles.TellsFault(Read("softwire-config { internal-interface { mtu 1000; } binding-table {\n" + Softwire(1, "2001:db8:1::1", 4, 0) + "} }"), "AP1020", 1, "1000");
    }

    [Fact]
    public void A_damaged_file_is_told_or_taken_and_never_throws() => ImportedFiles.WithstandsDamage(ImportedFiles.Golden("snabb.conf"), file => SnabbFormat.Read(file));

    /// <summary>Sixty-four homes of an address with a thousand ports each, none beside another: the ranges of each go between those of all others.</summary>
    [Fact]
    public void Addresses_with_a_range_for_every_port_come_over_in_seconds()
    {
        var text = new StringBuilder("softwire-config { binding-table {\n");
        for (int i = 0; i < 6400; i++) text.Append(Softwire(i & 63, $"2001:db8:1:{i:x}::1", 6, 10, $"198.18.0.{i >> 6}"));
        var clock = Stopwatch.StartNew();
        PrrConfiguration configuration = Read(text.Append("} }\n").ToString()).Configuration!;
        TimeSpan taken = clock.Elapsed;
        Assert.All(configuration.Bindings, b => Assert.Equal(1008, b.Ports.Count));
        Assert.True(taken < TimeSpan.FromSeconds(15), $"{taken}");
    }

    /// <summary>A million take under 4 s on two cores, 6 s where each has 64 ranges; a hundred thousand get 15 s of a busy machine before this fails.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(6)]
    public void Many_softwires_come_over_in_seconds(int reserved)
    {
        const int count = 100_000;
        var text = new StringBuilder("softwire-config { binding-table {\n");
        for (int i = 0; i < count; i++) text.Append(Softwire(i & 255, $"2001:db8:1{i >> 16:x}:{i & 65535:x}::1", 8, reserved, $"198.18.{i >> 16}.{i >> 8 & 255}"));
        ForeignFile file = ImportedFiles.Of("lwaftr.conf", text.Append("} }\n").ToString());

        var clock = Stopwatch.StartNew();
        PrrConfiguration configuration = SnabbFormat.Read(file).Configuration!;
        StringWriter toml = new(), bindings = new();
        PrrToml.Write(configuration, "Imported.", toml, bindings, "prr.bindings");
        TimeSpan taken = clock.Elapsed;

        Assert.Equal(count, configuration.Bindings.Count);
        Assert.Equal(count, bindings.ToString().Count(c => c == '\n'));
        Assert.Contains("bindings-file = \"prr.bindings\"", toml.ToString(), StringComparison.Ordinal);
        Assert.True(taken < TimeSpan.FromSeconds(15), $"{taken}");
    }
}
