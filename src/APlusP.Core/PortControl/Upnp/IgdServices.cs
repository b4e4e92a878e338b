namespace APlusP.Core.PortControl.Upnp;

/// <summary>A state variable of a service: what arguments are of.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">As UPnP Device Architecture calls types.</param>
/// <param name="IsEvented">Whether who subscribed hears of changes.</param>
/// <param name="Allowed">The values that it may have; none where that is left open.</param>
sealed record IgdVariable(string Name, string Type, bool IsEvented = false, params string[] Allowed);

/// <summary>An argument, and the state variable that it is of.</summary>
readonly record struct IgdArgument(string Name, string Variable);

/// <summary>An action of a service, with its arguments in the order of the standard.</summary>
sealed record IgdAction(string Name, IReadOnlyList<IgdArgument> In, IReadOnlyList<IgdArgument> Out);

/// <summary>A service of the device.</summary>
/// <param name="Name">The last part of its type, such as WANIPConnection.</param>
/// <param name="Version">Of the service.</param>
/// <param name="Id">The last part of its identifier, by which paths know it too.</param>
/// <param name="Variables">Its state.</param>
/// <param name="Actions">What can be asked of it.</param>
sealed record IgdService(string Name, int Version, string Id, IReadOnlyList<IgdVariable> Variables, IReadOnlyList<IgdAction> Actions)
{
    public string Type => $"urn:schemas-upnp-org:service:{Name}:{Version}";

    public string Identifier => $"urn:upnp-org:serviceId:{Id}";
}

/// <summary>The services of InternetGatewayDevice:1 and :2 that there are.</summary>
static class IgdServices
{
    public const string Connection = "WANIPConn1", Common = "WANCommonIFC1", Layer3 = "L3Forwarding1";

    static readonly IgdVariable[] s_connection =
    [
        new("ConnectionType", "string"), new("PossibleConnectionTypes", "string", true, "Unconfigured", "IP_Routed"),
        new("ConnectionStatus", "string", true, "Unconfigured", "Connecting", "Connected", "PendingDisconnect", "Disconnecting", "Disconnected"), new("Uptime", "ui4"),
        new("LastConnectionError", "string", false, "ERROR_NONE", "ERROR_UNKNOWN"), new("RSIPAvailable", "boolean"), new("NATEnabled", "boolean"), new("ExternalIPAddress", "string", true),
        new("PortMappingNumberOfEntries", "ui2", true), new("PortMappingEnabled", "boolean"), new("PortMappingLeaseDuration", "ui4"), new("RemoteHost", "string"), new("ExternalPort", "ui2"),
        new("InternalPort", "ui2"), new("PortMappingProtocol", "string", false, "TCP", "UDP"), new("InternalClient", "string"), new("PortMappingDescription", "string"),
    ];

    static readonly IgdVariable[] s_connection2 = [.. s_connection, new("SystemUpdateID", "ui4", true), new("A_ARG_TYPE_Manage", "boolean"), new("A_ARG_TYPE_PortListing", "string")];

    const string Key = "NewRemoteHost:RemoteHost NewExternalPort:ExternalPort NewProtocol:PortMappingProtocol";
    const string Value = "NewInternalPort:InternalPort NewInternalClient:InternalClient NewEnabled:PortMappingEnabled NewPortMappingDescription:PortMappingDescription NewLeaseDuration:PortMappingLeaseDuration";
    const string Range = "NewStartPort:ExternalPort NewEndPort:ExternalPort NewProtocol:PortMappingProtocol NewManage:A_ARG_TYPE_Manage";

    static readonly IgdAction[] s_connectionActions =
    [
        Action("SetConnectionType", "NewConnectionType:ConnectionType", ""), Action("GetConnectionTypeInfo", "", "NewConnectionType:ConnectionType NewPossibleConnectionTypes:PossibleConnectionTypes"),
        Action("RequestConnection", "", ""), Action("ForceTermination", "", ""),
        Action("GetStatusInfo", "", "NewConnectionStatus:ConnectionStatus NewLastConnectionError:LastConnectionError NewUptime:Uptime"),
        Action("GetNATRSIPStatus", "", "NewRSIPAvailable:RSIPAvailable NewNATEnabled:NATEnabled"),
        Action("GetGenericPortMappingEntry", "NewPortMappingIndex:PortMappingNumberOfEntries", $"{Key} {Value}"), Action("GetSpecificPortMappingEntry", Key, Value),
        Action("AddPortMapping", $"{Key} {Value}", ""), Action("DeletePortMapping", Key, ""), Action("GetExternalIPAddress", "", "NewExternalIPAddress:ExternalIPAddress"),
    ];

    static readonly IgdAction[] s_connectionActions2 =
    [
        .. s_connectionActions, Action("AddAnyPortMapping", $"{Key} {Value}", "NewReservedPort:ExternalPort"), Action("DeletePortMappingRange", Range, ""),
        Action("GetListOfPortMappings", $"{Range} NewNumberOfPorts:PortMappingNumberOfEntries", "NewPortListing:A_ARG_TYPE_PortListing"),
    ];

    static readonly IgdService s_common = new("WANCommonInterfaceConfig", 1, Common,
        [
            new("WANAccessType", "string", false, "DSL", "POTS", "Cable", "Ethernet"), new("Layer1UpstreamMaxBitRate", "ui4"), new("Layer1DownstreamMaxBitRate", "ui4"),
            new("PhysicalLinkStatus", "string", true, "Up", "Down", "Initializing", "Unavailable"), new("TotalBytesSent", "ui4"), new("TotalBytesReceived", "ui4"),
            new("TotalPacketsSent", "ui4"), new("TotalPacketsReceived", "ui4"),
        ],
        [
            Action("GetCommonLinkProperties", "", "NewWANAccessType:WANAccessType NewLayer1UpstreamMaxBitRate:Layer1UpstreamMaxBitRate NewLayer1DownstreamMaxBitRate:Layer1DownstreamMaxBitRate NewPhysicalLinkStatus:PhysicalLinkStatus"),
            Action("GetTotalBytesSent", "", "NewTotalBytesSent:TotalBytesSent"), Action("GetTotalBytesReceived", "", "NewTotalBytesReceived:TotalBytesReceived"),
            Action("GetTotalPacketsSent", "", "NewTotalPacketsSent:TotalPacketsSent"), Action("GetTotalPacketsReceived", "", "NewTotalPacketsReceived:TotalPacketsReceived"),
        ]);

    static readonly IgdService s_layer3 = new("Layer3Forwarding", 1, Layer3,
        [new("DefaultConnectionService", "string", true)],
        [Action("SetDefaultConnectionService", "NewDefaultConnectionService:DefaultConnectionService", ""), Action("GetDefaultConnectionService", "", "NewDefaultConnectionService:DefaultConnectionService")]);

    /// <summary>Those of a version of the device.</summary>
    public static IReadOnlyList<IgdService> Of(int version) =>
        [s_layer3, s_common, new IgdService("WANIPConnection", version, Connection, version == 1 ? s_connection : s_connection2, version == 1 ? s_connectionActions : s_connectionActions2)];

    /// <summary>Arguments are written "name:variable", as the standard's tables have them.</summary>
    static IgdAction Action(string name, string given, string told) => new(name, Arguments(given), Arguments(told));

    static IReadOnlyList<IgdArgument> Arguments(string text) =>
        [.. text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(a => a.Split(':')).Select(a => new IgdArgument(a[0], a[1]))];
}
