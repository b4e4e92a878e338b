namespace APlusP.Core.Devices;

/// <summary>Where packets come from and go to, a batch at a time: a TUN queue, or memory in tests and offline runs.</summary>
public interface IPacketDevice
{
    /// <summary>
    /// Fills the batch with what has arrived, up to its capacity, without waiting; the batch is empty afterwards where nothing has.
    /// Sets the origin of each packet.
    /// </summary>
    void Receive(PacketBatch batch);

    /// <summary>Sends every packet of the batch whose verdict says so, in order.</summary>
    void Send(PacketBatch batch);
}
