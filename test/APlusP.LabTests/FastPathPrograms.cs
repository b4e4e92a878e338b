using System.Buffers.Binary;
using APlusP.Core.Bindings;
using APlusP.Core.Forwarding;
using APlusP.Linux.Bpf;
using APlusP.Linux.FastPath;

namespace APlusP.LabTests;

/// <summary>The programs with maps of their own, whose every packet has one next hop.</summary>
sealed unsafe class FastPathPrograms : IDisposable
{
    public const int GoOnXdp = 2, GoOnTc = -1, RedirectXdp = 4, RedirectTc = 7;

    const int EthernetSize = 14, Device = 1;

    static readonly byte[] s_gateway = [2, 0, 0, 0, 0, 1], s_own = [2, 0, 0, 0, 0, 2];

    readonly BpfObject _object;
    readonly PrrEnds _ends;
    readonly int _program;
    readonly byte[] _frame = new byte[2400], _answer = new byte[2600];

    public FastPathPrograms(BpfHook hook, PrrOptions options, IEnumerable<Binding> bindings, IReadOnlyCollection<RuleBinding>? rules = null, Dictionary<string, uint>? sizes = null)
    {
        _object = BpfObject.Load(hook == BpfHook.Tc ? "prr.tc.o" : "prr.xdp.o", sizes ?? new() { ["addresses"] = 64, ["softwires"] = 4096, ["places"] = 256 });
        _program = _object.Program("prr");
        using MappedArray<ConfigEntry> config = _object.Map("config").Share<ConfigEntry>();
        config[0] = new ConfigEntry { Secret = options.Secret, HopLimit = options.HopLimit, Buckets = _object.Map("addresses").Entries, Flags = ConfigFlags.IcmpFromInternet | ConfigFlags.Hairpinning | ConfigFlags.RoutesKnown | (rules is null ? 0 : ConfigFlags.HasRules) | (options.UniformServices ? ConfigFlags.TakesServices : 0) };
        using MappedArray<NextHopEntry> hops = _object.Map("next_hops").Share<NextHopEntry>();
        hops[1].Device = Device;
        hops[1].Mtu = ushort.MaxValue;
        for (int i = 0; i < 6; i++) (hops[1].To[i], hops[1].From[i]) = (s_gateway[i], s_own[i]);
        _object.Map("routes").Set(default(RouteKey), 1u);
        _object.Map("devices").Set((uint)Device, 0ul);
        _ends = new PrrEnds(_object);
        Maps = new PrrMaps(_object, _ends, _ => 1);
        Maps.Load(bindings, discovers: false);
        Assert.Equal(0, Maps.LeftOut);
        _object.Map("routes6").Set(default(Route6Key), 1u);

        // Some rules have one next hop, and some one for each route.
        new PrrRuleMaps(_object, _ends, ces => ces.Length == 40 ? Layout.ByRoute : (ushort)1).SetRules(rules ?? [], discovers: false);
    }

    public PrrMaps Maps { get; }

    /// <summary>Octets that the kernel has taken for the maps, as it accounts for them.</summary>
    public long MapOctets => ((string[])["addresses", "places", "softwires"]).Sum(map => long.Parse(
        File.ReadLines($"/proc/self/fdinfo/{_object.Map(map).Fd}").Single(l => l.StartsWith("memlock:", StringComparison.Ordinal))["memlock:".Length..], System.Globalization.CultureInfo.InvariantCulture));

    /// <summary>A packet in a frame to us; what it is afterwards, without the frame.</summary>
    public int Run(byte[] packet, out ReadOnlySpan<byte> after)
    {
        bool six = packet.Length > 0 && packet[0] >> 4 == 6;
        Span<byte> frame = _frame.AsSpan(0, EthernetSize + packet.Length);
        frame[..EthernetSize].Clear();
        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], six ? (ushort)0x86dd : (ushort)0x0800);
        packet.CopyTo(frame[EthernetSize..]);
        int answer = BpfObject.Run(_program, frame, _answer, out int length);
        after = answer < GoOnTc ? default : _answer.AsSpan(EthernetSize, length - EthernetSize);
        if (answer is RedirectTc or RedirectXdp)
        {
            Assert.Equal(s_gateway, _answer[..6]);
            Assert.Equal(s_own, _answer[6..12]);
            Assert.Equal(after[0] >> 4 == 6 ? 0x86dd : 0x0800, BinaryPrimitives.ReadUInt16BigEndian(_answer.AsSpan(12)));
        }

        return answer;
    }

    public void Dispose()
    {
        Maps.Dispose();
        _ends.Dispose();
        _object.Dispose();
    }
}
