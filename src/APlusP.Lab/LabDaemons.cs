using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using APlusP.Core;
using APlusP.Core.PortSets;

namespace APlusP.Lab;

/// <summary>The daemons under test in a lab: their configuration files, their start, their counters.</summary>
public static class LabDaemons
{
    public static string PrrConfiguration(LabPlan plan, string controlSocket)
    {
        var text = new StringBuilder();
        text.AppendLine($"""
            # The PRR of lab {plan.Name}.
            softwire-address = "{LabPlan.PrrSoftwire}"
            icmp-source = "{LabPlan.PrrAddress}"
            path-mtu = 1500
            control-socket = "{controlSocket}"
            {(plan.FastPath is null ? "" : $"fast-path = \"{plan.FastPath}\"")}

            [icmp]
            send-v4-errors = true
            send-v6-errors = true
            """);
        foreach (RoomPlan room in plan.Rooms)
            text.AppendLine($"""

                [[binding]]
                name = "{room.Name}"
                address = "{room.SharedAddress}"
                {PortsKey(room)}
                softwire = "{room.Softwire}"
                path-mtu = {room.PathMtu}
                """);
        return text.ToString();
    }

    public static string SmapConfiguration(LabPlan plan, RoomPlan room, string controlSocket)
    {
        var text = new StringBuilder();
        text.AppendLine($"""
            # The SMAP of {room.Name} of lab {plan.Name}.
            softwire-address = "{room.Softwire}"
            prr-address = "{LabPlan.PrrSoftwire}"
            shared-address = "{room.SharedAddress}"
            {PortsKey(room)}
            path-mtu = {room.PathMtu}
            control-socket = "{controlSocket}"
            lan-leases = "{room.Smap}.dhcp"
            {(plan.FastPath is null ? "" : $"fast-path = \"{(plan.FastPath == "xdp" ? "auto" : plan.FastPath)}\"")}

            [[lan]]
            device = "lan"
            address = "{room.LanAddress}/24"
            prefix = "{LabTopology.LanPrefix(room)}"
            hosts = [
            """);
        foreach (HostPlan host in room.Hosts) text.AppendLine($"    {{ mac = \"{room.MacOf(host)}\", address = \"{host.Address}\", name = \"{host.Name}\" }},");
        text.AppendLine("]");

        text.AppendLine($"""

            [port-control]
            pcp = {(room.Services.HasFlag(RoomServices.PortControl) ? "true" : "false")}
            upnp = {(room.Services.HasFlag(RoomServices.PortControl) ? "true" : "false")}
            state = "{Path.ChangeExtension(controlSocket, "state")}"
            """);
        if (room.Services.HasFlag(RoomServices.Page)) text.AppendLine().AppendLine("[household]");
        if (room.Services.HasFlag(RoomServices.WebProxy)) text.AppendLine().AppendLine("[web-proxy]");
        if (room.Napt.Count > 0) text.AppendLine().AppendLine("[napt]").AppendJoin('\n', room.Napt).AppendLine();
        return text.ToString();
    }

    static string PortsKey(RoomPlan room) =>
        PortSet.Parse(room.Ports).Psid is { } psid
            ? $"psid = {{ offset = {psid.Offset}, length = {psid.Length}, psid = {psid.Value} }}"
            : $"ports = \"{room.Ports}\"";

    /// <summary>Whether somebody listens at a control socket; the daemons open it when they are ready to forward.</summary>
    public static bool Answers(string controlSocket)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(controlSocket));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>Asks a daemon as a person would: <c>aplusp VERB --json</c>.</summary>
    public static JsonElement Ask(string executable, string verb, string controlSocket)
    {
        string answer = Commands.Require(executable, verb, "--socket", controlSocket, "--json");
        try
        {
            using var document = JsonDocument.Parse(answer);
            return document.RootElement.Clone();
        }
        catch (JsonException error)
        {
            throw new APlusPException(ErrorCodes.LabCommandFailed, $"`aplusp {verb} --socket {controlSocket} --json` did not print JSON ({error.Message}) but:\n{answer}", error);
        }
    }
}
