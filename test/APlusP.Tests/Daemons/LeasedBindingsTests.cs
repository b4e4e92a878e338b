using System.Buffers;
using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Node.Control;
using APlusP.Node.Registry;
using APlusP.Node.WebNames;
using static APlusP.Tests.Daemons.LeasedScene;

namespace APlusP.Tests.Daemons;

/// <summary>What a registry's leases make of a PRR's table.</summary>
public class LeasedBindingsTests
{
    readonly LeasedScene _scene = new();

    [Fact]
    public void Names_lead_to_ports_of_the_set_and_go_with_the_lease()
    {
        _scene.Snapshot("1:a", _scene.Named(Anna, "1024-1151", """[{"name":"WWW.One.example","http":1024,"https":443},{"name":"far.example","http":9000}]"""), _scene.Named(Berta, "1152-1279", """[{"name":"two.example","https":1152,"proxied":true,"later":[1]}]"""));
        WebSite two = new("two.example", IPv4Address.Parse("192.0.2.1"), null, 1152, IsProxied: true);
        Assert.Equal([new WebSite("www.one.example", IPv4Address.Parse("192.0.2.1"), 1024, null, IsProxied: false), two], _scene.Leased.Sites());

        // With another set and address, without a name, and without a lease.
        _scene.Change("2:b", "1:a", _scene.Named(Anna, "9000-9127", """[{"name":"www.one.example","http":1024},{"name":"far.example","http":9000}]""", "192.0.2.7"));
        Assert.Equal([new WebSite("far.example", IPv4Address.Parse("192.0.2.7"), 9000, null, IsProxied: false), two], _scene.Leased.Sites());
        _scene.Change("3:c", "2:b", _scene.Lease(Anna, "9000-9127", "192.0.2.7"), Gone(Berta));
        Assert.Empty(_scene.Leased.Sites());
    }

    [Theory]
    [InlineData("""[{"name":"a b.example","http":1024}]""")]
    [InlineData("""[{"name":"a.example 192.0.2.9:1\nb.example","http":1024}]""")]
    [InlineData("""[{"name":"a.example","http":0}]""")]
    [InlineData("""[{"name":"a.example","http":65536}]""")]
    [InlineData("""[{"name":"a.example","proxied":1}]""")]
    [InlineData("""[{"http":1024}]""")]
    [InlineData(""" "a.example" """)]
    public void A_name_that_is_none_breaks_the_feed(string names) => Assert.Throws<ApiFault>(() => _scene.Snapshot("1:a", _scene.Named(Anna, "1024-1151", names)));

    [Fact]
    public void Leases_become_bindings_with_the_prr_s_end_and_path_mtu_and_their_addresses_have_routes()
    {
        _scene.Snapshot("2:a", _scene.Lease(Anna, "1024-1151"), _scene.Lease(Berta, "offset=6,length=8,psid=52", "192.0.2.2"));
        _scene.Has(Bind("192.0.2.1", "1024-1151", Anna), Bind("192.0.2.2", "offset=6,length=8,psid=52", Berta));
        Assert.Equal(["+192.0.2.1", "+192.0.2.2"], _scene.Routes);
        _scene.Change("3:b", "2:a", Gone(Berta));
        _scene.Has(Bind("192.0.2.1", "1024-1151", Anna));
        Assert.Equal("-192.0.2.2", _scene.Routes[^1]);
        Assert.Equal(("3:b", 1), (_scene.Feed.Version, _scene.Leased.Count));
    }

    [Fact]
    public void A_snapshot_changes_what_differs_and_nothing_else()
    {
        _scene.Snapshot("3:a", _scene.Lease(Anna, "1024-1151"), _scene.Lease(Berta, "1152-1279"));
        _scene.Changes.Clear();
        _scene.Snapshot("9:b", _scene.Lease(Anna, "1024-1151", hours: 9), _scene.Lease(Carla, "1280-1407"));
        Assert.Equal([$"+{Carla}", $"-{Berta}"], _scene.Changes);
        _scene.Has(Bind("192.0.2.1", "1024-1151", Anna), Bind("192.0.2.1", "1280-1407", Carla));
    }

    [Fact]
    public void Ports_that_go_from_one_to_another_in_one_version_reach_it_whichever_comes_first()
    {
        _scene.Snapshot("1:a", _scene.Lease(Anna, "1024-1151"), _scene.Lease(Berta, "1152-1279"));
        _scene.Change("2:b", "1:a", _scene.Lease(Carla, "1024-1151"), Gone(Anna));
        _scene.Has(Bind("192.0.2.1", "1024-1151", Carla), Bind("192.0.2.1", "1152-1279", Berta));

        // In a circle, beside one who has nothing to do with it.
        _scene.Changes.Clear();
        _scene.Change("3:c", "2:b", _scene.Lease(Carla, "1152-1279"), _scene.Lease(Berta, "1024-1151"), _scene.Lease(Anna, "2000-2127"));
        _scene.Has(Bind("192.0.2.1", "1152-1279", Carla), Bind("192.0.2.1", "1024-1151", Berta), Bind("192.0.2.1", "2000-2127", Anna));
        Assert.Equal((0, 3), (_scene.Leased.Refused.Count, _scene.Leased.Count));
    }

    [Fact]
    public void A_lease_that_contradicts_the_file_is_told_and_comes_into_force_when_the_file_gives_way()
    {
        Binding mine = Bind("192.0.2.1", "1024-2047", Anna);
        _scene.Table.Add(mine);
        _scene.Snapshot("2:a", _scene.Lease(Berta, "1024-1151"), _scene.Lease(Carla, "3000-3127"));
        _scene.Has(mine, Bind("192.0.2.1", "3000-3127", Carla));
        (int refused, string? why) = _scene.Leased.Refused;
        Assert.Equal(1, refused);
        Assert.Contains(Anna, why, StringComparison.Ordinal);

        // A reload with a file that has other ports for its own, and another path MTU.
        BindingTable wanted = BindingTable.Build([Bind("192.0.2.1", "2000-2047", Anna)]);
        _scene.Leased.Join(wanted, LeasedScene.Configuration(pathMtu: 1400));
        Assert.Equal(
            new[] { Bind("192.0.2.1", "2000-2047", Anna), Bind("192.0.2.1", "1024-1151", Berta, 1360), Bind("192.0.2.1", "3000-3127", Carla, 1360) }.OrderBy(b => b.Softwire),
            wanted.Bindings.OrderBy(b => b.Softwire));
        Assert.Equal(0, _scene.Leased.Refused.Count);
    }

    [Fact]
    public void A_softwire_of_the_file_and_the_prr_s_own_address_stay_what_they_are()
    {
        Binding mine = Bind("192.0.2.9", "all", Anna);
        _scene.Table.Add(mine);
        _scene.Snapshot("2:a", _scene.Lease(Anna, "1024-1151"), _scene.Lease("2001:db8::1", "1152-1279"));
        _scene.Has(mine);
        Assert.Equal(2, _scene.Leased.Refused.Count);
        _scene.Change("4:b", "2:a", Gone(Anna), Gone("2001:db8::1"));
        _scene.Has(mine);
        Assert.Equal((0, 0), (_scene.Leased.Refused.Count, _scene.Leased.Count));
    }

    [Fact]
    public void A_lease_that_runs_out_takes_its_binding_with_it_by_the_registry_s_clock()
    {
        _scene.Snapshot("2:a", _scene.Lease(Anna, "1024-1151", hours: 1), _scene.Lease(Berta, "1152-1279", hours: 2));
        Assert.Equal(0, _scene.Leased.RemoveOverdue());
        _scene.Clock.Advance(TimeSpan.FromHours(1) + TimeSpan.FromSeconds(4));
        Assert.Equal(0, _scene.Leased.RemoveOverdue());
        _scene.Hear(ahead: TimeSpan.FromSeconds(-60));
        _scene.Clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(0, _scene.Leased.RemoveOverdue());
        _scene.Hear();
        Assert.Equal(1, _scene.Leased.RemoveOverdue());
        _scene.Has(Bind("192.0.2.1", "1152-1279", Berta));

        // Renewed in time, it stays.
        _scene.Change("3:b", "2:a", _scene.Lease(Berta, "1152-1279", hours: 2));
        _scene.Clock.Advance(TimeSpan.FromHours(1.5));
        Assert.Equal(0, _scene.Leased.RemoveOverdue());
        _scene.Clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(1, _scene.Leased.RemoveOverdue());
        _scene.Has();
        Assert.Equal(["+192.0.2.1", "-192.0.2.1"], _scene.Routes);
    }

    [Fact]
    public void Who_sets_our_clock_ends_no_lease_once_the_registry_has_told_the_time()
    {
        _scene.Clock.WallStep = TimeSpan.FromHours(-13);
        _scene.Snapshot("1:a", _scene.Lease(Anna, "1024-1151", hours: 12));
        _scene.Hear();
        _scene.Clock.WallStep = TimeSpan.Zero;
        Assert.Equal(0, _scene.Leased.RemoveOverdue());
        _scene.Clock.WallStep = TimeSpan.FromHours(-24);
        _scene.Clock.Advance(TimeSpan.FromHours(12) + TimeSpan.FromSeconds(4));
        Assert.Equal(0, _scene.Leased.RemoveOverdue());
        _scene.Clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(1, _scene.Leased.RemoveOverdue());
    }

    [Theory]
    [InlineData("""{"op":"remove","softwire":"2001:db8:a::1"}""")]
    [InlineData("""{"op":"change","softwire":"2001:db8:a::1","ports":"5000-5001"}""")]
    [InlineData("""{"op":"set","softwire":"2001:db8:a::1","address":"192.0.2.1","ports":"5000-5001"}""")]
    public void Requests_do_not_change_what_is_the_registry_s(string request)
    {
        _scene.Snapshot("1:a", _scene.Lease(Anna, "1024-1151"));
        var written = new ArrayBufferWriter<byte>();
        new BindingStream(_scene.Live).Answer(Encoding.UTF8.GetBytes(request), written);
        Assert.Contains($"\"{ErrorCodes.LeasedBinding}\"", Encoding.UTF8.GetString(written.WrittenSpan), StringComparison.Ordinal);
        _scene.Has(Bind("192.0.2.1", "1024-1151", Anna));
    }

    [Fact]
    public void Lines_that_are_lost_and_versions_that_do_not_follow_are_noticed()
    {
        _scene.Snapshot("2:a", _scene.Lease(Anna, "1024-1151"));
        Assert.Equal(ErrorCodes.BrokenFeed, Assert.Throws<ApiFault>(() => _scene.Lines(_scene.Lease(Berta, "1152-1279"), """{"version":"4:b","after":"2:a","lines":2,"at":1,"now":2}""")).Code);

        // Asked for again from the version that is whole.
        Assert.Equal("2:a", _scene.Feed.Version);
        _scene.Feed.Restart();
        Assert.Contains("follows 3:x, and we have 2:a", Assert.Throws<ApiFault>(() => _scene.Change("4:b", "3:x", Gone(Anna))).Message, StringComparison.Ordinal);
        Assert.Null(_scene.Feed.Version);
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"begins":"something"}""")]
    [InlineData("""{"gone":"192.0.2.1"}""")]
    [InlineData("""{"gone":7}""")]
    [InlineData("""{"softwire":"2001:db8::1","address":"192.0.2.1","ports":"1024-1151"}""")]
    [InlineData("""{"softwire":"2001:db8::1","address":"2001:db8::1","ports":"1024-1151","until":1}""")]
    [InlineData("""{"softwire":"2001:db8::1","address":"192.0.2.1","ports":"9-1","until":1}""")]
    [InlineData("""{"softwire":"2001:db8::1","address":"192.0.2.1","ports":null,"until":1}""")]
    [InlineData("""{"softwire":"2001:db8::1","address":"192.0.2.1","ports":"1","until":"soon"}""")]
    [InlineData("""{"version":null,"lines":0,"now":1}""")]
    [InlineData("""{"version":"1:a","lines":99999999999999999999,"now":1}""")]
    [InlineData("""{"softwire":"2001:db8::1","address":"192.0.2.1","ports":"1","until":1""")]
    public void A_line_that_is_none_is_refused_whole(string line)
    {
        Assert.Equal(ErrorCodes.BrokenFeed, Assert.Throws<ApiFault>(() => _scene.Lines(line)).Code);
        _scene.Has();
    }

    [Fact]
    public void What_a_newer_registry_says_beside_is_left_aside()
    {
        _scene.Lines("""{"begins":"snapshot","color":{"of":["the","sky"]}}""", _scene.Lease(Anna, "1024-1151").Replace("{", "{\"mood\":[1,{}],", StringComparison.Ordinal), """{"lines":1,"now":5,"x":null,"version":"1:a"}""");
        _scene.Has(Bind("192.0.2.1", "1024-1151", Anna));
    }
}
