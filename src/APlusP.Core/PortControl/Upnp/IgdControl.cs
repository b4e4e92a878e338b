using System.Globalization;
using System.Security;
using APlusP.Core.Addresses;
using APlusP.Core.Forwarding;
using APlusP.Core.Wire;

namespace APlusP.Core.PortControl.Upnp;

/// <summary>What has passed the softwire since start, for those who ask the interface.</summary>
public readonly record struct WanTotals(long PacketsSent, long OctetsSent, long PacketsReceived, long OctetsReceived);

/// <summary>
/// What can be asked of the device by SOAP: WANIPConnection:1 and :2 over the book of mappings, and the little of the other services that programs ask for. A host sees, makes and deletes
/// mappings of its own alone, for ports of its own from 1024 on, as WANIPConnection:2 section 2.5.16 has it for who has shown no credentials.
/// </summary>
public sealed class IgdControl(IMappingDesk desk, Func<WanTotals> totals, Func<uint> uptime, PortControlCounters counters)
{
    /// <summary>A lease ends after a week, and one without end is one of a week: WANIPConnection:2 section 2.3.9.</summary>
    const uint LongestLease = 604_800;

    const int LeastPort = 1024, LongestDescription = 128;

    /// <summary>The answer to an action, and whether it is an error.</summary>
    /// <param name="device">Whom it was asked of.</param>
    /// <param name="path">The path that it was sent to, which is a control path of the device.</param>
    /// <param name="soapAction">What the header SOAPACTION says: <c>"type#action"</c>.</param>
    /// <param name="body">The envelope.</param>
    /// <param name="asker">Who asks.</param>
    public (string Answer, bool IsError)? Answer(IgdDevice device, string path, string soapAction, ReadOnlySpan<byte> body, IPv4Address asker)
    {
        if (device.Services.FirstOrDefault(s => device.Path(s, "control") == path) is not { } service) return null;
        UpnpError error = UpnpError.InvalidAction;
        var told = new List<KeyValuePair<string, string>>();
        string name = "";
        if (SoapRequest.TryRead(body, out SoapRequest? request) && request!.ServiceType == service.Type && soapAction.Trim('"') == $"{service.Type}#{request.Action}"
            && service.Actions.FirstOrDefault(a => a.Name == request.Action) is { } action)
        {
            name = action.Name;
            var call = new Call(request.Arguments, asker, device, service.Version);
            error = action.In.All(a => request.Arguments.ContainsKey(a.Name)) ? Do(name, call, told) : UpnpError.InvalidArgs;
        }

        counters.Count(MappingProtocol.Upnp, error == UpnpError.None ? RequestFate.Granted : RequestFate.Refused);
        return error == UpnpError.None ? (SoapAnswer.Done(service.Type, name, told), false) : (SoapAnswer.Fault(error), true);
    }

    /// <summary>The description of a service, by its path; null where there is none there.</summary>
    public static string? Describe(IgdDevice device, string path) => device.Services.FirstOrDefault(s => device.Path(s, "scpd.xml") == path) is { } service ? IgdDevice.Describe(service) : null;

    /// <summary>The evented variables of a service, by the path where one subscribes; null where there is no such.</summary>
    public IReadOnlyList<KeyValuePair<string, string>>? Evented(IgdDevice device, string path)
    {
        if (device.Services.FirstOrDefault(s => device.Path(s, "events") == path) is not { } service) return null;
        (IPv4Address? address, int entries, uint update) = desk.Ask((book, _, _) => (book.Terms.Address, book.Mappings.Count(m => m[MappingProtocol.Upnp] is not null), book.UpdateId));
        return [.. service.Variables.Where(v => v.IsEvented).Select(v => KeyValuePair.Create(v.Name, v.Name switch
        {
            "PossibleConnectionTypes" => "IP_Routed",
            "ConnectionStatus" => StatusOf(address),
            "ExternalIPAddress" => $"{address}",
            "PortMappingNumberOfEntries" => $"{entries}",
            "SystemUpdateID" => $"{update}",
            "PhysicalLinkStatus" => "Up",
            _ => DefaultConnection(device),
        }))];
    }

    static string StatusOf(IPv4Address? address) => address is null ? "Disconnected" : "Connected";

    static string DefaultConnection(IgdDevice device) => $"{device.Udn(2)}:WANConnectionDevice:{device.Version},urn:upnp-org:serviceId:{IgdServices.Connection}";

    /// <summary>What was asked, and by whom.</summary>
    readonly record struct Call(IReadOnlyDictionary<string, string> Arguments, IPv4Address Asker, IgdDevice Device, int Version)
    {
        public string this[string name] => Arguments[name];

        public bool TryPort(string name, out ushort port) => ushort.TryParse(Arguments[name], NumberStyles.None, CultureInfo.InvariantCulture, out port);

        public bool TryProtocol(out IpProtocol protocol)
        {
            protocol = this["NewProtocol"] == "UDP" ? IpProtocol.Udp : IpProtocol.Tcp;
            return this["NewProtocol"] is "TCP" or "UDP";
        }

        public bool TryFlag(string name, out bool value)
        {
            value = Arguments[name].ToLowerInvariant() is "1" or "true" or "yes";
            return value || Arguments[name].ToLowerInvariant() is "0" or "false" or "no";
        }
    }

    UpnpError Do(string action, in Call call, List<KeyValuePair<string, string>> told)
    {
        IPv4Address? address = desk.Ask((book, _, _) => book.Terms.Address);
        WanTotals through = totals();
        switch (action)
        {
            case "AddPortMapping": return Add(call, isAny: false, told);
            case "AddAnyPortMapping": return Add(call, isAny: true, told);
            case "DeletePortMapping": return Delete(call);
            case "DeletePortMappingRange": return DeleteRange(call);
            case "GetGenericPortMappingEntry": return GetByIndex(call, told);
            case "GetSpecificPortMappingEntry": return Get(call, told);
            case "GetListOfPortMappings": return List(call, told);
            case "GetExternalIPAddress": return Tell(("NewExternalIPAddress", $"{address}"));
            case "GetStatusInfo": return Tell(("NewConnectionStatus", StatusOf(address)), ("NewLastConnectionError", "ERROR_NONE"), ("NewUptime", $"{uptime()}"));
            case "GetConnectionTypeInfo": return Tell(("NewConnectionType", "IP_Routed"), ("NewPossibleConnectionTypes", "IP_Routed"));
            case "GetNATRSIPStatus": return Tell(("NewRSIPAvailable", "0"), ("NewNATEnabled", "1"));
            case "RequestConnection": return address is null ? UpnpError.ActionFailed : UpnpError.None;
            case "SetConnectionType": return UpnpError.ReadOnly;
            case "GetDefaultConnectionService": return Tell(("NewDefaultConnectionService", DefaultConnection(call.Device)));
            case "GetCommonLinkProperties":
                return Tell(("NewWANAccessType", "Ethernet"), ("NewLayer1UpstreamMaxBitRate", "0"), ("NewLayer1DownstreamMaxBitRate", "0"), ("NewPhysicalLinkStatus", "Up"));
            case "GetTotalBytesSent": return Tell(("NewTotalBytesSent", $"{(uint)through.OctetsSent}"));
            case "GetTotalBytesReceived": return Tell(("NewTotalBytesReceived", $"{(uint)through.OctetsReceived}"));
            case "GetTotalPacketsSent": return Tell(("NewTotalPacketsSent", $"{(uint)through.PacketsSent}"));
            case "GetTotalPacketsReceived": return Tell(("NewTotalPacketsReceived", $"{(uint)through.PacketsReceived}"));

            // Nobody ends the home's connection, or points it elsewhere.
            default: return UpnpError.ActionNotAuthorized;
        }

        UpnpError Tell(params (string Name, string Value)[] values)
        {
            told.AddRange(values.Select(v => KeyValuePair.Create(v.Name, v.Value)));
            return UpnpError.None;
        }
    }

    UpnpError Add(in Call call, bool isAny, List<KeyValuePair<string, string>> told)
    {
        UpnpError fault = ReadKey(call, out IpProtocol protocol, out ushort external);
        if (fault != UpnpError.None) return fault;
        if (!call.TryPort("NewInternalPort", out ushort port) || !call.TryFlag("NewEnabled", out bool isEnabled)
            || !uint.TryParse(call["NewLeaseDuration"], NumberStyles.None, CultureInfo.InvariantCulture, out uint seconds)) return UpnpError.InvalidArgs;
        if (port == 0) return UpnpError.WildCardNotPermittedInIntPort;
        if (external == 0 && !isAny) return UpnpError.WildCardNotPermittedInExtPort;
        if (call["NewInternalClient"].Length == 0) return UpnpError.WildCardNotPermittedInSrcIP;
        if (!IPv4Address.TryParse(call["NewInternalClient"], out IPv4Address client) || client != call.Asker || port < LeastPort) return UpnpError.ActionNotAuthorized;
        if (!isEnabled) return UpnpError.ActionFailed;
        string description = call["NewPortMappingDescription"];
        var wish = new MappingWish(MappingProtocol.Upnp, protocol, client, port, seconds is 0 or > LongestLease ? LongestLease : seconds)
        {
            Suggested = external,
            IsExact = !isAny,
            Description = description.Length <= LongestDescription ? description : description[..(char.IsHighSurrogate(description[LongestDescription - 1]) ? LongestDescription - 1 : LongestDescription)],
        };
        MappingGrant grant = desk.Ask((book, napt, now) => book.Map(wish, napt, now));
        if (isAny) told.Add(new("NewReservedPort", $"{grant.Ports.First}"));
        return grant.Refusal switch
        {
            MappingRefusal.None => UpnpError.None,
            MappingRefusal.HostLimit or MappingRefusal.NoneLeft => call.Version == 1 ? UpnpError.ConflictInMappingEntry : UpnpError.NoPortMapsAvailable,

            // The first version knows one kind of conflict alone. RFC 8585 section 5: a port that the home does not have is one that another has; and which it has is not known before there is a lease.
            MappingRefusal.TakenOtherwise or MappingRefusal.NoAddress => call.Version == 1 ? UpnpError.ConflictInMappingEntry : UpnpError.ConflictWithOtherMechanisms,
            _ => UpnpError.ConflictInMappingEntry,
        };
    }

    /// <summary>Protocol and port of a mapping; from a single remote host there is none.</summary>
    static UpnpError ReadKey(in Call call, out IpProtocol protocol, out ushort external)
    {
        external = 0;
        if (!call.TryProtocol(out protocol) || !call.TryPort("NewExternalPort", out external)) return UpnpError.InvalidArgs;
        return call["NewRemoteHost"] is "" or "*" or "0.0.0.0" ? UpnpError.None : UpnpError.RemoteHostOnlySupportsWildcard;
    }

    UpnpError Delete(in Call call)
    {
        UpnpError fault = ReadKey(call, out IpProtocol protocol, out ushort external);
        if (fault != UpnpError.None) return fault;
        IPv4Address asker = call.Asker;
        return desk.Ask((book, _, _) =>
        {
            if (book.At(protocol, external) is not { } mapping || mapping[MappingProtocol.Upnp] is null) return UpnpError.NoSuchEntryInArray;
            if (mapping.Forward.Host != asker) return UpnpError.ActionNotAuthorized;
            book.Unmap(MappingProtocol.Upnp, protocol, asker, mapping.Forward.HostPort);
            return UpnpError.None;
        });
    }

    UpnpError ReadRange(in Call call, out IpProtocol protocol, out ushort first, out ushort last)
    {
        (first, last) = (0, 0);
        if (!call.TryProtocol(out protocol) || !call.TryPort("NewStartPort", out first) || !call.TryPort("NewEndPort", out last) || !call.TryFlag("NewManage", out _)) return UpnpError.InvalidArgs;
        return first > last ? UpnpError.InconsistentParameters : UpnpError.None;
    }

    UpnpError DeleteRange(in Call call)
    {
        UpnpError fault = ReadRange(call, out IpProtocol protocol, out ushort first, out ushort last);
        if (fault != UpnpError.None) return fault;
        IPv4Address asker = call.Asker;
        return desk.Ask((book, _, _) =>
        {
            List<PortMapping> found = [.. Of(book, asker).Where(m => m.Forward.Protocol == protocol && m.Forward.Port >= first && m.Forward.Port <= last)];
            foreach (PortMapping mapping in found) book.Unmap(MappingProtocol.Upnp, protocol, asker, mapping.Forward.HostPort);
            return found.Count == 0 ? UpnpError.PortMappingNotFound : UpnpError.None;
        });
    }

    /// <summary>A host's mappings by UPnP, in an order that stays.</summary>
    static IEnumerable<PortMapping> Of(MappingBook book, IPv4Address host) =>
        book.Mappings.Where(m => m.Forward.Host == host && m[MappingProtocol.Upnp] is not null).OrderBy(m => m.Forward.Port).ThenBy(m => m.Forward.Protocol);

    UpnpError GetByIndex(in Call call, List<KeyValuePair<string, string>> told)
    {
        if (!call.TryPort("NewPortMappingIndex", out ushort index)) return UpnpError.InvalidArgs;
        IPv4Address asker = call.Asker;
        List<KeyValuePair<string, string>> entry = desk.Ask((book, _, now) => Of(book, asker).ElementAtOrDefault(index) is { } mapping ? [.. KeyOf(mapping.Forward), .. ValueOf(mapping, now)] : new List<KeyValuePair<string, string>>());
        told.AddRange(entry);
        return entry.Count == 0 ? UpnpError.SpecifiedArrayIndexInvalid : UpnpError.None;
    }

    UpnpError Get(in Call call, List<KeyValuePair<string, string>> told)
    {
        UpnpError fault = ReadKey(call, out IpProtocol protocol, out ushort external);
        if (fault != UpnpError.None) return fault;
        IPv4Address asker = call.Asker;
        List<KeyValuePair<string, string>> entry = desk.Ask((book, _, now) => Of(book, asker).FirstOrDefault(m => m.Forward.Protocol == protocol && m.Forward.Port == external) is { } mapping ? ValueOf(mapping, now) : []);
        told.AddRange(entry);
        return entry.Count == 0 ? UpnpError.NoSuchEntryInArray : UpnpError.None;
    }

    UpnpError List(in Call call, List<KeyValuePair<string, string>> told)
    {
        UpnpError fault = ReadRange(call, out IpProtocol protocol, out ushort first, out ushort last);
        if (fault != UpnpError.None) return fault;
        if (!call.TryPort("NewNumberOfPorts", out ushort most)) return UpnpError.InvalidArgs;
        IPv4Address asker = call.Asker;
        string[] entries = desk.Ask((book, _, now) => Of(book, asker).Where(m => m.Forward.Protocol == protocol && m.Forward.Port >= first && m.Forward.Port <= last)
            .Take(most == 0 ? int.MaxValue : most).Select(m => Listed(m, now)).ToArray());
        told.Add(new("NewPortListing", $"<p:PortMappingList xmlns:p=\"urn:schemas-upnp-org:gw:WANIPConnection\">{string.Concat(entries)}</p:PortMappingList>"));
        return entries.Length == 0 ? UpnpError.PortMappingNotFound : UpnpError.None;
    }

    static KeyValuePair<string, string>[] KeyOf(PortForward forward) =>
        [new("NewRemoteHost", ""), new("NewExternalPort", $"{forward.Port}"), new("NewProtocol", forward.Protocol == IpProtocol.Udp ? "UDP" : "TCP")];

    static List<KeyValuePair<string, string>> ValueOf(PortMapping mapping, long now) =>
    [
        new("NewInternalPort", $"{mapping.Forward.HostPort}"), new("NewInternalClient", $"{mapping.Forward.Host}"), new("NewEnabled", "1"),
        new("NewPortMappingDescription", mapping[MappingProtocol.Upnp]!.Description), new("NewLeaseDuration", $"{MappingBook.SecondsLeft(mapping[MappingProtocol.Upnp]!, now)}"),
    ];

    /// <summary>An entry of a list, which calls two things otherwise (WANIPConnection:2 section 2.3.25).</summary>
    static string Listed(PortMapping mapping, long now) =>
        $"<p:PortMappingEntry>{string.Concat(KeyOf(mapping.Forward).Concat(ValueOf(mapping, now)).Select(v => (Name: v.Key switch { "NewPortMappingDescription" => "NewDescription", "NewLeaseDuration" => "NewLeaseTime", _ => v.Key }, v.Value))
            .Select(v => $"<p:{v.Name}>{SecurityElement.Escape(v.Value)}</p:{v.Name}>"))}</p:PortMappingEntry>";
}
