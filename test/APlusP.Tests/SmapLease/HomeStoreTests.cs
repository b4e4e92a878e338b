using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Linux;
using APlusP.Node.Home;

namespace APlusP.Tests.SmapLease;

/// <summary>Who a SMAP is, what it keeps of that, and which address it takes.</summary>
public sealed class HomeStoreTests : IDisposable
{
    static readonly MachineTraits s_one = new("11111111-0000", ["52:54:00:00:00:01"]), s_two = new("22222222-0000", ["52:54:00:00:00:02"]);

    readonly string _directory = Path.Combine(Path.GetTempPath(), $"aplusp-home-{Guid.NewGuid():N}");

    [Fact]
    public void An_identity_is_made_once_and_kept_for_its_owner_alone()
    {
        var first = new HomeStore(_directory, s_one);
        first.Save(saved => saved with { Key = "k" });
        var again = new HomeStore(_directory, s_one);
        Assert.Equal((first.Saved.Subscriber, "k", false), (again.Saved.Subscriber, again.Saved.Key, again.IsCopy));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_directory, "smap.json")));
        Assert.Equal([Path.Combine(_directory, "smap.json")], Directory.GetFiles(_directory));
    }

    [Fact]
    public void The_copy_of_a_disk_in_another_machine_is_another_smap_without_the_key()
    {
        var first = new HomeStore(_directory, s_one);
        first.Save(saved => saved with { Key = "k" });
        var copy = new HomeStore(_directory, s_two);
        Assert.True(copy.IsCopy);
        Assert.Null(copy.Saved.Key);
        Assert.NotEqual(first.Saved.Subscriber, copy.Saved.Subscriber);
        Assert.NotEqual(first.Saved.Secret, copy.Saved.Secret);
        Assert.False(new HomeStore(_directory, s_two).IsCopy);
    }

    [Theory]
    [InlineData("a", "1", "a", "2", false)]
    [InlineData("a", "1", "b", "1", true)]
    [InlineData(null, "1,2", null, "2,3", false)]
    [InlineData(null, "1", null, "2", true)]
    [InlineData("a", "1", null, "2", true)]
    [InlineData(null, "", null, "2", false)]
    [InlineData(null, "", null, "", false)]
    public void A_machine_is_another_by_its_board_else_by_its_cards(string? board, string cards, string? hereBoard, string hereCards, bool other) =>
        Assert.Equal(other, new MachineTraits(board, Split(cards)).IsOther(new MachineTraits(hereBoard, Split(hereCards))));

    static string[] Split(string text) => text.Split(',', StringSplitOptions.RemoveEmptyEntries);

    [Fact]
    public void A_file_that_is_damaged_is_told_with_what_to_do()
    {
        Directory.CreateDirectory(_directory);
        File.WriteAllText(Path.Combine(_directory, "smap.json"), "{\"subscriber\": ");
        APlusPException fault = Assert.Throws<APlusPException>(() => new HomeStore(_directory, s_one));
        Assert.Equal(ErrorCodes.HomeState, fault.Code);
        Assert.Contains("Delete the file", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_lease_is_kept_with_all_that_it_needs_and_a_clock_behind_takes_nothing_from_it()
    {
        DateTimeOffset now = DateTimeOffset.UnixEpoch.AddDays(20000);
        var lease = new HeldLease("a", IPv6Address.Parse("2001:db8::5"), IPv4Address.Parse("192.0.2.1"), PortSet.Parse("1024-1279"), now) { Prr = IPv6Address.Parse("2001:db8::1"), PayloadMtu = 1400, Policy = new LanPolicy(DnsAlone: true, OwnResolver: true, 1_500_000_000), Growths = [PortSet.Parse("1152-1279")] };
        var saved = SavedLease.Of(lease, TimeSpan.FromHours(10), now);
        (HeldLease read, TimeSpan left) = saved.Read(now.AddHours(4));
        Assert.True(read.IsAlike(lease));
        Assert.Equal(lease.Growths, read.Growths);
        Assert.Equal(lease.Policy, read.Policy);
        Assert.Equal(TimeSpan.FromHours(6), left);
        Assert.Equal(TimeSpan.FromHours(10), saved.Read(DateTimeOffset.UnixEpoch).Left);
    }

    // ---- Addresses

    static readonly DefaultRouter[] s_router = [new("wan", 1024)];

    [Fact]
    public void The_end_of_the_softwire_is_in_the_prefix_of_the_link_and_nobody_elses()
    {
        OwnAddress[] addresses = [Own("lan", "2001:db8:9::1"), Own("wan", "fd00::7"), Own("wan", "2001:db8:1::7"), Own("wan", "2001:db8:2::7")];
        SoftwireEndChoice choice = SoftwireEndChoice.Make(null, "secret", [], addresses, s_router, null);
        Assert.Equal("wan", choice.Device);
        Assert.True(IPv6Prefix.Parse("2001:db8:1::/64").Contains(choice.Address!.Value));
        Assert.DoesNotContain(addresses, a => a.Address == choice.Address);
        Assert.Equal(choice, SoftwireEndChoice.Make(null, "secret", [], addresses, s_router, null));
        Assert.NotEqual(choice.Address, SoftwireEndChoice.Make(null, "another", [], addresses, s_router, null).Address);
        Assert.Equal(choice, SoftwireEndChoice.Make(null, "secret", [], [addresses[3], addresses[2]], s_router, choice.Address));
        Assert.True(IPv6Prefix.Parse("2001:db8:2::/64").Contains(SoftwireEndChoice.Make(null, "secret", [], [addresses[3]], s_router, choice.Address).Address!.Value));
        Assert.Equal("lan", SoftwireEndChoice.Make("lan", "secret", [], addresses, s_router, null).Device);
    }

    [Fact]
    public void A_delegated_prefix_leads_here_by_itself_and_so_comes_before_that_of_the_link()
    {
        IPv6Prefix[] delegated = [IPv6Prefix.Parse("2001:db8:ff00::/56"), IPv6Prefix.Parse("2001:db8:fe00::/56")];
        SoftwireEndChoice choice = SoftwireEndChoice.Make(null, "secret", delegated, [Own("wan", "2001:db8:1::7")], s_router, null);
        Assert.Null(choice.Device);
        Assert.True(IPv6Prefix.Parse("2001:db8:ff00::/64").Contains(choice.Address!.Value));

        // The first one may come second the next time.
        Assert.Equal(choice, SoftwireEndChoice.Make(null, "secret", [.. delegated.Reverse()], [], [], choice.Address));
        Assert.Equal("wan", SoftwireEndChoice.Make(null, "secret", [IPv6Prefix.Parse("2001:db8:ff00::/80")], [Own("wan", "2001:db8:1::7")], s_router, null).Device);
    }

    [Fact]
    public void What_is_missing_is_told()
    {
        Assert.Contains("no router has advertised itself", SoftwireEndChoice.Make(null, "s", [], [Own("wan", "2001:db8:1::7")], [], null).Why, StringComparison.Ordinal);
        Assert.Contains("no global IPv6 address", SoftwireEndChoice.Make(null, "s", [], [Own("lan", "2001:db8:1::7")], s_router, null).Why, StringComparison.Ordinal);
        Assert.Contains("no /64", SoftwireEndChoice.Make(null, "s", [], [new OwnAddress("wan", IPv6Address.Parse("2001:db8::7"), 128)], s_router, null).Why, StringComparison.Ordinal);
    }

    static OwnAddress Own(string device, string address) => new(device, IPv6Address.Parse(address), 64);

    [Fact]
    public void The_kernels_lists_are_read()
    {
        Assert.Equal([new OwnAddress("eth0", IPv6Address.Parse("2001:db8:1::7"), 64)], AddressWatch.ReadAddresses(
        [
            "00000000000000000000000000000001 01 80 10 80       lo",
            "20010db8000100000000000000000007 02 40 00 00     eth0",
            "20010db8000100000000000000000008 02 40 00 40     eth0",
            "20010db8000100000000000000000009 02 40 00 20     eth0",
            "20010db800010000000000000000000a 02 40 00 01     eth0",
            "fe800000000000000000000000000001 02 40 20 80     eth0",
        ]));
        Assert.Equal([new DefaultRouter("eth0", 1024)], AddressWatch.ReadRouters(
        [
            "20010db8000100000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0",
            "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000099 00000400 00000001 00000000 00450003     eth0",
            "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo",
        ]));
    }

    public void Dispose()
    {
        if (Directory.Exists(_directory)) Directory.Delete(_directory, recursive: true);
    }
}
