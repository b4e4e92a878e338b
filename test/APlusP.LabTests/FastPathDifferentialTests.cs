using System.Buffers.Binary;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Linux.Bpf;
using APlusP.Linux.FastPath;
using APlusP.Tests;
using APlusP.Tests.Forwarding;

namespace APlusP.LabTests;

/// <summary>
/// The same packets through the eBPF programs, run by the kernel on no device, and through the C# data plane: what a program sends is what that sends, octet for octet; all else
/// it leaves as it was. APLUSP_FUZZ sets the number of packets, APLUSP_SEED the seed.
/// </summary>
public sealed class FastPathDifferentialTests
{
    static readonly int s_count = int.TryParse(Environment.GetEnvironmentVariable("APLUSP_FUZZ"), out int count) ? count : 1_000_000;
    static readonly int s_seed = int.TryParse(Environment.GetEnvironmentVariable("APLUSP_SEED"), out int seed) ? seed : Environment.TickCount;

    [Theory]
    [InlineData(BpfHook.Tc, false)]
    [InlineData(BpfHook.Xdp, false)]
    [InlineData(BpfHook.Tc, true)]
    public void The_programs_say_what_the_data_plane_says_or_pass_the_packet_up(BpfHook hook, bool takesServices)
    {
        PrrOptions options = PrrScene.Telling with { Secret = 0x1234_5678_9abc_def1, UniformServices = takesServices };
        using var programs = new FastPathPrograms(hook, options, PrrScene.Bindings);
        var router = new PortRangeRouter(BindingTable.Build(PrrScene.Bindings), options, TimeProvider.System);
        var random = new Random(s_seed);
        int sent = 0;
        for (int i = 0; i < s_count; i++)
        {
            // Every class as it is first, then plain packets and mutants.
            byte[] packet = i < PrrPacketClasses.All.Length ? PrrPacketClasses.All[i].Octets : random.Next(2) == 0 ? PrrRandomPackets.Plain(random) : PrrRandomPackets.Next(random);
            if (Compare(programs, router, packet)) sent++;
        }

        // A program that sent nothing would agree with everybody.
        Assert.InRange(sent, s_count / 10, s_count);
    }

    [Theory]
    [InlineData(BpfHook.Tc)]
    [InlineData(BpfHook.Xdp)]
    public void Plain_packets_are_sent_and_no_others(BpfHook hook)
    {
        using var programs = new FastPathPrograms(hook, PrrScene.Options, PrrScene.Bindings);
        var router = new PortRangeRouter(BindingTable.Build(PrrScene.Bindings), PrrScene.Options, TimeProvider.System);
        string[] sent = [.. PrrPacketClasses.All.Where(c => c.Options is null && Compare(programs, router, c.Octets)).Select(c => c.Name)];
        Assert.Contains("tcp to a range", sent);
        Assert.Contains("udp to a psid set, a = 6", sent);
        Assert.Contains("udp to port 0 of a psid set, a = 0", sent);
        Assert.Contains("tcp to a whole address", sent);
        Assert.Contains("echo request by identifier", sent);
        Assert.Contains("padding of the link behind a packet", sent);
        Assert.Contains("dscp and ecn are copied to the outside", sent);
        Assert.Contains("tcp from a range, from a smap", sent);
        Assert.Contains("octets behind the inner packet", sent);
        Assert.Contains("hairpin: to another port set of the same address", sent);
        Assert.Contains("hairpin: to oneself", sent);

        // By name: what must never leave that way.
        Assert.DoesNotContain("ipv4 options", sent);
        Assert.DoesNotContain("a first fragment", sent);
        Assert.DoesNotContain("sctp", sent);
        Assert.DoesNotContain("from the neighbour's port", sent);
        Assert.DoesNotContain("to another softwire address than the binding's", sent);
    }

    /// <summary>Rules of every shape: shared with and without offset, whole addresses, whole prefixes, one subscriber, draft-03, and one whose prefix holds another's.</summary>
    static readonly RuleBinding[] s_rules =
    [
        Rule("2001:db8:1200::/40", "203.0.113.0/24", 16),
        Rule("2001:db8:1300::/40", "198.18.0.0/24", 14, offset: 0),
        Rule("2001:db8:1400::/40", "198.18.1.0/24", 8),
        Rule("2001:db8:1500::/40", "198.18.4.0/22", 4),
        Rule("2001:db8:1600::/56", "198.18.8.8/32", 0),
        Rule("2001:db8:1700::/40", "198.18.9.0/24", 16, offset: 4, form: InterfaceIdentifierForm.Draft03),
        Rule("2001:db8:1800::/40", "198.18.10.0/24", 16),
        Rule("2001:db8:1800::/44", "198.18.11.0/24", 12),
        Rule("2001:db8:1900:0:8000::/65", "198.18.12.0/24", 12),
    ];

    static RuleBinding Rule(string six, string four, int ea, int offset = 6, InterfaceIdentifierForm form = InterfaceIdentifierForm.Rfc7597) =>
        new(new MappingRule(IPv6Prefix.Parse(six), IPv4Prefix.Parse(four), ea) { PsidOffset = offset, Form = form }, IPv6Address.Parse(PrrScene.Border));

    [Theory]
    [InlineData(BpfHook.Tc)]
    [InlineData(BpfHook.Xdp)]
    public void By_mapping_rules_they_say_the_same(BpfHook hook)
    {
        using var programs = new FastPathPrograms(hook, PrrScene.Options, PrrScene.Bindings, s_rules);
        var router = new PortRangeRouter(BindingTable.Build(PrrScene.Bindings, s_rules), PrrScene.Options, TimeProvider.System);
        var random = new Random(s_seed);
        var sent = new int[s_rules.Length];
        for (int i = 0; i < s_count / 10; i++)
        {
            int which = random.Next(s_rules.Length);
            (IPv4Address address, ushort port) = Subscriber(random, which);
            int other = random.Next(s_rules.Length);
            (IPv4Address to, ushort toPort) = random.Next(3) == 0 ? Subscriber(random, other) : (IPv4Address.Parse("198.51.100.7"), (ushort)443);
            byte[] packet = Packets.Udp($"{to}:{toPort}", $"{address}:{port}", random.Next(1400));
            if (random.Next(2) == 0)
            {
                packet = Packets.Udp($"{address}:{port}", $"{to}:{toPort}", random.Next(1400));
                if (s_rules[which].Rule.TryFindCe(address, port, out IPv6Address ce) && random.Next(8) != 0) packet = Packets.Encapsulate(packet, ce.ToString(), PrrScene.Border);
                else packet = Packets.Encapsulate(packet, PrrScene.Anna, PrrScene.Border);
            }

            if (Compare(programs, router, packet)) sent[which]++;
        }

        // The rule around another one's prefix leaves its packets to the data plane; all others send.
        for (int i = 0; i < sent.Length; i++) Assert.True(i == 6 || sent[i] > s_count / 1000, $"{s_rules[i].Rule.IPv4}: {sent[i]} sent");

        static (IPv4Address Address, ushort Port) Subscriber(Random random, int which)
        {
            IPv4Prefix prefix = s_rules[which].Rule.IPv4;
            return (new IPv4Address(prefix.Address.Value + (uint)random.NextInt64(1L << (32 - prefix.Length))), (ushort)random.Next(65536));
        }
    }

    /// <summary>Whether the program sent it.</summary>
    static bool Compare(FastPathPrograms programs, PortRangeRouter router, byte[] packet)
    {
        int answer = programs.Run(packet, out ReadOnlySpan<byte> after);

        // The kernel itself refuses to run a program on next to nothing.
        if (answer < FastPathPrograms.GoOnTc) return packet.Length < 60 ? false : throw new InvalidOperationException($"the kernel did not run the program: {answer}");
        if (answer is not (FastPathPrograms.RedirectXdp or FastPathPrograms.RedirectTc))
        {
            Assert.True(answer is FastPathPrograms.GoOnTc or FastPathPrograms.GoOnXdp, $"the program returned {answer}");
            Same(packet, packet, after, "what is passed up is as it came");
            return false;
        }

        var batch = new PacketBatch(1, 2300);
        batch.TryAdd(packet, packet[0] >> 4 == 6 ? Origin.FromSmap : Origin.FromInternet);
        router.Process(batch);
        Verdict verdict = batch[0].Verdict;
        Assert.True(verdict == Verdict.Forward || verdict == Verdict.Hairpin, $"the program sends what the data plane judges {verdict}: {Convert.ToHexString(packet)} (APLUSP_SEED={s_seed})");
        Assert.Equal(0, batch[0].FragmentSize);
        Same(packet, batch.Bytes(0), after, "both send the same");
        return true;
    }

    static void Same(byte[] packet, ReadOnlySpan<byte> expected, ReadOnlySpan<byte> actual, string what)
    {
        if (!expected.SequenceEqual(actual))
            Assert.Fail($"{what} (APLUSP_SEED={s_seed}):\npacket   {Convert.ToHexString(packet)}\nexpected {Convert.ToHexString(expected)}\nbut      {Convert.ToHexString(actual)}");
    }
}
