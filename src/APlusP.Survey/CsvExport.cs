using APlusP.Core.Connections;
using APlusP.Survey.Counting;
using APlusP.Survey.Statistics;
using APlusP.Survey.Storage;

namespace APlusP.Survey;

/// <summary>A survey as comma-separated values, for spreadsheets.</summary>
public static class CsvExport
{
    /// <summary>A row a sample, all hosts together, as the report's table I has it; <c>survey import</c> reads it again.</summary>
    public static void WriteSamples(SurveyStore store, SurveyPart part, TextWriter output)
    {
        output.Write($"Date,Ports,{string.Join(',', store.Applications)}\n");
        bool[] wanted = part.Numbers(store);
        int[] applications = new int[store.Applications.Count];
        store.Read((time, hosts) =>
        {
            int ports = 0;
            Array.Clear(applications);
            foreach ((int host, HostCounts counts) in hosts)
            {
                if (!wanted[host]) continue;
                ports += counts.Ports;
                for (int i = 0; i < applications.Length; i++) applications[i] += counts.ByApplication[i];
            }

            output.Write($"{EpochSeconds.Write(time.At)},{ports},{string.Join(',', applications)}\n");
        });
    }

    /// <summary>A row for each host at each sample, with everything that is known.</summary>
    public static void WriteHosts(SurveyStore store, SurveyPart part, TextWriter output)
    {
        output.Write($"Date,Host,Family,Ports,MinimumPorts,PeakPorts,Flows,tcp,udp,icmp,others,{string.Join(',', store.Applications)},{string.Join(',', Enum.GetNames<TcpState>())}\n");
        bool[] wanted = part.Numbers(store);
        store.Read((time, hosts) =>
        {
            foreach ((int number, HostCounts counts) in hosts)
            {
                if (!wanted[number]) continue;
                StoredHost host = store.Hosts[number - 1];
                output.Write($"{EpochSeconds.Write(time.At)},{host.Name},{(host.IsIPv6 ? 6 : 4)},{counts.Ports},{(counts.MinimumPorts < 0 ? "" : $"{counts.MinimumPorts}")},{counts.PeakPorts},{counts.Flows},");
                output.Write($"{string.Join(',', counts.ByProtocol)},{string.Join(',', counts.ByApplication)},{string.Join(',', counts.ByState)}\n");
            }
        });
    }
}
