using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using APlusP.Core.Addresses;
using APlusP.Core.Wire;
using APlusP.Lab;

namespace APlusP.LabTests;

public sealed class FragmentFloodLab : LabFixture
{
    // Without captures: beside such a flood they take two fifths of two processors, and what is to be seen drowns in them.
    public FragmentFloodLab()
        : base(LabPlan.Fig22("tflood"), captures: false) => Lab.StartIperf("www4");
}

/// <summary>A transfer beside a flood of hostile fragments.</summary>
[Collection(Alone.Name)]
public sealed class FragmentFloodTests(FragmentFloodLab lab) : IClassFixture<FragmentFloodLab>
{
    const int FloodSeconds = 2, Rate = 100_000, Rounds = 5;

    [Theory]
    [InlineData("first")]
    [InlineData("later")]
    public void A_flood_of_junk_fragments_costs_a_transfer_no_more_than_a_flood_of_any_junk(string kind) => lab.Test(() =>
    {
        // The flood takes its share of the processors whatever it holds; what fragment state adds to that is the ratio. Each kind goes first in turn.
        var plain = new List<double>();
        var fragments = new List<double>();
        for (int round = 0; round < Rounds; round++)
        {
            if (round % 2 == 0) plain.Add(TransferBeside(Junk("whole")));
            fragments.Add(TransferBeside(Junk(kind)));
            if (round % 2 == 1) plain.Add(TransferBeside(Junk("whole")));
        }

        double ratio = Median(fragments) / Median(plain);
        TestContext.Current.TestOutputHelper!.WriteLine(
            $"beside {kind} fragments {Median(fragments) / 1e6:F0} Mbit/s, beside whole packets to nobody {Median(plain) / 1e6:F0} Mbit/s: {ratio:F2}");
        Assert.True(ratio > 0.7, $"{ratio:F2}: {string.Join(", ", fragments.Select(f => $"{f / 1e6:F0}"))} beside {kind} fragments, {string.Join(", ", plain.Select(f => $"{f / 1e6:F0}"))} beside whole packets, Mbit/s");
        IReadOnlyDictionary<string, long> counters = lab.Lab.Counters("prr");
        if (kind == "later") Assert.True(counters["from-internet-drop-fragments-exceeded"] > 0);
    });

    /// <summary>What fragment state costs by itself: told by the worker's own processor time, which other work on the machine leaves alone.</summary>
    [Theory]
    [InlineData("first")]
    [InlineData("later")]
    public void A_junk_fragment_takes_the_prr_little_longer_than_any_junk(string kind) => lab.Test(() =>
    {
        var plain = new List<double>();
        var fragments = new List<double>();
        for (int round = 0; round < Rounds; round++)
        {
            plain.Add(NanosecondsEach("whole"));
            fragments.Add(NanosecondsEach(kind));
        }

        TestContext.Current.TestOutputHelper!.WriteLine($"{Median(fragments):F0} ns for {kind} fragments, {Median(plain):F0} ns for whole packets to nobody");
        Assert.True(Median(fragments) < 1.3 * Median(plain), $"ns for {kind} fragments: {string.Join(", ", fragments.Select(f => $"{f:F0}"))}; for whole packets: {string.Join(", ", plain.Select(f => $"{f:F0}"))}");
    });

    /// <summary>Processor time of the PRR's worker for each packet of a flood that comes alone.</summary>
    double NanosecondsEach(string kind)
    {
        const int first = 5_000, measured = 50_000;
        using var stop = new CancellationTokenSource();
        Task<long> flood = Task.Factory.StartNew(() => lab["www6"].Call(() => Flood(Junk(kind), stop.Token)), TaskCreationOptions.LongRunning);
        try
        {
            long before = Received();
            Assert.True(Wait.Until(() => Received() > before + first, TimeSpan.FromSeconds(10)), "no flood comes");
            (long time, long packets) = (WorkerTime(), Received());
            Assert.True(Wait.Until(() => Received() > packets + measured, TimeSpan.FromSeconds(10)), "the flood ends too soon");
            return (double)(WorkerTime() - time) / (Received() - packets);
        }
        finally
        {
            stop.Cancel();
            flood.Wait();
        }
    }

    long Received() => lab.Lab.Counters("prr")["from-internet-received"];

    /// <summary>Nanoseconds that the PRR's worker has run (proc(5), schedstat).</summary>
    long WorkerTime()
    {
        string thread = Commands.Require("ip", "netns", "pids", lab["prr"].Name).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .SelectMany(process => Directory.GetDirectories($"/proc/{process.Trim()}/task")).Single(task => File.ReadAllText($"{task}/comm").Trim() == "prr-0");
        return long.Parse(File.ReadAllText($"{thread}/schedstat").Split(' ')[0], CultureInfo.InvariantCulture);
    }

    static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    /// <summary>
    /// Bits a second of a TCP transfer to B while junk is sent to the shared address from the Internet. Beside a flood the server may not have done with the last transfer when the next one asks, and
    /// what is lost may be iperf3's own words: such a transfer counts for nothing, and the flood begins anew with the next.
    /// </summary>
    double TransferBeside(Func<Random, byte[]> junk)
    {
        CommandResult run = default;
        long flooded = 0;
        double? speed = null;
        Wait.Until(() =>
        {
            (run, flooded) = Transfer(junk);
            return (speed = Iperf.BitsPerSecond(run)) is not null;
        }, TimeSpan.FromSeconds(30));
        Assert.True(speed is not null, $"no transfer beside the flood: {run.Text}");
        Assert.True(flooded > 10_000, $"the flood had {flooded} packets only");
        return speed.Value;
    }

    (CommandResult Run, long Flooded) Transfer(Func<Random, byte[]> junk)
    {
        using var stop = new CancellationTokenSource();
        Task<long> flood = Task.Factory.StartNew(() => lab["www6"].Call(() => Flood(junk, stop.Token)), TaskCreationOptions.LongRunning);
        CommandResult run;
        try
        {
            run = lab["B"].Run("iperf3", "-c", LabTopology.Www4Address, "-t", $"{FloodSeconds}", "-R", "--json");
        }
        finally
        {
            stop.Cancel();
            flood.Wait();
        }

        return (run, flood.Result);
    }

    /// <summary>Sends at the rate, or as fast as the machine can, until told to stop; at most ten seconds.</summary>
    static long Flood(Func<Random, byte[]> junk, CancellationToken stop)
    {
        const int ipProtoRaw = 255, most = 10 * Rate;
        var random = new Random(1);
        byte[][] packets = [.. Enumerable.Range(0, 4096).Select(_ => junk(random))];
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Raw, (ProtocolType)ipProtoRaw);
        var to = new IPEndPoint(IPAddress.Parse(LabPlan.SharedAddress), 0).Serialize();
        long start = Stopwatch.GetTimestamp(), sent = 0;
        for (; sent < most && !stop.IsCancellationRequested; sent++)
        {
            byte[] packet = packets[sent % packets.Length];
            packet[4] = (byte)(sent >> 8);
            packet[5] = (byte)sent;
            socket.SendTo(packet, SocketFlags.None, to);
            while (sent > Stopwatch.GetElapsedTime(start).TotalSeconds * Rate) Thread.SpinWait(100);
        }

        return sent;
    }

    /// <summary>Packets to a port that nobody has: whole ones, or fragments of packets that never become whole.</summary>
    static Func<Random, byte[]> Junk(string kind) => random =>
    {
        const int size = 116, payload = size - IPv4Header.MinSize;
        byte[] packet = new byte[size];
        IPv4Header.Write(packet, 0, size, 64, IpProtocol.Udp, new IPv4Address(0xCB007100 | (uint)random.Next(10, 250)), IPv4Address.Parse(LabPlan.SharedAddress),
            (ushort)random.Next(65536), dontFragment: false);
        (packet[6], packet[7]) = kind switch { "first" => ((byte)0x20, (byte)0), "later" => ((byte)0x20, (byte)185), _ => ((byte)0, (byte)0) };
        packet[20] = (byte)random.Next(256);
        packet[23] = 9;
        packet[25] = payload;
        return packet;
    };
}
