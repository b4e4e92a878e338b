using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.PortSets;

namespace APlusP.Tests.Bindings;

public class BindingTableDifferencesTests
{
    static readonly IPv6Address Prr = IPv6Address.Parse("2001:db8::1");

    static Binding Bind(string address, string ports, int softwire, int mtu = 1460, string? prr = null) =>
        new(IPv4Address.Parse(address), PortSet.Parse(ports), Softwire(softwire), prr is null ? Prr : IPv6Address.Parse(prr), mtu);

    static IPv6Address Softwire(int number) => new(IPv6Address.Parse("2001:db8:1::").Value + (uint)number);

    static readonly Binding[] s_before =
    [
        Bind("192.0.2.1", "offset=6,length=3,psid=1", 1),
        Bind("192.0.2.1", "offset=6,length=3,psid=5", 2),
        Bind("192.0.2.2", "1000-1999,5000-5999", 3),
        Bind("192.0.2.2", "2000-2999", 4),
        Bind("192.0.2.3", "0-65535", 5),
    ];

    [Fact]
    public void Tables_of_the_same_bindings_in_another_order_do_not_differ() =>
        Assert.Empty(BindingTable.Build(s_before).DifferencesTo(BindingTable.Build(s_before.Reverse())));

    [Theory]
    [InlineData("192.0.2.1", "offset=6,length=3,psid=2", 1, 1460, null)]
    [InlineData("192.0.2.4", "offset=6,length=3,psid=1", 1, 1460, null)]
    [InlineData("192.0.2.1", "offset=6,length=3,psid=1", 1, 1400, null)]
    [InlineData("192.0.2.1", "offset=6,length=3,psid=1", 1, 1460, "2001:db8::2")]
    [InlineData("192.0.2.2", "1000-1999", 3, 1460, null)]
    [InlineData("192.0.2.2", "1000-1999,5000-5999,7000", 3, 1460, null)]
    [InlineData("192.0.2.2", "1000-1998,5000-5999", 3, 1460, null)]
    [InlineData("192.0.2.9", "offset=6,length=3,psid=0", 3, 1460, null)]
    [InlineData("192.0.2.3", "offset=0,length=0,psid=0", 5, 1460, null)]
    public void A_binding_that_says_anything_else_is_told_with_what_it_said_before(string address, string ports, int softwire, int mtu, string? prr)
    {
        Binding after = Bind(address, ports, softwire, mtu, prr), before = s_before[softwire - 1];
        BindingTable wanted = BindingTable.Build(s_before.Select(b => b == before ? after : b));
        Assert.Equal([new BindingChange(before, after)], BindingTable.Build(s_before).DifferencesTo(wanted));
        Assert.Equal([new BindingChange(after, before)], wanted.DifferencesTo(BindingTable.Build(s_before)));
    }

    [Fact]
    public void What_only_one_of_the_tables_has_is_gone_or_added()
    {
        BindingTable table = BindingTable.Build(s_before[..4]), wanted = BindingTable.Build(s_before[1..]);
        Assert.Equal([new BindingChange(s_before[0], null), new BindingChange(null, s_before[4])], table.DifferencesTo(wanted));
    }

    [Fact]
    public void A_table_tells_its_addresses()
    {
        BindingTable table = BindingTable.Build(s_before);
        Assert.Equal(["192.0.2.1", "192.0.2.2", "192.0.2.3"], table.Addresses.Order().Select(a => a.ToString()));
        Assert.Equal(3, table.AddressCount);
        table.Remove(Softwire(5));
        Assert.False(table.HasAddress(IPv4Address.Parse("192.0.2.3")));
        Assert.Equal(2, table.AddressCount);
    }

    [Fact]
    public void A_table_that_was_made_for_many_holds_few_and_more()
    {
        var table = new BindingTable(bindings: 2);
        foreach (Binding binding in s_before) table.Add(binding);
        Assert.Empty(table.DifferencesTo(BindingTable.Build(s_before)));
    }
}
