using System.Text;
using System.Xml.Linq;
using APlusP.Core.PortControl;
using APlusP.Core.PortControl.Upnp;
using APlusP.Core.Wire;
using APlusP.Node.PortControl;
using static APlusP.Tests.PortControl.DeskScene;
using static APlusP.Tests.PortControl.UpnpScene;

namespace APlusP.Tests.PortControl;

/// <summary>UPnP IGD 1 and 2: what programs ask, and each refusal.</summary>
public sealed class UpnpTests : IDisposable
{
    readonly UpnpScene _upnp = new(new DeskScene(forwards: Static(10080, Phone, 80)));

    public void Dispose() => _upnp.Dispose();

    int Add(int external, int version = 2, params (string, string)[] arguments) => CodeOf(_upnp.Invoke("AddPortMapping", version, arguments: arguments.Length > 0 ? arguments : Mapping(external)));

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_port_is_mapped_found_listed_and_deleted(int version)
    {
        Assert.Equal(0, Add(10007, version));
        Assert.Equal(Static(10007, DeskScene.Console, 3074, IpProtocol.Udp), Assert.Single(_upnp.Home.Book.Mappings).Forward);
        _upnp.Home.Now += 600;
        HttpAnswer found = _upnp.Invoke("GetSpecificPortMappingEntry", version, arguments: Key(10007));
        Assert.Equal(("3074", DeskScene.Console, "1", "a game", "3000"), (ValueOf(found, "NewInternalPort"), ValueOf(found, "NewInternalClient"), ValueOf(found, "NewEnabled"), ValueOf(found, "NewPortMappingDescription"), ValueOf(found, "NewLeaseDuration")));
        HttpAnswer listed = _upnp.Invoke("GetGenericPortMappingEntry", version, arguments: ("NewPortMappingIndex", "0"));
        Assert.Equal(("10007", "UDP", ""), (ValueOf(listed, "NewExternalPort"), ValueOf(listed, "NewProtocol"), ValueOf(listed, "NewRemoteHost")));
        Assert.Equal(713, CodeOf(_upnp.Invoke("GetGenericPortMappingEntry", version, arguments: ("NewPortMappingIndex", "1"))));
        Assert.Equal(0, CodeOf(_upnp.Invoke("DeletePortMapping", version, arguments: Key(10007))));
        Assert.Equal(714, CodeOf(_upnp.Invoke("DeletePortMapping", version, arguments: Key(10007))));
        Assert.Equal(714, CodeOf(_upnp.Invoke("GetSpecificPortMappingEntry", version, arguments: Key(10007))));
    }

    [Fact]
    public void A_port_outside_the_set_is_718_and_one_that_a_static_forward_has_729_which_the_first_version_calls_718_too()
    {
        Assert.Equal(718, Add(3074));
        Assert.Equal(718, Add(3074, 1));
        Assert.Equal(729, Add(10080, 2, Mapping(10080, protocol: "TCP")));
        Assert.Equal(718, Add(10080, 1, Mapping(10080, protocol: "TCP")));
        Assert.Equal(0, _upnp.Home.Book.Count);
    }

    [Fact]
    public void AddAnyPortMapping_gives_another_port_of_the_set()
    {
        HttpAnswer answer = _upnp.Invoke("AddAnyPortMapping", arguments: Mapping(3074));
        Assert.InRange(int.Parse(ValueOf(answer, "NewReservedPort")!, System.Globalization.CultureInfo.InvariantCulture), 10000, 10099);
        Assert.Equal("10033", ValueOf(_upnp.Invoke("AddAnyPortMapping", arguments: Mapping(10033, 3075)), "NewReservedPort"));
        Assert.Equal(0, CodeOf(_upnp.Invoke("AddAnyPortMapping", arguments: Mapping(0, 3076))));
        Assert.Equal(401, CodeOf(_upnp.Invoke("AddAnyPortMapping", 1, arguments: Mapping(10034, 3077))));
    }

    [Fact]
    public void Another_host_s_port_is_718_and_the_own_one_may_lead_elsewhere()
    {
        Assert.Equal(0, Add(10007));
        Assert.Equal(718, CodeOf(_upnp.Invoke("AddPortMapping", from: Phone, arguments: Mapping(10007, client: Phone))));
        Assert.Equal(0, Add(10007, 2, Mapping(10007, 4000)));
        Assert.Equal(4000, Assert.Single(_upnp.Home.Book.Mappings).Forward.HostPort);

        // One endpoint answers from one port alone.
        Assert.Equal(718, Add(10008, 2, Mapping(10008, 4000)));
        _upnp.Home.Map(Wish(3074, by: MappingProtocol.NatPmp, protocol: IpProtocol.Udp, suggested: 10009));
        Assert.Equal(729, CodeOf(_upnp.Invoke("AddPortMapping", from: Phone, arguments: Mapping(10009, client: Phone))));
    }

    [Fact]
    public void Nobody_maps_for_a_third_party_deletes_or_sees_what_is_another_s()
    {
        Assert.Equal(606, Add(10007, 2, Mapping(10007, client: Phone)));
        Assert.Equal(606, CodeOf(_upnp.Invoke("AddAnyPortMapping", arguments: Mapping(10007, client: "198.51.100.2"))));
        Assert.Equal(606, Add(10007, 1, Mapping(10007, client: "router.example")));
        Assert.Equal(0, _upnp.Home.Book.Count);
        Assert.Equal(0, Add(10007));
        Assert.Equal(606, CodeOf(_upnp.Invoke("DeletePortMapping", from: Phone, arguments: Key(10007))));
        Assert.Equal(714, CodeOf(_upnp.Invoke("GetSpecificPortMappingEntry", from: Phone, arguments: Key(10007))));
        Assert.Equal(713, CodeOf(_upnp.Invoke("GetGenericPortMappingEntry", from: Phone, arguments: ("NewPortMappingIndex", "0"))));
        Assert.Equal(730, CodeOf(_upnp.Invoke("DeletePortMappingRange", from: Phone, arguments: Range(1, 65535))));
        Assert.Equal(1, _upnp.Home.Book.Count);
    }

    [Fact]
    public void What_is_asked_wrongly_has_its_code()
    {
        Assert.Equal(402, Add(0, 2, Mapping(10007)[..7]));
        Assert.Equal(402, Add(0, 2, Mapping(10007, protocol: "SCTP")));
        Assert.Equal(402, Add(0, 2, Mapping(70000)));
        Assert.Equal(402, Add(0, 2, Mapping(10007, lease: "-1")));
        Assert.Equal(402, Add(0, 2, Mapping(10007, enabled: "perhaps")));
        Assert.Equal(501, Add(0, 2, Mapping(10007, enabled: "0")));
        Assert.Equal(715, Add(0, 2, Mapping(10007, client: "")));
        Assert.Equal(716, Add(0, 2, Mapping(0)));
        Assert.Equal(726, Add(0, 2, Mapping(10007, remote: "203.0.113.9")));
        Assert.Equal(732, Add(0, 2, Mapping(10007, port: 0)));
        Assert.Equal(606, Add(0, 2, Mapping(10007, port: 22)));
        Assert.Equal(733, CodeOf(_upnp.Invoke("DeletePortMappingRange", arguments: Range(10009, 10007))));
        Assert.Equal(730, CodeOf(_upnp.Invoke("GetListOfPortMappings", arguments: [.. Range(1, 65535), ("NewNumberOfPorts", "0")])));
        Assert.Equal(401, CodeOf(_upnp.Invoke("OpenTheDoor")));
        Assert.Equal(731, CodeOf(_upnp.Invoke("SetConnectionType", arguments: ("NewConnectionType", "IP_Bridged"))));
        Assert.Equal(606, CodeOf(_upnp.Invoke("ForceTermination")));
        Assert.Equal(0, _upnp.Home.Book.Count);
        Assert.Equal(16, _upnp.Home.Counted("upnp-requests-refused"));
    }

    [Fact]
    public void A_host_that_has_enough_hears_728()
    {
        using var upnp = new UpnpScene(new DeskScene("10000-10007"));
        for (int i = 0; i < 6; i++) Assert.Equal(0, CodeOf(upnp.Invoke("AddPortMapping", arguments: Mapping(10000 + i, 3074 + i))));
        Assert.Equal(728, CodeOf(upnp.Invoke("AddPortMapping", arguments: Mapping(10006, 3080))));
        Assert.Equal(728, CodeOf(upnp.Invoke("AddAnyPortMapping", arguments: Mapping(10006, 3080))));
        Assert.Equal(718, CodeOf(upnp.Invoke("AddPortMapping", 1, arguments: Mapping(10006, 3080))));
    }

    [Theory]
    [InlineData("0", 604_800u)]
    [InlineData("60", 60u)]
    [InlineData("4000000000", 604_800u)]
    public void A_lease_is_a_week_at_most(string asked, uint given)
    {
        Assert.Equal(0, Add(0, 2, Mapping(10007, lease: asked)));
        Assert.Equal($"{given}", ValueOf(_upnp.Invoke("GetSpecificPortMappingEntry", arguments: Key(10007)), "NewLeaseDuration"));
    }

    [Fact]
    public void Ports_of_a_range_are_listed_and_deleted_together()
    {
        for (int i = 0; i < 3; i++) Add(0, 2, Mapping(10007 + i, 3074 + i, description: "<b>&"));
        string listing = ValueOf(_upnp.Invoke("GetListOfPortMappings", arguments: [.. Range(10008, 10099), ("NewNumberOfPorts", "0")]), "NewPortListing")!;
        XNamespace names = "urn:schemas-upnp-org:gw:WANIPConnection";
        XElement[] entries = [.. XDocument.Parse(listing).Root!.Elements(names + "PortMappingEntry")];
        Assert.Equal(["10008", "10009"], entries.Select(e => e.Element(names + "NewExternalPort")!.Value));
        Assert.Equal(("<b>&", "3600"), (entries[0].Element(names + "NewDescription")!.Value, entries[0].Element(names + "NewLeaseTime")!.Value));
        Assert.Equal(0, CodeOf(_upnp.Invoke("DeletePortMappingRange", arguments: Range(10008, 10099))));
        Assert.Equal(10007, Assert.Single(_upnp.Home.Book.Mappings).Forward.Port);
    }

    [Fact]
    public void The_little_else_that_programs_ask_has_its_answer()
    {
        Assert.Equal(Shared, ValueOf(_upnp.Invoke("GetExternalIPAddress"), "NewExternalIPAddress"));
        Assert.Equal(("Connected", "77"), (ValueOf(_upnp.Invoke("GetStatusInfo"), "NewConnectionStatus"), ValueOf(_upnp.Invoke("GetStatusInfo"), "NewUptime")));
        Assert.Equal("IP_Routed", ValueOf(_upnp.Invoke("GetConnectionTypeInfo"), "NewConnectionType"));
        Assert.Equal("1", ValueOf(_upnp.Invoke("GetNATRSIPStatus"), "NewNATEnabled"));
        Assert.Equal(0, CodeOf(_upnp.Invoke("RequestConnection")));
        string head = ControlRequest("GetTotalBytesReceived", 2, "WANCommonInterfaceConfig:1", "WANCommonIFC1", out string body);
        Assert.Equal("4", ValueOf(_upnp.Send(head, body), "NewTotalBytesReceived"));
        head = ControlRequest("GetCommonLinkProperties", 1, "WANCommonInterfaceConfig:1", "WANCommonIFC1", out body);
        Assert.Equal("Up", ValueOf(_upnp.Send(head, body), "NewPhysicalLinkStatus"));
        head = ControlRequest("GetDefaultConnectionService", 2, "Layer3Forwarding:1", "L3Forwarding1", out body);
        Assert.StartsWith(Igds[0].Udn(2), ValueOf(_upnp.Send(head, body), "NewDefaultConnectionService"), StringComparison.Ordinal);
        _upnp.Home.Book.Adopt(_upnp.Home.Terms("all", address: null));
        Assert.Equal("", ValueOf(_upnp.Invoke("GetExternalIPAddress"), "NewExternalIPAddress"));
        Assert.Equal("Disconnected", ValueOf(_upnp.Invoke("GetStatusInfo"), "NewConnectionStatus"));
    }

    [Fact]
    public void Before_it_is_known_which_ports_the_home_has_each_is_729_which_the_first_version_calls_718()
    {
        _upnp.Home.Book.Adopt(_upnp.Home.Terms("all", address: null));
        Assert.Equal((729, 718), (Add(10007, 2, Mapping(10007)), Add(10007, 1, Mapping(10007))));
        Assert.Equal(729, CodeOf(_upnp.Invoke("AddAnyPortMapping", arguments: Mapping(10007))));
    }

    // ---- Pages and who may read them

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Every_page_that_a_description_names_is_there_and_every_argument_is_of_a_variable(int index)
    {
        IgdDevice device = Igds[index];
        XDocument description = XDocument.Parse(_upnp.Send($"GET {device.DescriptionPath} HTTP/1.1\nHost: {Self}").Body);
        XNamespace names = "urn:schemas-upnp-org:device-1-0", scpd = "urn:schemas-upnp-org:service-1-0";
        Assert.Equal([.. new[] { "InternetGatewayDevice", "WANDevice", "WANConnectionDevice" }.Select(t => $"urn:schemas-upnp-org:device:{t}:{device.Version}")], description.Descendants(names + "deviceType").Select(e => e.Value));
        Assert.Equal(3, description.Descendants(names + "UDN").Select(e => e.Value).Distinct().Count());
        Assert.Contains($"urn:schemas-upnp-org:service:WANIPConnection:{device.Version}", description.Descendants(names + "serviceType").Select(e => e.Value));
        foreach (string path in description.Descendants(names + "SCPDURL").Select(e => e.Value))
        {
            XDocument service = XDocument.Parse(_upnp.Send($"GET {path} HTTP/1.1\nHost: {Self}").Body);
            HashSet<string> variables = [.. service.Descendants(scpd + "stateVariable").Select(v => v.Element(scpd + "name")!.Value)];
            Assert.NotEmpty(service.Descendants(scpd + "action"));
            Assert.All(service.Descendants(scpd + "relatedStateVariable"), v => Assert.Contains(v.Value, variables));
        }

        Assert.All(description.Descendants(names + "eventSubURL"), e => Assert.NotNull(new IgdControl(_upnp.Home, () => default, () => 0, _upnp.Home.Counters).Evented(device, e.Value)));
    }

    [Theory]
    [InlineData("GET /s3cr3t/2/device.xml HTTP/1.1\nHost: evil.example", "400 Bad Request")]
    [InlineData("GET /s3cr3t/2/device.xml HTTP/1.1", "400 Bad Request")]
    [InlineData("GET /s3cr3t/2/device.xml HTTP/1.1\nHost: 192.168.2.1:5431\nOrigin: http://evil.example", "403 Forbidden")]
    [InlineData("POST /s3cr3t/2/WANIPConn1/control HTTP/1.1\nHost: 192.168.2.1:5431\nReferer: http://evil.example/\nContent-Length: 0", "403 Forbidden")]
    [InlineData("GET /device.xml HTTP/1.1\nHost: 192.168.2.1:5431", "404 Not Found")]
    [InlineData("GET /s3cr3t/2/../../etc/passwd HTTP/1.1\nHost: 192.168.2.1:5431", "404 Not Found")]
    [InlineData("OPTIONS /s3cr3t/2/device.xml HTTP/1.1\nHost: 192.168.2.1:5431", "405 Method Not Allowed")]
    [InlineData("POST /s3cr3t/2/WANIPConn1/control HTTP/1.1\nHost: 192.168.2.1:5431", "411 Length Required")]
    [InlineData("POST /s3cr3t/2/WANIPConn1/control HTTP/1.1\nHost: 192.168.2.1:5431\nTransfer-Encoding: chunked", "411 Length Required")]
    [InlineData("POST /s3cr3t/2/WANIPConn1/control HTTP/1.1\nHost: 192.168.2.1:5431\nContent-Length: 20000", "413 Content Too Large")]
    [InlineData("POST /s3cr3t/2/WANIPConn1/control HTTP/1.1\nHost: 192.168.2.1:5431\nContent-Length: +5", "400 Bad Request")]
    [InlineData("GET /s3cr3t/2/device.xml HTTP/1.1\nHost: 192.168.2.1:5431\nHost: evil.example", "400 Bad Request")]
    [InlineData("GET /s3cr3t/2/device.xml HTTP/1.1\nHost: 192.168.2.1:5431\n folded", "400 Bad Request")]
    public void A_page_in_a_browser_a_name_in_place_of_our_address_and_what_is_no_plain_request_get_nowhere(string head, string status)
    {
        Assert.Equal(status, _upnp.Send(head).Status);
        Assert.Equal(0, _upnp.Home.Counted("upnp-requests-granted"));
    }

    [Fact]
    public void What_gets_nowhere_is_counted()
    {
        _upnp.Send($"GET {Igds[0].DescriptionPath} HTTP/1.1\nHost: evil.example");
        _upnp.MayAsk = _ => false;
        _upnp.Send($"GET {Igds[0].DescriptionPath} HTTP/1.1\nHost: {Self}");
        Assert.Equal((1, 1), (_upnp.Home.Counted("upnp-requests-discarded"), _upnp.Home.Counted("upnp-requests-limited")));
    }

    [Fact]
    public void Who_asks_too_often_is_to_wait()
    {
        _upnp.MayAsk = host => host != Host(DeskScene.Console);
        Assert.Equal("503 Service Unavailable", _upnp.Send($"GET {Igds[0].DescriptionPath} HTTP/1.1\nHost: {Self}").Status);
        Assert.Equal("200 OK", _upnp.Send($"GET {Igds[0].DescriptionPath} HTTP/1.1\nHost: {Self}", from: Phone).Status);
    }

    [Theory]
    [InlineData("<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>")]
    [InlineData("<!DOCTYPE lolz [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>")]
    public void Entities_and_document_types_are_refused(string prologue)
    {
        string body = "<?xml version=\"1.0\"?>" + prologue + Envelope("urn:schemas-upnp-org:service:WANIPConnection:2", "GetExternalIPAddress")["<?xml version=\"1.0\"?>".Length..];
        Assert.False(SoapRequest.TryRead(Encoding.UTF8.GetBytes(body), out _));
    }

    [Fact]
    public void The_header_and_the_body_must_ask_for_the_same()
    {
        string head = ControlRequest("AddPortMapping", 2, "WANIPConnection:2", "WANIPConn1", out string body, Mapping(10007));
        Assert.Equal(401, CodeOf(_upnp.Send(head.Replace("#AddPortMapping", "#GetExternalIPAddress"), body)));
        Assert.Equal(401, CodeOf(_upnp.Send(head.Replace("WANIPConnection:2#", "WANIPConnection:1#"), body)));
        Assert.Equal(0, _upnp.Home.Book.Count);
    }

    // ---- Subscriptions

    HttpAnswer Subscribe(string callback, string more = "NT: upnp:event\nTIMEOUT: Second-300", string from = DeskScene.Console) =>
        _upnp.Send($"SUBSCRIBE /s3cr3t/2/WANIPConn1/events HTTP/1.1\nHost: {Self}\nCALLBACK: {callback}\n{more}", from: from);

    [Theory]
    [InlineData("<http://203.0.113.9/>")]
    [InlineData("<http://192.168.2.11:80/>")]
    [InlineData("<http://victim.example/>")]
    [InlineData("<http://192.168.2.10@203.0.113.9/>")]
    [InlineData("<https://192.168.2.10/>")]
    [InlineData("http://192.168.2.10/")]
    [InlineData("<file:///etc/passwd>")]
    [InlineData("<>")]
    public void Events_go_to_the_asker_s_own_address_alone(string callback) => Assert.Equal("412 Precondition Failed", Subscribe(callback).Status);

    [Fact]
    public void A_subscription_is_made_renewed_and_ended_and_there_are_only_so_many()
    {
        HttpAnswer made = Subscribe("<http://203.0.113.9/><http://192.168.2.10:49200/here>");
        Assert.Equal("200 OK", made.Status);
        Assert.Contains("TIMEOUT: Second-300", made.Fields, StringComparison.Ordinal);
        string id = made.Fields.Split("\r\n").Single(f => f.StartsWith("SID: ", StringComparison.Ordinal));
        string path = $"/s3cr3t/2/WANIPConn1/events HTTP/1.1\nHost: {Self}\n{id}";
        Assert.Contains("TIMEOUT: Second-1800", _upnp.Send($"SUBSCRIBE {path}\nTIMEOUT: Second-infinite").Fields, StringComparison.Ordinal);
        Assert.Equal("412 Precondition Failed", _upnp.Send($"SUBSCRIBE {path}", from: Phone).Status);
        Assert.Equal("400 Bad Request", _upnp.Send($"SUBSCRIBE {path}\nNT: upnp:event").Status);
        Assert.Equal("200 OK", _upnp.Send($"UNSUBSCRIBE {path}").Status);
        Assert.Equal("412 Precondition Failed", _upnp.Send($"UNSUBSCRIBE {path}").Status);
        for (int i = 0; i < EventSubscriptions.MostOfHost; i++) Assert.Equal("200 OK", Subscribe("<http://192.168.2.10:49200/>").Status);
        Assert.Equal("503 Service Unavailable", Subscribe("<http://192.168.2.10:49200/>").Status);
    }

    [Fact]
    public void A_subscription_stands_for_its_time_whatever_the_clock_is_set_to()
    {
        string id = Subscribe("<http://192.168.2.10:49200/>", "NT: upnp:event\nTIMEOUT: Second-1800").Fields.Split("\r\n").Single(f => f.StartsWith("SID: ", StringComparison.Ordinal));
        string renewal = $"SUBSCRIBE /s3cr3t/2/WANIPConn1/events HTTP/1.1\nHost: {Self}\n{id}\nTIMEOUT: Second-1800";
        _upnp.Clock.WallStep = TimeSpan.FromDays(56 * 365);
        Assert.Equal("200 OK", _upnp.Send(renewal).Status);
        _upnp.Clock.WallStep = default;
        _upnp.Clock.Advance(TimeSpan.FromSeconds(1799));
        Assert.Equal("200 OK", _upnp.Send(renewal).Status);
        _upnp.Clock.Advance(TimeSpan.FromSeconds(1801));
        Assert.Equal("412 Precondition Failed", _upnp.Send(renewal).Status);
    }

    [Fact]
    public void What_is_evented_follows_the_book()
    {
        var control = new IgdControl(_upnp.Home, () => default, () => 0, _upnp.Home.Counters);
        Dictionary<string, string> Evented() => new(control.Evented(Igds[0], "/s3cr3t/2/WANIPConn1/events")!);
        Assert.Equal((Shared, "0", "0"), (Evented()["ExternalIPAddress"], Evented()["PortMappingNumberOfEntries"], Evented()["SystemUpdateID"]));
        Add(10007);
        Assert.Equal(("1", "1"), (Evented()["PortMappingNumberOfEntries"], Evented()["SystemUpdateID"]));
        Assert.Contains("<e:property><PortMappingNumberOfEntries>1</PortMappingNumberOfEntries></e:property>", IgdDevice.PropertySet(Evented()), StringComparison.Ordinal);
    }
}
