using System.Buffers.Binary;
using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Core.Wire;
using static APlusP.Tests.Forwarding.GatewayScene;

namespace APlusP.Tests.Forwarding;

/// <summary>FTP control connections through the SMAP, segment by segment.</summary>
public class FtpGatewayTests
{
    readonly HandClock _time = new();

    Smap Make(Func<SmapOptions, SmapOptions>? change = null) => GatewayScene.Make(_time, change);

    static int PortOf(string six)
    {
        string[] numbers = six.Split(',');
        return int.Parse(numbers[^2]) << 8 | int.Parse(numbers[^1]);
    }

    [Theory]
    [InlineData(NaptMode.EndpointIndependent, NaptFiltering.AddressDependent)]
    [InlineData(NaptMode.EndpointIndependent, NaptFiltering.AddressAndPortDependent)]
    [InlineData(NaptMode.FiveTuple, NaptFiltering.AddressDependent)]
    public void Port_names_a_port_of_ours_and_the_servers_connection_reaches_the_client(NaptMode mode, NaptFiltering filtering)
    {
        Smap smap = Make(o => o with { Mode = mode, Filtering = filtering });
        var control = new Connection(smap);
        string text = Text(control.Out(ClientStart, ServerStart, "PORT 192,168,1,142,200,10\r\n")!);
        Assert.StartsWith("PORT 192,0,2,1,", text);
        Assert.EndsWith("\r\n", text);
        int port = PortOf(text["PORT ".Length..^2]);
        Assert.InRange(port, 10000, 10999);
        Assert.False(Reaches(smap, "203.0.113.9", 20, port, Client, 51210));
        Assert.True(Reaches(smap, Server, 33333, port, Client, 51210));
        Assert.Equal(1, smap.Counters.GatewayRewritten);
    }

    [Fact]
    public void Eprt_names_a_port_of_ours()
    {
        Smap smap = Make();
        var control = new Connection(smap);
        string text = Text(control.Out(ClientStart, ServerStart, "EPRT |1|192.168.1.142|51210|\r\n")!);
        Assert.StartsWith("EPRT |1|192.0.2.1|", text);
        int port = int.Parse(text.Split('|')[3]);
        Assert.InRange(port, 10000, 10999);
        Assert.True(Reaches(smap, Server, 20, port, Client, 51210));
        Assert.Equal("EPRT |2|2001:db8::7|51210|\r\n", Text(control.Out(ClientStart + 40, ServerStart, "EPRT |2|2001:db8::7|51210|\r\n")!));
    }

    [Theory]
    [InlineData("227 Entering Passive Mode (192,168,1,142,200,10).\r\n")]
    [InlineData("229 Entering Extended Passive Mode (|||51210|)\r\n")]
    public void A_server_in_the_home_names_a_port_of_ours(string reply)
    {
        Smap smap = Make();
        var control = new Connection(smap, insidePort: 21, outsidePort: 45000);
        string text = Text(control.Out(ClientStart, ServerStart, reply)!);
        int port = reply.StartsWith("227", StringComparison.Ordinal) ? PortOf(text[(text.IndexOf('(') + 1)..text.IndexOf(')')]) : int.Parse(text.Split('|')[3]);
        Assert.InRange(port, 10000, 10999);
        Assert.Equal(reply.StartsWith("227", StringComparison.Ordinal), text.Contains("(192,0,2,1,", StringComparison.Ordinal));
        Assert.True(Reaches(smap, Server, 45001, port, Client, 51210));
    }

    [Fact]
    public void Sequence_numbers_stay_right_on_both_sides_across_changes_and_their_wrap()
    {
        Smap smap = Make();
        var control = new Connection(smap);
        uint ours = ClientStart, theirs = ClientStart;
        var sizes = new List<int>();
        for (int i = 0; i < 30; i++)
        {
            string command = i % 3 == 2 ? "NOOP\r\n" : $"PORT 192,168,1,142,{200 + i % 5},{i % 10}\r\n";
            byte[] sent = control.Out(ours, ServerStart, command)!;
            Assert.Equal(theirs, Sequence(sent));

            // The same again, as after a loss, is the same octet for octet.
            byte[] again = control.Out(ours, ServerStart, command)!;
            Assert.Equal(sent[20..], again[20..]);
            ours += (uint)command.Length;
            theirs += (uint)Text(sent).Length;
            Assert.Equal(ours, Acknowledged(control.In(ServerStart, theirs)));
            sizes.Add(Text(sent).Length - command.Length);
        }

        Assert.Contains(sizes, s => s != 0);
        Assert.NotEqual(ours, theirs);
    }

    [Fact]
    public void Selective_acknowledgements_are_shifted_too()
    {
        Smap smap = Make();
        var control = new Connection(smap);
        byte[] sent = control.Out(ClientStart, ServerStart, "PORT 192,168,1,142,200,10\r\n")!;
        int change = Text(sent).Length - 27;
        uint edge = unchecked(ClientStart + 27 + 100);
        byte[] sack = [1, 1, 5, 10, .. Big(edge + (uint)change), .. Big(edge + 50 + (uint)change)];
        byte[] heard = control.In(ServerStart, ClientStart, options: sack);
        Assert.Equal([.. Big(edge), .. Big(edge + 50)], heard[44..52]);

        static byte[] Big(uint value)
        {
            byte[] octets = new byte[4];
            BinaryPrimitives.WriteUInt32BigEndian(octets, value);
            return octets;
        }
    }

    public static TheoryData<int> Splits => [.. Enumerable.Range(1, 26)];

    [Theory]
    [MemberData(nameof(Splits))]
    public void A_command_split_anywhere_over_two_segments_arrives_whole(int split)
    {
        const string command = "PORT 192,168,1,142,200,10\r\n";
        Smap smap = Make();
        var control = new Connection(smap);
        Assert.Null(control.Out(ClientStart, ServerStart, command[..split]));
        Assert.Equal(ClientStart + (uint)split, Acknowledged(control.Back!));
        Assert.Equal(ServerStart, Sequence(control.Back!));
        Assert.Equal(Client, IPv4Address.Read(control.Back.AsSpan(16)).ToString());

        byte[] whole = control.Out(ClientStart + (uint)split, ServerStart, command[split..])!;
        Assert.StartsWith("PORT 192,0,2,1,", Text(whole));
        Assert.Equal(ClientStart, Sequence(whole));

        // Lost on the way: the client, who was told that the beginning has arrived, sends only the rest again.
        byte[] again = control.Out(ClientStart + (uint)split, ServerStart, command[split..])!;
        Assert.Equal(whole[20..], again[20..]);

        // What was acknowledged stays acknowledged, and the whole line is in the end.
        Assert.Equal(ClientStart + (uint)split, Acknowledged(control.In(ServerStart, ClientStart)));
        Assert.Equal(ClientStart + (uint)command.Length, Acknowledged(control.In(ServerStart, ClientStart + (uint)Text(whole).Length)));
        byte[] next = control.Out(ClientStart + (uint)command.Length, ServerStart, "QUIT\r\n")!;
        Assert.Equal(ClientStart + (uint)Text(whole).Length, Sequence(next));
    }

    [Fact]
    public void Whole_lines_go_on_and_the_beginning_of_another_comes_again()
    {
        Smap smap = Make();
        var control = new Connection(smap);
        byte[] first = control.Out(ClientStart, ServerStart, "TYPE I\r\nPORT 192,168")!;
        Assert.Equal("TYPE I\r\n", Text(first));
        Assert.Null(control.Out(ClientStart + 8, ServerStart, "PORT 192,168"));
        Assert.StartsWith("PORT 192,0,2,1,", Text(control.Out(ClientStart + 20, ServerStart, ",1,142,200,10\r\n")!));
    }

    [Theory]
    [InlineData("PORT 192,168,1,143,200,10\r\n")]
    [InlineData("PORT 203,0,113,5,200,10\r\n")]
    [InlineData("PORT 192,168,1,142,0,80\r\n")]
    [InlineData("EPRT |1|203.0.113.5|51210|\r\n")]
    public void Nobody_elses_endpoint_and_no_well_known_port_is_opened(string command)
    {
        Smap smap = Make();
        var control = new Connection(smap);
        int before = smap.Use().Flows;
        Assert.Equal(command, Text(control.Out(ClientStart, ServerStart, command)!));
        Assert.Equal(1, smap.Counters.GatewayRefused);
        Assert.Equal(before, smap.Use().Flows);
    }

    [Theory]
    [InlineData("PORT 192,168,1,142,200\r\n")]
    [InlineData("PORT 192,168,1,142,200,300\r\n")]
    [InlineData("PORT\r\n")]
    [InlineData("EPRT ||||\r\n")]
    [InlineData("EPRT |1|1.2.3|5|\r\n")]
    [InlineData("EPRT |1|192.168.1.142|99999|\r\n")]
    [InlineData("PORTAL 192,168,1,142,200,10\r\n")]
    [InlineData("STOR PORT 192,168,1,142,200,10\r\n")]
    public void What_is_no_such_command_is_left_as_it_is(string text)
    {
        Smap smap = Make();
        Assert.Equal(text, Text(new Connection(smap).Out(ClientStart, ServerStart, text)!));
        Assert.Equal(0, smap.Counters.GatewayRewritten);
    }

    [Fact]
    public void After_tls_is_agreed_nothing_is_read_any_more()
    {
        Smap smap = Make();
        var control = new Connection(smap);
        control.Out(ClientStart, ServerStart, "AUTH TLS\r\n");
        control.In(ServerStart, ClientStart + 10, "234 Proceed\r\n");
        Assert.Equal("PORT 192,168,1,142,200,10\r\n", Text(control.Out(ClientStart + 10, ServerStart + 13, "PORT 192,168,1,142,200,10\r\n")!));
        Assert.Equal("PO", Text(control.Out(ClientStart + 37, ServerStart + 13, "PO")!));
    }

    [Fact]
    public void Switched_off_it_leaves_everything()
    {
        Smap smap = Make(o => o with { FtpGateway = false });
        Assert.Equal("PORT 192,168,1,142,200,10\r\n", Text(new Connection(smap).Out(ClientStart, ServerStart, "PORT 192,168,1,142,200,10\r\n")!));
    }

    [Fact]
    public void Whatever_is_said_on_a_control_connection_nothing_breaks_and_nothing_is_allocated()
    {
        int seed = Environment.TickCount;
        var random = new Random(seed);
        Smap smap = Make(o => o with { Filtering = NaptFiltering.EndpointIndependent });
        string[] words = ["PORT ", "EPRT ", "227 ", "229 ", "192,168,1,142,", "200,10", "|1|", "192.168.1.142", "|51210|", "(|||5000|)", "\r\n", "\n", "234 ", "x", ","];
        var batch = new PacketBatch(1, 2300);
        byte[][] packets = [.. Enumerable.Range(0, 3000).Select(i => Say())];
        var allocations = new Allocations();
        for (int i = 0; i < 60_000; i++)
        {
            if (i % 3000 == 2999) allocations.Read();
            batch.Clear();
            byte[] packet = packets[random.Next(packets.Length)];
            batch.TryAdd(packet, packet[0] >> 4 == 6 ? Origin.FromPrr : Origin.FromLan);
            smap.Process(batch);
            if (!batch[0].Verdict.Sends) continue;
            Span<byte> sent = batch.Bytes(0);
            if (sent[0] >> 4 == 6) sent = sent[40..];
            if (!Packets.HasRightChecksums(sent)) Assert.Fail($"seed {seed}, round {i}: {Convert.ToHexString(packet)} became {Convert.ToHexString(sent)}");
        }

        allocations.WereNone();

        byte[] Say()
        {
            string text = string.Concat(random.GetItems(words, random.Next(8)));
            uint sequence = ClientStart + (uint)random.Next(300);
            bool server = random.Next(3) == 0;
            TcpFlags flags = random.Next(10) == 0 ? TcpFlags.Syn : TcpFlags.Ack;
            byte[] packet = random.Next(3) == 0
                ? Packets.Softwire(Prr, Home, Segment(Server, server ? 45000 : 21, Shared, 10000 + random.Next(4), sequence, ClientStart + (uint)random.Next(300), text, flags, [5, 10, 0, 0, 0, 1, 0, 0, 0, 9]))
                : Segment(Client, server ? 21 : 10000 + random.Next(4), Server, server ? 45000 : 21, sequence, ServerStart, text, flags);
            return packet;
        }
    }
}
