using APlusP.Core;
using APlusP.Core.Bindings;
using APlusP.Node.Configuration;

namespace APlusP.Tests.Configuration;

/// <summary>A PRR's file as a daemon reads it: each binding straight into the table.</summary>
public sealed class PrrTableTests : IDisposable
{
    const string Binding = "[[binding]]\nname = \"first\"\naddress = \"192.0.2.1\"\nports = \"10000-11000\"\nsoftwire = \"2001:db8:1::1\"\n";

    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-table-").FullName;

    string Path => System.IO.Path.Combine(_directory, "prr.toml");

    void Write(string toml, string bindings = "")
    {
        File.WriteAllText(Path, $"softwire-address = [\"2001:db8::1\", \"2001:db8::2\"]\nbindings-file = \"bindings.txt\"\n{toml}");
        File.WriteAllText(System.IO.Path.Combine(_directory, "bindings.txt"), bindings);
    }

    [Fact]
    public void The_table_and_the_names_are_those_of_the_file()
    {
        Write(Binding + "[[rule]]\nrule-ipv6-prefix = \"2001:db8:8000::/40\"\nrule-ipv4-prefix = \"198.51.100.0/24\"\nea-length = 16\n",
            string.Concat(Enumerable.Range(0, 300).Select(i => $"192.0.2.{10 + i % 7} offset=6,length=8,psid={i / 7} 2001:db8:2::{i:x}{(i % 3 == 0 ? $" name=n{i}" : "")}{(i % 5 == 0 ? " prr=2001:db8::2 path-mtu=1400" : "")}\n")));
        PrrConfiguration kept = ConfigurationFile.LoadPrr(Path);
        LoadedPrr loaded = ConfigurationFile.LoadPrrTable(Path);
        Assert.Equal(301, loaded.Table.Count);
        Assert.Equal(kept.Bindings.OrderBy(b => b.Softwire), loaded.Table.Bindings.OrderBy(b => b.Softwire));
        Assert.Equal(kept.Names.OrderBy(n => n.Value), loaded.Names.BySoftwire.OrderBy(n => n.Value));
        Assert.Equal(kept.Rules, loaded.Table.Rules!.Rules);
        Assert.Empty(loaded.Configuration.Bindings);
        Assert.Empty(loaded.Table.DifferencesTo(BindingTable.Build(kept.Bindings)));
    }

    [Theory]
    [InlineData("192.0.2.1 10500 2001:db8:2::1", ErrorCodes.BindingConflict)]
    [InlineData("192.0.2.2 10500 2001:db8:1::1", ErrorCodes.BindingConflict)]
    [InlineData("192.0.2.2 10500 2001:db8:2::1 name=first", ErrorCodes.ConfigurationTwice)]
    [InlineData("192.0.2.2 10500 2001:db8:2::1 prr=2001:db8::3", ErrorCodes.ConfigurationForeignPrr)]
    [InlineData("192.0.2.2 10500 2001:db8::1", ErrorCodes.ConfigurationContradiction)]
    [InlineData("192.0.2.2 2001:db8:2::1", ErrorCodes.NotAPortSet)]
    [InlineData("192.0.2.2 offset=6,length=8,psid=1 2001:db8:2::1\n192.0.2.2 offset=4,length=8,psid=2 2001:db8:2::2", ErrorCodes.BindingConflict)]
    public void A_faulty_file_is_refused_with_the_same_words_as_by_a_check(string bindings, string code)
    {
        Write(Binding, bindings);
        string said = Assert.Throws<APlusPException>(() => ConfigurationFile.LoadPrrTable(Path)).Message;
        Assert.Equal(Assert.Throws<APlusPException>(() => ConfigurationFile.LoadPrr(Path)).Message, said);
        Assert.Contains($"error {code}", said, StringComparison.Ordinal);
        Assert.Contains("bindings.txt:", said, StringComparison.Ordinal);
    }

    [Fact]
    public void A_binding_that_contradicts_a_rule_is_found()
    {
        Write("[[rule]]\nrule-ipv6-prefix = \"2001:db8:8000::/40\"\nrule-ipv4-prefix = \"198.51.100.0/24\"\nea-length = 16\n", "198.51.100.1 20000-20999 2001:db8:2::1");
        Assert.Contains($"error {ErrorCodes.RuleConflict}", Assert.Throws<APlusPException>(() => ConfigurationFile.LoadPrrTable(Path)).Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);
}
