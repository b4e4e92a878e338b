using APlusP.Core.Addresses;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding.Napt;

/// <summary>A flow as who forwards it in the NAPT's place must know it.</summary>
/// <param name="Protocol">TCP, UDP or ICMP.</param>
/// <param name="Inside">The host of the home.</param>
/// <param name="InsidePort">Its port or ICMP identifier.</param>
/// <param name="Remote">Whom it talks to.</param>
/// <param name="RemotePort">The port there; 0 of ICMP.</param>
/// <param name="External">Our port or identifier for it.</param>
/// <param name="Seen">What the NAPT has seen of it: for the NAPT of a process to come, nobody else's business.</param>
public readonly record struct OffloadedFlow(IpProtocol Protocol, IPv4Address Inside, ushort InsidePort, IPv4Address Remote, ushort RemotePort, ushort External, byte Seen);

/// <summary>What has become of a flow that another forwards.</summary>
/// <param name="LastOutbound">Second, by the NAPT's clock, of the last packet from inside that was no reset; null where none went.</param>
/// <param name="FinOutbound">Whether a TCP segment with FIN went out since the last look.</param>
/// <param name="FinInbound">Likewise in.</param>
/// <param name="Reset">True where one with RST went; false where something from inside went after one, so that it was not believed; null for neither.</param>
public readonly record struct FlowActivity(long? LastOutbound, bool FinOutbound, bool FinInbound, bool? Reset);

/// <summary>
/// Who forwards flows in the NAPT's place, as the kernel can, and remembers all of them for the next process. Flows go by their index in the NAPT's table. Called by the worker alone; nothing
/// is allocated.
/// </summary>
public interface IFlowOffload
{
    /// <summary>Indexes that it has room for, from 1 on.</summary>
    int Capacity { get; }

    /// <summary>Remembers a flow that we forward ourselves, from now on or again.</summary>
    void Keep(int index, in OffloadedFlow flow);

    /// <summary>Forwards the plain packets of a flow from now on: what goes out goes to this end of a softwire. The same flow may be installed again.</summary>
    /// <returns>False where there is no room: then it is forgotten.</returns>
    bool Install(int index, in OffloadedFlow flow, IPv6Address farEnd);

    /// <summary>Notes what the NAPT has seen now.</summary>
    void Note(int index, byte seen);

    /// <summary>Forgets a flow, if it has it.</summary>
    void Remove(int index);

    /// <summary>Forgets all.</summary>
    void Clear();

    /// <summary>What has become of a flow since the last look.</summary>
    FlowActivity Look(int index);

    /// <summary>Tells flows in which the end of a TCP connection was seen.</summary>
    /// <param name="indexes">Room for 64 at least.</param>
    /// <returns>How many; 0 where there are no more.</returns>
    int TakeEnded(Span<int> indexes);

    /// <summary>A flow that a process before has left.</summary>
    bool TryRecall(int index, out OffloadedFlow flow, out bool isInstalled);
}
