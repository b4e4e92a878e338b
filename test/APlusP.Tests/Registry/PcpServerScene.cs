using APlusP.Core.Addresses;
using APlusP.Core.Pcp;
using APlusP.Core.PortSets;
using APlusP.Registry.Allocation;
using APlusP.Registry.Leases;
using APlusP.Registry.Pcp;
using APlusP.Registry.Storage;

namespace APlusP.Tests.Registry;

/// <summary>A registry that answers PCP, and clients by hand.</summary>
sealed class PcpServerScene : IDisposable
{
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-pcp-").FullName;

    public PcpServerScene(PcpServerSettings? settings = null, LeasePolicy? policy = null)
    {
        Settings = settings ?? Open;

        // The database writes down by the machine's clock when it was made, and the epoch counts from there: it is made in less than this.
        Registry = new RegistryScene(new SqliteDatabase(Path.Combine(_directory, SqliteDatabase.FileName)), policy, new Clock { Now = DateTimeOffset.UtcNow.AddSeconds(30) });
        Responder = new PcpResponder(Settings, Registry.Registrar, Counters);
    }

    /// <summary>Homes of a /64 each, and no bounds that a test meets by chance.</summary>
    public static PcpServerSettings Open => new() { Listen = [], Clients = [IPv6Prefix.Parse("2001:db8::/32")], RequestsPerSecond = 1_000_000, RequestsPerHome = 1_000_000 };

    public PcpServerSettings Settings { get; }

    public RegistryScene Registry { get; }

    public PcpCounters Counters { get; } = new();

    public PcpResponder Responder { get; private set; }

    /// <summary>The same registry, started again.</summary>
    public void Restart() => Responder = new PcpResponder(Settings, Registry.Registrar, Counters);

    public static IPv6Address Client(int home, int host = 5) => new(IPv6Address.Parse("2001:db8::").Value + ((UInt128)home << 64) + (UInt128)host);

    public static PcpNonce Nonce(int number) => new(0x1111, (uint)number);

    /// <summary>A client's request for a port set, or for its end.</summary>
    public static byte[] Map(IPv6Address client, PcpNonce nonce, uint lifetime = 3600, ushort? size = PcpPortSet.AsManyAsThereAre, byte protocol = 0, ushort internalPort = 0, (string Address, ushort Port)? suggested = null, byte[]? more = null)
    {
        byte[] bytes = new byte[PcpNumbers.LongestMessage];
        var map = new PcpMap(nonce, protocol, internalPort, suggested?.Port ?? 0, PcpMap.Written(suggested is var (address, _) ? IPv4Address.Parse(address) : default));
        int length = PcpRequest.WriteMap(bytes, client, lifetime, map, size is { } ports ? new PcpPortSet(ports, internalPort, false) : null);
        return [.. bytes[..length], .. more ?? []];
    }

    public byte[]? Send(byte[] message, IPv6Address source) => Responder.Answer(message, source).GetAwaiter().GetResult();

    public PcpSaid Ask(byte[] message, IPv6Address source) => new(Send(message, source) ?? throw new Xunit.Sdk.XunitException("no answer"));

    /// <summary>The first address of a home asks.</summary>
    public PcpSaid Ask(int home, ushort size = PcpPortSet.AsManyAsThereAre, uint lifetime = 3600, int nonce = 1, int host = 5, (string Address, ushort Port)? suggested = null) =>
        Ask(Map(Client(home, host), Nonce(nonce), lifetime, size, suggested: suggested), Client(home, host));

    public List<Lease> Leases() => Registry.Registrar.Read(s => s.All($"SELECT {Lease.Columns} FROM lease WHERE ended IS NULL ORDER BY valid_from", Lease.Read));

    public long Counted(PcpResult result) => Counters.Document.Results[PcpNumbers.NameOf(result)];

    public void Dispose()
    {
        Registry.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}

/// <summary>An answer of the server, taken apart.</summary>
sealed class PcpSaid
{
    public PcpSaid(byte[] bytes)
    {
        Bytes = bytes;
        Assert.True(PcpResponse.TryRead(bytes, out PcpResponse response));
        (Result, Lifetime, Epoch, Opcode) = (response.Result, response.Lifetime, response.Epoch, response.Opcode);
        if (!response.TryReadMap(out PcpMap map, out int size)) return;
        Map = map;
        Size = size;
        HasSet = bytes.Length > PcpNumbers.HeaderSize + PcpMap.Size;
    }

    public byte[] Bytes { get; }

    public PcpResult Result { get; }

    public PcpOpcode Opcode { get; }

    public uint Lifetime { get; }

    public uint Epoch { get; }

    public PcpMap Map { get; }

    public int Size { get; }

    public bool HasSet { get; }

    public IPv4Address Address => Map.External!.Value;

    public PortRange Ports => new(Map.ExternalPort, (ushort)(Map.ExternalPort + Size - 1));
}
