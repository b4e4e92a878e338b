using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using APlusP.Core.Addresses;
using APlusP.Core.Wire;
using APlusP.Linux;
using APlusP.Node.Daemons;

namespace APlusP.Node.Doctor;

/// <summary>
/// Sends an IPv4 packet through the daemon into the softwire that may go one router far, and that is the PRR: whatever ICMP error comes back has been through the softwire both ways.
/// Needs nobody beyond the PRR. CAP_NET_RAW, to hear the error.
/// </summary>
static class SoftwireProbe
{
    /// <summary>Where the packet would go, if it went on: an address that every router of the Internet has a route to (a.root-servers.net), at a port of traceroute(8).</summary>
    static readonly IPv4Address s_towards = IPv4Address.Parse("198.41.0.4");

    const int Port = 33434, Tries = 3;

    // Linux lets a host have one error a second once a burst of six is used up (icmp_ratelimit), and where it has no route for the packet an error costs two.
    // A try that comes sooner takes what the next one needs.
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2.5);

    /// <summary>Sends it, again where nothing comes back.</summary>
    /// <param name="device">The daemon's.</param>
    /// <param name="shared">The shared address.</param>
    /// <returns>What came back, and why nothing could be sent.</returns>
    public static (IcmpAnswer? Answer, string? NotTried) Send(string device, IPv4Address shared)
    {
        try
        {
            using var errors = new Socket(AddressFamily.InterNetwork, SocketType.Raw, ProtocolType.Icmp);
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { Ttl = 1 };
            socket.BindTo(device);
            var towards = new IPEndPoint(IPAddress.Parse($"{s_towards}"), Port);
            for (int i = 0; i < Tries; i++)
            {
                socket.SendTo("aplusp doctor"u8, towards);
                if (Hear(errors, (ushort)((IPEndPoint)socket.LocalEndPoint!).Port, shared) is { } answer) return (answer, null);
            }

            return (null, null);
        }
        catch (SocketException error)
        {
            return (null, $"no packet can be sent into the softwire from here: {error.Message}. It takes CAP_NET_RAW (run the doctor as root), and no firewall of this machine that drops UDP through {device}");
        }
    }

    static IcmpAnswer? Hear(Socket errors, ushort port, IPv4Address shared)
    {
        byte[] heard = new byte[ushort.MaxValue];
        for (long start = Stopwatch.GetTimestamp(); s_patience - Stopwatch.GetElapsedTime(start) is { Ticks: > 0 } left;)
        {
            if (!errors.Poll(left, SelectMode.SelectRead)) break;
            Span<byte> packet = heard.AsSpan(0, errors.Receive(heard));
            if (!IPv4Header.TryRead(packet, out IPv4Header header) || !IcmpV4Header.TryRead(packet[header.Size..], out IcmpV4Header icmp) || !icmp.IsError) continue;
            Span<byte> about = packet[(header.Size + IcmpV4Header.Size)..];
            if (!IPv4Header.TryReadEmbedded(about, out IPv4Header ours) || ours.Protocol != IpProtocol.Udp || ours.Destination != s_towards || about.Length < ours.Size + 2) continue;
            if (BinaryPrimitives.ReadUInt16BigEndian(about[ours.Size..]) == port) return new IcmpAnswer(header.Source, header.Source == shared || KernelClaims.IsAddressOfThisMachine($"{header.Source}"), icmp.Type, icmp.Code);
        }

        return null;
    }
}
