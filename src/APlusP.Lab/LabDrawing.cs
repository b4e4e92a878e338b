using System.Text;

namespace APlusP.Lab;

/// <summary>Draws a lab as a tree, from the Internet to the hosts of the rooms, with what runs where.</summary>
public static class LabDrawing
{
    /// <param name="plan">What to draw.</param>
    /// <param name="state">The live state of a host, written at its right; "" where there is nothing to say.</param>
    public static string Draw(LabPlan plan, Func<string, string> state)
    {
        var text = new StringBuilder();
        void Line(string indent, string host, string about)
        {
            string line = $"{indent}{host,-10}{about}";
            string now = state(host);
            text.AppendLine(now.Length == 0 ? line.TrimEnd() : $"{line,-88} {now}");
        }

        // An emulated link is drawn where it lies, and is as alive as its program.
        string Link(string name) => plan.Links.FirstOrDefault(link => link.Name == name) is { } link ? $", emulated link {name} {state(link.Host)}".TrimEnd() : "";

        text.AppendLine("Internet  203.0.113.0/24, 2001:db8:6::/64");
        Line(" |-- ", "www4", $"{LabTopology.Www4Address}, IPv4 only");
        Line(" |-- ", "www6", $"{LabTopology.Www6Address} and {LabTopology.Www6AddressV6}");
        Line(" |-- ", "dns", $"{LabTopology.DnsAddress} and {LabTopology.DnsAddressV6}");
        if (plan.HasPeers) Line(" |-- ", "peers", $"{LabTopology.PeersNetwork} and {LabTopology.PeersNetworkV6}, for traffic models");
        Line(" '-- ", "internet", $"router; {string.Join(", ", plan.Rooms.Select(room => room.SharedAddress).Distinct())} is behind the PRR");
        text.AppendLine($"      |    192.108.119.24/29{Link("internet")}");
        Line("      '-- ", "prr", $"{LabPlan.PrrAddress}; softwires end at {LabPlan.PrrSoftwire}");
        text.AppendLine($"           |    IPv6 only from here ...{Link("prr")}");
        Line("           '-- ", "core", "router without IPv4");
        for (int i = 0; i < plan.Rooms.Count; i++)
        {
            RoomPlan room = plan.Rooms[i];
            bool last = i == plan.Rooms.Count - 1;
            string trunk = last ? "     " : "|    ";
            string who = room.Kind == SmapKind.Kernel ? " (Linux itself as SMAP)" : "";
            text.AppendLine($"                |    ... to here, path MTU {room.PathMtu}{Link($"room{room.Number}")}");
            Line($"                {(last ? '\'' : '|')}-- ", room.Smap, $"{room.Name}{who}: softwire {room.Softwire}");
            text.AppendLine($"                {trunk} |   {room.SharedAddress} ports {room.Ports}; LAN {room.LanAddress}/24");
            for (int j = 0; j < room.Hosts.Count; j++)
                Line($"                {trunk} {(j == room.Hosts.Count - 1 ? '\'' : '|')}-- ", room.Hosts[j].Name, $"{room.Hosts[j].Address}, MTU {room.ClientMtu}{(room.Kind == SmapKind.Aplusp ? $", {room.PathMtu} for IPv6" : "")}");
        }

        return text.ToString();
    }
}
