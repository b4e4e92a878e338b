using System.Buffers.Binary;
using System.Net.Sockets;
using APlusP.Registry.Configuration;

namespace APlusP.Registry.Ipfix;

/// <summary>
/// A session with a collector (RFC 7011 section 10): sequence numbers and templates begin anew with each. By TCP it knows what the collector's machine has acknowledged; by UDP nobody does, so each
/// datagram brings the template, and one goes alone when nothing else does, for a collector that began later or lost one.
/// </summary>
sealed class CollectorSession : IDisposable
{
    /// <summary>Of a datagram, RFC 7011 section 10.3.3: with headers no more than 512 octets where the path is not known.</summary>
    const int LongestDatagram = 512 - 40 - 8;

    const int LongestInStream = 8192;

    // Linux's struct tcp_info has the octets that were acknowledged there.
    const int LevelTcp = 6, TcpInfo = 11, AcknowledgedAt = 120, InfoLength = 128;

    static readonly TimeSpan s_templateEvery = TimeSpan.FromMinutes(1), s_patience = TimeSpan.FromSeconds(30), s_look = TimeSpan.FromMilliseconds(5);

    readonly Socket _socket;
    readonly IpfixSettings _settings;
    readonly TimeProvider _clock;
    ulong _acknowledgedBefore;
    ulong _sent;
    uint _sequence;
    long? _lastTemplate;

    CollectorSession(Socket socket, IpfixSettings settings, TimeProvider clock)
    {
        _socket = socket;
        _settings = settings;
        _clock = clock;
    }

    /// <exception cref="SocketException">The collector does not answer.</exception>
    public static async Task<CollectorSession> Begin(IpfixSettings settings, TimeProvider clock, CancellationToken stop)
    {
        var socket = new Socket(settings.Collector.AddressFamily, settings.Tcp ? SocketType.Stream : SocketType.Dgram, settings.Tcp ? ProtocolType.Tcp : ProtocolType.Udp);
        try
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
            patience.CancelAfter(s_patience);
            await socket.ConnectAsync(settings.Collector, patience.Token);
            var session = new CollectorSession(socket, settings, clock);
            if (settings.Tcp) session._acknowledgedBefore = session.Acknowledged();
            return session;
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            socket.Dispose();
            throw new SocketException((int)SocketError.TimedOut);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Tells of blocks. Gives when the collector's machine has it, by TCP; when it is on its way, by UDP.</summary>
    /// <exception cref="SocketException">The collector went away; how much it has is not known.</exception>
    public async Task Send(IEnumerable<BlockRecord> records, CancellationToken stop)
    {
        IpfixMessage? message = null;
        foreach (BlockRecord record in records)
        {
            if (message?.TryAdd(record) == true) continue;
            if (message is not null) await Send(message, stop);
            message = Beginning(record);
        }

        if (message is not null) await Send(message, stop);
        if (_settings.Tcp) await Acknowledgement(stop);
    }

    /// <summary>While there is nothing to tell: the template once a minute by UDP; by TCP, whether the collector is still there.</summary>
    public async Task Idle(CancellationToken stop)
    {
        if (_settings.Tcp && _socket.Poll(TimeSpan.Zero, SelectMode.SelectRead) && _socket.Receive(new byte[512]) == 0) throw new SocketException((int)SocketError.ConnectionReset);
        if (!_settings.Tcp && (_lastTemplate is not { } last || _clock.GetElapsedTime(last) >= s_templateEvery)) await Send(NewMessage(LongestDatagram), stop);
    }

    /// <summary>A message with its first record. The longest names of subscribers do not fit into a usual datagram, and have a longer one.</summary>
    IpfixMessage Beginning(BlockRecord record)
    {
        IpfixMessage message = NewMessage(_settings.Tcp ? LongestInStream : LongestDatagram);
        if (message.TryAdd(record)) return message;
        message = NewMessage(LongestInStream);
        message.TryAdd(record);
        return message;
    }

    IpfixMessage NewMessage(int longest) => new(longest, withTemplate: !_settings.Tcp || _lastTemplate is null);

    async Task Send(IpfixMessage message, CancellationToken stop)
    {
        ReadOnlyMemory<byte> octets = message.Finish(_clock.GetUtcNow(), _sequence, _settings.Domain);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        patience.CancelAfter(s_patience);
        try
        {
            for (ReadOnlyMemory<byte> rest = octets; rest.Length > 0;) rest = rest[await _socket.SendAsync(rest, patience.Token)..];
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            throw new SocketException((int)SocketError.TimedOut);
        }

        _sent += (ulong)octets.Length;
        _sequence += (uint)message.Records;
        _lastTemplate ??= _clock.GetTimestamp();
        if (!_settings.Tcp) _lastTemplate = _clock.GetTimestamp();
    }

    async Task Acknowledgement(CancellationToken stop)
    {
        long start = _clock.GetTimestamp();
        while (Acknowledged() - _acknowledgedBefore < _sent)
        {
            if (_clock.GetElapsedTime(start) > s_patience) throw new SocketException((int)SocketError.TimedOut);
            await Task.Delay(s_look, stop);
        }
    }

    ulong Acknowledged()
    {
        Span<byte> info = stackalloc byte[InfoLength];
        _socket.GetRawSocketOption(LevelTcp, TcpInfo, info);
        return BinaryPrimitives.ReadUInt64LittleEndian(info[AcknowledgedAt..]);
    }

    public void Dispose() => _socket.Dispose();
}
