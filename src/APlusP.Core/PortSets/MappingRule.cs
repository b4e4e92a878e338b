using APlusP.Core.Addresses;

namespace APlusP.Core.PortSets;

/// <summary>Where a CE's IPv6 address holds its IPv4 address and PSID.</summary>
public enum InterfaceIdentifierForm
{
    /// <summary>RFC 7597 section 6.</summary>
    Rfc7597,

    /// <summary>draft-ietf-softwire-map-03, which some providers kept: the IPv4 address one octet further to the left.</summary>
    Draft03,
}

/// <summary>
/// A mapping rule of MAP-E, RFC 7597 section 5: the bindings of a whole MAP domain, told by arithmetic. Basic Mapping Rule (BMR) and
/// Forwarding Mapping Rule (FMR) have the same parameters; which one it is depends on who uses it.
/// </summary>
/// <remarks>
/// <code>
///  End-user IPv6 prefix                          CE's address
///  |   n bits   |     o EA bits     |   s bits  |  128-n-o-s bits   |
///  +------------+---------+---------+-----------+-------------------+
///  | Rule IPv6  | IPv4    |  PSID   | subnet ID | interface ID      |
///  | prefix     | suffix  |         | (zero)    |                   |
///  +------------+---------+---------+-----------+-------------------+
///               | p bits  | q bits  |
///
///  IPv4 address                        interface ID, RFC 7597 section 6
///  |   r bits   |      p bits   |      |  16 bits  |    32 bits    | 16 bits |
///  +------------+---------------+      +-----------+---------------+---------+
///  | Rule IPv4  | IPv4 suffix   |      |     0     | IPv4 address  |  PSID   |
///  | prefix     |               |      +-----------+---------------+---------+
///  +------------+---------------+      | 0 |   IPv4 address  |   PSID   |  0  |     draft-03: 8, 32, 16, 8 bits
/// </code>
/// Where o + r is 32 a CE has a whole address, where it is less a whole IPv4 prefix of r + o bits, and where it is more, q = o + r - 32.
/// The methods want a rule whose <see cref="Fault"/> is null.
/// </remarks>
/// <param name="IPv6">Rule IPv6 prefix; its length is n.</param>
/// <param name="IPv4">Rule IPv4 prefix; its length is r.</param>
/// <param name="EaLength">EA-bits length, o.</param>
public sealed record MappingRule(IPv6Prefix IPv6, IPv4Prefix IPv4, int EaLength)
{
    /// <summary>The default of RFC 7597 section 5.1: ports 0 to 1023 belong to nobody.</summary>
    public const int DefaultPsidOffset = 6;

    /// <summary>RFC 7597 section 5.2: a whole IPv4 address and a port.</summary>
    public const int LongestEa = 48;

    /// <summary>PSID offset, a.</summary>
    public int PsidOffset { get; init; } = DefaultPsidOffset;

    /// <summary>PSID length as it was given (RFC 7598 section 4.5); needed only without EA bits, and otherwise a second witness.</summary>
    public int? ExplicitPsidLength { get; init; }

    /// <summary>The PSID as it was given, for a rule without EA bits; with them a second witness: no other PSID is the rule's then.</summary>
    public int? ExplicitPsid { get; init; }

    public InterfaceIdentifierForm Form { get; init; }

    /// <summary>IPv4 bits in the EA bits, p.</summary>
    public int SuffixLength => Math.Min(32 - IPv4.Length, EaLength);

    /// <summary>PSID length, q (k of section 5.1): 0 for a whole address or an IPv4 prefix.</summary>
    public int PsidLength => EaLength == 0 ? ExplicitPsidLength ?? 0 : EaLength - SuffixLength;

    /// <summary>Length of the IPv4 prefix that one CE has: 32 for an address.</summary>
    public int SubscriberLength => IPv4.Length + SuffixLength;

    /// <summary>Bits by which CEs of this rule differ from each other and from everybody else, n + o.</summary>
    public int EndUserLength => IPv6.Length + EaLength;

    /// <summary>Whether a CE has its address, or prefix, for itself.</summary>
    public bool IsWholeAddress => PsidLength == 0;

    /// <summary>How many CEs the rule has room for.</summary>
    public double Capacity => EaLength == 0 || ExplicitPsid is not null && PsidLength > 0 ? Math.Pow(2, SuffixLength) : Math.Pow(2, EaLength);

    /// <summary>Why these parameters are no rule, with the section that says so; or null.</summary>
    public string? Fault
    {
        get
        {
            int r = IPv4.Length, p = SuffixLength;
            if (IPv6 != IPv6Prefix.Of(IPv6.Address, IPv6.Length)) return $"the Rule IPv6 prefix {IPv6} has bits behind its length";
            if (IPv4 != IPv4Prefix.Of(IPv4.Address, r)) return $"the Rule IPv4 prefix {IPv4} has bits behind its length";
            if (!IPv6.Address.IsUnicast && !IPv6.Last.IsUnicast) return $"the Rule IPv6 prefix {IPv6} is not unicast";
            if ((r >= 8 && !IPv4.Address.IsUnicast) || IPv4.Address.Value >> 29 == 7) return $"the Rule IPv4 prefix {IPv4} is not unicast";
            if (EaLength is < 0 or > LongestEa) return $"the EA-bits length {EaLength} is not from 0 to {LongestEa} (RFC 7597 section 5.2)";
            if (EndUserLength > 128)
                return $"the Rule IPv6 prefix and the EA bits together have {EndUserLength} bits, more than any End-user IPv6 prefix (RFC 7597 section 5.2)";
            if (PsidOffset is < 0 or > 15) return $"the PSID offset {PsidOffset} is not from 0 to 15 (RFC 7597 section 5.1)";
            if (ExplicitPsidLength is < 0 or > 16) return $"the PSID length {ExplicitPsidLength} is not from 0 to 16 (RFC 7597 section 5.1)";
            if (EaLength == 0) return FaultWithoutEa;
            if (ExplicitPsidLength is { } given && given != PsidLength)
            {
                return $"the PSID length must be {PsidLength}, not {given}: of {EaLength} EA bits over an IPv4 prefix of {r} bits, {p} complete the address, "
                    + $"which leaves {PsidLength} (RFC 7597 section 5.2)";
            }

            if (PsidLength > 16 - PsidOffset)
            {
                return $"the EA bits leave a PSID of {PsidLength} bits, which does not fit into a port beside a PSID offset of {PsidOffset}: "
                    + "together they may have 16 (RFC 7597 section 5.1)";
            }

            return FaultOfPsid;
        }
    }

    string? FaultWithoutEa =>
        ExplicitPsidLength is > 0 && IPv4.Length < 32
            ? $"a rule without EA bits over an IPv4 prefix of {IPv4.Length} bits gives its one CE the whole prefix, which has no PSID; the PSID length must be 0 (RFC 7597 section 5.2)"
        : ExplicitPsidLength is > 0 && ExplicitPsid is null ? "without EA bits the PSID must be given beside its length (RFC 7598 section 4.5)"
        : ExplicitPsidLength is null && ExplicitPsid is not null ? "without EA bits a PSID needs its length beside it (RFC 7598 section 4.5)"
        : FaultOfPsid;

    string? FaultOfPsid =>
        PsidLength == 0 ? ExplicitPsid is > 0 or < 0 ? $"the PSID {ExplicitPsid} is given, but the PSID length is 0, so that there is none (RFC 7598 section 4.5)" : null
        : new Psid(PsidOffset, PsidLength, ExplicitPsid ?? 0).Fault is { } fault ? $"{fault} (RFC 7597 section 5.1)"
        : null;

    /// <summary>
    /// What the holder of an End-user IPv6 prefix has by this rule, as its Basic Mapping Rule (RFC 7597 section 5.2). On failure
    /// <paramref name="error"/> says why it has nothing.
    /// </summary>
    public bool TryMapEndUser(IPv6Prefix endUser, out MappedSubscriber? subscriber, out string error)
    {
        subscriber = null;
        error = "";
        if (endUser.Length < EndUserLength)
        {
            error = $"the Rule IPv6 prefix and the EA bits together have {EndUserLength} bits, more than the End-user IPv6 prefix {endUser} has (RFC 7597 section 5.2)";
            return false;
        }

        if (!IPv6.Contains(endUser))
        {
            error = $"the End-user IPv6 prefix {endUser} does not begin with the Rule IPv6 prefix {IPv6} (RFC 7597 section 5.2)";
            return false;
        }

        (uint suffix, int psid) = SplitEa(endUser.Address);
        if (ExplicitPsid is { } given && given != psid)
        {
            error = $"the EA bits of the End-user IPv6 prefix {endUser} say PSID {psid}, but the rule says {given} (RFC 7597 section 5.2)";
            return false;
        }

        var address = new IPv4Address(IPv4.Address.Value | suffix);
        if (!address.IsUnicast && SubscriberLength == 32)
        {
            error = $"the EA bits of the End-user IPv6 prefix {endUser} make {address}, which no host can have";
            return false;
        }

        subscriber = Compose(endUser, address, psid);
        return true;
    }

    /// <summary>
    /// Who has a port of an IPv4 address by this rule, as a Forwarding Mapping Rule (RFC 7597 section 5.3). On failure
    /// <paramref name="error"/> says why nobody has it.
    /// </summary>
    public bool TryMapPort(IPv4Address address, ushort port, out MappedSubscriber? subscriber, out string error)
    {
        subscriber = null;
        if (!TryFindCe(address, port, out IPv6Address ce))
        {
            error = !IPv4.Contains(address) ? $"{address} is not in the Rule IPv4 prefix {IPv4} (RFC 7597 section 5.3)"
                : PsidOffset > 0 && port >> (16 - PsidOffset) == 0
                    ? $"port {port} is one of 0 to {(1 << (16 - PsidOffset)) - 1}, which a PSID offset of {PsidOffset} keeps from everybody (RFC 7597 section 5.1)"
                : $"port {port} has the PSID {PsidOf(port)}, but the rule is for {ExplicitPsid} alone (RFC 7598 section 4.5)";
            return false;
        }

        error = "";
        subscriber = Compose(IPv6Prefix.Of(ce, EndUserLength), new IPv4Address(address.Value & IPv4Prefix.MaskOf(SubscriberLength)), PsidOf(port));
        return true;
    }

    /// <summary>The CE's address for a port of an IPv4 address. Allocates nothing.</summary>
    public bool TryFindCe(IPv4Address address, ushort port, out IPv6Address ce) => new MappingRuleArithmetic(this).TryFindCe(address, port, out ce);

    /// <summary>
    /// Whose address this is by this rule: the IPv4 prefix, of 32 bits for an address, and PSID that it holds. False where it is not what
    /// <see cref="TryFindCe"/> makes of them. Allocates nothing.
    /// </summary>
    public bool TryReadCe(IPv6Address ce, out IPv4Prefix prefix, out int psid)
    {
        prefix = default;
        psid = 0;
        if (!IPv6.Contains(ce)) return false;
        (uint suffix, psid) = SplitEa(ce);
        if (ExplicitPsid is { } only && only != psid) return false;
        prefix = new IPv4Prefix(new IPv4Address(IPv4.Address.Value | suffix), SubscriberLength);
        return CeAddress(IPv6Prefix.Of(ce, EndUserLength), prefix.Address, psid, Form) == ce;
    }

    int PsidOf(ushort port) => new MappingRuleArithmetic(this).PsidOf(port);

    /// <summary>The IPv4 suffix, in its place in an address, and the PSID that an address of the rule holds or, without EA bits, is given.</summary>
    (uint Suffix, int Psid) SplitEa(IPv6Address address)
    {
        if (EaLength == 0) return (0, PsidLength == 0 ? 0 : ExplicitPsid ?? 0);
        ulong ea = (ulong)(address.Value >> (128 - EndUserLength)) & (1ul << EaLength) - 1;
        // p is below 32 wherever r is above 0, and a shift by 32 (r = 32, p = 0) would leave the number as it is.
        uint suffix = SuffixLength == 0 ? 0 : (uint)(ea >> PsidLength) << (32 - SubscriberLength);
        return (suffix, (int)(ea & (1ul << PsidLength) - 1));
    }

    MappedSubscriber Compose(IPv6Prefix endUser, IPv4Address address, int psid) => new(
        endUser, new IPv4Prefix(address, SubscriberLength), PsidLength == 0 ? PortSet.WholeAddress : PortSet.FromPsid(PsidOffset, PsidLength, psid),
        CeAddress(endUser, address, psid, Form));

    /// <summary>
    /// The address that a home makes for its end of the softwire, RFC 7597 section 6 and RFC 7596 section 5.1: the first subnet of its prefix, and an interface identifier of IPv4 address and PSID, as much of it
    /// as a prefix beyond 64 bits leaves.
    /// </summary>
    /// <param name="prefix">The home's prefix.</param>
    /// <param name="address">Its IPv4 address.</param>
    /// <param name="psid">Its PSID, 0 where there is none.</param>
    /// <param name="form">Where the interface identifier holds them.</param>
    public static IPv6Address CeAddress(IPv6Prefix prefix, IPv4Address address, int psid, InterfaceIdentifierForm form = InterfaceIdentifierForm.Rfc7597)
    {
        ulong identifier = form == InterfaceIdentifierForm.Rfc7597
            ? (ulong)address.Value << 16 | (uint)psid
            : (ulong)address.Value << 24 | (ulong)(uint)psid << 8;
        return new IPv6Address(prefix.Address.Value | identifier & ~IPv6Prefix.MaskOf(prefix.Length));
    }
}

/// <summary>What one CE has by a mapping rule.</summary>
/// <param name="EndUser">Its End-user IPv6 prefix.</param>
/// <param name="Prefix">Its IPv4 address, as a prefix of 32 bits, or the shorter prefix that it has whole.</param>
/// <param name="Ports">Its ports of the address.</param>
/// <param name="Ce">Its IPv6 address, RFC 7597 section 6: its end of the softwire.</param>
public sealed record MappedSubscriber(IPv6Prefix EndUser, IPv4Prefix Prefix, PortSet Ports, IPv6Address Ce)
{
    /// <summary>The PSID, 0 where there is none.</summary>
    public int Psid => Ports.Psid?.Value ?? 0;

    /// <summary>Its length, 0 where there is none.</summary>
    public int PsidLength => Ports.Psid?.Length ?? 0;

    /// <summary>"192.0.2.18", or "192.0.2.16/30" for a prefix.</summary>
    public string AddressText => Prefix.Length == 32 ? $"{Prefix.Address}" : $"{Prefix}";
}
