using System.Runtime.CompilerServices;
using APlusP.Core.Addresses;

namespace APlusP.Core.PortSets;

/// <summary>A mapping rule with all its shifts and masks worked out: from (IPv4 address, port) to CE in a dozen instructions, for the data plane.</summary>
readonly struct MappingRuleArithmetic
{
    readonly UInt128 _ipv6;
    readonly uint _ipv4, _ruleMask, _subscriberMask;
    readonly ulong _identifierMask;
    readonly byte _suffixShift, _psidLength, _blockShift, _psidShift, _addressShift, _psidAt;
    readonly byte _eaShift;
    readonly bool _hasEa;
    readonly int _firstBlock, _onlyPsid;

    public MappingRuleArithmetic(MappingRule rule)
    {
        _ipv6 = rule.IPv6.Address.Value;
        _ipv4 = rule.IPv4.Address.Value;
        _ruleMask = IPv4Prefix.MaskOf(rule.IPv4.Length);
        _subscriberMask = IPv4Prefix.MaskOf(rule.SubscriberLength);

        // Of a prefix of no bits nothing is left to shift, and a shift by 32 would leave all of it.
        _suffixShift = (byte)((32 - rule.SubscriberLength) & 31);
        _psidLength = (byte)rule.PsidLength;
        _hasEa = rule.EaLength > 0;
        _eaShift = (byte)(_hasEa ? 128 - rule.EndUserLength : 0);

        // Without a PSID every port has the PSID 0.
        _blockShift = (byte)(16 - rule.PsidOffset);
        _psidShift = (byte)(rule.PsidLength == 0 ? 0 : 16 - rule.PsidOffset - rule.PsidLength);
        _firstBlock = rule.PsidLength > 0 && rule.PsidOffset > 0 ? 1 : 0;
        _onlyPsid = rule.ExplicitPsid ?? -1;

        (_addressShift, _psidAt) = rule.Form == InterfaceIdentifierForm.Rfc7597 ? ((byte)16, (byte)0) : ((byte)24, (byte)8);
        _identifierMask = (ulong)~IPv6Prefix.MaskOf(rule.EndUserLength);
    }

    /// <summary>The PSID of a port, 0 where there are none, or -1 in the block that no PSID has (A = 0).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int PsidOf(ushort port) => port >> _blockShift < _firstBlock ? -1 : port >> _psidShift & (1 << _psidLength) - 1;

    /// <inheritdoc cref="MappingRule.TryFindCe"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryFindCe(IPv4Address address, ushort port, out IPv6Address ce)
    {
        ce = default;
        int psid = PsidOf(port);
        if ((address.Value & _ruleMask) != _ipv4 || psid < 0 || (_onlyPsid >= 0 && _onlyPsid != psid)) return false;
        uint own = address.Value & _subscriberMask;
        UInt128 prefix = _ipv6;
        if (_hasEa) prefix |= (UInt128)((ulong)((own & ~_ruleMask) >> _suffixShift) << _psidLength | (uint)psid) << _eaShift;

        // RFC 7597 section 6: the interface identifier, as much of it as a prefix beyond 64 bits leaves.
        ulong identifier = (ulong)own << _addressShift | (ulong)(uint)psid << _psidAt;
        ce = new IPv6Address(prefix | identifier & _identifierMask);
        return true;
    }
}
