using APlusP.Core;
using APlusP.Core.Addresses;

namespace APlusP.Node.Configuration;

/// <summary>A network of the home that the SMAP is the router of: <c>[[lan]]</c>.</summary>
/// <param name="Device">The device that leads to it.</param>
/// <param name="Address">The SMAP's own address there.</param>
/// <param name="Network">The network that it is of.</param>
public sealed record SmapLan(string Device, IPv4Address Address, IPv4Prefix Network)
{
    // RFC 3021: a network of 31 bits has two hosts and no broadcast address; one of 32 has nobody to serve.
    const int ShortestLength = 8, LongestLength = 30;

    /// <summary>Every LAN of a SMAP's file that is sound.</summary>
    /// <param name="top">The file.</param>
    /// <param name="device">The SMAP's own device, which is no LAN.</param>
    internal static IReadOnlyList<SmapLan> Read(SectionReader top, string device)
    {
        var read = new List<SmapLan>();
        foreach (SectionReader section in top.Sections("lan", ConfigurationSchema.Smap))
        {
            section.Require("device", "\"br-lan\"");
            section.Require("address", "\"192.168.2.1/24\"");
            string name = section.Text("device", "");
            bool isNamed = DeviceNames.IsName(name);
            if (section.Has("device") && !isNamed) section.Refuse("device", ErrorCodes.ConfigurationBadValue, $"'device' is {DeviceNames.Form}");
            if (section.IPv4Interface("address", ShortestLength, LongestLength) is not var (address, network) || !isNamed) continue;
            if (name == device)
                section.Refuse("device", ErrorCodes.ConfigurationContradiction, $"'{name}' is the SMAP's own device, which carries the softwire; write the one that leads to the hosts of the home.");
            else if (read.FirstOrDefault(l => l.Device == name) is { } same)
                section.Refuse("device", ErrorCodes.ConfigurationTwice, $"'{name}' is the device of {same.Network} already; a LAN has a device of its own, so take a bridge port or a VLAN for this one.");
            else if (read.FirstOrDefault(l => l.Network.Overlaps(network)) is { } other)
                section.Refuse("address", ErrorCodes.ConfigurationTwice, $"The networks {network} of '{name}' and {other.Network} of '{other.Device}' overlap; give one of them other addresses.");
            else read.Add(new SmapLan(name, address, network));
        }

        return read.Count == 0 ? [] : read;
    }
}
