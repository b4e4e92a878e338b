using APlusP.Core.Addresses;
using APlusP.Core.Forwarding;
using APlusP.Core.Pcp;
using APlusP.Core.PortControl;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;
using APlusP.Tests.Registry;

namespace APlusP.Tests.PortControl;

/// <summary>A home with a book of mappings, its NAPT told by hand, and servers over it.</summary>
sealed class DeskScene : IMappingDesk, IPortsInUse
{
    public const string Shared = "192.0.2.1", Console = "192.168.2.10", Phone = "192.168.2.11";

    public DeskScene(string ports = "10000-10099", MappingLimits? limits = null, params PortForward[] forwards)
    {
        Limits = limits ?? new MappingLimits();
        Book = new MappingBook(Terms(ports, Shared, forwards), new Random(7));
        Pcp = new PcpMapServer(this, () => Limits, Counters);
        NatPmp = new NatPmpServer(this, () => Limits, Counters);
    }

    public MappingLimits Limits { get; }

    public MappingBook Book { get; }

    public PortControlCounters Counters { get; } = new();

    public PcpMapServer Pcp { get; }

    public NatPmpServer NatPmp { get; }

    /// <summary>The ports that endpoints of the LAN have by flows.</summary>
    public Dictionary<(IpProtocol Protocol, IPv4Address Host, ushort Port), ushort> Flows { get; } = [];

    public long Now { get; set; } = 1000;

    public uint Epoch => (uint)Now;

    public MappingTerms Terms(string ports, string? address = Shared, params PortForward[] forwards) =>
        new(address is null ? null : IPv4Address.Parse(address), PortSet.Parse(ports), forwards, Limits);

    public T Ask<T>(Func<MappingBook, IPortsInUse, long, T> request) => request(Book, this, Now);

    public ushort? PortOf(IpProtocol protocol, IPv4Address host, ushort port) => Flows.TryGetValue((protocol, host, port), out ushort external) ? external : null;

    public bool IsFree(IpProtocol protocol, ushort port) => !Flows.Any(f => f.Key.Protocol == protocol && f.Value == port);

    public static IPv4Address Host(string address) => IPv4Address.Parse(address);

    public static PortForward Static(int port, string host, int hostPort, IpProtocol protocol = IpProtocol.Tcp) => new(protocol, (ushort)port, Host(host), (ushort)hostPort);

    public static MappingWish Wish(int hostPort, string host = Console, MappingProtocol by = MappingProtocol.NatPmp, IpProtocol protocol = IpProtocol.Tcp, int suggested = 0, uint seconds = 3600, bool exact = false, ushort count = 1, int nonce = 0) =>
        new(by, protocol, Host(host), (ushort)hostPort, seconds) { Suggested = (ushort)suggested, IsExact = exact, Count = count, Nonce = nonce == 0 ? null : new PcpNonce(1, (uint)nonce) };

    public MappingGrant Map(MappingWish wish) => Book.Map(wish, this, Now);

    /// <summary>A PCP client's request, and what is said to it.</summary>
    public PcpSaid AskPcp(int hostPort, string host = Console, int nonce = 1, uint lifetime = 3600, byte protocol = 6, int suggested = 0, string? address = null, ushort? size = null, string? source = null, params byte[] more) =>
        new(Pcp.Answer(PcpRequestOf(hostPort, host, nonce, lifetime, protocol, suggested, address, size, more), Host(source ?? host)) ?? throw new Xunit.Sdk.XunitException("no answer"));

    public static byte[] PcpRequestOf(int hostPort, string host = Console, int nonce = 1, uint lifetime = 3600, byte protocol = 6, int suggested = 0, string? address = null, ushort? size = null, params byte[] more)
    {
        byte[] bytes = new byte[PcpNumbers.LongestMessage];
        var map = new PcpMap(new PcpNonce(1, (uint)nonce), protocol, (ushort)hostPort, (ushort)suggested, PcpMap.Written(address is null ? default : Host(address)));
        int length = PcpRequest.WriteMap(bytes, PcpMap.Written(Host(host)), lifetime, map, size is { } ports ? new PcpPortSet(ports, (ushort)hostPort, false) : null);
        return [.. bytes[..length], .. more];
    }

    public long Counted(string name) => Counters.Named().Single(c => c.Key == name).Value;
}
