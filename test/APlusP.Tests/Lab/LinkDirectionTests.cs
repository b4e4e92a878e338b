using System.Buffers.Binary;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Wire;
using APlusP.Lab.Links;
using APlusP.Tests.Forwarding;

namespace APlusP.Tests.Lab;

/// <summary>One way over an emulated link, by a clock that the test moves.</summary>
public class LinkDirectionTests
{
    const string Here = "2001:db8:1::1", There = "2001:db8::1", Hop = "2001:db8:ff::1", HopV4 = "192.0.2.254";

    readonly HandClock _clock = new();

    LinkDirection Link(LinkSettings settings) => new(settings, _clock) { Hop = new HopAddresses(IPv6Address.Parse(Hop), IPv4Address.Parse(HopV4)) };

    void After(double milliseconds) => _clock.Advance(TimeSpan.FromMilliseconds(milliseconds));

    // What follows the Ethernet header is one octet that names the frame, and zeros.
    static byte[] Frame(byte name, int length = 100)
    {
        byte[] frame = new byte[length];
        frame[14] = name;
        return frame;
    }

    static byte[] Ethernet(byte[] packet)
    {
        byte[] header = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0, 0];
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(12), (ushort)(packet[0] >> 4 == 6 ? 0x86dd : 0x0800));
        return [.. header, .. packet];
    }

    static List<byte[]> Take(LinkDirection link)
    {
        List<byte[]> taken = [];
        byte[] room = new byte[70_000];
        for (int length; (length = link.TryTake(room)) >= 0;) taken.Add(room[..length]);
        return taken;
    }

    static string Names(LinkDirection link) => string.Concat(Take(link).Select(frame => (char)frame[14]));

    [Fact]
    public void A_link_without_faults_gives_every_frame_at_once_and_as_it_was()
    {
        LinkDirection link = Link(new());
        byte[] frame = Frame((byte)'a', 1514);
        frame[1000] = 7;
        Assert.Equal(LinkFate.Carried, link.Offer(frame, out _));
        Assert.Equal(frame, Assert.Single(Take(link)));
        Assert.Null(link.UntilNext);
    }

    [Fact]
    public void A_delayed_frame_comes_when_its_time_has_come_and_not_before()
    {
        LinkDirection link = Link(new() { DelayMs = 50 });
        link.Offer(Frame((byte)'a'), out _);
        After(20);
        link.Offer(Frame((byte)'b'), out _);
        Assert.Equal(TimeSpan.FromMilliseconds(30), link.UntilNext);
        After(29.999);
        Assert.Equal("", Names(link));
        After(0.001);
        Assert.Equal("a", Names(link));
        After(20);
        Assert.Equal("b", Names(link));
    }

    [Fact]
    public void Jitter_spreads_the_delay_evenly_and_keeps_the_order()
    {
        LinkDirection link = Link(new() { DelayMs = 50, JitterMs = 10 });
        var delays = new List<double>();
        for (int i = 0; i < 1000; i++)
        {
            link.Offer(Frame((byte)'a'), out _);
            delays.Add(link.UntilNext!.Value.TotalMilliseconds);
            After(100);
            Take(link);
        }

        Assert.All(delays, delay => Assert.InRange(delay, 40, 60));
        Assert.InRange(delays.Average(), 49, 51);
        Assert.True(delays.Max() > 59 && delays.Min() < 41);

        for (int i = 0; i < 100; i++)
        {
            link.Offer(Frame((byte)i), out _);
            After(0.1);
        }

        After(100);
        Assert.Equal(Enumerable.Range(0, 100).Select(i => (byte)i), Take(link).Select(frame => frame[14]));
    }

    [Fact]
    public void The_dice_lose_as_many_as_asked_and_the_same_again_with_the_same_seed()
    {
        string Lost(ulong seed, double percent)
        {
            LinkDirection link = Link(new() { LossPercent = percent, Seed = seed, Queue = 100_000 });
            return string.Concat(Enumerable.Range(0, 50_000).Select(_ => link.Offer(Frame(0), out ReadOnlySpan<byte> _) == LinkFate.Lost ? 'x' : '.'));
        }

        Assert.InRange(Lost(1, 2).Count(c => c == 'x'), 900, 1100);
        Assert.Equal(Lost(5, 20), Lost(5, 20));
        Assert.NotEqual(Lost(5, 20), Lost(6, 20));
        Assert.DoesNotContain('x', Lost(1, 0));
        Assert.DoesNotContain('.', Lost(1, 100));
    }

    [Fact]
    public void A_reordered_frame_is_overtaken_and_holds_nobody_up()
    {
        LinkDirection link = Link(new() { DelayMs = 5, ReorderPercent = 100, ReorderMs = 10 });
        link.Offer(Frame((byte)'a'), out _);
        link.Settings = link.Settings with { ReorderPercent = 0 };
        link.Offer(Frame((byte)'b'), out _);
        After(5);
        Assert.Equal("b", Names(link));
        After(10);
        Assert.Equal("a", Names(link));
        Assert.Equal(1, link.Counters.Reordered);
    }

    [Fact]
    public void A_duplicate_follows_its_original()
    {
        LinkDirection link = Link(new() { DuplicatePercent = 100 });
        link.Offer(Frame((byte)'a'), out _);
        link.Offer(Frame((byte)'b'), out _);
        Assert.Equal("aabb", Names(link));
        Assert.Equal((2, 2, 4), (link.Counters.Carried, link.Counters.Duplicated, link.Counters.Delivered));
    }

    [Fact]
    public void At_a_rate_frames_wait_for_each_other_and_then_travel()
    {
        // 1250 octets are 10 ms at 1 Mbit/s.
        LinkDirection link = Link(new() { RateMbit = 1, DelayMs = 3 });
        link.Offer(Frame((byte)'a', 1250), out _);
        link.Offer(Frame((byte)'b', 1250), out _);
        After(12.9);
        Assert.Equal("", Names(link));
        After(0.1);
        Assert.Equal("a", Names(link));
        After(9.9);
        Assert.Equal("", Names(link));
        After(0.1);
        Assert.Equal("b", Names(link));

        // The line was idle since: nothing is saved up.
        After(1000);
        link.Offer(Frame((byte)'c', 1250), out _);
        Assert.Equal(TimeSpan.FromMilliseconds(13), link.UntilNext);
    }

    [Fact]
    public void A_full_queue_drops_what_comes()
    {
        LinkDirection link = Link(new() { DelayMs = 1, Queue = 3 });
        Assert.Equal([LinkFate.Carried, LinkFate.Carried, LinkFate.Carried, LinkFate.QueueFull],
            "abcd".Select(name => link.Offer(Frame((byte)name), out ReadOnlySpan<byte> _)).ToArray());
        Assert.Equal(3, link.Counters.UnderWay);
        After(1);
        Assert.Equal("abc", Names(link));
        Assert.Equal(LinkFate.Carried, link.Offer(Frame((byte)'e'), out _));
    }

    [Fact]
    public void A_change_meets_the_next_frame_and_leaves_those_under_way_their_time()
    {
        LinkDirection link = Link(new() { DelayMs = 50 });
        link.Offer(Frame((byte)'a'), out _);
        link.Settings = link.Settings with { DelayMs = 60 };
        link.Offer(Frame((byte)'b'), out _);
        After(50);
        Assert.Equal("a", Names(link));
        After(10);
        Assert.Equal("b", Names(link));

        // A shorter way does not overtake the longer one: that would be reordering.
        link.Offer(Frame((byte)'c'), out _);
        link.Settings = link.Settings with { DelayMs = 10 };
        link.Offer(Frame((byte)'d'), out _);
        After(10);
        Assert.Equal("", Names(link));
        After(50);
        Assert.Equal("cd", Names(link));
    }

    [Fact]
    public void A_larger_IPv6_packet_is_answered_by_packet_too_big_with_the_MTU()
    {
        LinkDirection link = Link(new() { Mtu = 1280 });
        byte[] fits = Packets.Softwire(Here, There, Packets.Udp("192.0.2.1", 10000, "198.51.100.1", 53, payload: 1280 - 40 - 28));
        byte[] larger = Packets.Softwire(Here, There, Packets.Udp("192.0.2.1", 10000, "198.51.100.1", 53, payload: 1281 - 40 - 28));
        Assert.Equal(1280, fits.Length);
        Assert.Equal(LinkFate.Carried, link.Offer(Ethernet(fits), out _));

        byte[] frame = Ethernet(larger);
        Assert.Equal(LinkFate.TooBigAnswered, link.Offer(frame, out ReadOnlySpan<byte> told));
        byte[] answer = told.ToArray();
        Assert.Equal(frame[6..12], answer[..6]);
        Assert.Equal(frame[..6], answer[6..12]);
        Assert.Equal(0x86dd, BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(12)));
        byte[] packet = answer[14..];
        Assert.True(IPv6Header.TryRead(packet, out IPv6Header header));
        Assert.Equal((IPv6Address.Parse(Hop), IPv6Address.Parse(Here), IpProtocol.IcmpV6), (header.Source, header.Destination, header.NextHeader));
        Assert.Equal(1280, packet.Length);
        Assert.Equal([2, 0], packet[40..42]);
        Assert.Equal(1280, BinaryPrimitives.ReadInt32BigEndian(packet.AsSpan(44)));
        Assert.Equal(larger[..(1280 - 48)], packet[48..]);
        Assert.Equal(0, Checksum.Of(packet.AsSpan(40), Checksum.PseudoHeader(header.Source, header.Destination, IpProtocol.IcmpV6, packet.Length - 40)));
        Assert.Single(Take(link));
    }

    [Fact]
    public void A_larger_IPv4_packet_with_DF_is_answered_by_fragmentation_needed()
    {
        LinkDirection link = Link(new() { Mtu = 1000 });
        byte[] larger = Packets.Udp("192.0.2.1", 10000, "198.51.100.1", 53, payload: 1000);
        Assert.Equal(LinkFate.TooBigAnswered, link.Offer(Ethernet(larger), out ReadOnlySpan<byte> answer));
        byte[] packet = answer[14..].ToArray();
        Assert.True(Packets.HasRightChecksums(packet));
        Assert.Equal([3, 4, 1000 >> 8, 1000 & 255], (byte[])[packet[20], packet[21], packet[26], packet[27]]);
        Assert.Equal(larger[..28], packet[28..56]);
    }

    [Theory]
    [InlineData(1500)]
    [InlineData(576)]
    [InlineData(68)]
    public void A_larger_IPv4_packet_without_DF_is_fragmented(int mtu)
    {
        LinkDirection link = Link(new() { Mtu = mtu, BlackHole = true, LossPercent = 0 });
        byte[] whole = Packets.Udp("192.0.2.1", 10000, "198.51.100.1", 53, payload: 3000);
        whole[6] = 0;
        Packets.MendHeader(whole);
        Assert.Equal(LinkFate.Carried, link.Offer(Ethernet(whole), out _));

        byte[] together = new byte[whole.Length];
        int end = 0;
        List<byte[]> fragments = Take(link);
        foreach (byte[] fragment in fragments)
        {
            byte[] packet = fragment[14..];
            Assert.InRange(packet.Length, 21, mtu);
            Assert.True(IPv4Header.TryRead(packet, out IPv4Header header) && header.HasValidChecksum && header.TotalLength == packet.Length);
            int at = (BinaryPrimitives.ReadUInt16BigEndian(packet.AsSpan(6)) & 0x1fff) * 8;
            bool more = (packet[6] & 0x20) != 0;
            Assert.Equal(!more, fragment == fragments[^1]);
            packet.AsSpan(20).CopyTo(together.AsSpan(20 + at));
            end = Math.Max(end, 20 + at + packet.Length - 20);
        }

        Assert.Equal(whole.Length, end);
        Assert.Equal(whole[20..], together[20..]);
        Assert.Equal((1, fragments.Count), (link.Counters.Fragmented, link.Counters.Delivered));
    }

    [Fact]
    public void A_black_hole_answers_nothing_and_swallows_the_answers_of_others()
    {
        LinkDirection link = Link(new() { Mtu = 1280, BlackHole = true });
        byte[] larger = Packets.Softwire(Here, There, Packets.Udp("192.0.2.1", 10000, "198.51.100.1", 53, payload: 1300));
        Assert.Equal(LinkFate.TooBigSilent, link.Offer(Ethernet(larger), out ReadOnlySpan<byte> answer));
        Assert.True(answer.IsEmpty);

        byte[] tooBig = [2, 0, 0, 0, 0, 0, 5, 0, .. larger.AsSpan(0, 200)];
        Assert.Equal(LinkFate.TooBigMessageFiltered, link.Offer(Ethernet(Packets.Softwire(There, Here, tooBig, next: IpProtocol.IcmpV6)), out _));
        byte[] needed = Packets.IcmpError("192.0.2.9", "192.0.2.1", Packets.Udp("192.0.2.1", 1, "198.51.100.1", 2), code: IcmpV4Header.FragmentationNeeded, rest: 1280);
        Assert.Equal(LinkFate.TooBigMessageFiltered, link.Offer(Ethernet(needed), out _));

        // Other errors and pings pass.
        Assert.Equal(LinkFate.Carried, link.Offer(Ethernet(Packets.IcmpError("192.0.2.9", "192.0.2.1", Packets.Udp("192.0.2.1", 1, "198.51.100.1", 2))), out _));
        Assert.Equal(LinkFate.Carried, link.Offer(Ethernet(Packets.PingV6(There, Here)), out _));
        Assert.Equal((1, 2, 2), (link.Counters.TooBigSilent, link.Counters.TooBigMessagesFiltered, link.Counters.Carried));
    }

    [Fact]
    public void Nobody_is_told_about_an_error_that_is_too_big()
    {
        LinkDirection link = Link(new() { Mtu = 1280 });
        byte[] error = new byte[1400];
        error[0] = (byte)IcmpV6Type.TimeExceeded;
        Assert.Equal(LinkFate.TooBigSilent, link.Offer(Ethernet(Packets.Softwire(There, Here, error, next: IpProtocol.IcmpV6)), out _));
        Assert.Equal(LinkFate.TooBigSilent, link.Offer(Ethernet(Packets.IcmpError("192.0.2.9", "192.0.2.1", new byte[1400], embedded: 1400)), out _));
    }

    [Fact]
    public void Whatever_the_octets_every_frame_has_one_fate()
    {
        var random = new Random(20101123);
        LinkDirection link = Link(new() { Mtu = 100, LossPercent = 10, DuplicatePercent = 10, ReorderPercent = 10, DelayMs = 5, JitterMs = 5, Queue = 10 });
        for (int i = 0; i < 50_000; i++)
        {
            byte[] frame = new byte[random.Next(14, 400)];
            random.NextBytes(frame);
            if (random.Next(4) > 0) (frame[12], frame[13]) = random.Next(2) == 0 ? ((byte)0x86, (byte)0xdd) : ((byte)0x08, (byte)0x00);
            if (random.Next(4) > 0 && frame.Length > 20)
            {
                frame[14] = (byte)(frame[12] == 8 ? 0x45 : 0x60);
                BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(frame[12] == 8 ? 16 : 18), (ushort)(frame.Length - (frame[12] == 8 ? 14 : 54)));
            }

            link.Settings = link.Settings with { BlackHole = random.Next(2) == 0 };
            link.Offer(frame, out _);
            if (random.Next(3) == 0) After(1);
            Take(link);
        }

        LinkCounters c = link.Counters;
        Assert.Equal(c.Received, c.Carried + c.Lost + c.QueueFull + c.TooBigAnswered + c.TooBigSilent + c.TooBigMessagesFiltered);
        Assert.All((long[])[c.Carried, c.Lost, c.QueueFull, c.TooBigAnswered, c.TooBigSilent, c.Fragmented, c.Duplicated, c.Reordered], count => Assert.True(count > 10));
    }

    public static TheoryData<LinkChange, string> Wrong => new()
    {
        { new LinkChange { DelayMs = -1 }, "delay-ms" },
        { new LinkChange { DelayMs = double.NaN }, "delay-ms" },
        { new LinkChange { JitterMs = 5 }, "jitter-ms" },
        { new LinkChange { LossPercent = 101 }, "loss-percent" },
        { new LinkChange { Mtu = 67 }, "mtu" },
        { new LinkChange { Queue = 0 }, "queue" },
        { new LinkChange { RateMbit = -1 }, "rate-mbit" },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void A_setting_that_cannot_be_is_refused_by_its_name(LinkChange change, string name)
    {
        APlusPException error = Assert.Throws<APlusPException>(() => new LinkSettings().With(change));
        Assert.Equal(ErrorCodes.LinkSettingWrong, error.Code);
        Assert.StartsWith(name, error.Message, StringComparison.Ordinal);
    }
}
