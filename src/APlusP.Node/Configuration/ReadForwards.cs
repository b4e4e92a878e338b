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
            if (!options.Ports.Contains((ushort)port))
            {
                section.Refuse("port", ErrorCodes.ConfigurationForwardNotOurs, $"Port {port} is not one of this home's; a forward takes one of {options.Ports}{(options.Ports.Psid is null ? "" : $", such as {options.Ports.Ranges.First()}")}.");
                continue;
            }

            if (host == options.SharedAddress)
            {
                section.Refuse("to", ErrorCodes.ConfigurationContradiction, $"'to' is the shared address {host}, which no host has; write the server's address in the home.");
                continue;
            }

            foreach (IpProtocol number in s_protocols[protocol])
            {
                string name = number.ToString().ToUpperInvariant();
                if (read.Any(f => f.Protocol == number && f.Port == port))
                    section.Refuse("port", ErrorCodes.ConfigurationTwice, $"{name} port {port} is forwarded twice; one port leads to one server.");
                else if (read.Any(f => f.Protocol == number && f.Host == host && f.HostPort == hostPort))
                    section.Refuse("to", ErrorCodes.ConfigurationTwice, $"Two ports lead to {name} {host}:{hostPort}, which answers from one of them only; give the server a second port, or drop one forward.");
                else read.Add(new PortForward(number, (ushort)port, host, hostPort));
            }
        }

        if (read.Count > SmapOptions.MaxForwards)
            top.Refuse("forward", ErrorCodes.ConfigurationOutOfRange, $"'forward' has {read.Count} ports, TCP and UDP counted each; it may have {SmapOptions.MaxForwards}.");
        return read.Count == 0 ? [] : read;
    }
}
