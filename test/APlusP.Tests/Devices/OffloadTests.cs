using System.Buffers.Binary;
using System.Runtime.InteropServices;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Wire;

namespace APlusP.Tests.Devices;

/// <summary>What segmentation offload hands over is cut into the packets that it stands for, and packets that stand in a row are put together only where cutting gives them back.</summary>
public class OffloadTests
{
    const int Headers = 40;

    /// <summary>A packet of the kernel's, its checksum left to the device, with the header that stands in front.</summary>
    static byte[] Offloaded(byte[] packet, int segment, OffloadType type = OffloadType.TcpV4)
    {
        int start = (packet[0] & 15) * 4, headers = start + (packet[start + 12] >> 4) * 4;
        IPv4Header.TryRead(packet, out IPv4Header ip);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(start + 16), Checksum.Fold(Checksum.PseudoHeader(ip.Source, ip.Destination, IpProtocol.Tcp, packet.Length - start)));
        var header = new OffloadHeader(OffloadFlags.NeedsChecksum, type, (ushort)headers, (ushort)segment, (ushort)start, 16);
        return [.. MemoryMarshal.AsBytes(new ReadOnlySpan<OffloadHeader>(in header)), .. packet];
    }

    static byte[] Big(int payload, TcpFlags flags = TcpFlags.Ack, uint sequence = 0xffff_fff0)
    {
        byte[] packet = Packets.Tcp("192.168.1.2", 40000, "203.0.113.9", 443, flags, payload);
        BinaryPrimitives.WriteUInt32BigEndian(packet.AsSpan(24), sequence);
        return packet;
    }

    static List<byte[]> Cut(byte[] received, int capacity = 64)
    {
        var segmenter = new Segmenter();
        var batch = new PacketBatch(capacity, 4096);
        received.CopyTo(segmenter.Room);
        segmenter.Received(received.Length);
        List<byte[]> packets = [];
        while (segmenter.HasMore)
        {
            batch.Clear();
            while (segmenter.HasMore && batch.Count < batch.Capacity) segmenter.TakeNext(batch, Origin.FromLan, Origin.FromPrr);
            for (int i = 0; i < batch.Count; i++) packets.Add(batch.Bytes(i).ToArray());
        }

        return packets;
    }

    [Theory]
    [InlineData(64)]
    [InlineData(7)]
    public void A_large_packet_becomes_those_that_it_stands_for(int capacity)
    {
        byte[] whole = Big(payload: 45 * 1448 - 100, TcpFlags.Ack | TcpFlags.Psh | TcpFlags.Fin);
        byte[] payload = whole[Headers..];
        whole[33] |= 0x80;
        List<byte[]> parts = Cut(Offloaded(whole, 1448, OffloadType.TcpV4 | OffloadType.Ecn), capacity);
        Assert.Equal(45, parts.Count);
        Assert.Equal(payload, parts.SelectMany(part => part[Headers..]));
        for (int i = 0; i < parts.Count; i++)
        {
            byte[] part = parts[i];
            Assert.True(Packets.HasRightChecksums(part));
            Assert.True(IPv4Header.TryRead(part, out IPv4Header ip));
            Assert.Equal((part.Length, 0x1234 + i, true), (ip.TotalLength, ip.Identification, ip.DontFragment));
            Assert.Equal(unchecked(0xffff_fff0 + (uint)(1448 * i)), BinaryPrimitives.ReadUInt32BigEndian(part.AsSpan(24)));
            byte flags = (byte)((byte)TcpFlags.Ack | (i == 0 ? 0x80 : 0) | (i == 44 ? (byte)(TcpFlags.Psh | TcpFlags.Fin) : 0));
            Assert.Equal(flags, part[33]);
        }
    }

    [Fact]
    public void Options_go_with_every_part()
    {
        byte[] packet = Big(3000);
        byte[] options = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
        packet = Packets.MendHeader([.. packet[..2], (byte)((packet.Length + 12) >> 8), (byte)(packet.Length + 12), .. packet[4..40], .. options, .. packet[40..]]);
        packet[32] = 8 << 4;
        List<byte[]> parts = Cut(Offloaded(packet, 1000));
        Assert.Equal(3, parts.Count);
        Assert.All(parts, part => Assert.Equal(options, part[40..52]));
        Assert.All(parts, part => Assert.True(Packets.HasRightChecksums(part)));
    }

    [Fact]
    public void A_packet_that_only_lacks_its_checksum_gets_it_and_nothing_else_changes()
    {
        byte[] right = Mended(Big(700));
        Assert.Equal(right, Assert.Single(Cut(Offloaded([.. right], 0, OffloadType.None))));
        Assert.Equal(right, Assert.Single(Cut(Offloaded([.. right], 700))));
    }

    [Fact]
    public void A_plain_packet_is_taken_as_it_is_and_by_its_version()
    {
        byte[] ipv6 = Packets.PingV6("2001:db8::1", "2001:db8::2");
        Assert.Equal(ipv6, Assert.Single(Cut([.. new byte[OffloadHeader.Size], .. ipv6])));
        var segmenter = new Segmenter();
        segmenter.Received(OffloadHeader.Size);
        Assert.False(segmenter.HasMore);
    }

    // Putting together

    static PacketBatch Batch(params IReadOnlyList<byte[]> packets)
    {
        var batch = new PacketBatch(64, 4096);
        foreach (byte[] packet in packets)
        {
            Assert.True(batch.TryAdd(packet, Origin.FromPrr));
            batch[batch.Count - 1].Verdict = Verdict.Forward;
        }

        return batch;
    }

    static byte[] Joined(PacketBatch batch, int first, int count)
    {
        OffloadHeader header = Joiner.Join(batch, first, count);
        return [.. MemoryMarshal.AsBytes(new ReadOnlySpan<OffloadHeader>(in header)), .. batch.Bytes(first),
            .. Enumerable.Range(first + 1, count - 1).SelectMany(i => batch.Bytes(i)[header.HeadersLength..].ToArray())];
    }

    [Theory]
    [InlineData(10 * 1448)]
    [InlineData(10 * 1448 - 5)]
    public void What_is_put_together_and_cut_again_is_the_same(int payload)
    {
        List<byte[]> parts = Cut(Offloaded(Big(payload, TcpFlags.Ack | TcpFlags.Psh), 1448));
        PacketBatch batch = Batch(parts);
        Assert.Equal(10, Joiner.Run(batch, 0));
        Assert.Equal(parts, Cut(Joined(batch, 0, 10)));
    }

    [Fact]
    public void No_more_is_put_together_than_a_packet_can_be_long()
    {
        List<byte[]> parts = [];
        for (int i = 0; i < 60; i++)
        {
            byte[] part = Big(1448, sequence: unchecked(0xffff_fff0 + (uint)(1448 * i)));
            BinaryPrimitives.WriteUInt16BigEndian(part.AsSpan(4), (ushort)(0x1234 + i));
            parts.Add(Mended(part));
        }

        PacketBatch batch = Batch(parts);
        int run = Joiner.Run(batch, 0);
        Assert.Equal((65535 - Headers) / 1448, run);
        Assert.Equal(parts[..run], Cut(Joined(batch, 0, run)));
    }

    static byte[] Mended(byte[] packet)
    {
        Packets.MendHeader(packet);
        IPv4Header.TryRead(packet, out IPv4Header ip);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(36), 0);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(36), Checksum.Of(packet.AsSpan(20), Checksum.PseudoHeader(ip.Source, ip.Destination, IpProtocol.Tcp, packet.Length - 20)));
        return packet;
    }

    public static TheoryData<string, Action<byte[]>> Differences => new()
    {
        { "another service", packet => packet[1] ^= 4 },
        { "fragments allowed", packet => packet[6] ^= 0x40 },
        { "more fragments", packet => packet[6] |= 0x20 },
        { "another identification", packet => packet[5]++ },
        { "another TTL", packet => packet[8]-- },
        { "another source", packet => packet[15]++ },
        { "another destination", packet => packet[19]++ },
        { "another port", packet => packet[21]++ },
        { "a gap", packet => packet[27]++ },
        { "another acknowledgement", packet => packet[31]++ },
        { "SYN", packet => packet[33] |= (byte)TcpFlags.Syn },
        { "RST", packet => packet[33] |= (byte)TcpFlags.Rst },
        { "URG", packet => packet[33] |= 0x20 },
        { "ECE", packet => packet[33] |= 0x40 },
        { "CWR", packet => packet[33] |= 0x80 },
        { "no ACK", packet => packet[33] = 0 },
        { "another window", packet => packet[34]++ },
        { "an urgent pointer", packet => packet[39]++ },
        { "another protocol", packet => packet[9] = 17 },
    };

    [Theory]
    [MemberData(nameof(Differences))]
    public void What_cutting_would_not_give_back_goes_alone(string name, Action<byte[]> change)
    {
        List<byte[]> parts = Cut(Offloaded(Big(3 * 1000), 1000));
        Assert.Equal(3, Joiner.Run(Batch(parts), 0));
        change(parts[1]);
        PacketBatch batch = Batch([parts[0], Mended(parts[1]), parts[2]]);
        Assert.True(Joiner.Run(batch, 0) == 1, name);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 1)]
    [InlineData(2, 2)]
    public void A_wrong_checksum_is_not_made_right(int which, int run)
    {
        List<byte[]> parts = Cut(Offloaded(Big(3 * 1000), 1000));
        parts[which][^1] ^= 1;
        Assert.Equal(run, Joiner.Run(Batch(parts), 0));
    }

    [Fact]
    public void A_run_ends_at_what_is_dropped_or_goes_in_fragments_and_with_a_short_or_pushed_segment()
    {
        List<byte[]> parts = Cut(Offloaded(Big(4 * 1000), 1000));
        PacketBatch batch = Batch(parts);
        batch[2].Verdict = Verdict.Drop(DropReason.NoBinding);
        Assert.Equal(2, Joiner.Run(batch, 0));
        batch = Batch(parts);
        batch[3].FragmentSize = 1280;
        Assert.Equal(3, Joiner.Run(batch, 0));
        Assert.Equal(1, Joiner.Run(batch, 3));

        parts = [.. Cut(Offloaded(Big(2 * 1000, TcpFlags.Ack | TcpFlags.Psh), 1000)), .. parts[2..]];
        Assert.Equal(2, Joiner.Run(Batch(parts), 0));
        Assert.Equal(1, Joiner.Run(Batch(parts), 1));
    }

    [Fact]
    public void Garbage_of_any_length_is_neither_cut_nor_put_together()
    {
        var random = new Random(1);
        for (int i = 0; i < 5_000; i++)
        {
            byte[] garbage = new byte[random.Next(1, 120)];
            random.NextBytes(garbage);
            if (random.Next(2) == 0) garbage[0] = 0x45;
            Joiner.Run(Batch(garbage, garbage), 0);
            var header = new OffloadHeader((OffloadFlags)random.Next(2), (OffloadType)random.Next(2), (ushort)random.Next(200), (ushort)random.Next(200), (ushort)random.Next(200), (ushort)random.Next(200));
            Assert.NotEmpty(Cut([.. MemoryMarshal.AsBytes(new ReadOnlySpan<OffloadHeader>(in header)), .. garbage]));
        }
    }
}
