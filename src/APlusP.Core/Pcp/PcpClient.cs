using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Core.Pcp;

/// <summary>What a server answered.</summary>
/// <param name="Result">How it went.</param>
/// <param name="Lifetime">How long the mapping stands, or the error.</param>
/// <param name="Address">The shared address, where it went well.</param>
/// <param name="Ports">Our ports of it.</param>
/// <param name="HasForgotten">Whether the server has lost its mappings since it answered last (RFC 6887 section 8.5).</param>
public readonly record struct PcpAnswer(PcpResult Result, TimeSpan Lifetime, IPv4Address Address, PortRange Ports, bool HasForgotten);

/// <summary>
/// A client of RFC 6887 with one mapping, of all protocols and all its ports to a set of ports of a shared address (RFC 7753), without its socket: requests are made, and datagrams read.
/// </summary>
/// <param name="nonce">By which the mapping is ours.</param>
/// <param name="random">Spreads repetitions.</param>
public sealed class PcpClient(PcpNonce nonce, Random random)
{
    /// <summary>What a client believes at most, RFC 6887 section 8.3 and 11.4.</summary>
    static readonly TimeSpan s_longestMapping = TimeSpan.FromDays(1), s_longestError = TimeSpan.FromMinutes(30);

    readonly PcpRetransmission _retransmission = new(random);
    readonly PcpEpoch _epoch = new();
    int _asked;

    /// <summary>Makes a request, which goes out now.</summary>
    /// <param name="bytes">Where it is written; <see cref="PcpNumbers.LongestMessage"/> octets are enough.</param>
    /// <param name="client">Our address.</param>
    /// <param name="lifetime">For how long; zero to delete the mapping.</param>
    /// <param name="size">How many ports.</param>
    /// <param name="has">What we have, or had, which the server then gives again if it can.</param>
    /// <param name="wait">How long to wait for the answer before it goes out again.</param>
    /// <returns>The length.</returns>
    public int Write(Span<byte> bytes, IPv6Address client, TimeSpan lifetime, int size, (IPv4Address Address, ushort First)? has, out TimeSpan wait)
    {
        _asked = Math.Min(size, PcpPortSet.AsManyAsThereAre);
        wait = _retransmission.Sent();
        var map = new PcpMap(nonce, 0, 0, has?.First ?? 0, PcpMap.Written(has?.Address ?? default));
        return PcpRequest.WriteMap(bytes, client, (uint)lifetime.TotalSeconds, map, new PcpPortSet((ushort)_asked, 0, KeepsParity: false));
    }

    /// <summary>From here on another request is made, whose first repetition is due soon.</summary>
    public void Begin() => _retransmission.Begin();

    /// <summary>Reads a datagram of the server's; null where it is no answer to our request.</summary>
    /// <param name="bytes">It.</param>
    /// <param name="now">Our time, which no clock setting moves.</param>
    public PcpAnswer? Read(ReadOnlySpan<byte> bytes, TimeSpan now)
    {
        if (!PcpResponse.TryRead(bytes, out PcpResponse response)) return null;
        var lifetime = TimeSpan.FromSeconds(response.Lifetime);
        if (response.Result == PcpResult.UnsupportedVersion) return Answered(new PcpAnswer(response.Result, Least(lifetime, s_longestError), default, default, false));
        if (!response.TryReadMap(out PcpMap map, out int size) || map.Nonce != nonce || map.Protocol != 0 || map.InternalPort != 0) return null;
        bool forgotten = _epoch.IsLost(response.Epoch, now);
        if (response.Result != PcpResult.Success) return Answered(new PcpAnswer(response.Result, Least(lifetime, s_longestError), default, default, forgotten));
        if (lifetime == TimeSpan.Zero) return Answered(new PcpAnswer(PcpResult.Success, lifetime, default, default, forgotten));

        // More than was asked for, or what is no address, no server may assign.
        if (map.External is not { IsUnicast: true } address || size > _asked || map.ExternalPort + size - 1 > ushort.MaxValue) return null;
        return Answered(new PcpAnswer(PcpResult.Success, Least(lifetime, s_longestMapping), address, new PortRange(map.ExternalPort, (ushort)(map.ExternalPort + size - 1)), forgotten));
    }

    PcpAnswer Answered(PcpAnswer answer)
    {
        Begin();
        return answer;
    }

    static TimeSpan Least(TimeSpan a, TimeSpan b) => a < b ? a : b;
}
