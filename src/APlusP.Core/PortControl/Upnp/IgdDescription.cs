using System.Security;
using System.Text;

namespace APlusP.Core.PortControl.Upnp;

/// <summary>
/// One of the two devices that a SMAP is on its LAN: InternetGatewayDevice:2, and :1 for those that know no other. Each has a WAN device, and that a WAN connection device, with names of their own.
/// </summary>
/// <param name="Version">1 or 2.</param>
/// <param name="Id">What it is called by, and its WAN device and connection by what follows of it.</param>
/// <param name="Secret">What paths begin with, so that nobody knows them who has not read the description.</param>
public sealed record IgdDevice(int Version, Guid Id, string Secret)
{
    static readonly string[] s_types = ["InternetGatewayDevice", "WANDevice", "WANConnectionDevice"];

    internal IReadOnlyList<IgdService> Services { get; } = IgdServices.Of(Version);

    public string DescriptionPath => $"/{Secret}/{Version}/device.xml";

    /// <summary>The name of the device, of its WAN device, or of its WAN connection device.</summary>
    public string Udn(int level)
    {
        Span<byte> bytes = stackalloc byte[16];
        Id.TryWriteBytes(bytes);
        bytes[15] += (byte)level;
        return $"uuid:{new Guid(bytes)}";
    }

    /// <summary>What it answers to, with the unique name of each: UPnP Device Architecture 1.1 section 1.2.2.</summary>
    public IEnumerable<(string Target, string Usn)> Targets
    {
        get
        {
            yield return ("upnp:rootdevice", $"{Udn(0)}::upnp:rootdevice");
            for (int level = 0; level < s_types.Length; level++)
            {
                yield return (Udn(level), Udn(level));
                string type = $"urn:schemas-upnp-org:device:{s_types[level]}:{Version}";
                yield return (type, $"{Udn(level)}::{type}");
            }

            for (int level = 0; level < Services.Count; level++) yield return (Services[level].Type, $"{Udn(level)}::{Services[level].Type}");
        }
    }

    internal string Path(IgdService service, string of) => $"/{Secret}/{Version}/{service.Id}/{of}";

    /// <summary>The description of the device; each level has one service.</summary>
    public string Describe()
    {
        var xml = new StringBuilder("<?xml version=\"1.0\"?>\n<root xmlns=\"urn:schemas-upnp-org:device-1-0\"><specVersion><major>1</major><minor>1</minor></specVersion>");
        DescribeDevice(xml, 0);
        return xml.Append("</root>\n").ToString();
    }

    void DescribeDevice(StringBuilder xml, int level)
    {
        IgdService service = Services[level];
        xml.Append($"<device><deviceType>urn:schemas-upnp-org:device:{s_types[level]}:{Version}</deviceType><friendlyName>aplusp SMAP</friendlyName><manufacturer>aplusp</manufacturer>"
            + $"<modelDescription>Router that shares an IPv4 address by ports (RFC 6346)</modelDescription><modelName>aplusp</modelName><UDN>{Udn(level)}</UDN><serviceList><service>"
            + $"<serviceType>{service.Type}</serviceType><serviceId>{service.Identifier}</serviceId><SCPDURL>{Path(service, "scpd.xml")}</SCPDURL><controlURL>{Path(service, "control")}</controlURL>"
            + $"<eventSubURL>{Path(service, "events")}</eventSubURL></service></serviceList>");
        if (level + 1 < s_types.Length)
        {
            xml.Append("<deviceList>");
            DescribeDevice(xml, level + 1);
            xml.Append("</deviceList>");
        }

        xml.Append("</device>");
    }

    /// <summary>The description of a service: what can be asked of it, and of what arguments are.</summary>
    internal static string Describe(IgdService service)
    {
        var xml = new StringBuilder("<?xml version=\"1.0\"?>\n<scpd xmlns=\"urn:schemas-upnp-org:service-1-0\"><specVersion><major>1</major><minor>1</minor></specVersion><actionList>");
        foreach (IgdAction action in service.Actions)
        {
            xml.Append($"<action><name>{action.Name}</name>");
            if (action.In.Count + action.Out.Count > 0)
            {
                xml.Append("<argumentList>");
                foreach (IgdArgument argument in action.In) Append(argument, "in");
                foreach (IgdArgument argument in action.Out) Append(argument, "out");
                xml.Append("</argumentList>");
            }

            xml.Append("</action>");
        }

        xml.Append("</actionList><serviceStateTable>");
        foreach (IgdVariable variable in service.Variables)
        {
            xml.Append($"<stateVariable sendEvents=\"{(variable.IsEvented ? "yes" : "no")}\"><name>{variable.Name}</name><dataType>{variable.Type}</dataType>");
            if (variable.Allowed.Length > 0) xml.Append($"<allowedValueList>{string.Concat(variable.Allowed.Select(v => $"<allowedValue>{v}</allowedValue>"))}</allowedValueList>");
            xml.Append("</stateVariable>");
        }

        return xml.Append("</serviceStateTable></scpd>\n").ToString();

        void Append(IgdArgument argument, string direction) =>
            xml.Append($"<argument><name>{argument.Name}</name><direction>{direction}</direction><relatedStateVariable>{argument.Variable}</relatedStateVariable></argument>");
    }

    /// <summary>What a subscriber is told: the evented variables of a service as they are, UPnP Device Architecture 1.1 section 4.3.2.</summary>
    public static string PropertySet(IEnumerable<KeyValuePair<string, string>> values) =>
        $"<?xml version=\"1.0\"?>\n<e:propertyset xmlns:e=\"urn:schemas-upnp-org:event-1-0\">{string.Concat(values.Select(v => $"<e:property><{v.Key}>{SecurityElement.Escape(v.Value)}</{v.Key}></e:property>"))}</e:propertyset>\n";
}
