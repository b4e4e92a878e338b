using System.Text;
using APlusP.Core.Connections;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;
using APlusP.Survey.Readers;

namespace APlusP.Tests.Survey;

/// <summary>Connection tables as the kernel and conntrack write them.</summary>
static class Tables
{
    public static string Tcp(string host, int port, string remote, int remotePort, string state = "ESTABLISHED") =>
        $"tcp      6 431999 {state} src={host} dst={remote} sport={port} dport={remotePort} src={remote} dst=192.0.2.1 sport={remotePort} dport={port} [ASSURED] mark=0 use=1\n";

    public static string Udp(string host, int port, string remote, int remotePort) =>
        $"udp      17 29 src={host} dst={remote} sport={port} dport={remotePort} [UNREPLIED] src={remote} dst=192.0.2.1 sport={remotePort} dport={port} mark=0 use=1\n";

    public static (bool Read, TrackedConnection Connection, string Fault) Line(string line)
    {
        bool read = ConntrackLine.TryRead(Encoding.UTF8.GetBytes(line.TrimEnd('\n')), out TrackedConnection connection, out string fault);
        return (read, connection, fault);
    }

    public static TickCounts Count(string table, InsideNetworks? inside = null)
    {
        var counter = new TickCounter(ApplicationRules.Standard, inside ?? InsideNetworks.Private);
        foreach (string line in table.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            (bool read, TrackedConnection connection, string fault) = Line(line);
            Assert.True(read, fault);
            counter.Add(connection);
        }

        return counter.Finish();
    }

    /// <summary>The one host of a table.</summary>
    public static HostCounts CountOne(string table) => Assert.Single(Count(table).Hosts).Counts;

    public static int Of(this HostCounts counts, string application) => counts.ByApplication[ApplicationRules.Standard.Names.ToList().IndexOf(application)];
}
