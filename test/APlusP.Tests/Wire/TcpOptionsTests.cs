using APlusP.Core.Wire;

namespace APlusP.Tests.Wire;

public class TcpOptionsTests
{
    const string Client = "192.168.1.2:4000", Server = "198.51.100.7:80";

    static readonly byte[] s_mss1460 = [2, 4, 0x05, 0xb4];

    /// <summary>A SYN with these options, padded to a multiple of four.</summary>
    static byte[] Syn(byte[] options, TcpFlags flags = TcpFlags.Syn, int data = 0) => Packets.TcpWithOptions(Client, Server, flags, options, data);

    static int Mss(byte[] packet, int at) => packet[40 + at + 2] << 8 | packet[40 + at + 3];

    [Theory]
    [InlineData(TcpFlags.Syn)]
    [InlineData(TcpFlags.Syn | TcpFlags.Ack)]
    public void The_segment_size_of_a_syn_is_lowered_and_the_checksum_right(TcpFlags flags)
    {
        byte[] packet = Syn(s_mss1460, flags);
        Assert.True(TcpOptions.TryClampMss(packet.AsSpan(20), 1200));
        Assert.Equal(1200, Mss(packet, 0));
        Assert.True(Packets.HasRightChecksums(packet));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(7)]
    public void The_option_is_found_at_any_place_odd_ones_too(int before)
    {
        for (int data = 0; data < 3; data++)
        {
            byte[] packet = Syn([.. Enumerable.Repeat((byte)1, before), .. s_mss1460], data: data);
            Assert.True(TcpOptions.TryClampMss(packet.AsSpan(20), 1199));
            Assert.Equal(1199, Mss(packet, before));
            Assert.True(Packets.HasRightChecksums(packet));
        }
    }

    [Fact]
    public void It_is_found_behind_other_options()
    {
        byte[] packet = Syn([8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 3, 3, 7, 4, 2, .. s_mss1460]);
        Assert.True(TcpOptions.TryClampMss(packet.AsSpan(20), 900));
        Assert.Equal(900, Mss(packet, 15));
        Assert.True(Packets.HasRightChecksums(packet));
    }

    [Fact]
    public void What_fits_is_left_and_so_is_what_is_no_syn()
    {
        Unchanged(Syn([2, 4, 0x02, 0x18]));
        Unchanged(Syn(s_mss1460, TcpFlags.Ack));
        Unchanged(Syn([]));
        Unchanged(Syn([0, 2, 4, 0x05, 0xb4]));
    }

    [Theory]
    [InlineData(new byte[] { 2, 0, 0x05, 0xb4 })]
    [InlineData(new byte[] { 2, 1, 0x05, 0xb4 })]
    [InlineData(new byte[] { 2, 3, 0x05, 0xb4 })]
    [InlineData(new byte[] { 2, 5, 0x05, 0xb4, 1 })]
    [InlineData(new byte[] { 1, 1, 1, 2 })]
    [InlineData(new byte[] { 1, 1, 2, 4 })]
    [InlineData(new byte[] { 5, 200, 1, 1 })]
    public void Broken_options_are_left_as_they_are(byte[] options) => Unchanged(Syn(options));

    [Fact]
    public void A_header_cut_short_is_left_as_it_is()
    {
        byte[] packet = Syn(s_mss1460);
        for (int length = 0; length < 24; length++) Assert.False(TcpOptions.TryClampMss(packet.AsSpan(20, length), 500));
    }

    static void Unchanged(byte[] packet)
    {
        byte[] before = [.. packet];
        Assert.False(TcpOptions.TryClampMss(packet.AsSpan(20), 1200));
        Assert.Equal(before, packet);
    }
}
