using System.Net;
using APlusP.Node.Control;

namespace APlusP.Household;

/// <summary>Why a device of a LAN with a daily volume does not get through.</summary>
/// <param name="Used">Octets today.</param>
/// <param name="Volume">Octets that it has a day.</param>
sealed record PolicyNotice(long Used, long Volume)
{
    /// <summary>What is to be told to who asks; null for nothing.</summary>
    public static PolicyNotice? For(SmapStatus? smap, IPAddress asker)
    {
        string address = $"{(asker.IsIPv4MappedToIPv6 ? asker.MapToIPv4() : asker)}";
        foreach (PolicyStatus policy in smap?.Policies ?? [])
            if (policy.Hosts.FirstOrDefault(h => h.IsOver && h.Addresses.Contains(address)) is { } host) return new PolicyNotice(host.Octets, policy.DailyVolume);
        return null;
    }
}
