using APlusP.Core;
using APlusP.Core.Connections;
using APlusP.Linux.Conntrack;
using APlusP.Survey.Readers;

namespace APlusP.Survey.Live;

/// <summary>Where the connections of this machine are told.</summary>
public interface IConnectionSource : IDisposable
{
    /// <summary>All that there are.</summary>
    void Dump(Action<TrackedConnection> tell);

    /// <summary>Waits so long, and tells meanwhile which connections come (true) and go (false); false where some were missed.</summary>
    bool Wait(TimeSpan time, Action<bool, TrackedConnection> tell);
}

/// <summary>By netlink: connections are known as they come and go, so that those between two ticks are seen.</summary>
public sealed class NetlinkSource : IConnectionSource
{
    readonly ConntrackSocket _socket = new();

    public void Dump(Action<TrackedConnection> tell) => _socket.Dump(tell);

    public bool Wait(TimeSpan time, Action<bool, TrackedConnection> tell) => _socket.Events(time, tell);

    public void Dispose() => _socket.Dispose();
}

/// <summary>By a table in words, read anew at each tick: nothing is known of what happens between two of them.</summary>
/// <param name="name">What it is.</param>
/// <param name="open">Opens it; lines as <see cref="ConntrackLine"/> reads them.</param>
/// <param name="remedy">What to do where it cannot be read.</param>
public sealed class TableSource(string name, Func<Stream> open, string remedy) : IConnectionSource
{
    const string KernelTable = "/proc/net/nf_conntrack";

    /// <summary>As in 2010.</summary>
    public static TableSource Proc() => new(
        KernelTable, () => new FileStream(KernelTable, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0),
        "It takes the kernel's CONFIG_NF_CONNTRACK_PROCFS and CAP_NET_ADMIN; or leave --source out.");

    public void Dump(Action<TrackedConnection> tell)
    {
        try
        {
            using var reader = new LineReader(open());
            while (reader.TryRead(out ReadOnlySpan<byte> line))
                if (ConntrackLine.TryRead(line, out TrackedConnection connection, out _)) tell(connection);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new APlusPException(ErrorCodes.ConnectionsRefused, $"{name} cannot be read: {error.Message} {remedy}", error);
        }
    }

    public bool Wait(TimeSpan time, Action<bool, TrackedConnection> tell)
    {
        if (time > TimeSpan.Zero) Thread.Sleep(time);
        return true;
    }

    public void Dispose()
    {
    }
}
