using System.Diagnostics;
using APlusP.Core;
using APlusP.Linux;

namespace APlusP.Node.Lan;

/// <summary>
/// Addresses of the SMAP on the devices of LANs. What it has given them it takes away at the end, and what a daemon that was killed has given too: it is written down. An address that was there before is left as it is.
/// </summary>
sealed class LanAddresses : IDisposable
{
    readonly string _file;
    readonly RouteSocket _netlink = new();
    readonly Dictionary<string, (string Device, NetworkAddress Address)> _ours = new(StringComparer.Ordinal);

    readonly HashSet<string> _left = new(StringComparer.Ordinal);

    /// <param name="file">Where it is written down what is ours.</param>
    public LanAddresses(string file)
    {
        _file = file;
        if (!File.Exists(file)) return;
        foreach (string line in File.ReadAllLines(file))
            if (line.Split(' ') is [var device, var text] && NetworkAddress.Parse(text) is { } address && _left.Add(line)) _ours[line] = (device, address);
    }

    /// <summary>When one was taken away the last time, as <see cref="Stopwatch.GetTimestamp"/>.</summary>
    public long Taken { get; private set; }

    /// <summary>Makes the addresses these and no others.</summary>
    /// <returns>Devices that are not there, which are tried again at the next call.</returns>
    /// <exception cref="APlusPException">The kernel refuses.</exception>
    public IReadOnlyList<string> Set(IReadOnlyList<(string Device, NetworkAddress Address)> wanted)
    {
        var missing = new List<string>();
        var names = wanted.Select(w => NameOf(w.Device, w.Address)).ToHashSet(StringComparer.Ordinal);
        foreach ((string name, (string device, NetworkAddress address)) in _ours.ToArray())
        {
            if (names.Contains(name) && RouteSocket.Exists(device)) continue;
            Remove(device, address);
            _ours.Remove(name);
            Taken = Stopwatch.GetTimestamp();
            Note();
        }

        foreach ((string device, NetworkAddress address) in wanted)
        {
            string name = NameOf(device, address);
            if (RouteSocket.Find(device) is not { } index) missing.Add(device);

            // What was written down may be gone since, with its device.
            else if ((!_ours.ContainsKey(name) || _left.Remove(name)) && _netlink.TryAddAddress(address, index))
            {
                _ours[name] = (device, address);
                Note();
            }
        }

        return missing;
    }

    static string NameOf(string device, NetworkAddress address) => $"{device} {address}";

    void Note() => File.WriteAllLines(_file, _ours.Keys);

    void Remove(string device, NetworkAddress address)
    {
        if (RouteSocket.Find(device) is { } index) _netlink.TryRemoveAddress(address, index);
    }

    public void Dispose()
    {
        foreach ((string device, NetworkAddress address) in _ours.Values) Remove(device, address);
        _ours.Clear();
        File.Delete(_file);
        _netlink.Dispose();
    }
}
