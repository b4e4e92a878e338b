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
}
