using APlusP.Core.Connections;
using APlusP.Survey.Counting;
using APlusP.Survey.Statistics;
using APlusP.Survey.Storage;

namespace APlusP.Survey.Export;

/// <summary>A row of an exported survey; borrowed until the next.</summary>
/// <param name="At">When the sample was taken.</param>
/// <param name="Host">Whose row it is; null where it is all hosts'.</param>
/// <param name="Numbers">In the order of <see cref="ExportTable.Numbers"/>; null where it is not known.</param>
readonly record struct ExportRow(DateTimeOffset At, StoredHost? Host, int?[] Numbers);

/// <summary>A survey as a table for other programs, whatever the format: a row a sample, or a row for each host at each sample.</summary>
public sealed class ExportTable
{
    readonly Action<Action<ExportRow>> _read;

    ExportTable(bool hasHosts, string[] numbers, Action<Action<ExportRow>> read)
    {
        HasHosts = hasHosts;
        Numbers = numbers;
        _read = read;
    }

    /// <summary>Whether a row has a host, and its family, after the date.</summary>
    public bool HasHosts { get; }

    /// <summary>Names of the columns that follow.</summary>
    public IReadOnlyList<string> Numbers { get; }

    internal void Read(Action<ExportRow> visit) => _read(visit);

    /// <summary>A row a sample, all hosts together, as the report's table I has it.</summary>
    public static ExportTable OfSamples(SurveyStore store, SurveyPart part) => new(hasHosts: false, ["Ports", .. store.Applications], visit =>
    {
        bool[] wanted = part.Numbers(store);
        int?[] numbers = new int?[1 + store.Applications.Count];
        store.Read((time, hosts) =>
        {
            Array.Fill(numbers, 0);
            foreach ((int host, HostCounts counts) in hosts)
            {
                if (!wanted[host]) continue;
                numbers[0] += counts.Ports;
                for (int i = 1; i < numbers.Length; i++) numbers[i] += counts.ByApplication[i - 1];
            }

            visit(new ExportRow(time.At, null, numbers));
        });
    });

    /// <summary>A row for each host at each sample, with everything that is known.</summary>
    public static ExportTable OfHosts(SurveyStore store, SurveyPart part) => new(
        hasHosts: true, ["Ports", "MinimumPorts", "PeakPorts", "Flows", "tcp", "udp", "icmp", "others", .. store.Applications, .. Enum.GetNames<TcpState>()], visit =>
    {
        bool[] wanted = part.Numbers(store);
        store.Read((time, hosts) =>
        {
            foreach ((int host, HostCounts counts) in hosts)
            {
                if (!wanted[host]) continue;
                int?[] numbers =
                [
                    counts.Ports, counts.MinimumPorts < 0 ? null : counts.MinimumPorts, counts.PeakPorts, counts.Flows, .. counts.ByProtocol.Select(n => (int?)n),
                    .. counts.ByApplication.Select(n => (int?)n), .. counts.ByState.Select(n => (int?)n),
                ];
                visit(new ExportRow(time.At, store.Hosts[host - 1], numbers));
            }
        });
    });
}
