using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>Datagrams of the server to the subscriber of a <see cref="DaemonHost"/> at a fixed rate, each with a number of its own: what is lost is missed.</summary>
sealed class NumberedDatagrams : IDisposable
{
    readonly string _file = Path.Combine(Path.GetTempPath(), $"aplusp-received-{Guid.NewGuid():N}");
    readonly LabProcess _sink, _source;

    public NumberedDatagrams(DaemonHost host, int packets, int perSecond)
    {
        _sink = host.Subscriber.Start("sink", _file + ".log", "python3", "-c", $"""
            import socket, time
            s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 4)
            s.setsockopt(socket.SOL_SOCKET, 33, 1 << 24) # SO_RCVBUFFORCE
            s.settimeout(20)
            seen = set()
            open("{_file}", "w").write("ready")
            try:
                while len(seen) < {packets}:
                    seen.add(int.from_bytes(s.recv(2000)[28:32], "big"))
            except TimeoutError: pass
            open("{_file}", "w").write(str(len(seen)))
            """);
        _sink.WaitUntil(() => File.Exists(_file), TimeSpan.FromSeconds(10), "listen");
        _source = host.Internet.Start("source", _file + ".source", "python3", "-c", $"""
            import socket, time
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            start = time.monotonic()
            for i in range({packets}):
                s.sendto(i.to_bytes(4, "big"), ("{DaemonHost.Shared}", 10001))
                time.sleep(max(0, start + (i + 1) / {perSecond} - time.monotonic()))
            """);
    }

    /// <summary>Whether more are to be sent.</summary>
    public bool AreSent => _source.IsRunning;

    /// <summary>How many have arrived, when all that will have.</summary>
    public int Received()
    {
        Assert.True(_source.WaitForExit(TimeSpan.FromSeconds(60)) && _sink.WaitForExit(TimeSpan.FromSeconds(40)));
        return int.Parse(File.ReadAllText(_file), System.Globalization.CultureInfo.InvariantCulture);
    }

    public void Dispose()
    {
        foreach (string file in (string[])["", ".log", ".source"]) File.Delete(_file + file);
    }
}
