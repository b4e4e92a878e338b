namespace APlusP.Node.Lan;

/// <summary>What hosts of LANs call themselves, by the file of dnsmasq's leases: a line each, of end, Ethernet address, address, name and client identifier, where "*" is no name.</summary>
sealed class LeaseNames(string file)
{
    DateTime _read;
    IReadOnlyDictionary<string, string> _names = new Dictionary<string, string>(StringComparer.Ordinal);
    ILookup<string, string> _addresses = Array.Empty<string>().ToLookup(a => a, StringComparer.Ordinal);

    /// <summary>Names by address. The file is read again when it has changed.</summary>
    public IReadOnlyDictionary<string, string> Names
    {
        get
        {
            try
            {
                DateTime written = File.GetLastWriteTimeUtc(file);
                if (written == _read) return _names;
                string[] lines = File.Exists(file) ? File.ReadAllLines(file) : [];
                (_names, _addresses) = (Read(lines), AddressesByMac(lines));
                _read = written;
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // It is being written, or is not ours: what was known stands.
            }

            return _names;
        }
    }

    /// <summary>The addresses that a host has leases of, by its Ethernet address.</summary>
    public IEnumerable<string> AddressesOf(string mac)
    {
        _ = Names;
        return _addresses[mac];
    }

    static ILookup<string, string> AddressesByMac(IEnumerable<string> lines) => lines.Select(l => l.Split(' ')).Where(l => l.Length >= 4).ToLookup(l => l[1], l => l[2], StringComparer.Ordinal);

    internal static Dictionary<string, string> Read(IEnumerable<string> lines)
    {
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string line in lines)
            if (line.Split(' ') is [_, _, var address, var name, ..] && name != "*") names[address] = name;
        return names;
    }
}
