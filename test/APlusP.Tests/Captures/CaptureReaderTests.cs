using System.Text.RegularExpressions;
using APlusP.Core;
using APlusP.Core.Captures;
using CsCheck;

namespace APlusP.Tests.Captures;

public class CaptureReaderTests
{
    /// <summary>A UDP packet of 28 octets, 192.0.2.1:10050 to 198.51.100.7:53; its checksums do not matter to a reader.</summary>
    static readonly byte[] s_ipv4 = Convert.FromHexString("4500001c0000000040110000" + "c0000201c6336407" + "2742003500080000");

    /// <summary>An IPv6 packet without a payload but for eight octets of UDP.</summary>
    static readonly byte[] s_ipv6 =
        Convert.FromHexString("6000000000081140" + "20010db8000000000000000000000001" + "20010db8000000000000000000000002" + "2742003500080000");

    static readonly byte[] s_macs = Convert.FromHexString("02000000000102000000000a");

    static CaptureReader Open(CaptureBytes bytes) => Open(bytes.ToArray());

    static CaptureReader Open(byte[] bytes) => new(new MemoryStream(bytes), "test.pcap");

    static List<(byte[] Bytes, long Timestamp, bool IsCut)> ReadAll(CaptureReader reader)
    {
        var packets = new List<(byte[], long, bool)>();
        while (reader.TryRead(out CapturedPacket packet)) packets.Add((packet.Bytes.ToArray(), packet.Timestamp, packet.IsCut));
        return packets;
    }

    static byte[] Ethernet(string tagsAndType, ReadOnlySpan<byte> payload) => [.. s_macs, .. Convert.FromHexString(tagsAndType), .. payload];

    static void ReadsOne(CaptureBytes capture, byte[] expected)
    {
        using CaptureReader reader = Open(capture);
        Assert.Equal(expected, Assert.Single(ReadAll(reader)).Bytes);
    }

    [Theory]
    [InlineData(false, 0xa1b2c3d4u, 1_700_000_000_123_456_000)]
    [InlineData(true, 0xa1b2c3d4u, 1_700_000_000_123_456_000)]
    [InlineData(false, 0xa1b23c4du, 1_700_000_000_000_123_456)]
    [InlineData(true, 0xa1b23c4du, 1_700_000_000_000_123_456)]
    public void Pcap_of_both_byte_orders_and_resolutions_is_read(bool bigEndian, uint magic, long timestamp)
    {
        using CaptureReader reader = Open(new CaptureBytes(bigEndian).PcapHeader(magic, 101)
            .PcapRecord(1_700_000_000, 123_456, s_ipv4).PcapRecord(1_700_000_001, 0, s_ipv6));
        List<(byte[] Bytes, long Timestamp, bool IsCut)> packets = ReadAll(reader);

        Assert.Equal(2, packets.Count);
        Assert.Equal(s_ipv4, packets[0].Bytes);
        Assert.Equal(timestamp, packets[0].Timestamp);
        Assert.Equal(s_ipv6, packets[1].Bytes);
        Assert.Equal(1_700_000_001_000_000_000, packets[1].Timestamp);
        Assert.All(packets, p => Assert.False(p.IsCut));
        Assert.Equal(magic == 0xa1b23c4d, reader.HasNanoseconds);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Pcapng_keeps_several_interfaces_and_sections_apart(bool bigEndian)
    {
        // The second section is of the other byte order, as when two files were put one behind the other.
        CaptureBytes first = new CaptureBytes(bigEndian).Section().Interface(1).Interface(101, resolution: 9)
            .Block(5, new CaptureBytes(bigEndian).U32(0)) // interface statistics
            .Enhanced(1, 1_700_000_000_000_000_001, s_ipv4)
            .Enhanced(0, 1_700_000_000_000_002, Ethernet("86dd", s_ipv6))
            .Block(0x80000bad, new CaptureBytes(bigEndian).Raw(new byte[200_000]));
        CaptureBytes second = new CaptureBytes(!bigEndian).Section().Interface(101, resolution: 3).Enhanced(0, 1_700_000_000_003, s_ipv6);
        using CaptureReader reader = Open([.. first.ToArray(), .. second.ToArray()]);
        List<(byte[] Bytes, long Timestamp, bool IsCut)> packets = ReadAll(reader);

        Assert.Equal([s_ipv4, s_ipv6, s_ipv6], packets.Select(p => p.Bytes));
        Assert.Equal([1_700_000_000_000_000_001, 1_700_000_000_000_002_000, 1_700_000_000_003_000_000], packets.Select(p => p.Timestamp));
        Assert.True(reader.HasNanoseconds);
    }

    [Theory]
    [InlineData((byte)0, 5ul, 5_000_000_000)]
    [InlineData((byte)6, 5ul, 5_000)]
    [InlineData((byte)9, 5ul, 5)]
    [InlineData((byte)12, 5_999ul, 5)]
    [InlineData((byte)127, ulong.MaxValue, 0)]
    [InlineData((byte)0x80, 5ul, 5_000_000_000)]
    [InlineData((byte)0x8a, 512ul, 500_000_000)]
    [InlineData((byte)0, ulong.MaxValue, long.MaxValue)]
    public void Timestamps_of_every_resolution_become_nanoseconds(byte resolution, ulong ticks, long expected)
    {
        using CaptureReader reader = Open(new CaptureBytes(false).Section().Interface(101, resolution).Enhanced(0, ticks, s_ipv4));
        Assert.Equal(expected, Assert.Single(ReadAll(reader)).Timestamp);
    }

    [Fact]
    public void A_simple_packet_block_takes_the_time_of_the_packet_before_and_the_snapshot_length_of_its_interface()
    {
        using CaptureReader reader = Open(new CaptureBytes(false).Section().Interface(101, snapLength: 24)
            .Enhanced(0, 7, s_ipv4[..24], original: 28).Simple(s_ipv4[..24], original: 28).Simple(s_ipv4[..20], original: 20));
        List<(byte[] Bytes, long Timestamp, bool IsCut)> packets = ReadAll(reader);

        Assert.Equal([7000, 7000, 7000], packets.Select(p => p.Timestamp));
        Assert.Equal([24, 24, 20], packets.Select(p => p.Bytes.Length));
        Assert.Equal([true, true, false], packets.Select(p => p.IsCut));
    }

    [Theory]
    [InlineData("0800")]
    [InlineData("8100000a0800")]
    [InlineData("88a800018100000a0800")]
    [InlineData("9100000188a800018100000a0800")]
    public void Ethernet_is_read_and_its_tags_are_skipped(string tagsAndType) =>
        ReadsOne(new CaptureBytes(false).PcapHeader(0xa1b2c3d4, 1).PcapRecord(1, 2, Ethernet(tagsAndType, s_ipv4)), s_ipv4);

    [Theory]
    [InlineData(101, "")]
    [InlineData(12, "")]
    [InlineData(14, "")]
    [InlineData(228, "")]
    [InlineData(113, "0000000100060200000000010000" + "0800")]
    [InlineData(113, "0000000100060200000000010000" + "8100" + "000a0800")]
    [InlineData(276, "0800" + "0000" + "00000002" + "0001" + "00" + "06" + "0200000000010000")]
    [InlineData(0, "02000000")]
    [InlineData(0, "00000002")]
    [InlineData(108, "00000002")]
    public void Ipv4_is_found_in_frames_of_every_link_type(int linkType, string header) =>
        ReadsOne(new CaptureBytes(false).PcapHeader(0xa1b2c3d4, linkType).PcapRecord(1, 2, [.. Convert.FromHexString(header), .. s_ipv4]), s_ipv4);

    [Theory]
    [InlineData(101, "")]
    [InlineData(229, "")]
    [InlineData(113, "0000000100060200000000010000" + "86dd")]
    [InlineData(276, "86dd" + "0000" + "00000002" + "0001" + "00" + "06" + "0200000000010000")]
    [InlineData(0, "1c000000")]
    [InlineData(0, "0000000a")]
    [InlineData(108, "0000001e")]
    public void Ipv6_is_found_in_frames_of_every_link_type(int linkType, string header) =>
        ReadsOne(new CaptureBytes(true).PcapHeader(0xa1b2c3d4, linkType).PcapRecord(1, 2, [.. Convert.FromHexString(header), .. s_ipv6]), s_ipv6);

    [Fact]
    public void Frames_without_ip_are_counted_by_ethertype()
    {
        using CaptureReader reader = Open(new CaptureBytes(false).PcapHeader(0xa1b2c3d4, 1)
            .PcapRecord(1, 0, Ethernet("0806", new byte[46]))
            .PcapRecord(2, 0, Ethernet("0800", s_ipv4))
            .PcapRecord(3, 0, Ethernet("8100000a0806", new byte[46]))
            .PcapRecord(4, 0, Ethernet("88cc", new byte[46]))
            .PcapRecord(5, 0, Ethernet("0026", new byte[46])) // a length, as spanning tree has it
            .PcapRecord(6, 0, new byte[5])
            .PcapRecord(7, 0, Ethernet("8100", [0])));

        Assert.Single(ReadAll(reader));
        Assert.Equal(7, reader.Frames);
        Assert.Equal(6, reader.Skipped);
        Assert.Equal(new Dictionary<int, long> { [0] = 3, [0x0806] = 2, [0x88cc] = 1 }, reader.SkippedByEtherType);
    }

    [Fact]
    public void Padding_of_a_short_ethernet_frame_is_taken_off_and_octets_behind_a_raw_packet_are_not()
    {
        byte[] padding = new byte[18];
        ReadsOne(new CaptureBytes(false).PcapHeader(0xa1b2c3d4, 1).PcapRecord(1, 2, Ethernet("0800", [.. s_ipv4, .. padding])), s_ipv4);
        ReadsOne(new CaptureBytes(false).PcapHeader(0xa1b2c3d4, 1).PcapRecord(1, 2, Ethernet("86dd", [.. s_ipv6, .. padding])), s_ipv6);
        ReadsOne(new CaptureBytes(false).PcapHeader(0xa1b2c3d4, 101).PcapRecord(1, 2, [.. s_ipv4, .. padding]), [.. s_ipv4, .. padding]);
    }

    [Fact]
    public void A_packet_is_cut_where_the_snapshot_length_took_octets_of_it_and_not_of_its_padding()
    {
        using CaptureReader reader = Open(new CaptureBytes(false).PcapHeader(0xa1b2c3d4, 1)
            .PcapRecord(1, 0, Ethernet("0800", s_ipv4[..^1]), original: 42)
            .PcapRecord(2, 0, Ethernet("0800", s_ipv4), original: 60)
            .PcapRecord(3, 0, Ethernet("0800", s_ipv4[..10]), original: 42)
            .PcapRecord(4, 0, Ethernet("0800", s_ipv4[..^1]))); // the sender's fault, for the data plane to judge
        Assert.Equal([true, false, true, false], ReadAll(reader).Select(p => p.IsCut));
    }

    [Theory]
    [InlineData("", "AP4002", "0 octets")]
    [InlineData("4d5a", "AP4002", "2 octets")]
    [InlineData("4d5a9000030000000400", "AP4002", "4d5a9000")]
    [InlineData("1f8b080000000000", "AP4002", "gunzip")]
    [InlineData("34cdb2a1020004000000000000000000ffff000065000000", "AP4002", "editcap")]
    [InlineData("d4c3b2a10300040000000000" + "00000000ffff000065000000", "AP4002", "version 3.4")]
    [InlineData("d4c3b2a10200040000000000", "AP4003", "offset 4")]
    [InlineData("d4c3b2a1020004000000000000000000ffff000069000000", "AP4004", "link type 105")]
    [InlineData("0a0d0d0a1c000000aabbccdd01000000ffffffffffffffff1c000000", "AP4003", "aabbccdd")]
    [InlineData("0a0d0d0a1c0000004d3c2b1a02000000ffffffffffffffff1c000000", "AP4002", "version 2")]
    [InlineData("0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff20000000", "AP4003", "28 octets at its beginning and 32")]
    [InlineData("0a0d0d0a1d0000004d3c2b1a01000000ffffffffffffffff1c000000", "AP4003", "29 octets")]
    [InlineData("0a0d0d0a1c0000004d3c2b1a01000000ffff", "AP4003", "cut short")]
    public void What_is_no_capture_is_refused_and_the_message_says_why(string hex, string code, string part)
    {
        var error = Assert.Throws<APlusPException>(() => Open(Convert.FromHexString(hex)));
        Assert.Equal(code, error.Code);
        Assert.Contains("test.pcap", error.Message);
        Assert.Contains(part, error.Message);
    }

    public static TheoryData<string, string> DamagedCaptures()
    {
        CaptureBytes Pcap() => new CaptureBytes(false).PcapHeader(0xa1b2c3d4, 101).PcapRecord(1, 0, s_ipv4); // 24 + 16 + 28
        CaptureBytes Pcapng() => new CaptureBytes(false).Section().Interface(101); // 28 + 20
        CaptureBytes Body(params uint[] words)
        {
            var body = new CaptureBytes(false);
            foreach (uint word in words) body.U32(word);
            return body;
        }

        string Hex(CaptureBytes bytes) => Convert.ToHexString(bytes.ToArray());
        return new()
        {
            { Hex(Pcap().U32(1)), "offset 68: the file ends within a record's header, after 4 of" },
            { Hex(Pcap().U32(1).U32(0).U32(28).U32(28).U32(0)), "offset 84: a record of 28 octets is cut short: the file ends after 4" },
            { Hex(Pcap().U32(1).U32(0).U32(300_000).U32(28)), "offset 76: a record claims 300000 octets" },
            { Hex(Pcapng().U16(6)), "offset 48: the file ends within a block's type" },
            { Hex(Pcapng().U32(6).U16(6)), "offset 52: the file ends within a block's length" },
            { Hex(Pcapng().U32(6).U32(8)), "offset 52: a block claims 8 octets" },
            { Hex(Pcapng().U32(6).U32(40).U32(0)), "offset 48: a block of 40 octets is cut short" },
            { Hex(Pcapng().U32(99).U32(40).U32(0)), "offset 48: a block of 40 octets is cut short" },
            { Hex(Pcapng().U32(6).U32(0x0fff_fffc)), "offset 52: a block of type 6 claims 268435452 octets" },
            { Hex(Pcapng().Block(6, Body(0, 0, 0, 28))), "offset 48: an enhanced packet block has 16 octets" },
            { Hex(Pcapng().Block(6, Body(0, 0, 0, 28, 28, 0))), "offset 48: a packet claims 28 octets, and its block has 4" },
            { Hex(Pcapng().Block(6, Body(1, 0, 0, 0, 0))), "offset 48: a packet is of interface 1, and the section has described 1" },
            { Hex(Pcapng().Block(3, Body())), "offset 48: a simple packet block has no length" },
            { Hex(Pcapng().Block(3, Body(28, 0))), "offset 48: a packet claims 28 octets" },
            { Hex(Pcapng().Block(1, Body(101))), "offset 48: an interface description has 4" },
            { Hex(Pcapng().Block(1, Body(101, 0, 0x00ff_0009))), "offset 48: an interface's option 9 claims 255 octets" },
        };
    }

    [Theory]
    [MemberData(nameof(DamagedCaptures))]
    public void A_damaged_capture_is_refused_with_file_and_offset(string hex, string part)
    {
        using CaptureReader reader = Open(Convert.FromHexString(hex));
        var error = Assert.Throws<APlusPException>(() => ReadAll(reader));
        Assert.Equal(ErrorCodes.CaptureDamaged, error.Code);
        Assert.Contains("test.pcap is damaged at " + part, error.Message);
    }

    [Fact]
    public void An_interface_of_an_unknown_link_type_matters_only_where_it_has_packets()
    {
        CaptureBytes Capture() => new CaptureBytes(false).Section().Interface(105).Interface(101).Enhanced(1, 0, s_ipv4);
        ReadsOne(Capture(), s_ipv4);
        using CaptureReader reader = Open(Capture().Enhanced(0, 0, s_ipv4));
        Assert.Equal(ErrorCodes.CaptureLinkType, Assert.Throws<APlusPException>(() => ReadAll(reader)).Code);
    }

    [Fact]
    public void A_stream_that_gives_one_octet_at_a_time_is_read_the_same()
    {
        byte[] capture = new CaptureBytes(true).Section().Interface(1, 9).Enhanced(0, 5, Ethernet("0800", s_ipv4)).Enhanced(0, 6, Ethernet("86dd", s_ipv6)).ToArray();
        using var reader = new CaptureReader(new Trickle(capture), "pipe");
        Assert.Equal([s_ipv4, s_ipv6], ReadAll(reader).Select(p => p.Bytes));
    }

    sealed class Trickle(byte[] bytes) : MemoryStream(bytes)
    {
        public override int Read(byte[] buffer, int offset, int count) => base.Read(buffer, offset, Math.Min(count, 1));
    }

    [Fact]
    public void What_is_written_is_read_back()
    {
        Gen<(byte[], long)> packet = Gen.Select(Gen.Byte.Array[0, 300], Gen.Long[0, uint.MaxValue * 1_000_000_000L]);
        Gen.Select(packet.Array[0, 20], Gen.Bool).Sample((packets, nanoseconds) =>
        {
            var stream = new MemoryStream();
            using (var writer = new CaptureWriter(stream, nanoseconds))
            {
                foreach ((byte[] bytes, long timestamp) in packets) writer.Write(bytes, timestamp);
                Assert.Equal(packets.Length, writer.Packets);
            }

            using CaptureReader reader = Open(stream.ToArray());
            var back = ReadAll(reader).Select(p => (p.Bytes, p.Timestamp)).ToList();
            Assert.Equal(nanoseconds, reader.HasNanoseconds);
            Assert.Equal(packets.Select(p => p.Item1), back.Select(p => p.Bytes));
            Assert.Equal(packets.Select(p => nanoseconds ? p.Item2 : p.Item2 / 1000 * 1000), back.Select(p => p.Timestamp));
        });
    }

    [Fact]
    public void Mutated_captures_end_or_are_refused_and_nothing_else()
    {
        byte[][] seeds =
        [
            new CaptureBytes(false).PcapHeader(0xa1b2c3d4, 1).PcapRecord(1, 0, Ethernet("8100000a0800", s_ipv4)).PcapRecord(2, 0, Ethernet("0806", s_ipv4)).ToArray(),
            new CaptureBytes(true).PcapHeader(0xa1b23c4d, 276).PcapRecord(1, 0, s_ipv6).PcapRecord(2, 0, s_ipv4).ToArray(),
            new CaptureBytes(false).Section().Interface(1, 9, 64).Interface(101).Enhanced(1, 9, s_ipv4).Enhanced(0, 9, Ethernet("86dd", s_ipv6)).Simple(s_ipv4, 28).ToArray(),
            new CaptureBytes(true).Section().Interface(113, 0x94).Enhanced(0, 9, s_ipv4).Section().Interface(0).Enhanced(0, 1, s_ipv6).Block(0xbad, new CaptureBytes(true).U32(1)).ToArray(),
        ];
        int seed = Environment.TickCount;
        TestContext.Current.SendDiagnosticMessage($"seed {seed}");
        var random = new Random(seed);
        for (int round = 0; round < 100_000; round++)
        {
            byte[] file = Mutate(seeds[random.Next(seeds.Length)], random);
            try
            {
                using CaptureReader reader = Open(file);
                while (reader.TryRead(out CapturedPacket packet))
                {
                    Assert.InRange(packet.Bytes.Length, 0, CaptureReader.MaxPacket);
                    Assert.InRange(packet.Timestamp, 0, long.MaxValue);
                }
            }
            catch (APlusPException error)
            {
                Assert.Matches(new Regex("^AP400[234]$", RegexOptions.None, TimeSpan.FromSeconds(1)), error.Code);
            }
            catch (Exception error)
            {
                Assert.Fail($"seed {seed}, round {round}, file {Convert.ToHexString(file)}: {error}");
            }
        }
    }

    static byte[] Mutate(byte[] seed, Random random)
    {
        byte[] file = [.. seed];
        for (int change = random.Next(1, 4); change > 0; change--)
        {
            int at = random.Next(file.Length);
            switch (random.Next(5))
            {
                case 0: file[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: file[at] = (byte)random.Next(256); break;
                case 2: file.AsSpan(at, Math.Min(4, file.Length - at)).Fill((byte)(random.Next(2) * 255)); break;
                case 3: file = file[..Math.Max(at, 1)]; break;
                default: file = [.. file[..at], .. file[random.Next(file.Length)..]]; break;
            }

            if (file.Length == 0) return file;
        }

        return file;
    }
}
