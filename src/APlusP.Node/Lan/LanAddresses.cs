using System.Diagnostics;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Linux;
using APlusP.Node.Dhcpv6;

namespace APlusP.Node.Lan;

/// <summary>An address of the SMAP on the device of a LAN.</summary>
/// <param name="Device">The device.</param>
/// <param name="Address">It.</param>
/// <param name="IsOld">It is of a prefix that was: there for dnsmasq, which advertises prefixes of addresses alone; nothing is sent from it, and its network is not here any more.</param>
readonly record struct LanAddress(string Device, NetworkAddress Address, bool IsOld = false)
{
    /// <summary>Ends that differ by less are the same: they are reckoned anew at each look.</summary>
    static readonly TimeSpan s_same = TimeSpan.FromSeconds(3);

    /// <summary>Until when it is for something new, by the clock of <see cref="DelegatedPrefix"/>: dnsmasq tells hosts no more than the address has left. It is there for ever: Linux (6.18) has the route to the network of one that is not end at once when its time is set anew.</summary>
    public TimeSpan PreferredUntil { get; init; } = TimeSpan.MaxValue;

    public bool EndsWith(LanAddress other) => (PreferredUntil - other.PreferredUntil).Duration() < s_same;

    /// <summary>What is left, in whole seconds, as the kernel counts.</summary>
    public uint SecondsLeft(TimeSpan now) => PreferredUntil == TimeSpan.MaxValue ? uint.MaxValue : (uint)Math.Clamp((PreferredUntil - now).TotalSeconds, 0, uint.MaxValue - 1);

    public override string ToString() => $"{Device} {Address}{(IsOld ? " old" : "")}";

    /// <summary>Reads what <see cref="ToString"/> gives; null for anything else.</summary>
    public static LanAddress? Parse(string line) => line.Split(' ') is [var device, var text, .. var rest] && rest is [] or ["old"] && NetworkAddress.Parse(text) is { } address ? new LanAddress(device, address, rest.Length > 0) : null;
}

/// <summary>
/// Addresses of the SMAP on the devices of LANs. What it has given them it takes away at the end, and what a daemon that was killed has given too: it is written down. An address that was there before is left as it is.
/// </summary>
sealed class LanAddresses : IDisposable
{
    readonly string _file;
    readonly RouteSocket _netlink = new();
    readonly Dictionary<string, LanAddress> _ours = new(StringComparer.Ordinal);

    readonly HashSet<string> _left = new(StringComparer.Ordinal);

    /// <param name="file">Where it is written down what is ours.</param>
    public LanAddresses(string file)
    {
        _file = file;
        if (!File.Exists(file)) return;
        foreach (string line in File.ReadAllLines(file))
        {
            if (LanAddress.Parse(line) is { } address && _left.Add(line))
            {
                // Nobody knows what time it has.
                _ours[line] = address.IsOld || address.Address.Octets.Length == IPv4Address.Size ? address : address with { PreferredUntil = TimeSpan.Zero };
            }
        }
    }

    /// <summary>When one was taken away the last time, as <see cref="Stopwatch.GetTimestamp"/>.</summary>
    public long Taken { get; private set; }

    /// <summary>Makes the addresses these and no others.</summary>
    /// <returns>Devices that are not there, which are tried again at the next call.</returns>
    /// <exception cref="APlusPException">The kernel refuses.</exception>
    public IReadOnlyList<string> Set(IReadOnlyList<LanAddress> wanted)
    {
        var missing = new List<string>();
        var names = wanted.Select(w => w.ToString()).ToHashSet(StringComparer.Ordinal);
        foreach ((string name, LanAddress address) in _ours.ToArray())
        {
            if (names.Contains(name) && RouteSocket.Exists(address.Device)) continue;
            Remove(address);
            _ours.Remove(name);
            Taken = Stopwatch.GetTimestamp();
            Note();
        }

        foreach (LanAddress address in wanted)
        {
            string name = address.ToString();
            if (RouteSocket.Find(address.Device) is not { } index)
            {
                missing.Add(address.Device);
                continue;
            }

            // What was written down may be gone since, with its device.
            if ((!_ours.ContainsKey(name) || _left.Remove(name)) && (address.IsOld ? _netlink.TryAddDeprecatedAddress(address.Address, index) : _netlink.TryAddAddress(address.Address, index)))
            {
                _ours[name] = new LanAddress(address.Device, address.Address, address.IsOld);
                Note();
            }

            if (!_ours.TryGetValue(name, out LanAddress ours) || ours.EndsWith(address)) continue;
            _netlink.SetPreferred(address.Address, address.SecondsLeft(DelegatedPrefix.Now), index);
            _ours[name] = address;
        }

        return missing;
    }

    void Note() => File.WriteAllLines(_file, _ours.Keys);

    void Remove(LanAddress address)
    {
        if (RouteSocket.Find(address.Device) is { } index) _netlink.TryRemoveAddress(address.Address, index);
    }

    public void Dispose()
    {
        foreach (LanAddress address in _ours.Values) Remove(address);
        _ours.Clear();
        File.Delete(_file);
        _netlink.Dispose();
    }
}
