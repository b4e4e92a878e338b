using System.Text.RegularExpressions;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;
using APlusP.Node.Configuration;

namespace APlusP.Tests.Configuration;

public class ConfigurationFileTests
{
    const string Binding = "[[binding]]\naddress = \"192.0.2.1\"\nports = \"10000-11000\"\nsoftwire = \"2001:db8:1::1\"\n";

    static string Example(string name) => Repository.PathOf($"deploy/examples/{name}");

    static IReadOnlyList<Diagnostic> Prr(string text) => ConfigurationFile.CheckPrr("prr.toml", text).Diagnostics;

    static void Only(string code, int line, int column, string text)
    {
        Diagnostic found = Assert.Single(Prr(text));
        Assert.Equal((code, line, column), (found.Code, found.Line, found.Column));
    }

    [Theory]
    [InlineData("", true)]
    [InlineData("anycast = false\n", true)]
    [InlineData("anycast = true\n", false)]
    [InlineData("anycast = true\n[discovery]\nenabled = true\n", true)]
    [InlineData("anycast = true\n[discovery]\nmax-paths = 5\n", false)]
    public void An_anycast_address_has_no_path_mtu_discovery_unless_asked_for(string keys, bool isOn)
    {
        ConfigurationCheck<PrrConfiguration> check = ConfigurationFile.CheckPrr("prr.toml", $"softwire-address = \"2001:db8::1\"\n{keys}{Binding}");
        Assert.Empty(check.Diagnostics);
        Assert.Equal(isOn, check.Configuration!.Discovery.IsOn);
    }

    [Fact]
    public void The_examples_say_what_the_experiment_was()
    {
        PrrConfiguration prr = ConfigurationFile.LoadPrr(Example("prr.toml"));
        Assert.Empty(prr.Warnings);
        Assert.Equal("2001:660:7301:d002:250:baff:febe:711", Assert.Single(prr.Options.SoftwireAddresses).ToString());
        Assert.Equal("192.108.119.26", prr.Options.IcmpSource.ToString());
        Assert.Equal(["192.108.119.27 10000-11000 2001:660:7301:4666::1 1420 room 1", "192.108.119.27 11001-12000 2001:660:7301:4666::2 1240 room 2"],
            prr.Bindings.Select(b => $"{b.Address} {b.Ports} {b.Softwire} {b.PayloadMtu} {prr.Names[b.Softwire]}"));
        foreach ((Binding binding, int room) in prr.Bindings.Select((b, i) => (b, i + 1)))
        {
            SmapConfiguration smap = ConfigurationFile.LoadSmap(Example($"smap-room{room}.toml"));
            Assert.Empty(smap.Warnings);
            Assert.Equal(binding, new Binding(smap.Options.SharedAddress, smap.Options.Ports, smap.Options.SoftwireAddress, smap.Options.PrrAddress, smap.Options.PayloadMtu));
        }
    }

    [Fact]
    public void An_unknown_key_is_refused_at_its_place() => Only("AP1012", 2, 1, "softwire-address = \"2001:db8::1\"\npath-mut = 1500\n");

    [Fact]
    public void A_value_of_another_type_is_refused() => Only("AP1013", 2, 12, "softwire-address = \"2001:db8::1\"\npath-mtu = \"1500\"\n");

    [Fact]
    public void A_path_mtu_below_1280_is_refused() => Only("AP1020", 2, 12, "softwire-address = \"2001:db8::1\"\npath-mtu = 1279\n");

    [Fact]
    public void A_missing_key_is_named() => Assert.Contains("softwire-address", Assert.Single(Prr("path-mtu = 1500\n")).Message);

    [Fact]
    public void Broken_syntax_has_its_place() => Only("AP1011", 2, 12, "softwire-address = \"2001:db8::1\"\npath-mtu = \n");

    [Fact]
    public void A_prr_end_must_be_ours() => Only("AP1021", 4, 9, $"softwire-address = \"2001:db8::1\"\n{Binding}prr = \"2001:db8::2\"\n");

    [Fact]
    public void All_faults_are_told_at_once() => Assert.Equal(["AP1012", "AP1013", "AP1020", "AP1016", "AP1015"],
        Prr("softwire-address = \"2001:db8::1\"\nhop = 1\nhairpinning = 1\npath-mtu = 9\n[[binding]]\naddress = \"192.0.2.256\"\nports = \"all\"\n").Select(d => d.Code));

    [Fact]
    public void Each_pair_of_overlapping_sets_is_told_with_both_places()
    {
        IReadOnlyList<Diagnostic> found = Prr("softwire-address = \"2001:db8::1\"\n" + Binding + Binding.Replace("1::1", "1::2") + Binding.Replace("1::1", "1::3"));
        Assert.Equal([(8, "prr.toml:4:9"), (12, "prr.toml:4:9"), (12, "prr.toml:8:9")], found.Select(d => (d.Line, Regex.Match(d.Message, @"prr\.toml:\d+:\d+").Value)).Order());
        Assert.All(found, d => Assert.Equal("AP1003", d.Code));
    }

    [Fact]
    public void System_ports_are_only_a_warning()
    {
        ConfigurationCheck<PrrConfiguration> check = ConfigurationFile.CheckPrr("prr.toml", "softwire-address = \"2001:db8::1\"\n" + Binding.Replace("10000-11000", "80,10000-11000"));
        Assert.Equal("AP1022", Assert.Single(check.Diagnostics).Code);
        Assert.NotNull(check.Configuration);
        Assert.Empty(Prr("softwire-address = \"2001:db8::1\"\n" + Binding.Replace("10000-11000", "all")));
    }

    [Fact]
    public void Bindings_are_refused_exactly_where_two_share_a_port_or_a_softwire_or_divide_an_address_differently()
    {
        string[] sets = ["1024-2047", "2047", "2048-2048", "1088-1151,65535", "0-63", "64", "63-64", "offset=6,length=8,psid=52", "offset=6,length=8,psid=53", "offset=6,length=6,psid=13",
            "offset=0,length=8,psid=4", "offset=0,length=8,psid=5", "1232-1235", "1240", "all"];
        var random = new Random(1);
        int refused = 0;
        for (int round = 0; round < 500; round++)
        {
            Binding[] bindings = [.. Enumerable.Range(0, random.Next(2, 5)).Select(i => new Binding(IPv4Address.Parse($"192.0.2.{random.Next(1, 3)}"),
                PortSet.Parse(sets[random.Next(sets.Length)]), IPv6Address.Parse($"2001:db8:1::{random.Next(20) + 1}"), IPv6Address.Parse("2001:db8::1")))];
            bool contradict = bindings.Any(a => bindings.Any(b => !ReferenceEquals(a, b) && (a.Softwire == b.Softwire || (a.Address == b.Address && (a.Ports.Overlaps(b.Ports)
                || (a.Ports.Psid is { } p && b.Ports.Psid is { } q && (p.Offset != q.Offset || p.Length != q.Length)))))));
            IEnumerable<string> tables = bindings.Select(b => $"[[binding]]\naddress = \"{b.Address}\"\nports = \"{(b.Ports.IsWholeAddress ? "all" : b.Ports)}\"\nsoftwire = \"{b.Softwire}\"\n");
            string text = "softwire-address = \"2001:db8::1\"\n" + string.Concat(tables);
            Assert.True(ConfigurationFile.CheckPrr("prr.toml", text).Configuration is null == contradict, text);
            if (contradict) refused++;
        }

        Assert.InRange(refused, 100, 400);
    }

    [Fact]
    public void A_softwire_has_two_ends_and_each_is_a_host()
    {
        const string home = "[[binding]]\naddress = \"192.0.2.1\"\nports = \"10000-11000\"\nsoftwire = ";
        Assert.Equal("AP1017", Assert.Single(Prr($"softwire-address = \"2001:db8::1\"\n{home}\"2001:db8::1\"\n")).Code);
        Assert.Equal("AP1019", Assert.Single(Prr($"softwire-address = \"2001:db8::1\"\n{home}\"ff02::1\"\n")).Code);
        Assert.Contains("AP1019", Prr("softwire-address = \"ff02::1\"\n").Select(d => d.Code));
        const string smap = "shared-address = \"192.0.2.1\"\nports = \"10000-11000\"\nprr-address = \"2001:db8::1\"\nsoftwire-address = ";
        Assert.Equal("AP1017", Assert.Single(ConfigurationFile.CheckSmap("smap.toml", $"{smap}\"2001:db8::1\"\n").Diagnostics).Code);
        Assert.Equal("AP1019", Assert.Single(ConfigurationFile.CheckSmap("smap.toml", $"{smap}\"ff02::1\"\n").Diagnostics).Code);
        Assert.Empty(ConfigurationFile.CheckSmap("smap.toml", $"{smap}\"2001:db8:1::1\"\n").Diagnostics);
    }

    [Fact]
    public void What_leaves_a_softwire_keeps_its_dscp_unless_the_file_says_otherwise()
    {
        const string prr = "softwire-address = \"2001:db8::1\"\n";
        Assert.False(ConfigurationFile.CheckPrr("prr.toml", prr).Configuration!.Options.UniformServices);
        Assert.True(ConfigurationFile.CheckPrr("prr.toml", prr + "dscp = \"uniform\"\n").Configuration!.Options.UniformServices);
    }

    [Fact]
    public void A_timer_shorter_than_its_rfc_allows_is_only_a_warning()
    {
        const string smap = "shared-address = \"192.0.2.1\"\nports = \"10000-11000\"\nprr-address = \"2001:db8::1\"\nsoftwire-address = \"2001:db8:1::1\"\n[napt.timers]\n";
        ConfigurationCheck<SmapConfiguration> check = ConfigurationFile.CheckSmap("smap.toml", $"{smap}tcp-transitory = 100\ntcp-closing = 300\n");
        Assert.Equal(("AP1023", 6), (Assert.Single(check.Diagnostics).Code, check.Diagnostics[0].Line));
        Assert.Equal((100, 300), (check.Configuration!.Options.Timers.TcpOpening, check.Configuration.Options.Timers.TcpClosing));
        check = ConfigurationFile.CheckSmap("smap.toml", $"{smap}udp = 119\ntcp-established = 7439\ntcp-opening = 239\ntcp-closing = 239\ntcp-reset = 239\nicmp = 59\n");
        Assert.Equal([6, 7, 8, 9, 10, 11], check.Diagnostics.Select(d => d.Line));
        Assert.NotNull(check.Configuration);
    }

    [Fact]
    public void The_caret_stands_under_the_place()
    {
        string text = DiagnosticRenderer.Render(Assert.Single(Prr("softwire-address = \"2001:db8::1\"\npath-mut = 1500\n")));
        Assert.EndsWith("\n     2 | path-mut = 1500\n       | ^~~~~~~~", text);
        Assert.Contains("Did you mean 'path-mtu'?", text);
    }

    /// <summary>Every letter of every key left out, doubled, exchanged and swapped.</summary>
    [Theory]
    [InlineData("prr.toml")]
    [InlineData("smap-room1.toml")]
    public void Each_typo_of_one_edit_in_a_key_gets_the_right_suggestion(string file)
    {
        bool smap = file.StartsWith("smap", StringComparison.Ordinal);
        string text = File.ReadAllText(Example(file));
        string[] known = [.. (smap ? ConfigurationSchema.Smap : ConfigurationSchema.Prr).SelectMany(s => s.Value)];
        int tried = 0;
        foreach (Match match in Regex.Matches(text, "^(?<key>[a-z0-9-]+) =", RegexOptions.Multiline))
        {
            string key = match.Groups["key"].Value;
            foreach (string typo in Typos(key).Distinct().Where(t => t.Length > 0 && !known.Contains(t)))
            {
                string changed = text[..match.Index] + typo + text[(match.Index + key.Length)..];
                IReadOnlyList<Diagnostic> found = smap ? ConfigurationFile.CheckSmap(file, changed).Diagnostics : ConfigurationFile.CheckPrr(file, changed).Diagnostics;
                Diagnostic unknown = found.Single(d => d.Code == "AP1012");
                Assert.True(unknown.Suggestion?.Split(" or ").Contains(key), $"'{typo}' for '{key}' suggests '{unknown.Suggestion}'");
                tried++;
            }
        }

        Assert.True(tried > 500);
    }

    static IEnumerable<string> Typos(string key)
    {
        for (int i = 0; i < key.Length; i++)
        {
            yield return key.Remove(i, 1);
            yield return key.Insert(i, "x");
            yield return key[..i] + (key[i] == 'q' ? 'w' : 'q') + key[(i + 1)..];
            if (i > 0) yield return key[..(i - 1)] + key[i] + key[i - 1] + key[(i + 1)..];
        }
    }

    [Fact]
    public void Damaged_files_give_diagnostics_and_no_exception()
    {
        int seed = Random.Shared.Next();
        var random = new Random(seed);
        string directory = Directory.CreateTempSubdirectory("aplusp-config-").FullName;
        try
        {
            string path = Path.Combine(directory, "prr.toml"), bindings = Path.Combine(directory, "b.txt");
            const string lines = "192.0.2.1 10000-11000 2001:db8:1::1 prr=2001:db8::1 path-mtu=1400 name=a\r\n# c\n192.0.2.2 offset=6,length=8,psid=52 2001:db8:1::2\n";
            string[] texts = [File.ReadAllText(Example("prr.toml")), File.ReadAllText(Example("smap-room1.toml"))];
            for (int round = 0; round < 1500; round++)
            {
                string text = Damage(texts[round % 2], random);
                try
                {
                    _ = ConfigurationFile.CheckPrr("x.toml", text).Diagnostics.Select(DiagnosticRenderer.Render).Count();
                    foreach (Diagnostic d in ConfigurationFile.CheckSmap("x.toml", text).Diagnostics) DiagnosticRenderer.Render(d);
                    if (round % 5 > 0) continue;
                    File.WriteAllBytes(bindings, System.Text.Encoding.Latin1.GetBytes(Damage(lines, random)));
                    foreach (Diagnostic d in ConfigurationFile.CheckPrr(path, "softwire-address = \"2001:db8::1\"\nbindings-file = \"b.txt\"\n").Diagnostics) DiagnosticRenderer.Render(d);
                }
                catch (Exception error) when (error is not APlusPException)
                {
                    Assert.Fail($"seed {seed}, round {round}: {error}\n{text}");
                }
            }
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    static string Damage(string text, Random random)
    {
        const string alphabet = "=\"'[]{}.,#\n\r\t -_0123456789abcxyz\\:/\0é\ud800";
        for (int n = random.Next(1, 6); n > 0 && text.Length > 2; n--)
        {
            int at = random.Next(text.Length - 1);
            text = random.Next(4) switch
            {
                0 => text.Remove(at, Math.Min(random.Next(1, 20), text.Length - at)),
                1 => text.Insert(at, alphabet[random.Next(alphabet.Length)].ToString()),
                2 => text[..at] + alphabet[random.Next(alphabet.Length)] + text[(at + 1)..],
                _ => text.Insert(at, text.Substring(random.Next(text.Length / 2), text.Length / 4)),
            };
        }

        return text;
    }

    [Fact]
    public void A_bindings_file_of_100000_lines_is_read_and_its_faults_have_places()
    {
        string directory = Directory.CreateTempSubdirectory("aplusp-config-").FullName;
        try
        {
            string path = Path.Combine(directory, "prr.toml");
            File.WriteAllText(path, "softwire-address = [\"2001:db8::1\", \"2001:db8::2\"]\nbindings-file = \"b.txt\"\n");
            List<string> lines = ["# address ports softwire", .. Enumerable.Range(0, 100_000).Select(i =>
                $"198.51.{i >> 16}.{(i >> 8 & 255)}\toffset=6,length=8,psid={i & 255}  2001:db8:1::{i >> 16:x}:{i & 0xffff:x} prr=2001:db8::2 path-mtu=1400 name=s{i}")];
            File.WriteAllLines(Path.Combine(directory, "b.txt"), lines);
            PrrConfiguration configuration = ConfigurationFile.LoadPrr(path);
            Assert.Equal(100_000, configuration.Bindings.Count);
            Assert.Equal("198.51.1.134 offset=6,length=8,psid=159 2001:db8:1::1:869f 2001:db8::2 1360",
                $"{configuration.Bindings[^1].Address} {configuration.Bindings[^1].Ports} {configuration.Bindings[^1].Softwire} {configuration.Bindings[^1].Prr} {configuration.Bindings[^1].PayloadMtu}");

            lines[70_000] = lines[69_999].Replace("name=", "nmae=");
            lines.Add("198.51.0.7 offset=6,length=8,psid=3 2001:db8:2::1");
            File.WriteAllLines(Path.Combine(directory, "b.txt"), lines);
            IReadOnlyList<Diagnostic> found = ConfigurationFile.CheckPrr(path).Diagnostics;
            Assert.Equal([("AP1024", 70_001, lines[70_000].IndexOf("nmae=") + 1), ("AP1003", 100_002, 12)], found.Select(d => (d.Code, d.Line, d.Column)));
            Assert.Equal("name", found[0].Suggestion);
            Assert.Contains("b.txt:1797:", found[1].Message);
            Assert.Equal(lines[^1], found[1].SourceLine);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
