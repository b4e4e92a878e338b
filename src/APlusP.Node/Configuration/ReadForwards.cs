using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Forwarding;
using APlusP.Core.Wire;

namespace APlusP.Node.Configuration;

/// <summary>The static forwards of a SMAP: <c>[[forward]]</c>, or <c>forward = [{ ... }]</c>.</summary>
static class ReadForwards
{
    static readonly IpProtocol[][] s_protocols = [[IpProtocol.Tcp], [IpProtocol.Udp], [IpProtocol.Tcp, IpProtocol.Udp]];

    public static IReadOnlyList<PortForward> Read(SectionReader top, SmapOptions options)
    {
        var read = new List<PortForward>();
        foreach (SectionReader section in top.Sections("forward", ConfigurationSchema.Smap))
        {
            section.Require("port", "10080");
            section.Require("to", "\"192.168.2.10:80\"");
            int port = section.Number("port", 0, 1, ushort.MaxValue);
            (IPv4Address Host, ushort Port)? to = section.IPv4Endpoint("to");
            int protocol = section.Word("protocol", 0, ConfigurationSchema.ForwardProtocols);
            if (port == 0 || to is not var (host, hostPort)) continue;
            foreach (IpProtocol number in s_protocols[protocol])
            {
                var forward = new PortForward(number, (ushort)port, host, hostPort);
                if (FaultOf(forward, options, read) is not var (key, code, message))
                {
                    read.Add(forward);
                    continue;
                }

                section.Refuse(key, code, message);
                if (code != ErrorCodes.ConfigurationTwice) break;
            }
        }

        if (read.Count > SmapOptions.MaxForwards)
            top.Refuse("forward", ErrorCodes.ConfigurationOutOfRange, $"'forward' has {read.Count} ports, TCP and UDP counted each; it may have {SmapOptions.MaxForwards}.");
        return read.Count == 0 ? [] : read;
    }

    /// <summary>The protocols of a word of <see cref="ConfigurationSchema.ForwardProtocols"/>.</summary>
    public static IReadOnlyList<IpProtocol> Protocols(int word) => s_protocols[word];

    /// <summary>What is wrong with a forward beside others: the key, a code, and a sentence for people; null where it may be.</summary>
    public static (string Key, string Code, string Message)? FaultOf(PortForward forward, SmapOptions options, IEnumerable<PortForward> others)
    {
        string name = forward.Protocol.ToString().ToUpperInvariant();
        if (!options.Ports.Contains(forward.Port))
            return ("port", ErrorCodes.ConfigurationForwardNotOurs, $"Port {forward.Port} is not one of this home's; a forward takes one of {options.Ports}{(options.Ports.Psid is null ? "" : $", such as {options.Ports.Ranges.First()}")}.");
        if (forward.Host == options.SharedAddress)
            return ("to", ErrorCodes.ConfigurationContradiction, $"'to' is the shared address {forward.Host}, which no host has; write the server's address in the home.");
        foreach (PortForward other in others.Where(f => f.Protocol == forward.Protocol))
        {
            if (other.Port == forward.Port) return ("port", ErrorCodes.ConfigurationTwice, $"{name} port {forward.Port} is forwarded twice; one port leads to one server.");
            if (other.Host == forward.Host && other.HostPort == forward.HostPort)
                return ("to", ErrorCodes.ConfigurationTwice, $"Two ports lead to {name} {forward.Host}:{forward.HostPort}, which answers from one of them only; give the server a second port, or drop one forward.");
        }

        return null;
    }
}
