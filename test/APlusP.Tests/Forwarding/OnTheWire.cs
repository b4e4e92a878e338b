using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Wire;

namespace APlusP.Tests.Forwarding;

/// <summary>A data plane as seen on the wire: packet by packet in, everything it sends out.</summary>
static class OnTheWire
{
    /// <summary>Sends packets one after the other, each in a batch of its own, and gives all that is sent, on the wire.</summary>
    public static List<byte[]> Through(IForwarder forwarder, Origin origin, params IEnumerable<byte[]> packets)
    {
        var batch = new PacketBatch(8, 9000);
        var sent = new List<byte[]>();
        foreach (byte[] packet in packets)
        {
            batch.Clear();
            Assert.True(batch.TryAdd(packet, origin));
            forwarder.Process(batch);
            Take();
            while (forwarder.Continue(batch)) Take();
        }

        return sent;

        void Take()
        {
            for (int i = 0; i < batch.Count; i++)
                if (batch[i].Verdict.Sends)
                    for (int taken = 0; batch.TryTakePiece(i, ref taken, out ReadOnlySpan<byte> piece);) sent.Add(piece.ToArray());
        }
    }

    public static byte[][] Parts(byte[] packet, params int[] ends) =>
        [.. ends.Select((end, i) => Packets.Fragment(packet, i == 0 ? 0 : ends[i - 1], end - (i == 0 ? 0 : ends[i - 1])))];

    /// <summary>The packet whose fragments these are, in whatever order.</summary>
    public static byte[] Join(IEnumerable<byte[]> fragments)
    {
        byte[][] parts = [.. fragments.OrderBy(f => (f[6] << 8 | f[7]) & 0x1fff)];
        byte[] whole = [.. parts[0].AsSpan(0, 20), .. parts.SelectMany(p => p[20..])];
        whole[2] = (byte)(whole.Length >> 8);
        whole[3] = (byte)whole.Length;
        whole[6] = whole[7] = 0;
        return Packets.MendHeader(whole);
    }

    public static byte[][] OuterParts(byte[] packet, uint identification, params int[] ends) =>
        [.. ends.Select((end, i) => OuterPart(packet, i == 0 ? 0 : ends[i - 1], end, end < packet.Length - 40, identification))];

    public static byte[] OuterPart(byte[] packet, int start, int end, bool more, uint identification = 7)
    {
        byte[] part = [.. packet.AsSpan(0, 40), .. new byte[8], .. packet.AsSpan(40 + start, end - start)];
        IPv6FragmentHeader.Write(part.AsSpan(40), (IpProtocol)packet[6], start, more, identification);
        part[6] = (byte)IpProtocol.Fragment;
        part[4] = (byte)((part.Length - 40) >> 8);
        part[5] = (byte)(part.Length - 40);
        return part;
    }
}
