using APlusP.Core.Addresses;
using APlusP.Core.Dhcpv6;
using APlusP.Core.PortSets;
using APlusP.Registry.Allocation;
using APlusP.Registry.Dhcpv6;
using APlusP.Registry.Storage;

namespace APlusP.Tests.Registry;

/// <summary>A registry that answers DHCPv6, and clients by hand.</summary>
sealed class DhcpServerScene : IDisposable
{
    public static readonly Duid Self = Duid.OfUuid(Guid.Parse("00112233-4455-6677-8899-aabbccddeeff"));

    public static readonly MappingRule Rule = new(IPv6Prefix.Parse("2001:db8::/40"), IPv4Prefix.Parse("192.0.2.0/24"), 16);

    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-dhcp-").FullName;

    public DhcpServerScene(DhcpServerSettings? settings = null, LeasePolicy? policy = null)
    {
        Settings = settings ?? Lightweight;
        Registry = new RegistryScene(new SqliteDatabase(Path.Combine(_directory, SqliteDatabase.FileName)), policy);
        Responder = new DhcpResponder(Settings, Registry.Registrar, Self);
    }

    /// <summary>A prefix for each of 2048 blocks at least.</summary>
    public static DhcpServerSettings Lightweight => new()
    {
        Interfaces = ["eth1"],
        BorderRelays = [IPv6Address.Parse("2001:db8:ffff::1")],
        Prefixes = IPv6Prefix.Parse("2001:db8:1000::/44"),
    };

    /// <summary>PSIDs of the rule's kind.</summary>
    public static LeasePolicy PsidPolicy => new()
    {
        Pools = [new Pool(IPv4Prefix.Parse("192.0.2.0/24"), PoolLayout.Psids(6, 8, systemPorts: false))],
        Classes = SubscriberClass.Standard(252),
        LeaseTime = TimeSpan.FromHours(1),
    };

    public static DhcpServerSettings ByRule => Lightweight with { Prefixes = null, Rules = [new SoftwireRule(Rule, Forwarding: true)], Mechanisms = [DhcpOption.S46MapE, DhcpOption.S46Lightweight] };

    public DhcpServerSettings Settings { get; }

    public RegistryScene Registry { get; }

    public DhcpResponder Responder { get; }

    public static Duid Client(int number) => Duid.OfEthernet([0x52, 0x54, 0, (byte)(number >> 16), (byte)(number >> 8), (byte)number]);

    public byte[]? Send(byte[] message, bool toAll = true) => Responder.Answer(message, toAll).GetAwaiter().GetResult();

    /// <summary>A message of a client that asks for a prefix and for softwires.</summary>
    public static byte[] Message(DhcpMessageType type, int client = 1, IPv6Prefix? has = null, Duid? server = null, Action<DhcpWriter>? more = null, bool association = true)
    {
        DhcpWriter writer = DhcpMessage.Begin(type, 0x123456);
        writer.Option(DhcpOption.ClientId, Client(client).Bytes);
        if (server is not null) writer.Option(DhcpOption.ServerId, server.Bytes);
        writer.Option(DhcpOption.Requested, [DhcpOption.S46Lightweight, DhcpOption.S46MapE, DhcpOption.S46Priority, DhcpOption.InformationRefreshTime]);
        if (association) new IdentityAssociation(DhcpOption.IaPd, 7, has is { } prefix ? [new DhcpLease(prefix, 0, 0)] : []).Write(writer);
        more?.Invoke(writer);
        return writer.ToArray();
    }

    public DhcpAnswer Ask(DhcpMessageType type, int client = 1, IPv6Prefix? has = null, Duid? server = null, Action<DhcpWriter>? more = null, bool association = true) =>
        new(Send(Message(type, client, has, server, more, association)) ?? throw new Xunit.Sdk.XunitException($"no answer to {type}"));

    public DhcpAnswer Request(int client = 1, Action<DhcpWriter>? more = null) => Ask(DhcpMessageType.Request, client, server: Self, more: more);

    public void Dispose()
    {
        Registry.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}

/// <summary>An answer of the server, taken apart.</summary>
sealed class DhcpAnswer
{
    public DhcpAnswer(byte[] bytes)
    {
        Bytes = bytes;
        Assert.True(DhcpMessage.TryRead(bytes, out DhcpMessage message));
        Type = message.Type;
        Assert.Equal(0x123456u, message.Transaction);
        Assert.True(Duid.TryRead(message.Options, DhcpOption.ServerId, out Duid? server));
        Assert.Equal(DhcpServerScene.Self, server);
        Status = message.Options.Status;
        Associations = IdentityAssociation.ReadAll(message.Options);
        Softwires = SoftwireOptions.Read(message.Options);
        Assert.Empty(Softwires.Ignored);
        Codes = [.. AllCodes(message.Options)];
        RefreshTime = message.Options.Number(DhcpOption.InformationRefreshTime);
    }

    static List<DhcpOption> AllCodes(DhcpOptions options)
    {
        var codes = new List<DhcpOption>();
        foreach (DhcpOptions.Item option in options) codes.Add(option.Code);
        return codes;
    }

    public byte[] Bytes { get; }

    public DhcpMessageType Type { get; }

    public DhcpStatus Status { get; }

    public IReadOnlyList<IdentityAssociation> Associations { get; }

    public SoftwireOptions Softwires { get; }

    public IReadOnlyList<DhcpOption> Codes { get; }

    public uint? RefreshTime { get; }

    public IPv6Prefix Prefix => Assert.Single(Assert.Single(Associations).Leases).Prefix;

    public AddressBinding Binding => Softwires.Lightweight!.Binding!;

    /// <summary>What a home makes of it.</summary>
    public SoftwireParameters Home()
    {
        SoftwireParameters? home = SoftwireParameters.Choose(Softwires, [Prefix], out string why);
        Assert.True(home is not null, why);
        return home;
    }
}
