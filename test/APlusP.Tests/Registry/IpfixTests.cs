using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry.Allocation;
using APlusP.Registry.Api;
using APlusP.Registry.Configuration;
using APlusP.Registry.Ipfix;
using APlusP.Registry.Leases;
using APlusP.Registry.Memory;
using APlusP.Registry.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace APlusP.Tests.Registry;

/// <summary>What an IPFIX collector hears of blocks of ports.</summary>
public sealed class IpfixTests : IDisposable
{
    static readonly TimeSpan s_patience = TimeSpan.FromMinutes(3);

    readonly RegistryScene _scene;
    readonly string _path = Path.Combine(Path.GetTempPath(), $"aplusp-ipfix-{Guid.NewGuid():N}.db");
    readonly CancellationTokenSource _stop = new();
    Task _exporter = Task.CompletedTask;

    public IpfixTests() => _scene = new RegistryScene(new SqliteDatabase(_path), RegistryScene.Policy() with { ChangeInterval = TimeSpan.Zero });

    public void Dispose()
    {
        _stop.Cancel();
        _exporter.Wait(s_patience, TestContext.Current.CancellationToken);
        _scene.Dispose();
        foreach (string file in Directory.EnumerateFiles(Path.GetTempPath(), Path.GetFileName(_path) + "*")) File.Delete(file);
        _stop.Dispose();
    }

    void Export(IPEndPoint collector, bool tcp) => _exporter = new BlockExporter(_scene.Registrar, new IpfixSettings(collector, tcp, 7), TimeProvider.System, new RegistryLog(NullLogger.Instance)).Run(_stop.Token);

    [Fact]
    public void A_message_has_the_octets_of_rfc_7011()
    {
        var message = new IpfixMessage(200, withTemplate: true);
        var record = new BlockRecord(0x0102030405060708, NatEvent.PortBlockAllocation, IPv6Address.Parse("2001:db8::1"), IPv4Address.Parse("192.0.2.1"), new PortRange(1024, 1151), "cpe-1");
        Assert.True(message.TryAdd(record));
        Assert.Equal(
            "000A" + "005F" + "6745A100" + "00000005" + "00000007"
            + "0002" + "0024" + "0100" + "0007" + "01430008" + "001B0010" + "00E10004" + "01690002" + "016A0002" + "00E60001" + "0173FFFF"
            + "0100" + "002B" + "0102030405060708" + "20010DB8000000000000000000000001" + "C0000201" + "0400" + "047F" + "10" + "05" + "6370652D31",
            Convert.ToHexString(message.Finish(DateTimeOffset.FromUnixTimeSeconds(0x6745A100), 5, 7).Span));
    }

    [Fact]
    public void A_record_that_does_not_fit_waits_for_the_next_message_and_a_long_name_has_three_octets_of_length()
    {
        var message = new IpfixMessage(16 + 4 + 33 + 3 + 300, withTemplate: false);
        var record = new BlockRecord(0, NatEvent.PortBlockDeallocation, default, default, new PortRange(1, 2), new string('x', 300));
        Assert.True(message.TryAdd(record));
        Assert.False(message.TryAdd(record with { Subscriber = "" }));
        byte[] octets = message.Finish(default, 0, 0).ToArray();
        Assert.Equal((1, 356, "FF012C78"), (message.Records, octets.Length, Convert.ToHexString(octets.AsSpan(16 + 4 + 33, 4))));
    }

    /// <summary>What was read of a session: sequence numbers are checked as they come.</summary>
    sealed class Heard
    {
        bool _template;
        uint _next;

        public List<(long At, int Event, string Softwire, string Address, int First, int Last, string Subscriber)> Records { get; } = [];

        public void Take(byte[] message)
        {
            Assert.Equal((10, message.Length), (Number(message, 0), Number(message, 2)));
            Assert.Equal((_next, 7u), (BinaryPrimitives.ReadUInt32BigEndian(message.AsSpan(8)), BinaryPrimitives.ReadUInt32BigEndian(message.AsSpan(12))));
            for (int set = 16; set < message.Length; set += Number(message, set + 2))
            {
                int end = set + Number(message, set + 2);
                if (Number(message, set) == 2)
                {
                    _template = true;
                    continue;
                }

                Assert.True(_template, "records before their template");
                for (int at = set + 4; at < end;)
                {
                    Span<byte> r = message.AsSpan(at);
                    int octets = r[33] < 255 ? 1 : 3, name = r[33] < 255 ? r[33] : BinaryPrimitives.ReadUInt16BigEndian(r[34..]);
                    Records.Add((BinaryPrimitives.ReadInt64BigEndian(r), r[32], new IPAddress(r[8..24]).ToString(), new IPAddress(r[24..28]).ToString(),
                        BinaryPrimitives.ReadUInt16BigEndian(r[28..]), BinaryPrimitives.ReadUInt16BigEndian(r[30..]), Encoding.UTF8.GetString(r.Slice(33 + octets, name))));
                    at += 33 + octets + name;
                    _next++;
                }
            }
        }

        static int Number(byte[] octets, int at) => BinaryPrimitives.ReadUInt16BigEndian(octets.AsSpan(at));
    }

    static async Task<Socket> Accept(Socket listener)
    {
        using var patience = new CancellationTokenSource(s_patience);
        return await listener.AcceptAsync(patience.Token);
    }

    static async Task<byte[]> ReadMessage(Socket from)
    {
        var header = new byte[16];
        await Fill(from, header);
        var message = new byte[BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(2))];
        header.CopyTo(message, 0);
        await Fill(from, message.AsMemory(16));
        return message;
    }

    static async Task Fill(Socket from, Memory<byte> octets)
    {
        using var patience = new CancellationTokenSource(s_patience);
        for (int have = 0; have < octets.Length;)
        {
            int more = await from.ReceiveAsync(octets[have..], patience.Token);
            have += more > 0 ? more : throw new EndOfStreamException();
        }
    }

    static async Task Until(Func<bool> ready)
    {
        long start = Stopwatch.GetTimestamp();
        while (!ready()) await Task.Delay(Stopwatch.GetElapsedTime(start) < s_patience ? 20 : throw new TimeoutException());
    }

    long? Position() => _scene.Registrar.Read(s => s.One<long?>("SELECT seq FROM export", r => r.GetInt64(0)));

    [Fact]
    public async Task Every_block_that_is_given_and_taken_back_is_told_by_udp()
    {
        using var collector = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        collector.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        Export((IPEndPoint)collector.LocalEndPoint!, tcp: false);
        await Until(() => Position() is not null);
        Lease lease = _scene.Grant("cpe-1");
        _scene.Change(b => b.Grow(lease.Id, null));
        _scene.Change(b => b.Shrink(lease.Id, null));
        _scene.Change(b => b.Grant("cpe-1", RegistryScene.Softwire(9), null));
        _scene.Change(b => b.Release(lease.Id));
        Lease second = _scene.Grant("cpe-2");
        DateTimeOffset over = second.Until;
        _scene.Pass(5000);
        _scene.Upkeep();

        var heard = new Heard();
        var datagram = new byte[2000];
        using var patience = new CancellationTokenSource(s_patience);
        while (heard.Records.Count < 7)
        {
            int length = await collector.ReceiveAsync(datagram, patience.Token);
            Assert.InRange(length, 16, 464);
            heard.Take(datagram[..length]);
        }

        long start = lease.From.ToUnixTimeMilliseconds();
        Assert.Equal(
            [
                (start, 16, "2001:db8::1", "192.0.2.0", 1024, 1151, "cpe-1"), (start, 16, "2001:db8::1", "192.0.2.0", 1152, 1279, "cpe-1"), (start, 17, "2001:db8::1", "192.0.2.0", 1152, 1279, "cpe-1"),
                (start, 16, "2001:db8::9", "192.0.2.0", 1024, 1151, "cpe-1"), (start, 17, "2001:db8::9", "192.0.2.0", 1024, 1151, "cpe-1"),
                (start, 16, "2001:db8::2", $"{second.Address}", second.Ports.Ranges.First().First, second.Ports.Ranges.First().Last, "cpe-2"),
                (over.ToUnixTimeMilliseconds(), 17, "2001:db8::2", $"{second.Address}", second.Ports.Ranges.First().First, second.Ports.Ranges.First().Last, "cpe-2"),
            ], heard.Records);
    }

    [Fact]
    public async Task The_longest_name_has_a_datagram_of_its_own()
    {
        using var collector = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        collector.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        Export((IPEndPoint)collector.LocalEndPoint!, tcp: false);
        await Until(() => Position() is not null);
        string name = new('\u6f22', 128);
        _scene.Grant("cpe-1");
        _scene.Grant(name, softwire: 2);
        _scene.Grant("cpe-3");
        var heard = new Heard();
        var datagram = new byte[2000];
        using var patience = new CancellationTokenSource(s_patience);
        while (heard.Records.Count < 3) heard.Take(datagram[..await collector.ReceiveAsync(datagram, patience.Token)]);
        Assert.Equal(["cpe-1", name, "cpe-3"], heard.Records.Select(r => r.Subscriber));
    }

    [Fact]
    public async Task A_collector_that_was_away_hears_by_tcp_what_happened_meanwhile()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, FreePort.Next()));
        listener.Listen();
        var at = (IPEndPoint)listener.LocalEndPoint!;
        Export(at, tcp: true);
        var seen = new HashSet<string>();
        using (Socket session = await Accept(listener))
        {
            for (int i = 1; i <= 300; i++) _scene.Grant($"cpe-{i}");
            var heard = new Heard();
            while (heard.Records.Count < 300) heard.Take(await ReadMessage(session));
            seen.UnionWith(heard.Records.Select(r => r.Subscriber));
        }

        // It is gone, and nobody listens; then it comes back at the same place.
        listener.Dispose();
        for (int i = 301; i <= 600; i++) _scene.Grant($"cpe-{i}");
        using var again = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        again.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        again.Bind(at);
        again.Listen();
        for (int i = 601; i <= 610; i++) _scene.Grant($"cpe-{i}");
        while (seen.Count < 610)
        {
            using Socket session = await Accept(again);
            var heard = new Heard();
            while (seen.Count < 610)
            {
                heard.Take(await ReadMessage(session));
                seen.UnionWith(heard.Records.Select(r => r.Subscriber));
            }
        }

        Assert.Equal(610, seen.Count);
    }

    [Fact]
    public void A_port_set_of_many_ranges_is_a_record_for_each()
    {
        using var scene = new RegistryScene(new SqliteDatabase(_path + "-psids"), new LeasePolicy { Pools = [new Pool(IPv4Prefix.Parse("192.0.2.0/31"), PoolLayout.Psids(6, 8, systemPorts: false))], Classes = SubscriberClass.Standard(252) });
        Lease lease = scene.Grant("cpe-1");
        IEnumerable<BlockRecord> records = scene.Registrar.Read(s => s.All($"SELECT {RegistryEvent.Columns} FROM event", r => BlockRecord.Of(r).ToList())).SelectMany(r => r);
        Assert.Equal(lease.Ports.Ranges, records.Select(r => r.Ports));
    }
}
