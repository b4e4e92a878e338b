using System.Diagnostics;
using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Connections;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;
using APlusP.Survey.Planning;
using APlusP.Survey.Readers;
using APlusP.Survey.Reports;
using APlusP.Survey.Statistics;
using APlusP.Survey.Storage;

namespace APlusP.Survey;

/// <summary>What was measured, and how much it was.</summary>
public sealed record SurveyBenchLine(string What, double Value, string Unit);

/// <summary>
/// Measures a survey of the size that somebody has in mind: it fills an empty store with hosts that all are there at every tick, whose ports come and go by chance, and times what is asked of it.
/// </summary>
public static class SurveyBench
{
    const int Connections = 100_000, TicksTogether = 500;

    static readonly TimeSpan s_every = TimeSpan.FromSeconds(10);

    /// <exception cref="APlusPException">AP7005: the store is not empty.</exception>
    public static IEnumerable<SurveyBenchLine> Run(string path, int hosts, double days)
    {
        var clock = Stopwatch.StartNew();
        yield return Table($"{path}.table", clock);
        using (SurveyStore store = SurveyStore.OpenToAdd(path, ApplicationRules.Standard, byAddress: true))
        {
            if (store.Samples > 0) throw new APlusPException(ErrorCodes.SurveySettings, $"the survey {path} has samples; bench fills an empty one, which then is good for nothing else.");
            clock.Restart();
            Fill(store, hosts, (int)(days * 86400 / s_every.TotalSeconds));
            yield return new SurveyBenchLine($"filled: {hosts:N0} hosts, {store.Samples:N0} samples", clock.Elapsed.TotalSeconds, "s");
        }

        yield return new SurveyBenchLine("size of the store", new FileInfo(path).Length / 1e6, "MB");
        using SurveyStore full = SurveyStore.Open(path);
        clock.Restart();
        SurveyStatistics.Of(full, new SurveyPart());
        yield return new SurveyBenchLine("stats", clock.Elapsed.TotalSeconds, "s");
        clock.Restart();
        Plan.Survey(full, new PlanQuestion(0.001, 10_000, 128, 99, [10, 50, 200, 1000]));
        yield return new SurveyBenchLine("plan", clock.Elapsed.TotalSeconds, "s");
        clock.Restart();
        SurveyReport.Write(full, new SurveyPart(), $"{path}.html", null, null, DateTimeOffset.UtcNow);
        yield return new SurveyBenchLine("report", clock.Elapsed.TotalSeconds, "s");
    }

    /// <summary>A table as /proc/net/nf_conntrack has it, read and counted; the second time, when the program is warm.</summary>
    static SurveyBenchLine Table(string path, Stopwatch clock)
    {
        var random = new Random(1);
        var text = new StringBuilder();
        for (int i = 0; i < Connections; i++)
        {
            string host = $"10.{i % 500 / 250}.0.{i % 250 + 1}", remote = $"203.0.{random.Next(256)}.{random.Next(256)}";
            int port = random.Next(1024, 65536), service = random.Next(4) switch { 0 => 80, 1 => 443, 2 => 5222, _ => 22 };
            text.Append($"ipv4     2 tcp      6 431999 ESTABLISHED src={host} dst={remote} sport={port} dport={service} src={remote} dst=192.0.2.1 sport={service} dport={port} [ASSURED] mark=0 zone=0 use=2\n");
        }

        File.WriteAllText(path, text.ToString());
        try
        {
            for (int i = 0; i < 2; i++)
            {
                clock.Restart();
                SurveyFile.Read(path, new SurveyReading(ApplicationRules.Standard, InsideNetworks.Private, s_every), (_, _) => { });
            }

            return new SurveyBenchLine($"a table of {Connections:N0} connections read and counted", clock.Elapsed.TotalMilliseconds, "ms");
        }
        finally
        {
            File.Delete(path);
        }
    }

    static void Fill(SurveyStore store, int hosts, int ticks)
    {
        var random = new Random(2);
        ApplicationRules rules = ApplicationRules.Standard;
        string[] used = ["dns", "http", "https", "quic", "p2p", "other"];
        int[] columns = [.. used.Select(name => rules.Names.ToList().IndexOf(name))];
        var all = new List<(HostAddress, HostCounts)>();
        for (int host = 0; host < hosts; host++) all.Add((HostAddress.Of(new IPv4Address(0x0a000001u + (uint)host)), new HostCounts { ByApplication = new int[rules.Names.Count] }));
        DateTimeOffset start = DateTimeOffset.FromUnixTimeSeconds(1_267_551_614);
        for (int tick = 0; tick < ticks;)
        {
            store.Together(() =>
            {
                for (int i = 0; i < TicksTogether && tick < ticks; i++, tick++)
                {
                    foreach ((_, HostCounts counts) in all) Wander(counts, columns, random);
                    store.Add(new SampleTime(start + tick * s_every, s_every), new TickCounts(all, 0, 0), rules);
                }
            });
        }
    }

    /// <summary>Ports come and go, seldom many at once.</summary>
    static void Wander(HostCounts counts, int[] columns, Random random)
    {
        int udp = 0;
        for (int i = 0; i < columns.Length; i++)
        {
            ref int ports = ref counts.ByApplication[columns[i]];
            ports = random.Next(200) == 0 ? random.Next(100) : Math.Max(0, ports + random.Next(-3, 3) - ports / 20);
            if (i is 0 or 3) udp += ports;
        }

        counts.Ports = counts.ByApplication.Sum();
        counts.PeakPorts = counts.Ports + random.Next(5);
        counts.Flows = counts.Ports + random.Next(10);
        counts.MinimumPorts = (counts.Ports + 9) / 10;
        int tcp = counts.Ports - udp;
        (counts.ByProtocol[0], counts.ByProtocol[1]) = (tcp, udp);
        Array.Clear(counts.ByState);
        counts.ByState[(int)TcpState.TimeWait] = tcp / 3;
        counts.ByState[(int)TcpState.Close] = tcp / 7;
        counts.ByState[(int)TcpState.Established] = tcp - tcp / 3 - tcp / 7;
    }
}
