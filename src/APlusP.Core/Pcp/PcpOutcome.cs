using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Core.Pcp;

/// <summary>How a server judged a request: for how long that stands, and what is assigned.</summary>
/// <param name="Result">How it went.</param>
/// <param name="Lifetime">Of the mapping, or of the error.</param>
/// <param name="Address">The shared address, where a mapping was made.</param>
/// <param name="Ports">Its ports; null where none was.</param>
public readonly record struct PcpOutcome(PcpResult Result, TimeSpan Lifetime, IPv4Address Address = default, PortRange? Ports = null)
{
    /// <summary>It is done, and there is nothing to tell of it.</summary>
    public static PcpOutcome Done => new(PcpResult.Success, TimeSpan.Zero);

    public static PcpOutcome Refused(PcpResult error, TimeSpan? lifetime = null) => new(error, lifetime ?? PcpNumbers.LifetimeOf(error));

    /// <summary>The shortest time that a mapping is given for, RFC 6887 section 15.</summary>
    public static TimeSpan Shortest { get; } = TimeSpan.FromSeconds(120);

    /// <summary>The time that a mapping is given for: as it was asked, but no less than the shortest and no more than the longest.</summary>
    public static TimeSpan Within(TimeSpan wanted, TimeSpan longest) => wanted > longest ? longest : wanted > Shortest ? wanted : Shortest < longest ? Shortest : longest;

    /// <summary>The response.</summary>
    /// <param name="request">The request as it came.</param>
    /// <param name="epoch">The server's.</param>
    /// <param name="asked">What is to be mapped; null where the request was no MAP.</param>
    /// <param name="set">How many ports were asked for; null for one.</param>
    public byte[] Write(ReadOnlySpan<byte> request, uint epoch, PcpMap? asked, PcpPortSet? set)
    {
        Span<byte> answer = stackalloc byte[PcpNumbers.LongestMessage];
        uint lifetime = (uint)Math.Clamp(Lifetime.TotalSeconds, 0, uint.MaxValue);
        int length = Result != PcpResult.Success ? PcpResponse.WriteError(answer, request, Result, lifetime, epoch)
            : asked is not { } map ? PcpResponse.WriteAnnounce(answer, epoch)
            : Ports is { } ports ? WriteAssigned(answer, lifetime, epoch, map, set, ports)

            // A deletion hears again what was to be deleted.
            : PcpResponse.WriteMap(answer, 0, epoch, map, set);
        return answer[..length].ToArray();
    }

    int WriteAssigned(Span<byte> answer, uint lifetime, uint epoch, PcpMap asked, PcpPortSet? set, PortRange ports)
    {
        int size = Math.Min(ports.Count, set?.Size ?? 1);
        PcpMap map = asked with { ExternalPort = ports.First, ExternalAddress = PcpMap.Written(Address) };

        // The set is left out where it is one port (RFC 7753 section 4.2).
        PcpPortSet? given = size == 1 ? null : new PcpPortSet((ushort)size, map.InternalPort, set!.Value.KeepsParity && ((map.InternalPort ^ map.ExternalPort) & 1) == 0);
        return PcpResponse.WriteMap(answer, lifetime, epoch, map, given);
    }
}
