using APlusP.Core;
using APlusP.Core.Addresses;

namespace APlusP.Survey.Flows;

/// <summary>The networks whose hosts are surveyed.</summary>
public sealed class InsideNetworks
{
    readonly (UInt128 Network, UInt128 Mask)[] _networks;

    InsideNetworks(IEnumerable<(UInt128, UInt128)> networks, bool given)
    {
        _networks = [.. networks];
        AreGiven = given;
    }

    /// <summary>Addresses of private networks (RFC 1918, 6598, 4193). Whoever begins a connection counts beside them, since that may be a host with an address of its own.</summary>
    public static InsideNetworks Private { get; } = new(((string[])["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]).Select(Read), given: false);

    /// <summary>Whether somebody said which networks; then nobody else is surveyed.</summary>
    public bool AreGiven { get; }

    /// <exception cref="APlusPException">AP7005: one is no prefix.</exception>
    public static InsideNetworks Of(IReadOnlyCollection<string> prefixes) => prefixes.Count == 0 ? Private : new InsideNetworks(prefixes.Select(Read), given: true);

    static (UInt128, UInt128) Read(string text)
    {
        if (IPv4Prefix.TryParse(text, out IPv4Prefix four, out string fault)) return (HostAddress.Of(four.Address).Value, UInt128.MaxValue << (32 - four.Length));
        if (text.Contains(':', StringComparison.Ordinal) && IPv6Prefix.TryParse(text, out IPv6Prefix six, out fault)) return (six.Address.Value, IPv6Prefix.MaskOf(six.Length));
        throw new APlusPException(ErrorCodes.SurveySettings, $"--inside: {fault}.");
    }

    public bool Contains(HostAddress address)
    {
        foreach ((UInt128 network, UInt128 mask) in _networks)
            if ((address.Value & mask) == network) return true;
        return false;
    }
}
