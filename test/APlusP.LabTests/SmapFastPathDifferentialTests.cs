using System.Diagnostics;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;

namespace APlusP.LabTests;

/// <summary>
/// Two SMAPs hear the same: one in C# alone, one whose flows the eBPF programs forward, run by the kernel on no device. What comes out is the same octet for octet, but for identifications, which
/// either takes from the set in an order of its own; what a program passes up is as it was; and in the end flows of both end at the same time. APLUSP_FUZZ sets the number of packets, APLUSP_SEED the seed.
/// </summary>
public sealed class SmapFastPathDifferentialTests
{
    const int OuterSize = 40;

    static readonly int s_count = int.TryParse(Environment.GetEnvironmentVariable("APLUSP_FUZZ"), out int count) ? count : 1_000_000;
    static readonly int s_seed = int.TryParse(Environment.GetEnvironmentVariable("APLUSP_SEED"), out int seed) ? seed : Environment.TickCount;

    static SmapOptions Options(NaptMode mode) => SmapPrograms.Options with
    {
        Mode = mode,
        MaxFlows = 8192,
        PortsPerHost = 65536,
        FlowsPerHost = 65536,
        IcmpErrorsPerSecond = int.MaxValue,
        IcmpErrorsPerHost = int.MaxValue,
        Secret = 0x1234_5678_9abc_def1,
        Timers = new NaptTimers { Icmp = 300 },
    };

    [Theory]
    [InlineData(NaptMode.EndpointIndependent, 2)]
    [InlineData(NaptMode.FiveTuple, 4)]
    public void With_programs_a_smap_says_what_it_says_without(NaptMode mode, int share) => Compare(Options(mode), s_count / share);

    [Fact]
    public void Subscribers_who_are_reached_directly_are_reached_by_the_programs_too()
    {
        var rule = new MappingRule(IPv6Prefix.Parse("2001:db8:1200::/40"), IPv4Prefix.Parse("203.0.113.0/24"), 16);
        Compare(Options(NaptMode.EndpointIndependent) with { ForwardingRules = [rule], UniformServices = true }, s_count / 4);
    }

    [Fact]
    public void What_leaves_as_plain_ipv4_is_the_same_too() => Compare(Options(NaptMode.EndpointIndependent) with { Outgoing = SmapOutgoing.Plain }, s_count / 4);

    static void Compare(SmapOptions options, int count)
    {
        var clock = new MovableClock();
        using var programs = new SmapPrograms(options);
        var alone = new Smap(options, clock, seed: 1);
        var helped = new Smap(options, clock, seed: 1);
        helped.Entrust(programs.Flows);
        var scene = new SmapTraffic(new Random(s_seed), options);
        var pair = new Pair(options, alone, helped, programs, scene);
        for (int i = 0; i < count; i++)
        {
            if (i % 64 == 0) programs.KnowAll();
            (byte[] packet, Origin origin) = scene.Next();
            pair.Hear(packet, origin);
        }

        // Programs that sent nothing would agree with everybody.
        Assert.InRange(pair.Sent, count / 8, count);
        Assert.InRange(pair.SentIn, count / 32, count);
        AgreeOnTheEnd(clock, alone, helped);
    }

    /// <summary>From here on nothing comes, and each flow lives as long with one as with the other, but for the two seconds within which the ends of connections are heard of.</summary>
    static void AgreeOnTheEnd(MovableClock clock, Smap alone, Smap helped)
    {
        const int slack = 2;
        var lives = new List<(int Alone, int Helped)>();
        do
        {
            lives.Add((alone.Use().Flows, helped.Use().Flows));
            clock.Advance(TimeSpan.FromSeconds(1));
        }
        while (lives[^1] != (0, 0) && lives.Count < 8000);
        Assert.Equal((0, 0), lives[^1]);
        for (int second = 0; second < lives.Count; second++)
            Assert.True(
                lives[second].Helped <= lives[Math.Max(0, second - slack)].Alone && lives[second].Helped >= lives[Math.Min(lives.Count - 1, second + slack)].Alone,
                $"after {second} s {lives[second].Helped} flows live, and {lives[second].Alone} where no program helps (APLUSP_SEED={s_seed})");
    }

    /// <summary>The clock of the machine, set forward.</summary>
    sealed class MovableClock : TimeProvider
    {
        TimeSpan _ahead;

        public override long GetTimestamp() => Stopwatch.GetTimestamp() + _ahead.Ticks * (Stopwatch.Frequency / TimeSpan.TicksPerSecond);

        public void Advance(TimeSpan time) => _ahead += time;
    }

    /// <summary>Both SMAPs, and what they make of one packet.</summary>
    sealed class Pair(SmapOptions options, Smap alone, Smap helped, SmapPrograms programs, SmapTraffic scene)
    {
        readonly PacketBatch _alone = new(4, 2400), _helped = new(4, 2400);

        public int Sent { get; private set; }

        public int SentIn { get; private set; }

        public void Hear(byte[] packet, Origin origin)
        {
            int answer = programs.Run(packet, origin, out ReadOnlySpan<byte> after);

            // The kernel itself refuses to run a program on next to nothing.
            if (answer < SmapPrograms.GoOn && packet.Length >= 60) throw new InvalidOperationException($"the kernel did not run the program: {answer}");
            Judge(alone, _alone, packet, origin);
            if (answer == SmapPrograms.Redirect)
            {
                Verdict verdict = _alone[0].Verdict;
                Assert.True(verdict == Verdict.Forward, $"the program sends what the data plane judges {verdict}: {Convert.ToHexString(packet)} (APLUSP_SEED={s_seed})");
                Assert.Equal(0, _alone[0].FragmentSize);
                Same(packet, _alone.Bytes(0), after, origin, "both send the same");
                Sent++;
                if (origin == Origin.FromPrr) SentIn++;
            }
            else
            {
                if (answer >= SmapPrograms.GoOn)
                {
                    Assert.Equal(SmapPrograms.GoOn, answer);
                    if (!packet.AsSpan().SequenceEqual(after)) Assert.Fail($"what is passed up is as it came (APLUSP_SEED={s_seed}): {Convert.ToHexString(packet)}, but {Convert.ToHexString(after)}");
                }

                Judge(helped, _helped, packet, origin);
                Same(packet, origin);
            }

            scene.Learn(_alone, origin);
            while (alone.Continue(_alone) | helped.Continue(_helped)) Same(packet, origin);
        }

        static void Judge(Smap smap, PacketBatch batch, byte[] packet, Origin origin)
        {
            batch.Clear();
            batch.TryAdd(packet, origin);
            smap.Process(batch);
        }

        /// <summary>What both C# data planes have in hand.</summary>
        void Same(byte[] packet, Origin origin)
        {
            Assert.Equal(_alone.Count, _helped.Count);
            for (int i = 0; i < _alone.Count; i++)
            {
                Assert.True(_alone[i].Verdict == _helped[i].Verdict, $"{_alone[i].Verdict} alone, {_helped[i].Verdict} helped: {Convert.ToHexString(packet)} (APLUSP_SEED={s_seed})");
                if (!_alone[i].Verdict.Sends) continue;
                Assert.Equal(_alone[i].FragmentSize, _helped[i].FragmentSize);
                Same(packet, _alone.Bytes(i), _helped.Bytes(i), _alone[i].Verdict == Verdict.Forward ? origin : Origin.FromPrr, "both data planes send the same");
            }
        }

        void Same(byte[] packet, ReadOnlySpan<byte> expected, ReadOnlySpan<byte> actual, Origin origin, string what)
        {
            byte[] wanted = [.. expected], given = [.. actual];
            if (origin == Origin.FromLan && options.RewriteIdentification) Even(wanted, given);
            if (!wanted.AsSpan().SequenceEqual(given))
                Assert.Fail($"{what} (APLUSP_SEED={s_seed}):\npacket   {Convert.ToHexString(packet)}\nexpected {Convert.ToHexString(wanted)}\nbut      {Convert.ToHexString(given)}");
        }

        /// <summary>Makes identifications that are both of the set the same.</summary>
        void Even(byte[] wanted, byte[] given)
        {
            int at = wanted[0] >> 4 == 6 ? OuterSize : 0;
            if (wanted.Length != given.Length || wanted.Length < at + IPv4Header.MinSize) return;
            IPv4Header.TryRead(wanted.AsSpan(at), out IPv4Header header);
            if (!options.Ports.Contains(header.Identification) || !IPv4Header.TryRead(given.AsSpan(at), out IPv4Header other) || !options.Ports.Contains(other.Identification)) return;
            Assert.True(other.HasValidChecksum);
            other.Identification = header.Identification;
        }
    }
}
