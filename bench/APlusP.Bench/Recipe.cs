using System.Buffers.Binary;
using System.Runtime.InteropServices;
using APlusP.Core.Addresses;
using APlusP.Lab;

namespace APlusP.Bench;

/// <summary>What frames the generator makes: UDP between subscribers and somebody far away, from one of the two sides.</summary>
sealed record Recipe
{
    const int Ethernet = 14, IPv6 = 40, IPv4 = 20;

    /// <summary>Where they are put in, and whom they are for.</summary>
    public required VethEnd Into { get; init; }

    /// <summary>Whether the subscribers send, or are sent to.</summary>
    public required bool FromSubscriber { get; init; }

    /// <summary>Outer addresses, where the packets are in a softwire; of many subscribers those of the first.</summary>
    public (IPv6Address From, IPv6Address To)? Softwire { get; init; }

    /// <summary>The subscriber's address, or the first of many.</summary>
    public required IPv4Address Subscriber { get; init; }

    /// <summary>Who is far away, or the first of many.</summary>
    public required IPv4Address Remote { get; init; }

    public ushort RemotePort { get; init; } = 53;

    /// <summary>Ports of the subscriber from <see cref="FirstPort"/> on; 0 for many subscribers, as <c>aplusp bench generate</c> numbers them.</summary>
    public int Ports { get; init; }

    public ushort FirstPort { get; init; } = 20000;

    /// <summary>How many subscribers or flows, one of which each frame is of at random; 0 takes one after the other, all ports of a remote host first.</summary>
    public int Count { get; init; }

    /// <summary>Frames a second; 0 for as many as there can be.</summary>
    public int PerSecond { get; init; }

    /// <summary>Frames, where it is to end by itself.</summary>
    public long Most { get; init; }

    /// <summary>Number of the first of those that are taken one after the other.</summary>
    public long First { get; init; }

    /// <summary>Octets of an IPv4 packet with its Ethernet header; a softwire has 40 more.</summary>
    public int Octets { get; init; } = 110;

    /// <summary>A whole frame, but for what the program puts in.</summary>
    public byte[] Frame()
    {
        byte[] packet = new SoftwirePacket
        {
            OuterSource = Softwire?.From ?? default,
            OuterDestination = Softwire?.To ?? default,
            Source = default,
            SourcePort = 0,
            Destination = default,
            DestinationPort = 0,
            Payload = new byte[Octets - Ethernet - IPv4 - 8],
        }.ToBytes();
        packet[IPv6 + 6] = 0x40; // do not fragment
        packet.AsSpan(IPv6 + 10, 2).Clear();
        Span<byte> layer3 = Softwire is null ? packet.AsSpan(IPv6) : packet;
        byte[] frame = new byte[Ethernet + layer3.Length];
        Into.FarMac.CopyTo(frame.AsSpan());
        Into.Mac.CopyTo(frame.AsSpan(6));
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), (ushort)(Softwire is null ? 0x0800 : 0x86dd));
        layer3.CopyTo(frame.AsSpan(Ethernet));
        return frame;
    }

    /// <summary>For the program.</summary>
    public unsafe RecipeEntry Entry()
    {
        byte[] frame = Frame();
        int udp = frame.Length - (Octets - Ethernet - IPv4);
        var entry = new RecipeEntry
        {
            Device = (uint)Into.Index,
            Subscriber = Subscriber.Value,
            Remote = Remote.Value,
            Count = (uint)Count,
            Ports = (uint)Ports,
            FirstPort = FirstPort,
            RemotePort = RemotePort,
            Sum = (ushort)~MemoryMarshal.Read<ushort>(frame.AsSpan(udp + 6)),
            FromSubscriber = FromSubscriber ? (byte)1 : (byte)0,
            Interval = PerSecond == 0 ? 0 : 1_000_000_000ul / (ulong)PerSecond,
            Most = (ulong)Most,
            First = (ulong)First,
        };
        frame.AsSpan(0, Math.Min(frame.Length, RecipeEntry.HeadersSize)).CopyTo(new Span<byte>(entry.Headers, RecipeEntry.HeadersSize));
        return entry;
    }
}

/// <summary>struct recipe of bpf/generator.bpf.c.</summary>
[StructLayout(LayoutKind.Sequential)]
unsafe struct RecipeEntry
{
    public const int HeadersSize = 88;

    public fixed byte Headers[HeadersSize];
    public uint Device;
    public uint Subscriber;
    public uint Remote;
    public uint Count;
    public uint Ports;
    public ushort FirstPort;
    public ushort RemotePort;
    public ushort Sum;
    public byte FromSubscriber;
    public byte Unused;
    public ulong Interval;
    public ulong Most;
    public ulong First;
}

/// <summary>struct progress of bpf/generator.bpf.c.</summary>
[StructLayout(LayoutKind.Sequential)]
struct ProgressEntry
{
    public ulong Sent;
    public ulong Due;
    public uint Stop;
}
