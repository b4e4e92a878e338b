using System.Buffers.Binary;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Linux.Bpf;
using APlusP.Linux.FastPath;

namespace APlusP.LabTests;

/// <summary>The SMAP's programs with maps of their own, run by the kernel on no device; every packet has one next hop.</summary>
sealed unsafe class SmapPrograms : IDisposable
{
    public const int GoOn = -1, Redirect = 7;

    const int EthernetSize = 14, Device = 1;

    static readonly byte[] s_gateway = [2, 0, 0, 0, 0, 1], s_own = [2, 0, 0, 0, 0, 2];

    readonly int _program;
    readonly byte[] _frame = new byte[2400], _answer = new byte[2600];

    /// <param name="options">What the SMAP goes by.</param>
    /// <param name="keys">Room for keys; 0 for as many as the flows need.</param>
    public SmapPrograms(SmapOptions options, uint keys = 0)
    {
        Dictionary<string, uint> entries = SmapFlows.EntriesFor(options.MaxFlows);
        if (keys > 0) entries["flows"] = keys;
        Object = BpfObject.Load("smap.tc.o", entries);
        _program = Object.Program("smap");
        Ends = new FarEnds(Object) { FirstMtu = (ushort)options.PayloadMtu, Prr = options.PrrAddress };
        Flows = new SmapFlows(Object, Ends);
        SmapFastPath.WriteConfig(Object, options, ownDevice: 0, routesKnown: true);
        using MappedArray<NextHopEntry> hops = Object.Map("next_hops").Share<NextHopEntry>();
        hops[1].Device = Device;
        hops[1].Mtu = ushort.MaxValue;
        for (int i = 0; i < 6; i++) (hops[1].To[i], hops[1].From[i]) = (s_gateway[i], s_own[i]);
        Object.Map("routes").Set(default(RouteKey), 1u);
        Object.Map("devices").Set((uint)Device, 0ul);
    }

    public static SmapOptions Options { get; } = new()
    {
        SoftwireAddress = IPv6Address.Parse("2001:db8:1::1"),
        PrrAddress = IPv6Address.Parse("2001:db8::1"),
        SharedAddress = IPv4Address.Parse("192.0.2.1"),
        Ports = PortSet.Parse("10000-10127,20000-20063"),
    };

    public BpfObject Object { get; }

    public FarEnds Ends { get; }

    public SmapFlows Flows { get; }

    public BpfMap Map(string name) => Object.Map(name);

    /// <summary>Tells the next hop of every far end.</summary>
    public void KnowAll() => Ends.Tell((_, _) => (1, Ends.FirstMtu));

    /// <summary>A packet in a frame to us; what it is afterwards, without the frame.</summary>
    public int Run(byte[] packet, Origin origin, out ReadOnlySpan<byte> after)
    {
        Span<byte> frame = _frame.AsSpan(0, EthernetSize + packet.Length);
        frame[..EthernetSize].Clear();
        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], origin == Origin.FromPrr ? (ushort)0x86dd : (ushort)0x0800);
        packet.CopyTo(frame[EthernetSize..]);
        int answer = BpfObject.Run(_program, frame, _answer, out int length);
        after = answer < GoOn ? default : _answer.AsSpan(EthernetSize, length - EthernetSize);
        if (answer == Redirect)
        {
            Assert.Equal(s_gateway, _answer[..6]);
            Assert.Equal(s_own, _answer[6..12]);
            Assert.Equal(after[0] >> 4 == 6 ? 0x86dd : 0x0800, BinaryPrimitives.ReadUInt16BigEndian(_answer.AsSpan(12)));
        }

        return answer;
    }

    /// <summary>Packets that were passed up for this reason.</summary>
    public ulong PassedUp(bool fromOutside, PassUpReason reason) => AttachedFastPath.Sum(Object.Map("counters")).PassedUp(fromOutside, reason);

    public void Dispose()
    {
        Flows.Dispose();
        Ends.Dispose();
        Object.Dispose();
    }
}
