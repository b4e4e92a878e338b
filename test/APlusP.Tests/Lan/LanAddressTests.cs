using APlusP.Linux;
using APlusP.Node.Lan;

namespace APlusP.Tests.Lan;

public class LanAddressTests
{
    static readonly LanAddress s_address = new("br-lan", NetworkAddress.Parse("2001:db8:2:1::1/64")!.Value);

    [Fact]
    public void What_is_written_down_is_read_again()
    {
        Assert.Equal("br-lan 2001:db8:2:1::1/64", $"{s_address}");
        Assert.Equal("br-lan 2001:db8:2:1::1/64 old", $"{s_address with { IsOld = true }}");
        foreach (string line in (string[])["br-lan 192.168.2.1/24", "br-lan 2001:db8:2:1::1/64", "br-lan 2001:db8:2:1::1/64 old"]) Assert.Equal(line, $"{LanAddress.Parse(line)}");
        foreach (string line in (string[])["", "br-lan", "br-lan x", "br-lan 2001:db8:2:1::1/64 new", "br-lan 2001:db8:2:1::1/64 old old"]) Assert.Null(LanAddress.Parse(line));
    }

    [Theory]
    [InlineData(1000, 900)]
    [InlineData(50, 0)]
    [InlineData(-1, uint.MaxValue)]
    public void What_is_left_is_told_in_seconds(int until, uint left)
    {
        LanAddress address = s_address with { PreferredUntil = until < 0 ? TimeSpan.MaxValue : TimeSpan.FromSeconds(until) };
        Assert.Equal(left, address.SecondsLeft(TimeSpan.FromSeconds(100)));
        Assert.True(address.EndsWith(address));
        Assert.Equal(until < 0, address.EndsWith(s_address));
    }
}
