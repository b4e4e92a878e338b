namespace APlusP.Node.Lan;

/// <summary>What hosts of LANs call themselves, by the file of dnsmasq's leases: a line each, of end, Ethernet address, address, name and client identifier, where "*" is no name.</summary>
sealed class LeaseNames(string file)
{
    DateTime _read;
    IReadOnlyDictionary<string, string> _names = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Names by address. The file is read again when it has changed.</summary>
    public IReadOnlyDictionary<string, string> Names
    {
        get
        {
            try
            {
                DateTime written = File.GetLastWriteTimeUtc(file);
                if (written == _read) return _names;
                _names = Read(File.Exists(file) ? File.ReadLines(file) : []);
                _read = written;
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // It is being written, or is not ours: what was known stands.
            }

            return _names;
        }
    }

    internal static Dictionary<string, string> Read(IEnumerable<string> lines)
    {
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string line in lines)
            if (line.Split(' ') is [_, _, var address, var name, ..] && name != "*") names[address] = name;
        return names;
    }
}
