using System.Buffers;
using System.Text;
using System.Text.Json;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Node.Configuration;
using APlusP.Node.Control;
using APlusP.Node.Daemons;

namespace APlusP.Tests.Daemons;

/// <summary>Requests about bindings, as lines of JSON, to a PRR that runs no packets.</summary>
public class LiveBindingsTests
{
    const string Anna = "2001:db8:a::1", Berta = "2001:db8:b::1", Carla = "2001:db8:c::1";

    readonly BindingTable _table = new();
    readonly LiveBindings _live;
    readonly List<string> _routes = [];

    public LiveBindingsTests()
    {
        _live = new LiveBindings(_table, (address, wanted) => _routes.Add($"{(wanted ? "+" : "-")}{address}"));
        _table.Add(Bind("192.0.2.1", "10000-11000", Anna));
        var names = new SubscriberNames();
        names.TryAdd(IPv6Address.Parse(Anna), "anna");
        _live.Load(Configuration(), names, () => { });
    }

    static PrrConfiguration Configuration() => new()
    {
        Options = new PrrOptions { SoftwireAddresses = [IPv6Address.Parse("2001:db8::1"), IPv6Address.Parse("2001:db8::2")] },
        Bindings = [],
        Names = new Dictionary<IPv6Address, string>(),
        PathMtu = 1500,
    };

    static Binding Bind(string address, string ports, string softwire, string prr = "2001:db8::1", int payloadMtu = 1460) =>
        new(IPv4Address.Parse(address), PortSet.Parse(ports), IPv6Address.Parse(softwire), IPv6Address.Parse(prr), payloadMtu);

    BindingAnswer[] Answers(string line)
    {
        var written = new ArrayBufferWriter<byte>();
        new BindingStream(_live).Answer(Encoding.UTF8.GetBytes(line), written);
        return [.. Encoding.UTF8.GetString(written.WrittenSpan).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonSerializer.Deserialize(l, BindingJson.Default.BindingAnswer)!)];
    }

    BindingAnswer Answer(string line) => Assert.Single(Answers(line));

    void Has(params Binding[] bindings) => Assert.Equal(bindings.OrderBy(b => b.Softwire), _table.Bindings.OrderBy(b => b.Softwire));

    [Fact]
    public void An_added_binding_is_in_the_table_and_a_new_address_has_a_route()
    {
        Assert.Equal("added", Answer($$"""{"op":"add","address":"192.0.2.1","ports":"11001-12000","softwire":"{{Berta}}"}""").Done);
        Assert.Empty(_routes);
        Assert.Equal("added", Answer($$"""{"op":"add","address":"192.0.2.2","ports":"offset=6,length=8,psid=52","softwire":"{{Carla}}","prr":"2001:db8::2","pathMtu":1400,"name":"carla"}""").Done);
        Has(Bind("192.0.2.1", "10000-11000", Anna), Bind("192.0.2.1", "11001-12000", Berta), Bind("192.0.2.2", "offset=6,length=8,psid=52", Carla, "2001:db8::2", 1360));
        Assert.Equal(["+192.0.2.2"], _routes);
        Assert.Equal(2, _live.ChangesSinceLoad);
    }

    [Fact]
    public void A_change_leaves_what_it_does_not_name()
    {
        Assert.Equal("changed", Answer("""{"op":"change","name":"anna","ports":"20000-20999"}""").Done);
        Has(Bind("192.0.2.1", "20000-20999", Anna));
        Assert.Equal("changed", Answer($$"""{"op":"change","softwire":"{{Anna}}","address":"192.0.2.9","pathMtu":1300,"name":"anna the second"}""").Done);
        Has(Bind("192.0.2.9", "20000-20999", Anna, payloadMtu: 1260));
        Assert.Equal(["+192.0.2.9", "-192.0.2.1"], _routes);
        Assert.Equal("anna the second", Answer($$"""{"op":"show","softwire":"{{Anna}}"}""").Binding!.Name);
        Assert.Equal("unchanged", Answer("""{"op":"change","name":"anna the second","ports":"20000-20999"}""").Done);
        Assert.Equal(2, _live.ChangesSinceLoad);
    }

    [Fact]
    public void Set_adds_or_changes_and_can_be_sent_again()
    {
        string line = $$"""{"op":"set","address":"192.0.2.1","ports":"11001-12000","softwire":"{{Berta}}","name":"berta"}""";
        Assert.Equal("added", Answer(line).Done);
        Assert.Equal("unchanged", Answer(line).Done);
        Assert.Equal("changed", Answer(line.Replace("12000", "12500")).Done);
        Has(Bind("192.0.2.1", "10000-11000", Anna), Bind("192.0.2.1", "11001-12500", Berta));
    }

    [Fact]
    public void Set_makes_the_binding_exactly_what_the_line_says()
    {
        Answer($$"""{"op":"set","address":"192.0.2.1","ports":"10000-11000","softwire":"{{Anna}}"}""");
        Assert.Null(Answer($$"""{"op":"show","softwire":"{{Anna}}"}""").Binding!.Name);
        Assert.Equal(ErrorCodes.NoSuchBinding, Answer("""{"op":"remove","name":"anna"}""").Code);
    }

    [Fact]
    public void A_removed_binding_gives_back_its_ports_its_name_and_the_route_of_its_address()
    {
        Assert.Equal("removed", Answer("""{"op":"remove","name":"anna"}""").Done);
        Has();
        Assert.Equal(["-192.0.2.1"], _routes);
        Assert.Equal("added", Answer($$"""{"op":"add","address":"192.0.2.1","ports":"10500","softwire":"{{Berta}}","name":"anna"}""").Done);
    }

    [Fact]
    public void An_address_that_a_mapping_rule_has_keeps_its_route_when_its_last_binding_goes()
    {
        _table.SetRules([new RuleBinding(new MappingRule(IPv6Prefix.Parse("2001:db8:8000::/40"), IPv4Prefix.Parse("192.0.2.0/24"), 16), IPv6Address.Parse("2001:db8::1"))]);
        Assert.Equal("removed", Answer("""{"op":"remove","name":"anna"}""").Done);
        Assert.Empty(_routes);
    }

    [Fact]
    public void Show_tells_all_and_list_leaves_out_what_is_as_usual()
    {
        Answer($$"""{"op":"add","address":"192.0.2.2","ports":"0-65535","softwire":"{{Berta}}","prr":"2001:db8::2","pathMtu":1400}""");
        Assert.Equal(new BindingEntry("192.0.2.1", "10000-11000", Anna, "2001:db8::1", 1500, "anna"), Answer("""{"op":"show","name":"anna"}""").Binding);
        BindingAnswer[] all = Answers("""{"op":"list"}""");
        Assert.Equal(
            [new BindingEntry("192.0.2.1", "10000-11000", Anna, null, null, "anna"), new BindingEntry("192.0.2.2", "all", Berta, "2001:db8::2", 1400, null)],
            all[..^1].Select(a => a.Binding!).OrderBy(b => b.Softwire, StringComparer.Ordinal));
        Assert.Equal(new BindingAnswer { Done = "listed", Count = 2 }, all[^1]);
        Assert.Equal(1, Answers("""{"op":"list","address":"192.0.2.2"}""")[^1].Count);
        Assert.Equal(0, Answers("""{"op":"list","address":"192.0.2.3"}""")[^1].Count);
    }

    [Theory]
    [InlineData("""{"op":"add","address":"192.0.2.1","ports":"11000-11001","softwire":"2001:db8:b::1"}""", ErrorCodes.BindingConflict)]
    [InlineData("""{"op":"add","address":"192.0.2.1","ports":"20000","softwire":"2001:db8:a::1"}""", ErrorCodes.BindingConflict)]
    [InlineData("""{"op":"add","address":"192.0.2.1","ports":"20000","softwire":"2001:db8:b::1","name":"anna"}""", ErrorCodes.ConfigurationTwice)]
    [InlineData("""{"op":"add","address":"192.0.2.1","ports":"20000","softwire":"2001:db8:b::1","name":""}""", ErrorCodes.ConfigurationBadValue)]
    [InlineData("""{"op":"add","address":"192.0.2.1","ports":"20000","softwire":"2001:db8:b::1","prr":"2001:db8::3"}""", ErrorCodes.ConfigurationForeignPrr)]
    [InlineData("""{"op":"add","address":"192.0.2.1","ports":"20000","softwire":"2001:db8::2"}""", ErrorCodes.ConfigurationContradiction)]
    [InlineData("""{"op":"add","address":"192.0.2.1","ports":"20000","softwire":"2001:db8:b::1","pathMtu":1279}""", ErrorCodes.ConfigurationBadMtu)]
    [InlineData("""{"op":"add","address":"192.0.2","ports":"20000","softwire":"2001:db8:b::1"}""", ErrorCodes.ConfigurationBadValue)]
    [InlineData("""{"op":"add","address":"192.0.2.1","ports":"20000","softwire":"192.0.2.1"}""", ErrorCodes.ConfigurationBadValue)]
    [InlineData("""{"op":"add","address":"192.0.2.1","ports":"20000-19999","softwire":"2001:db8:b::1"}""", ErrorCodes.NotAPortSet)]
    [InlineData("""{"op":"add","address":"192.0.2.1","ports":"20000"}""", ErrorCodes.BadBindingRequest)]
    [InlineData("""{"op":"change","softwire":"2001:db8:b::1","ports":"20000"}""", ErrorCodes.NoSuchBinding)]
    [InlineData("""{"op":"remove","name":"berta"}""", ErrorCodes.NoSuchBinding)]
    [InlineData("""{"op":"remove"}""", ErrorCodes.BadBindingRequest)]
    [InlineData("""{"op":"show","softwire":"2001:db8:b::1"}""", ErrorCodes.NoSuchBinding)]
    [InlineData("""{"op":"forget","name":"anna"}""", ErrorCodes.BadBindingRequest)]
    [InlineData("""{"name":"anna"}""", ErrorCodes.BadBindingRequest)]
    [InlineData("""{"op":"remove","name":"anna","why":"unpaid"}""", ErrorCodes.BadBindingRequest)]
    [InlineData("""remove anna""", ErrorCodes.BadBindingRequest)]
    [InlineData("null", ErrorCodes.BadBindingRequest)]
    public void What_cannot_be_changes_nothing_and_has_a_code(string line, string code)
    {
        BindingAnswer answer = Answer(line);
        Assert.Equal(code, answer.Code);
        Assert.NotEmpty(answer.Message!);
        Has(Bind("192.0.2.1", "10000-11000", Anna));
        Assert.Empty(_routes);
        Assert.Equal(0, _live.ChangesSinceLoad);
        Assert.Equal("anna", Answer($$"""{"op":"show","softwire":"{{Anna}}"}""").Binding!.Name);
    }

    [Fact]
    public void A_binding_that_cuts_across_a_mapping_rule_is_refused()
    {
        _table.SetRules([new RuleBinding(new MappingRule(IPv6Prefix.Parse("2001:db8:8000::/40"), IPv4Prefix.Parse("198.51.100.0/24"), 16), IPv6Address.Parse("2001:db8::1"))]);
        BindingAnswer answer = Answer($$"""{"op":"add","address":"198.51.100.1","ports":"20000-20999","softwire":"{{Berta}}"}""");
        Assert.Equal(ErrorCodes.RuleConflict, answer.Code);
        Assert.Contains("a subscriber of the rule", Answer("""{"op":"remove","softwire":"2001:db8:8012:3400:0:c633:6412:34"}""").Message, StringComparison.Ordinal);
    }

    [Fact]
    public void System_ports_are_given_with_a_warning()
    {
        BindingAnswer answer = Answer($$"""{"op":"add","address":"192.0.2.1","ports":"80","softwire":"{{Berta}}"}""");
        Assert.Equal("added", answer.Done);
        Assert.Contains("system ports", answer.Warning, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_file_says_takes_the_place_of_names_and_of_the_count_of_changes()
    {
        Answer("""{"op":"change","name":"anna","ports":"20000"}""");
        _live.Load(Configuration(), new SubscriberNames(), () => _table.Replace(Bind("192.0.2.1", "10000-11000", Anna)));
        Assert.Equal(0, _live.ChangesSinceLoad);
        Assert.Equal(ErrorCodes.NoSuchBinding, Answer("""{"op":"show","name":"anna"}""").Code);
        Has(Bind("192.0.2.1", "10000-11000", Anna));
    }
}
