using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.Wire;

namespace APlusP.Tests.Forwarding;

/// <summary>Random and mutated octets into every TryRead and both sides of a PRR. APLUSP_FUZZ sets the number of packets, APLUSP_SEED the seed.</summary>
public class PrrFuzzTests
{
    static readonly int s_count = int.TryParse(Environment.GetEnvironmentVariable("APLUSP_FUZZ"), out int count) ? count : 200_000;
    static readonly int s_seed = int.TryParse(Environment.GetEnvironmentVariable("APLUSP_SEED"), out int seed) ? seed : Environment.TickCount;

    [Fact]
    public void Whatever_the_octets_every_packet_gets_exactly_one_verdict_and_never_an_exception()
    {
        var random = new Random(s_seed);
        var clock = new HandClock();
        var paths = new PathMtuTable(new DiscoveryOptions { MaxPaths = 8 }, clock, secret: 5);
        PortRangeRouter[] routers =
        [
            PrrScene.Router(), PrrScene.Router(PrrScene.Telling), PrrScene.Router(PrrScene.Telling with { TtlAlreadyTaken = true }),
            new(BindingTable.Build(PrrScene.Bindings), PrrScene.Telling with { Secret = 3, IgnoreDontFragment = true }, clock, paths),
        ];
        var batch = new PacketBatch(256, 2300);
        var fates = new long[Enum.GetValues<Fate>().Length];
        try
        {
            for (int done = 0; done < s_count; done += batch.Capacity)
            {
                batch.Clear();
                while (batch.Count < batch.Capacity) batch.TryAdd(Octets(random), random.Next(2) == 0 ? Origin.FromInternet : Origin.FromSmap);
                PortRangeRouter router = routers[random.Next(routers.Length)];
                router.Process(batch);
                foreach (PacketSlot slot in batch.Slots)
                {
                    Assert.NotEqual(Fate.None, slot.Verdict.Fate);
                    Assert.Equal(slot.Verdict.Fate == Fate.Dropped, slot.Verdict.Reason != DropReason.None);
                    fates[(int)slot.Verdict.Fate]++;
                }

                do
                {
                    for (int i = 0; i < batch.Count; i++)
                        if (batch[i].Verdict.Sends) IsWhole(batch, i);
                }
                while (router.Continue(batch));
                PrrScene.AccountsBalance(router.Counters);
                if (random.Next(16) == 0) clock.Advance(TimeSpan.FromMilliseconds(random.Next(5000)));
            }
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"APLUSP_SEED={s_seed} APLUSP_FUZZ={s_count} shows this again", e);
        }

        // A fuzzer that reaches only the first check would prove nothing.
        if (s_count < 100_000) return;
        foreach (Fate fate in Enum.GetValues<Fate>())
            if (fate != Fate.None) Assert.True(fates[(int)fate] > 100, $"{fate} was met {fates[(int)fate]} times");
    }

    [Fact]
    public void Whatever_the_octets_no_view_throws_once_it_was_read()
    {
        var random = new Random(s_seed);
        for (int i = 0; i < s_count / 4; i++)
        {
            byte[] octets = Octets(random);
            try
            {
                Read(octets);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"APLUSP_SEED={s_seed}: {Convert.ToHexString(octets)}", e);
            }
        }
    }

    static void Read(byte[] octets)
    {
        if (IPv4Header.TryRead(octets, out IPv4Header ip))
        {
            _ = ip.HasValidChecksum;
            Assert.InRange(ip.Size, 20, octets.Length);
            Assert.InRange(ip.TotalLength, ip.Size, octets.Length);
        }

        if (IPv4Header.TryReadEmbedded(octets, out ip)) Assert.InRange(ip.Size, 20, octets.Length - 8);
        if (IPv6Header.TryRead(octets, out IPv6Header outer)
            && IPv6ExtensionHeaders.Skip(octets.AsSpan(0, 40 + outer.PayloadLength), out _, out int offset) == ExtensionHeaderWalk.Found)
            Assert.InRange(offset, 40, 40 + outer.PayloadLength);
        if (IPv6FragmentHeader.TryRead(octets, out IPv6FragmentHeader fragment)) _ = (fragment.Offset, fragment.MoreFragments, fragment.Identification);
        TcpOptions.TryClampMss(octets.ToArray(), 1200);
        if (TransportHeader.TryReadTcp(octets, out TransportHeader transport)) _ = (transport.TcpFlags, transport.TcpChecksum);
        if (TransportHeader.TryReadUdp(octets, out transport)) _ = transport.UdpChecksum;
        if (TransportHeader.TryReadPorts(octets, out transport)) _ = (transport.SourcePort, transport.DestinationPort);
        if (IcmpV4Header.TryRead(octets, out IcmpV4Header icmp)) _ = (icmp.IsError, icmp.IsQuery, icmp.Identifier);
        if (IcmpV6Header.TryRead(octets, out IcmpV6Header icmpV6)) _ = icmpV6.IsError;
        Assert.Equal(Packets.InternetChecksum(octets), Checksum.Of(octets));
    }

    /// <summary>Now and then noise; mostly a packet of a known class with some octets changed, cut or added, and its header checksums often right again.</summary>
    static byte[] Octets(Random random)
    {
        if (random.Next(16) == 0)
        {
            byte[] noise = new byte[random.Next(200)];
            random.NextBytes(noise);
            if (noise.Length > 0 && random.Next(2) == 0) noise[0] = (byte)(random.Next(2) == 0 ? 0x45 : 0x60);
            return noise;
        }

        byte[] packet = random.Next(4) == 0 ? Part(random) : [.. PrrPacketClasses.All[random.Next(PrrPacketClasses.All.Length)].Octets];
        for (int i = random.Next(4); i > 0 && packet.Length > 0; i--)
        {
            int at = random.Next(Math.Min(packet.Length, random.Next(2) == 0 ? 48 : 2300));
            packet[at] = random.Next(3) == 0 ? (byte)random.Next(256) : (byte)(packet[at] ^ 1 << random.Next(8));
        }

        if (random.Next(8) == 0) packet = packet[..random.Next(packet.Length + 1)];
        if (random.Next(8) == 0) packet = [.. packet, .. new byte[random.Next(64)]];
        if (random.Next(4) != 0) Mend(packet);
        return packet;
    }

    /// <summary>A part of one of a few packets, inner or outer, or an ICMPv6 error about a packet that a PRR sent.</summary>
    static byte[] Part(Random random)
    {
        byte[] inner = Packets.Udp("192.0.2.1:10000", "198.51.100.7:443", 1000), incoming = Packets.Udp("198.51.100.7:443", "192.0.2.1:10000", 1400);
        int start = random.Next(20) * 8, end = start + (random.Next(60) + 1) * 8;
        return random.Next(5) switch
        {
            0 => Packets.Fragment(incoming, start, end - start),
            1 => PrrScene.FromAnna(Packets.Fragment(inner, start, end - start)),
            2 => OnTheWire.OuterPart(PrrScene.FromAnna(inner), start, end, random.Next(4) != 0, (uint)random.Next(4)),
            3 => Packets.MayBeFragmented(Packets.Udp("198.51.100.7:443", "192.0.2.1:11001", 1200 + random.Next(300))),
            _ => Packets.IcmpV6Error("2001:db8:c::1", PrrScene.Border, Packets.Encapsulate(incoming, PrrScene.Border, PrrScene.Anna),
                (IcmpV6Type)random.Next(1, 5), rest: random.Next(1200, 1600)),
        };
    }

    static void Mend(Span<byte> packet)
    {
        if (packet.Length > 40 && packet[0] >> 4 == 6) packet = packet[40..];
        if (packet.Length < 20 || packet[0] >> 4 != 4) return;
        int size = Math.Min((packet[0] & 15) * 4, packet.Length);
        if (size < 20) return;
        packet[10..12].Clear();
        ushort sum = Packets.InternetChecksum(packet[..size]);
        packet[10] = (byte)(sum >> 8);
        packet[11] = (byte)sum;
    }

    /// <summary>What is sent is a packet, or fragments that make one.</summary>
    static void IsWhole(PacketBatch batch, int index)
    {
        Span<byte> packet = batch.Bytes(index).ToArray();
        IsWhole(packet);
        int size = batch[index].FragmentSize, octets = 0;
        for (int taken = 0; batch.TryTakePiece(index, ref taken, out ReadOnlySpan<byte> piece);)
        {
            bool divided = size > 0 && packet.Length > size;
            if (divided) Assert.InRange(piece.Length, 49, size);
            Assert.True(IPv6Header.TryRead(piece.ToArray(), out IPv6Header outer) ? piece.Length == 40 + outer.PayloadLength : !divided);
            octets += divided ? piece.Length - 48 : piece.Length;
            if (!divided) Assert.Equal(packet, piece);
        }

        Assert.Equal(packet.Length - (size > 0 && packet.Length > size ? 40 : 0), octets);
    }

    /// <summary>Lengths agree, and an IPv4 header's checksum is right, inside a softwire too.</summary>
    static void IsWhole(Span<byte> packet)
    {
        if (packet[0] >> 4 == 6)
        {
            Assert.True(IPv6Header.TryRead(packet, out IPv6Header outer));
            Assert.Equal(packet.Length, 40 + outer.PayloadLength);
            if (outer.NextHeader != IpProtocol.IPv4) return;
            packet = packet[40..];
        }

        Assert.True(IPv4Header.TryRead(packet, out IPv4Header ip));
        Assert.Equal(packet.Length, ip.TotalLength);
        Assert.Equal(0, Packets.InternetChecksum(packet[..ip.Size]));
    }
}
