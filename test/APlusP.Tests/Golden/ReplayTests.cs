using APlusP.Core;
using APlusP.Core.Captures;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Node.Offline;
using APlusP.Tests.Captures;

namespace APlusP.Tests.Golden;

/// <summary>What <see cref="Replay"/> does around a data plane, whichever it is.</summary>
public class ReplayTests
{
    static readonly byte[] s_ipv4 = Packets.Udp("198.51.100.7", 53, "192.0.2.1", 10050), s_ipv6 = Packets.PingV6("2001:db8:a::1", "2001:db8::1");

    /// <summary>Sends everything on as it is, and writes down when it came, by the clock, and in which company.</summary>
    sealed class Recorder(TimeProvider time) : IForwarder
    {
        public List<(long Clock, string Batch)> Batches { get; } = [];

        public Func<byte[], Verdict> Judge { get; init; } = _ => Verdict.Forward;

        public bool Counts { get; init; } = true;

        public ForwardingCounters Counters { get; } = new();

        public void Process(PacketBatch batch)
        {
            Batches.Add((time.GetTimestamp() - Timed.Start, string.Concat(batch.Slots.ToArray().Select(s => s.Origin == Origin.FromInternet ? 'i' : 's'))));
            for (int i = 0; i < batch.Count; i++)
            {
                batch[i].Verdict = Judge(batch.Bytes(i).ToArray());
                if (Counts) Counters.Count(batch[i].Origin, batch[i].Verdict, batch[i].Length);
            }
        }

        public bool Continue(PacketBatch batch) => false;

        public int MillisecondsUntilDue(int most) => most;
    }

    static Timed[] At(params long[] offsets) => [.. offsets.Select((o, i) => new Timed(Timed.Start + o, Packets.Udp("198.51.100.7", 53, "192.0.2.1", 10050 + i)))];

    static Timed[] SixAt(params long[] offsets) => [.. offsets.Select(o => new Timed(Timed.Start + o, s_ipv6))];

    [Fact]
    public void Inputs_are_merged_by_time_and_the_internet_goes_first_at_one_time()
    {
        Recorder recorder = null!;
        using var run = CaptureRun.Of(t => recorder = new Recorder(t), At(0, 10, 10, 30), SixAt(5, 10, 20, 30, 40));
        Assert.Equal("isiississ", Assert.Single(recorder.Batches).Batch);
        Assert.Equal(At(0, 10, 10, 30).Select(p => p.Packet), run.IPv4.Select(p => p.Packet));
        Assert.Equal([5, 10, 20, 30, 40], run.IPv6.Select(p => p.Timestamp - Timed.Start));
    }

    [Fact]
    public void An_input_whose_times_go_backwards_keeps_its_order_and_its_times_and_the_clock_stands()
    {
        Recorder recorder = null!;
        long[] times = [0, 5_000_000, 2_000_000, 9_000_000];
        using var run = CaptureRun.Of(t => recorder = new Recorder(t), At(times));
        Assert.Equal(times, run.IPv4.Select(p => p.Timestamp - Timed.Start));
        Assert.Equal([(0, "i"), (5_000_000, "ii"), (9_000_000, "i")], recorder.Batches);
    }

    [Fact]
    public void Packets_of_one_millisecond_are_handed_over_together_and_at_most_32()
    {
        Recorder recorder = null!;
        long[] times = [.. Enumerable.Range(0, 70).Select(i => i * 10L), 1_000_639, 1_000_640, 2_500_000];
        using var run = CaptureRun.Of(t => recorder = new Recorder(t), At(times));
        Assert.Equal([(0, 32), (320, 32), (640, 7), (1_000_640, 1), (2_500_000, 1)], recorder.Batches.Select(b => ((int)b.Clock, b.Batch.Length)));
    }

    [Fact]
    public void Outputs_have_nanoseconds_where_an_input_has()
    {
        using var run = CaptureRun.Of(t => new Recorder(t), [new Timed(Timed.Start + 123, s_ipv4)]);
        Assert.Equal(123, Assert.Single(run.IPv4).Timestamp - Timed.Start);

        string input = run.WriteCapture("micro.pcap", [new Timed(Timed.Start + 123_456, s_ipv4)]), output = run.PathOf("out.pcap");
        Replay.Of(new ReplayFiles(input, IPv4Output: output), [Origin.FromInternet, Origin.FromSmap], t => new Recorder(t));
        Assert.Equal(0xd4, File.ReadAllBytes(output)[0]); // microseconds, little endian
        Assert.Equal(123_000, Assert.Single(CaptureRun.ReadCapture(output)).Timestamp - Timed.Start);
    }

    [Fact]
    public void Cut_packets_and_frames_without_ip_are_counted_and_not_judged()
    {
        using var files = new CaptureRun();
        byte[] ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        File.WriteAllBytes(files.PathOf("in.pcap"), new CaptureBytes(true).PcapHeader(0xa1b2c3d4, 1)
            .PcapRecord(1, 0, [.. ethernet, 8, 0, .. s_ipv4])
            .PcapRecord(2, 0, [.. ethernet, 8, 0, .. s_ipv4[..24]], original: 14 + s_ipv4.Length)
            .PcapRecord(3, 0, [.. ethernet, 8, 6, .. new byte[28]])
            .PcapRecord(4, 0, [.. ethernet, 0, 38, .. new byte[38]]).ToArray());
        ReplayResult result = Replay.Of(new ReplayFiles(files.PathOf("in.pcap")), [Origin.FromInternet, Origin.FromSmap], t => new Recorder(t));

        var counters = result.Named().ToDictionary();
        Assert.Equal(4, counters["from-internet-captured"]);
        Assert.Equal(2, counters["from-internet-captured-not-ip"]);
        Assert.Equal(1, counters["from-internet-captured-not-ip-0x0806"]);
        Assert.Equal(1, counters["from-internet-captured-not-ip-no-ethertype"]);
        Assert.Equal(1, counters["from-internet-captured-cut"]);
        Assert.Equal(1, counters["from-internet-received"]);
        Assert.Equal(0, counters["from-smap-captured"]);
        Assert.Contains(result.Summary(), l => l.Contains("1 packets of") && l.Contains("2 frames without IP skipped, 1 packets cut"));
    }

    [Fact]
    public void A_capture_without_packets_gives_captures_without_packets()
    {
        using var run = CaptureRun.Of(t => new Recorder(t), [], []);
        run.Sent().Counted();
    }

    static APlusPException Refused(ReplayFiles files, Func<TimeProvider, IForwarder>? make = null) =>
        Assert.Throws<APlusPException>(() => Replay.Of(files, [Origin.FromInternet, Origin.FromSmap], make ?? (t => new Recorder(t))));

    [Fact]
    public void Without_an_input_there_is_nothing_to_replay() => Assert.Equal(ErrorCodes.NothingToReplay, Refused(new ReplayFiles()).Code);

    [Fact]
    public void A_missing_or_empty_input_is_named()
    {
        using var files = new CaptureRun();
        File.WriteAllBytes(files.PathOf("empty.pcap"), []);
        foreach ((string path, string code, string part) in ((string, string, string)[])[
            (files.PathOf("none.pcap"), ErrorCodes.CaptureUnreadable, "there is no such file"),
            (files.PathOf("none/none.pcap"), ErrorCodes.CaptureUnreadable, "its directory does not exist"),
            (files.PathOf(""), ErrorCodes.CaptureUnreadable, "it is a directory"),
            ("", ErrorCodes.CaptureUnreadable, "cannot be opened"),
            (files.PathOf("empty.pcap"), ErrorCodes.NotACapture, "holds 0 octets")])
        {
            APlusPException error = Refused(new ReplayFiles(path));
            Assert.Equal(code, error.Code);
            Assert.Contains(part, error.Message);
            Assert.Contains(path, error.Message);
        }
    }

    [Fact]
    public void An_output_never_overwrites_an_input_nor_the_other_output()
    {
        using var files = new CaptureRun();
        string input = files.WriteCapture("in.pcap", At(0)), link = files.PathOf("link.pcap");
        byte[] before = File.ReadAllBytes(input);
        File.CreateSymbolicLink(link, input);
        Assert.Equal(ErrorCodes.CaptureUnreadable, Refused(new ReplayFiles(input, IPv4Output: input)).Code);
        Assert.Equal(ErrorCodes.CaptureUnreadable, Refused(new ReplayFiles(link, IPv6Output: Path.Combine(files.PathOf("."), "in.pcap"))).Code);
        Assert.Equal(ErrorCodes.CaptureUnreadable, Refused(new ReplayFiles(input, IPv4Output: files.PathOf("o"), IPv6Output: files.PathOf("o"))).Code);
        Assert.Equal(before, File.ReadAllBytes(input));
    }

    [Fact]
    public void What_stood_before_the_damage_in_a_capture_is_written()
    {
        using var files = new CaptureRun();
        string input = files.WriteCapture("in.pcap", At(0, 10_000_000));
        using (FileStream stream = File.OpenWrite(input)) stream.SetLength(stream.Length - 1);
        APlusPException error = Refused(new ReplayFiles(input, IPv4Output: files.PathOf("out.pcap")));
        Assert.Equal(ErrorCodes.CaptureDamaged, error.Code);
        Assert.Single(CaptureRun.ReadCapture(files.PathOf("out.pcap")));
    }

    public static TheoryData<string> Losses => ["uncounted", "unjudged", "without a reason", "told without a count"];

    [Theory]
    [MemberData(nameof(Losses))]
    public void A_data_plane_that_loses_a_packet_is_found_out(string loss)
    {
        using var files = new CaptureRun();
        string input = files.WriteCapture("in.pcap", At(0));
        Recorder Make(TimeProvider time) => loss switch
        {
            "uncounted" => new Recorder(time) { Counts = false },
            "unjudged" => new Recorder(time) { Judge = _ => default },
            "without a reason" => new Recorder(time) { Judge = _ => Verdict.Drop(DropReason.None) },
            _ => new Recorder(time) { Judge = _ => Verdict.DropAndTell(DropReason.NoBinding) },
        };
        APlusPException error = Refused(new ReplayFiles(input), Make);
        Assert.Equal(ErrorCodes.ReplayUnbalanced, error.Code);
    }

    [Fact]
    public void The_clock_of_a_capture_tells_its_time_in_both_ways()
    {
        var clock = new CaptureClock();
        clock.AdvanceTo(Timed.Start + 1_500_000_000);
        clock.AdvanceTo(Timed.Start);
        Assert.Equal(new DateTimeOffset(2023, 11, 14, 22, 13, 21, 500, TimeSpan.Zero), clock.GetUtcNow());
        Assert.Equal(TimeSpan.FromSeconds(1.5), clock.GetElapsedTime(Timed.Start));
    }
}
