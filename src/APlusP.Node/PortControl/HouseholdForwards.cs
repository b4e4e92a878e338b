using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Forwarding;
using APlusP.Core.PortControl;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;
using APlusP.Node.Configuration;
using APlusP.Node.Control;

namespace APlusP.Node.PortControl;

/// <summary>What the household asks on the control socket: to see what leads where, to add and remove forwards, and to take away what hosts asked for.</summary>
/// <remarks>Verbs: <c>mappings</c>; <c>forward add PORT HOST:PORT tcp|udp|both</c>; <c>forward remove PORT tcp|udp|both</c>.</remarks>
static class HouseholdForwards
{
    /// <summary>The answer to a verb that is ours; null to any other.</summary>
    /// <exception cref="APlusPException">What was asked cannot be done.</exception>
    public static ControlAnswer? Answer(string verb, PortDesk desk) => verb.Split(' ', StringSplitOptions.RemoveEmptyEntries) switch
    {
        ["mappings"] => new ControlAnswer { Mappings = List(desk) },
        ["forward", "add", var port, var to, var protocol] => Add(desk, PortOf(port), EndpointOf(to), ProtocolsOf(protocol)),
        ["forward", "remove", var port, var protocol] => Remove(desk, PortOf(port), ProtocolsOf(protocol)),
        ["forward", ..] => throw Refused("write `forward add PORT HOST:PORT tcp`, udp or both, or `forward remove PORT tcp`."),
        _ => null,
    };

    static APlusPException Refused(string why) => new(ErrorCodes.ForwardRequest, why);

    static ushort PortOf(string text) => ushort.TryParse(text, out ushort port) && port > 0 ? port : throw Refused($"'{text}' is not a port; write one of 1 to 65535.");

    static (IPv4Address Host, ushort Port) EndpointOf(string text)
    {
        int colon = text.LastIndexOf(':');
        if (colon > 0 && IPv4Address.TryParse(text.AsSpan(0, colon), out IPv4Address host) && host.IsUnicast) return (host, PortOf(text[(colon + 1)..]));
        throw Refused($"'{text}' is not where a forward may lead; write the server's IPv4 address in the home and its port, such as 192.168.2.10:80.");
    }

    static IReadOnlyList<IpProtocol> ProtocolsOf(string word) => ConfigurationSchema.ForwardProtocols.Index().FirstOrDefault(p => p.Item == word) is { Item: not null } found
        ? ReadForwards.Protocols(found.Index) : throw Refused($"'{word}' is not a protocol of forwards; write tcp, udp or both.");

    static ControlAnswer Add(PortDesk desk, ushort port, (IPv4Address Host, ushort Port) to, IReadOnlyList<IpProtocol> protocols)
    {
        APlusPException? refusal = null;
        desk.Change((book, options) =>
        {
            // While there is no address, no port is known not to be ours.
            SmapOptions allowed = options.IsSuspended ? options with { Ports = PortSet.WholeAddress } : options;
            PortForward[] wanted = [.. protocols.Select(p => new PortForward(p, port, to.Host, to.Port))];
            if (book.Terms.Forwards.Count + book.Household.Count + wanted.Length > SmapOptions.MaxForwards / 2)
            {
                refusal = Refused($"there are {SmapOptions.MaxForwards / 2} forwards already, which is as many as there may be; remove one.");
                return null;
            }

            foreach (PortForward forward in wanted)
            {
                if (ReadForwards.FaultOf(forward, allowed, [.. book.Terms.Forwards, .. book.Household]) is not var (_, code, message)) continue;
                refusal = new APlusPException(code, message);
                return null;
            }

            PortMapping[] lost = [.. wanted.SelectMany(f => book.Add(f).Lost)];
            return new MappingChange(false, lost);
        });
        return refusal is null ? new ControlAnswer { Mappings = List(desk) } : throw refusal;
    }

    static ControlAnswer Remove(PortDesk desk, ushort port, IReadOnlyList<IpProtocol> protocols)
    {
        bool isOfFile = false;
        int gone = 0;
        desk.Change((book, _) =>
        {
            isOfFile = book.Terms.Forwards.Any(f => f.Port == port && protocols.Contains(f.Protocol));
            gone = book.Remove(port, protocols).Count;
            MappingChange taken = book.Take(port, protocols);
            gone += taken.Lost.Count;
            return taken;
        });
        return gone > 0 ? new ControlAnswer { Mappings = List(desk) }
            : throw Refused(isOfFile ? $"port {port} is forwarded by the configuration file; take it out there, and reload." : $"port {port} leads nowhere; `aplusp smap mappings` shows what is.");
    }

    /// <summary>All ports that lead somewhere, and forwards that would, were their port ours.</summary>
    static MappingsDocument List(PortDesk desk) => desk.Ask((book, _, now) => new MappingsDocument(
        book.Terms.Address?.ToString(),
        book.Terms.Address is null ? "none" : $"{book.Terms.Ports}",
        [
            .. book.Terms.Forwards.Select(f => Entry(f, "configuration", true)),
            .. book.Terms.ForwardsOutside.Select(f => Entry(f, "configuration", false)),
            .. book.Household.Select(f => Entry(f, "household", book.IsInForce(f))),
            .. book.Mappings.OrderBy(m => m.Forward.Port).ThenBy(m => m.Forward.Protocol).SelectMany(m => m.Claims.Select(c => Entry(m.Forward, MappingProtocols.NameOf(c.By), true) with
            {
                SecondsLeft = MappingBook.SecondsLeft(c.Claim, now),
                Description = c.Claim.Description.Length == 0 ? null : c.Claim.Description,
            })),
        ]));

    static MappingEntry Entry(PortForward forward, string by, bool isInForce) =>
        new(forward.Protocol == IpProtocol.Udp ? "udp" : "tcp", forward.Port, $"{forward.Host}", forward.HostPort, by, isInForce);
}
