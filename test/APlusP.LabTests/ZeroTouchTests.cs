using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests;

/// <summary>SMAPs that know nothing but where the registry is, and a token.</summary>
public class ZeroTouchTests
{
    [Fact]
    public void Clones_of_one_image_come_up_by_themselves_each_as_itself_and_carry_traffic()
    {
        using var host = new ZeroTouchHost(4);
        host.Advertise("2001:db8:1::");
        host.StartRegistry();
        host.StartEcho();
        for (int i = 0; i < 4; i++) host.StartSmap(i);
        var known = new HashSet<string>();
        for (int i = 0; i < 4; i++)
        {
            host.Await(i, "online");
            JsonElement smap = host.Status(i), lease = host.LeaseOf(i);
            Assert.Equal(128, smap.GetProperty("portCount").GetInt32());
            Assert.Equal(ZeroTouchHost.PrrEnd, smap.GetProperty("prrAddress").GetString());
            Assert.True(known.Add(lease.GetProperty("subscriber").GetString()!));
            Assert.True(known.Add(lease.GetProperty("softwire").GetString()!));
            Assert.True(known.Add($"{smap.GetProperty("sharedAddress").GetString()}:{smap.GetProperty("ports").GetString()}"));
            host.Bind(i);
            host.Await(i, () => host.Reaches(i), "reach the server");
        }
    }

    [Fact]
    public void Whatever_it_needs_may_come_late_vanish_and_return()
    {
        using var host = new ZeroTouchHost(1);
        host.StartEcho();
        host.StartRegistry();
        host.StopRegistry();
        LabProcess daemon = host.StartSmap(0);
        host.Await(0, "no-address");
        Assert.Contains("no router has advertised itself", host.Sentence(0), StringComparison.Ordinal);
        host.Advertise("2001:db8:1::");
        host.Await(0, "waiting");
        host.StartRegistry();
        host.Await(0, "online");
        host.Bind(0);
        host.Await(0, () => host.Reaches(0), "reach the server");
        string lease = host.LeaseOf(0).GetProperty("id").GetString()!;

        // Without the registry, and killed: by what it has kept.
        host.StopRegistry();
        host.Await(0, "online-alone");
        daemon.Signal(Signals.Kill);
        Assert.True(daemon.WaitForExit(TimeSpan.FromSeconds(10)));
        host.StartSmap(0);
        host.Await(0, "online-alone");
        host.Await(0, () => host.Reaches(0), "reach the server by the lease of before");
        host.StartRegistry();
        host.Await(0, "online");
        Assert.Equal(lease, host.LeaseOf(0).GetProperty("id").GetString());

        // Another prefix: the lease moves, and connections live on.
        using TcpClient connection = host.Connection(0);
        string before = host.LeaseOf(0).GetProperty("softwire").GetString()!;
        host.Advertise("2001:db8:2::", gone: "2001:db8:1::");
        host.Await(0, () => host.LeaseOf(0).GetProperty("softwire").GetString() != before, "move its lease");
        Assert.StartsWith("2001:db8:2:", host.LeaseOf(0).GetProperty("softwire").GetString(), StringComparison.Ordinal);
        Assert.Equal(lease, host.LeaseOf(0).GetProperty("id").GetString());
        host.Await(0, "online");
        host.Bind(0);
        connection.ReceiveTimeout = 30_000;
        Assert.True(ZeroTouchHost.Echoes(connection));
    }

    [Theory]
    [InlineData("off")]
    [InlineData("tc")]
    public void One_that_runs_out_of_ports_gets_more_and_gives_them_back_when_it_is_idle_and_loses_no_connection(string fastPath)
    {
        using var host = new ZeroTouchHost(1);
        host.StartEcho();
        host.Advertise("2001:db8:1::");
        host.StartRegistry();
        host.StartSmap(0, "shrink-after = 2", $"fast-path = \"{fastPath}\"", leavesMounts: fastPath != "off");
        host.Await(0, "online");
        host.Bind(0);
        host.Await(0, () => host.Reaches(0), "reach the server");
        using TcpClient connection = host.Connection(0);
        Assert.True(ZeroTouchHost.Echoes(connection));

        Socket[] flows = [.. Enumerable.Range(0, 95).Select(i => Flow(host))];
        host.Await(0, () => host.Status(0).GetProperty("portCount").GetInt32() == 256, "get more ports");
        host.Bind(0);
        Assert.InRange(host.Status(0).GetProperty("flows").GetInt32(), 96, 200);
        Assert.True(ZeroTouchHost.Echoes(connection));
        foreach (Socket flow in flows) flow.Dispose();

        // The flows' time is over after 15 s; the connection's is not.
        host.Await(0, () => host.Status(0).GetProperty("portCount").GetInt32() == 128, "give ports back");
        host.Bind(0);
        Assert.True(ZeroTouchHost.Echoes(connection));
        Assert.Equal(128, host.LeaseOf(0).GetProperty("ports").GetInt32());
    }

    /// <summary>A UDP flow of the home.</summary>
    static Socket Flow(ZeroTouchHost host) => host.Smaps[0].Call(() =>
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Parse(ZeroTouchHost.Lan), 0));
        socket.SendTo([1], new IPEndPoint(IPAddress.Parse(ZeroTouchHost.Server), 9));
        return socket;
    });

    [Fact]
    public void A_revoked_one_stops_says_why_and_comes_back_by_another_token_and_a_released_one_stays_away()
    {
        using var host = new ZeroTouchHost(1);
        host.Advertise("2001:db8:1::");
        host.StartRegistry();
        host.StartSmap(0);
        host.Await(0, "online");
        string subscriber = host.Status(0).GetProperty("lease").GetProperty("subscriber").GetString()!;
        Assert.Contains("dev smap", host.Smaps[0].Shell("ip route show default"), StringComparison.Ordinal);
        string key = host.Ask("GET", "credentials").EnumerateArray().Single(c => c.GetProperty("name").GetString() == subscriber).GetProperty("id").GetString()!;
        host.Ask("DELETE", $"credentials/{key}");
        host.Await(0, "revoked");
        Assert.DoesNotContain("dev smap", host.Smaps[0].Shell("ip route show default"), StringComparison.Ordinal);
        Assert.Contains("does not know our key any more", host.Sentence(0), StringComparison.Ordinal);

        // The name still has its lease, which its key was for; the one that enrols is another.
        host.NewToken(1);
        host.Await(0, "online");
        string other = host.Status(0).GetProperty("lease").GetProperty("subscriber").GetString()!;
        Assert.NotEqual(subscriber, other);

        CommandResult released = host.Query(0, "smap", "release");
        Assert.True(released.Succeeded, released.Error);
        Assert.Equal("released", host.State(0));
        Assert.Empty(host.Ask("GET", $"leases?subscriber={other}").GetProperty("leases").EnumerateArray());
        Assert.DoesNotContain("dev smap", host.Smaps[0].Shell("ip route show default"), StringComparison.Ordinal);
    }
}
