using System.Net;
using APlusP.Registry.Allocation;
using APlusP.Registry.Dhcpv6;
using APlusP.Registry.Pcp;

namespace APlusP.Registry.Configuration;

/// <summary>What a request may do that comes from this machine itself and brings no token.</summary>
public enum LoopbackAccess
{
    /// <summary>All that an operator may, but for credentials.</summary>
    Operate,

    /// <summary>Read.</summary>
    Read,

    /// <summary>Nothing: a token is needed here too.</summary>
    Token,
}

/// <summary>All that a registry is started with, checked and immutable.</summary>
public sealed record RegistrySettings
{
    public const int DefaultPort = 8646;

    /// <summary>Ports of a block where nothing else is said: RFC 6346 section 5.2 begins with 128.</summary>
    public const int DefaultBlock = 128;

    /// <summary>Where the SQLite file and the first operator's token are.</summary>
    public required string Directory { get; init; }

    /// <summary>A connection string of PostgreSQL; null for the file.</summary>
    public string? Database { get; init; }

    public IReadOnlyList<IPEndPoint> Listen { get; init; } = [new(IPAddress.Loopback, DefaultPort)];

    public LoopbackAccess Loopback { get; init; }

    /// <summary>PEM files; needed beyond loopback.</summary>
    public string? Certificate { get; init; }

    /// <inheritdoc cref="Certificate"/>
    public string? Key { get; init; }

    /// <summary>PEM file of the authorities whose certificates SMAPs may show in place of a key; null for none.</summary>
    public string? ClientAuthority { get; init; }

    /// <summary>PEM or DER file of the certificates that those took back.</summary>
    public string? Revoked { get; init; }

    /// <summary>Where blocks of ports that are given and taken back are told to; null for nowhere.</summary>
    public IpfixSettings? Ipfix { get; init; }

    /// <summary>How long events and ended leases are kept; null for ever.</summary>
    public TimeSpan? Retention { get; init; }

    public required LeasePolicy Policy { get; init; }

    /// <summary>What is told by DHCPv6; null where nothing is.</summary>
    public DhcpServerSettings? Dhcpv6 { get; init; }

    /// <summary>Who may ask by PCP, and where; null where nobody may.</summary>
    public PcpServerSettings? Pcp { get; init; }

    public IReadOnlyList<Diagnostic> Warnings { get; init; } = [];
}
