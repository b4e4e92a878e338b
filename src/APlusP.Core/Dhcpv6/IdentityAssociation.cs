using System.Buffers.Binary;
using APlusP.Core.Addresses;

namespace APlusP.Core.Dhcpv6;

/// <summary>
/// What a server gives a client to use for a time: addresses (IA_NA, RFC 8415 section 21.4) or prefixes (IA_PD, section 21.21).
/// <code>
///  |  IAID, 32 bits  |  T1, 32 bits  |  T2, 32 bits  |  options: IA Address or IA Prefix, Status Code
/// </code>
/// </summary>
/// <param name="Kind"><see cref="DhcpOption.IaNa"/> or <see cref="DhcpOption.IaPd"/>.</param>
/// <param name="Id">IAID: what the client calls it.</param>
/// <param name="Leases">What it holds.</param>
public sealed record IdentityAssociation(DhcpOption Kind, uint Id, IReadOnlyList<DhcpLease> Leases)
{
    /// <summary>A time that never comes, RFC 8415 section 7.7.</summary>
    public const uint Infinity = uint.MaxValue;

    const int HeaderSize = 12, AddressSize = 24, PrefixSize = 25;

    /// <summary>Seconds until the client asks this server for more time, and until it asks any; 0 leaves it to the client.</summary>
    public uint T1 { get; init; }

    /// <inheritdoc cref="T1"/>
    public uint T2 { get; init; }

    public DhcpStatus Status { get; init; }

    /// <summary>All of them that a message has. Those that are cut short are left out, and of others addresses and prefixes that are impossible.</summary>
    public static List<IdentityAssociation> ReadAll(DhcpOptions options)
    {
        var all = new List<IdentityAssociation>();
        foreach (DhcpOptions.Item option in options)
            if (option.Code is DhcpOption.IaNa or DhcpOption.IaPd && TryRead(option.Code, option.Value, out IdentityAssociation? association)) all.Add(association!);
        return all;
    }

    static bool TryRead(DhcpOption kind, ReadOnlySpan<byte> value, out IdentityAssociation? association)
    {
        association = null;
        if (value.Length < HeaderSize || !DhcpOptions.TryRead(value[HeaderSize..], out DhcpOptions options)) return false;
        var leases = new List<DhcpLease>();
        foreach (DhcpOptions.Item option in options)
            if (option.Code == (kind == DhcpOption.IaNa ? DhcpOption.IaAddress : DhcpOption.IaPrefix) && TryReadLease(kind, option.Value, out DhcpLease lease)) leases.Add(lease);
        association = new IdentityAssociation(kind, BinaryPrimitives.ReadUInt32BigEndian(value), leases)
        {
            T1 = BinaryPrimitives.ReadUInt32BigEndian(value[4..]),
            T2 = BinaryPrimitives.ReadUInt32BigEndian(value[8..]),
            Status = options.Status,
        };
        return true;
    }

    /// <summary>An IA Address (section 21.6: address, preferred, valid) or an IA Prefix (section 21.22: preferred, valid, length, prefix), each with options behind it.</summary>
    static bool TryReadLease(DhcpOption kind, ReadOnlySpan<byte> value, out DhcpLease lease)
    {
        lease = default;
        bool isAddress = kind == DhcpOption.IaNa;
        int size = isAddress ? AddressSize : PrefixSize, times = isAddress ? IPv6Address.Size : 0;
        if (value.Length < size || !DhcpOptions.TryRead(value[size..], out DhcpOptions options) || options.Status.Code != DhcpStatusCode.Success) return false;
        int length = isAddress ? 128 : value[8];
        if (length > 128) return false;
        var address = IPv6Address.Read(isAddress ? value : value[9..]);
        lease = new DhcpLease(IPv6Prefix.Of(address, length), BinaryPrimitives.ReadUInt32BigEndian(value[times..]), BinaryPrimitives.ReadUInt32BigEndian(value[(times + 4)..]));
        return true;
    }

    public void Write(DhcpWriter writer)
    {
        using DhcpWriter.Scope association = writer.Open(Kind);
        writer.Number32(Id);
        writer.Number32(T1);
        writer.Number32(T2);
        foreach (DhcpLease lease in Leases)
        {
            using DhcpWriter.Scope option = writer.Open(Kind == DhcpOption.IaNa ? DhcpOption.IaAddress : DhcpOption.IaPrefix);
            if (Kind == DhcpOption.IaNa) writer.Address(lease.Prefix.Address);
            writer.Number32(lease.Preferred);
            writer.Number32(lease.Valid);
            if (Kind == DhcpOption.IaNa) continue;
            writer.Number8((byte)lease.Prefix.Length);
            writer.Address(lease.Prefix.Address);
        }

        if (Status.Code != DhcpStatusCode.Success) writer.Status(Status.Code, Status.Message ?? "");
    }
}

/// <summary>An address, as a prefix of 128 bits, or a delegated prefix, and how long it lives.</summary>
/// <param name="Prefix">What.</param>
/// <param name="Preferred">Seconds for new uses; <see cref="IdentityAssociation.Infinity"/> for ever.</param>
/// <param name="Valid">Seconds for any use.</param>
public readonly record struct DhcpLease(IPv6Prefix Prefix, uint Preferred, uint Valid);
