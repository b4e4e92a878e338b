using System.Runtime.CompilerServices;
using APlusP.Core.Addresses;

namespace APlusP.Core.PortSets;

/// <summary>A mapping rule with all its shifts and masks worked out: from (IPv4 address, port) to CE in a dozen instructions, for the data planes.</summary>
public readonly struct MappingRuleArithmetic
{
    /// <summary>Rule IPv6 prefix and Rule IPv4 prefix.</summary>
    public readonly UInt128 IPv6;

    public readonly uint IPv4, RuleMask, SubscriberMask;

    /// <summary>What of the interface identifier a prefix beyond 64 bits leaves.</summary>
    public readonly ulong IdentifierMask;

    public readonly byte SuffixShift, PsidLength, BlockShift, PsidShift, AddressShift, PsidAt, EaShift;

    public readonly bool HasEa;

    /// <summary>The first block of ports that a PSID has; the one PSID that the rule has, or -1.</summary>
    public readonly int FirstBlock, OnlyPsid;

    public MappingRuleArithmetic(MappingRule rule)
    {
        IPv6 = rule.IPv6.Address.Value;
        IPv4 = rule.IPv4.Address.Value;
        RuleMask = IPv4Prefix.MaskOf(rule.IPv4.Length);
        SubscriberMask = IPv4Prefix.MaskOf(rule.SubscriberLength);

        // Of a prefix of no bits nothing is left to shift, and a shift by 32 would leave all of it.
        SuffixShift = (byte)((32 - rule.SubscriberLength) & 31);
        PsidLength = (byte)rule.PsidLength;
        HasEa = rule.EaLength > 0;
        EaShift = (byte)(HasEa ? 128 - rule.EndUserLength : 0);

        // Without a PSID every port has the PSID 0.
        BlockShift = (byte)(16 - rule.PsidOffset);
        PsidShift = (byte)(rule.PsidLength == 0 ? 0 : 16 - rule.PsidOffset - rule.PsidLength);
        FirstBlock = rule.PsidLength > 0 && rule.PsidOffset > 0 ? 1 : 0;
        OnlyPsid = rule.ExplicitPsid ?? -1;

        (AddressShift, PsidAt) = rule.Form == InterfaceIdentifierForm.Rfc7597 ? ((byte)16, (byte)0) : ((byte)24, (byte)8);
        IdentifierMask = (ulong)~IPv6Prefix.MaskOf(rule.EndUserLength);
    }

    /// <summary>The PSID of a port, 0 where there are none, or -1 in the block that no PSID has (A = 0).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int PsidOf(ushort port) => port >> BlockShift < FirstBlock ? -1 : port >> PsidShift & (1 << PsidLength) - 1;

    /// <inheritdoc cref="MappingRule.TryFindCe"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryFindCe(IPv4Address address, ushort port, out IPv6Address ce)
    {
        ce = default;
        int psid = PsidOf(port);
        if ((address.Value & RuleMask) != IPv4 || psid < 0 || (OnlyPsid >= 0 && OnlyPsid != psid)) return false;
        uint own = address.Value & SubscriberMask;
        UInt128 prefix = IPv6;
        if (HasEa) prefix |= (UInt128)((ulong)((own & ~RuleMask) >> SuffixShift) << PsidLength | (uint)psid) << EaShift;

        // RFC 7597 section 6: the interface identifier, as much of it as a prefix beyond 64 bits leaves.
        ulong identifier = (ulong)own << AddressShift | (ulong)(uint)psid << PsidAt;
        ce = new IPv6Address(prefix | identifier & IdentifierMask);
        return true;
    }
}
