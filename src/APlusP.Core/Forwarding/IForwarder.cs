using APlusP.Core.Devices;

namespace APlusP.Core.Forwarding;

/// <summary>A data plane of one worker: a PRR or a SMAP.</summary>
public interface IForwarder
{
    /// <summary>What became of the packets so far.</summary>
    ForwardingCounters Counters { get; }

    /// <summary>
    /// Judges every packet of the batch by its origin, rewrites it in its buffer into what is to be sent, sets its verdict and counts
    /// it. Never throws, whatever the octets; allocates nothing.
    /// </summary>
    void Process(PacketBatch batch);

    /// <summary>
    /// Fills the batch with what the data plane sends of its own accord, and with fragments that have waited and are judged now; does what time
    /// demands besides. To be called after each <see cref="Process"/>, and when nothing has come for a while.
    /// </summary>
    /// <returns>Whether there is something in the batch; then it wants to be called again when that is sent.</returns>
    bool Continue(PacketBatch batch);

    /// <summary>Milliseconds within which <see cref="Continue"/> has nothing to do, at most <paramref name="most"/>.</summary>
    int MillisecondsUntilDue(int most);
}
