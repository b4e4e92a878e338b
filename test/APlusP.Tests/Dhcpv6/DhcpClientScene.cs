using APlusP.Core.Addresses;
using APlusP.Core.Dhcpv6;
using APlusP.Core.PortSets;
using APlusP.Tests.Forwarding;

namespace APlusP.Tests.Dhcpv6;

/// <summary>A client, a clock in the test's hand, and servers that say what the test wants.</summary>
sealed class DhcpClientScene
{
    public static readonly Duid Ours = Duid.OfEthernet([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

    public static readonly Duid Server = Duid.OfUuid(Guid.Parse("00000000-0000-0000-0000-000000000001")), Other = Duid.OfUuid(Guid.Parse("00000000-0000-0000-0000-000000000002"));

    public static readonly IPv6Prefix Prefix = IPv6Prefix.Parse("2001:db8:12:3400::/56");

    public DhcpClientScene(DhcpClientOptions? options = null, int seed = 1)
    {
        Client = new DhcpClient(options ?? new DhcpClientOptions { Duid = Ours }, Clock, new Random(seed));
    }

    public HandClock Clock { get; } = new();

    public DhcpClient Client { get; }

    /// <summary>The last message that was sent.</summary>
    public byte[] Last { get; private set; } = [];

    public DhcpMessageType LastType => (DhcpMessageType)Last[0];

    public DhcpOptions Options
    {
        get
        {
            Assert.True(DhcpMessage.TryRead(Last, out DhcpMessage message));
            return message.Options;
        }
    }

    public IdentityAssociation Association => Assert.Single(IdentityAssociation.ReadAll(Options));

    /// <summary>Lets time pass until the client sends something; gives how long that took.</summary>
    public TimeSpan UntilSent()
    {
        TimeSpan before = Client.Now;
        for (int i = 0; i < 100; i++)
        {
            if (Client.Next() is { } sent)
            {
                Last = sent;
                return Client.Now - before;
            }

            TimeSpan? due = Client.Due;
            Assert.NotNull(due);
            Clock.Advance(due.Value + TimeSpan.FromMicroseconds(1));
        }

        throw new Xunit.Sdk.XunitException("the client is never done with nothing");
    }

    /// <summary>Lets a time pass in which the client says nothing.</summary>
    public void Quiet(double seconds)
    {
        Assert.Null(Client.Next());
        Clock.Advance(TimeSpan.FromSeconds(seconds));
        Assert.Null(Client.Next());
    }

    public void Hear(DhcpMessageType type, Duid? server = null, Action<DhcpWriter>? more = null, uint? transaction = null, Duid? client = null)
    {
        DhcpWriter writer = DhcpMessage.Begin(type, transaction ?? (uint)(Last[1] << 16 | Last[2] << 8 | Last[3]));
        writer.Option(DhcpOption.ServerId, (server ?? Server).Bytes);
        writer.Option(DhcpOption.ClientId, (client ?? Ours).Bytes);
        more?.Invoke(writer);
        Client.Receive(writer.ToArray());
    }

    /// <summary>A delegated prefix, and a softwire by it.</summary>
    public static void Give(DhcpWriter writer) => Give(writer, Prefix);

    public static void Give(DhcpWriter writer, IPv6Prefix prefix, uint t1 = 1000, uint t2 = 1600, uint preferred = 2000, uint valid = 3000)
    {
        new IdentityAssociation(DhcpOption.IaPd, 1, [new DhcpLease(prefix, preferred, valid)]) { T1 = t1, T2 = t2 }.Write(writer);
        Softwire(writer);
    }

    public static void Softwire(DhcpWriter writer) =>
        new LightweightSoftwire([IPv6Address.Parse("2001:db8:ffff::1")], new AddressBinding(IPv4Address.Parse("192.0.2.1"), IPv6Prefix.Parse("2001:db8::/32"), new Psid(0, 6, 10))).Write(writer);

    /// <summary>The way to a prefix: four messages.</summary>
    public DhcpClientScene Bound()
    {
        UntilSent();
        Hear(DhcpMessageType.Advertise, more: Give);
        UntilSent();
        Assert.Equal(DhcpMessageType.Request, LastType);
        Hear(DhcpMessageType.Reply, more: Give);
        Assert.Equal(DhcpClientState.Bound, Client.State);
        return this;
    }
}
