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

/// <summary>By /proc/net/nf_conntrack, as in 2010: nothing is known of what happens between two ticks.</summary>
public sealed class ProcSource : IConnectionSource
{
    const string Table = "/proc/net/nf_conntrack";

    public void Dump(Action<TrackedConnection> tell)
    {
        try
        {
            using var reader = new LineReader(new FileStream(Table, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0));
            while (reader.TryRead(out ReadOnlySpan<byte> line))
                if (ConntrackLine.TryRead(line, out TrackedConnection connection, out _)) tell(connection);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new APlusPException(ErrorCodes.ConnectionsRefused, $"{Table} cannot be read: {error.Message} It takes the kernel's CONFIG_NF_CONNTRACK_PROCFS and CAP_NET_ADMIN; or leave --source out.", error);
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
