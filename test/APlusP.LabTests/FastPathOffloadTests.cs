using System.Security.Cryptography;
using System.Text.RegularExpressions;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>
/// Segmentation and checksum offload on and off at every device, with Linux itself as the subscriber: whatever the kernel leaves to devices, data arrives whole and no checksum is wrong.
/// </summary>
public sealed partial class FastPathOffloadTests : IDisposable
{
    const int FileSize = 3_000_001;

    readonly DaemonHost _host = new();
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-offload-").FullName;
    readonly byte[] _data = RandomNumberGenerator.GetBytes(FileSize);
    int _port = 8000;

    [Fact]
    public void At_tc_tcp_and_udp_arrive_whole_with_every_mix_of_offloads()
    {
        Start("tc");
        for (int mix = 0; mix < 16; mix++)
        {
            string ends = OnOff(mix, 0), prr = OnOff(mix, 1), gro = OnOff(mix, 2), groOfEnds = OnOff(mix, 3);
            foreach (NetworkNamespace end in (NetworkNamespace[])[_host.Subscriber, _host.Internet]) end.Shell($"ethtool -K eth0 tx {ends} tso {ends} gso {ends} gro {groOfEnds}");
            foreach (string device in (string[])["access", "uplink"]) _host.Prr.Shell($"ethtool -K {device} tx {prr} tso {prr} gso {prr} gro {gro}");
            Exchange($"ends: tx, tso, gso {ends}, gro {groOfEnds}; prr: tx, tso, gso {prr}, gro {gro}");
        }

        static string OnOff(int mix, int bit) => (mix >> bit & 1) != 0 ? "on" : "off";
    }

    [Fact]
    public void At_xdp_tcp_and_udp_arrive_whole_with_offloads_off_at_the_senders()
    {
        foreach (NetworkNamespace end in (NetworkNamespace[])[_host.Subscriber, _host.Internet]) end.Shell("ethtool -K eth0 tx off tso off gso off gro on");
        Start("xdp");
        foreach (string prr in (string[])["on", "off"])
        {
            foreach (string device in (string[])["access", "uplink"]) _host.Prr.Shell($"ethtool -K {device} tx {prr} tso {prr} gso {prr}");
            Exchange($"prr: tx, tso, gso {prr}");
        }
    }

    void Start(string hook)
    {
        _host.MakeSubscriberLinux();
        _host.Configure($"fast-path = \"{hook}\"");
        _host.Start();
        Assert.True(Wait.Until(() => _host.Subscriber.Run("ping", "-e", "10003", "-c", "1", "-W", "1", DaemonHost.Server).Succeeded, TimeSpan.FromSeconds(10)));
        File.WriteAllBytes(FileOf("data"), _data);
    }

    string FileOf(string name) => Path.Combine(_directory, name);

    void Exchange(string mix)
    {
        long before = ByTheKernel();
        Assert.True(_data.AsSpan().SequenceEqual(Transfer(down: true)), $"down: {mix}");
        Assert.True(_data.AsSpan().SequenceEqual(Transfer(down: false)), $"up: {mix}");
        using UdpPlace subscriber = DaemonHost.UdpOf(_host.Subscriber, DaemonHost.Shared, 10_050), server = DaemonHost.UdpOf(_host.Internet, DaemonHost.Server);
        foreach (int length in (int[])[0, 1, 7, 100, 999, 1200])
        {
            subscriber.Send(server.Local, length);
            Assert.Equal($"{DaemonHost.Shared}:10050", server.Receive());
            server.Send($"{DaemonHost.Shared}:10050", length);
            Assert.Equal(server.Local, subscriber.Receive());
        }

        foreach (NetworkNamespace end in (NetworkNamespace[])[_host.Subscriber, _host.Internet])
            foreach (Match sum in SumOfErrors().Matches(end.Do("nstat", "-az", "TcpInCsumErrors", "UdpInCsumErrors", "IcmpInCsumErrors"))) Assert.True(sum.Groups[2].Value == "0", $"{sum}: {mix}");
        Assert.True(ByTheKernel() > before + FileSize / 65536, mix);
    }

    [GeneratedRegex(@"(\w+InCsumErrors)\s+(\d+)")]
    private static partial Regex SumOfErrors();

    long ByTheKernel() => System.Text.Json.JsonSerializer.Deserialize<Dictionary<string, long>>(_host.Ask("counters", "--json").Output)!["fast-path-from-internet-forwarded"];

    /// <summary>The file through a connection that the subscriber opens; what arrived.</summary>
    byte[] Transfer(bool down)
    {
        string arrived = FileOf("arrived"), data = FileOf("data"), listen = $"TCP-LISTEN:{++_port},reuseaddr", connect = $"TCP:{DaemonHost.Server}:{_port},connect-timeout=10";
        File.Delete(arrived);
        LabProcess server = _host.Internet.Start("socat", FileOf("socat.log"), down ? ["socat", "-u", $"OPEN:{data}", listen] : ["socat", "-u", listen, $"OPEN:{arrived},creat,trunc"]);
        server.WaitUntil(() => _host.Internet.Do("ss", "-Htln", $"sport = {_port}").Length > 0, TimeSpan.FromSeconds(10), "listen");
        _host.Subscriber.Do(down ? ["timeout", "30", "socat", "-u", connect, $"OPEN:{arrived},creat,trunc"] : ["timeout", "30", "socat", "-u", $"OPEN:{data}", connect]);
        Assert.True(server.WaitForExit(TimeSpan.FromSeconds(30)), server.ReadLog());
        return File.ReadAllBytes(arrived);
    }

    public void Dispose()
    {
        _host.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
