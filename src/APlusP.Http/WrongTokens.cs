using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace APlusP.Http;

/// <summary>
/// Makes guessing slow: each wrong token of an address (of IPv6, a /64) is answered later than the one before, up to 5 s, and is forgotten after a
/// minute. Right ones are never slowed down, so nobody can lock an operator out.
/// </summary>
sealed class WrongTokens(TimeProvider clock)
{
    /// <summary>Answers that wait at once for one address; more are turned away.</summary>
    public const int MostWaiting = 16;

    const int MostAddresses = 10_000;

    static readonly TimeSpan s_step = TimeSpan.FromMilliseconds(100), s_longest = TimeSpan.FromSeconds(5), s_memory = TimeSpan.FromMinutes(1);

    readonly ConcurrentDictionary<IPAddress, Record> _records = new();

    sealed class Record
    {
        public int Wrong;
        public int Waiting;
        public DateTimeOffset Last;
    }

    /// <summary>Waits before a wrong token is answered; false where too many wait already.</summary>
    public async Task<bool> Wait(IPAddress? from, CancellationToken gone)
    {
        Record record = RecordOf(from);
        TimeSpan delay;
        lock (record)
        {
            if (clock.GetUtcNow() - record.Last > s_memory) record.Wrong = 0;
            record.Last = clock.GetUtcNow();
            if (record.Waiting >= MostWaiting) return false;
            record.Waiting++;
            delay = TimeSpan.FromTicks(Math.Min(s_longest.Ticks, s_step.Ticks << Math.Min(record.Wrong++, 10)));
        }

        try
        {
            await Task.Delay(delay, clock, gone);
            return true;
        }
        finally
        {
            lock (record) record.Waiting--;
        }
    }

    Record RecordOf(IPAddress? from)
    {
        IPAddress key = from is null ? IPAddress.None : from.IsIPv4MappedToIPv6 ? from.MapToIPv4() : from.AddressFamily == AddressFamily.InterNetworkV6 ? new IPAddress([.. from.GetAddressBytes()[..8], .. new byte[8]]) : from;
        if (_records.Count >= MostAddresses)
            foreach ((IPAddress address, Record record) in _records)
                if (record.Waiting == 0) _records.TryRemove(address, out _);
        return _records.GetOrAdd(key, _ => new Record());
    }
}
