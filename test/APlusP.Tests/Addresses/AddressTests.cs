using System.Net;
using APlusP.Core.Addresses;
using CsCheck;

namespace APlusP.Tests.Addresses;

public class AddressTests
{
    [Theory]
    [InlineData("0.0.0.0", 0x00000000u)]
    [InlineData("192.0.2.1", 0xC0000201u)]
    [InlineData("255.255.255.255", 0xFFFFFFFFu)]
    public void An_IPv4_address_is_its_number(string text, uint value)
    {
        Assert.Equal(new IPv4Address(value), IPv4Address.Parse(text));
        Assert.Equal(text, new IPv4Address(value).ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("192.0.2")]
    [InlineData("192.0.2.")]
    [InlineData("192.0.2.256")]
    [InlineData("192.0.2.1.")]
    [InlineData("192.0.2.01")]
    [InlineData("192.0.2.1/32")]
    [InlineData(" 192.0.2.1")]
    [InlineData("192.0.2.1 ")]
    [InlineData("0x7f.0.0.1")]
    [InlineData("3221225985")]
    [InlineData("192.0.2.0001")]
    [InlineData("192,0,2,1")]
    [InlineData("2001:db8::1")]
    public void What_is_no_IPv4_address_is_refused(string text)
    {
        Assert.False(IPv4Address.TryParse(text, out _));
        Assert.Contains(text, Assert.Throws<FormatException>(() => IPv4Address.Parse(text)).Message);
    }

    [Theory]
    [InlineData("0.0.0.1", false)]
    [InlineData("1.0.0.0", true)]
    [InlineData("10.0.0.1", true)]
    [InlineData("126.255.255.255", true)]
    [InlineData("127.0.0.1", false)]
    [InlineData("128.0.0.0", true)]
    [InlineData("223.255.255.255", true)]
    [InlineData("224.0.0.1", false)]
    [InlineData("240.0.0.1", false)]
    [InlineData("255.255.255.255", false)]
    public void Only_addresses_that_a_host_can_have_are_unicast(string text, bool unicast) => Assert.Equal(unicast, IPv4Address.Parse(text).IsUnicast);

    [Fact]
    public void IPv4_text_and_octets_are_as_the_system_has_them() => Gen.UInt.Sample(value =>
    {
        var address = new IPv4Address(value);
        Span<byte> bytes = stackalloc byte[4];
        address.Write(bytes);
        Assert.Equal(new IPAddress(bytes).ToString(), address.ToString());
        Assert.Equal(address, IPv4Address.Read(bytes));
        Assert.Equal(address, IPv4Address.Parse(address.ToString()));
    });

    [Theory]
    [InlineData("2001:db8::1", "2001:db8::1")]
    [InlineData("2001:DB8:0:0:0:0:0:1", "2001:db8::1")]
    [InlineData("::", "::")]
    [InlineData("2001:db8:12:3400:0:c000:212:34", "2001:db8:12:3400:0:c000:212:34")]
    [InlineData("::ffff:192.0.2.1", "::ffff:192.0.2.1")]
    public void An_IPv6_address_is_written_in_the_form_of_RFC_5952(string text, string canonical) =>
        Assert.Equal(canonical, IPv6Address.Parse(text).ToString());

    [Theory]
    [InlineData("")]
    [InlineData("192.0.2.1")]
    [InlineData("2001:db8::1/64")]
    [InlineData("fe80::1%eth0")]
    [InlineData("[2001:db8::1]")]
    [InlineData("[2001:db8::1]:80")]
    [InlineData("2001:db8::1::")]
    [InlineData("2001:db8:1")]
    [InlineData("2001:db8::12345")]
    [InlineData(" 2001:db8::1")]
    [InlineData("2001:db8::1 ")]
    public void What_is_no_IPv6_address_is_refused(string text)
    {
        Assert.False(IPv6Address.TryParse(text, out _));
        Assert.Contains(text, Assert.Throws<FormatException>(() => IPv6Address.Parse(text)).Message);
    }

    [Fact]
    public void IPv6_text_and_octets_read_back() => Gen.Select(Gen.ULong, Gen.ULong).Sample((upper, lower) =>
    {
        var address = new IPv6Address(new UInt128(upper, lower));
        Span<byte> bytes = stackalloc byte[16];
        address.Write(bytes);
        Assert.Equal(new IPAddress(bytes), IPAddress.Parse(address.ToString()));
        Assert.Equal(address, IPv6Address.Read(bytes));
        Assert.Equal(address, IPv6Address.Parse(address.ToString()));
    });

    [Theory]
    [InlineData("::", false)]
    [InlineData("::1", false)]
    [InlineData("::2", true)]
    [InlineData("2001:db8::1", true)]
    [InlineData("feff:ffff::", true)]
    [InlineData("ff00::", false)]
    [InlineData("ff02::1", false)]
    public void Unspecified_loopback_and_multicast_are_not_unicast(string text, bool unicast) => Assert.Equal(unicast, IPv6Address.Parse(text).IsUnicast);

    [Fact]
    public void Addresses_are_ordered_by_number()
    {
        Assert.True(IPv4Address.Parse("9.0.0.0") < IPv4Address.Parse("10.0.0.0"));
        Assert.True(IPv4Address.Parse("200.0.0.0") >= IPv4Address.Parse("10.0.0.0"));
        Assert.True(IPv6Address.Parse("2001:db8::9") < IPv6Address.Parse("2001:db8::10"));
        Assert.True(IPv6Address.Parse("fe80::") > IPv6Address.Parse("2001:db8::10"));
    }
}
