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
                while (batch.Count < batch.Capacity) batch.TryAdd(PrrRandomPackets.Next(random), random.Next(2) == 0 ? Origin.FromInternet : Origin.FromSmap);
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
            byte[] octets = PrrRandomPackets.Next(random);
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
