namespace APlusP.Node.Home;

/// <summary>
/// What tells one machine from another that has a copy of its disk. Neither makes an identity: they only say that one was made elsewhere. /etc/machine-id says nothing, since it is on the disk.
/// </summary>
/// <param name="Board">The board's or virtual machine's UUID, where the firmware has one and we may read it.</param>
/// <param name="Cards">Ethernet addresses of network cards that are hardware.</param>
sealed record MachineTraits(string? Board, IReadOnlyList<string> Cards)
{
    public static MachineTraits Here()
    {
        const string devices = "/sys/class/net";
        return new MachineTraits(
            TryRead("/sys/class/dmi/id/product_uuid"),
            !Directory.Exists(devices) ? [] : [.. Directory.GetDirectories(devices).Where(d => Directory.Exists(Path.Combine(d, "device"))).Select(d => TryRead(Path.Combine(d, "address"))).OfType<string>().Order()]);
    }

    /// <summary>Whether these are certainly two machines: by the board where both have one, else where they have no card in common.</summary>
    public bool IsOther(MachineTraits here)
    {
        if (Board is not null && here.Board is not null) return Board != here.Board;
        return Cards.Count > 0 && here.Cards.Count > 0 && !Cards.Intersect(here.Cards).Any();
    }

    static string? TryRead(string path)
    {
        try
        {
            return File.Exists(path) && File.ReadAllText(path).Trim() is { Length: > 0 } text ? text : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
