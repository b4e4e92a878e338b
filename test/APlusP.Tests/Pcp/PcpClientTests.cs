using APlusP.Core.Addresses;
using APlusP.Core.Pcp;
using APlusP.Core.PortSets;

namespace APlusP.Tests.Pcp;

/// <summary>A client without its socket: when it asks again, what it believes, and when it knows that a server has lost its state.</summary>
public class PcpClientTests
{
    static readonly PcpNonce s_nonce = new(1, 2);

    static readonly TimeSpan s_now = TimeSpan.FromSeconds(10_000);

    readonly PcpClient _client = new(s_nonce, new Random(7));
    readonly byte[] _bytes = new byte[PcpNumbers.LongestMessage];

    byte[] Ask(int size = 128, double lifetime = 3600) => _bytes[.._client.Write(_bytes, PcpWireTests.Client, TimeSpan.FromSeconds(lifetime), size, null, out _)];

    static byte[] Answer(int size = 128, ushort first = 1024, string address = "192.0.2.1", uint lifetime = 3600, uint epoch = 5000, PcpNonce? nonce = null, byte protocol = 0)
    {
        byte[] bytes = new byte[PcpNumbers.LongestMessage];
        var map = new PcpMap(nonce ?? s_nonce, protocol, 0, first, PcpMap.Written(IPv4Address.Parse(address)));
        return bytes[..PcpResponse.WriteMap(bytes, lifetime, epoch, map, size == 1 ? null : new PcpPortSet((ushort)size, 0, false))];
    }

    [Fact]
    public void It_asks_for_all_protocols_from_its_own_address_and_says_what_it_had()
    {
        int length = _client.Write(_bytes, PcpWireTests.Client, TimeSpan.FromHours(1), 256, (IPv4Address.Parse("192.0.2.7"), 4096), out _);
        Assert.Equal(PcpResult.Success, PcpRequest.Read(_bytes.AsSpan(0, length), PcpWireTests.Client, PcpOptionSet.PortSet, out PcpRequest request));
        Assert.Equal(new PcpMap(s_nonce, 0, 0, 4096, PcpMap.Written(IPv4Address.Parse("192.0.2.7"))), request.Map);
        Assert.Equal((3600u, (ushort)256), (request.Lifetime, request.PortSet(out _)!.Value.Size));
        Assert.Equal(0xffff, PcpRequest.Read(Ask(size: 65536), PcpWireTests.Client, PcpOptionSet.PortSet, out request) == PcpResult.Success ? request.PortSet(out _)!.Value.Size : 0);
    }

    [Fact]
    public void It_repeats_after_3_s_and_then_twice_as_long_up_to_1024_s_each_by_chance_a_tenth_more_or_less()
    {
        double before = 0;
        for (int i = 0; i < 14; i++)
        {
            _client.Write(_bytes, PcpWireTests.Client, TimeSpan.FromHours(1), 128, null, out TimeSpan wait);
            double middle = i == 0 ? 3 : Math.Min(2 * before, 1024);
            Assert.InRange(wait.TotalSeconds, 0.9 * middle, 1.1 * middle);
            before = wait.TotalSeconds;
        }

        Assert.InRange(before, 900, 1127);
        _client.Begin();
        _client.Write(_bytes, PcpWireTests.Client, TimeSpan.FromHours(1), 128, null, out TimeSpan anew);
        Assert.InRange(anew.TotalSeconds, 2.7, 3.3);
        Assert.NotNull(_client.Read(Answer(), s_now));
        _client.Write(_bytes, PcpWireTests.Client, TimeSpan.FromHours(1), 128, null, out anew);
        Assert.InRange(anew.TotalSeconds, 2.7, 3.3);
    }

    [Fact]
    public void It_takes_the_answer_to_its_own_request_alone()
    {
        Ask();
        Assert.Null(_client.Read(Answer(nonce: new PcpNonce(1, 3)), s_now));
        Assert.Null(_client.Read(Answer(protocol: 17), s_now));
        Assert.Null(_client.Read(Answer(size: 129), s_now)); // More than it asked for.
        Assert.Null(_client.Read(Answer(first: 65500), s_now)); // Ports that there are not.
        Assert.Null(_client.Read(Answer(address: "0.0.0.0"), s_now));
        Assert.Null(_client.Read(Answer(address: "224.0.0.1"), s_now));
        Assert.Null(_client.Read(_bytes.AsSpan(0, PcpResponse.WriteAnnounce(_bytes, 1)), s_now));
        Assert.Null(_client.Read(Ask(), s_now));
        Assert.Equal(new PcpAnswer(PcpResult.Success, TimeSpan.FromHours(1), IPv4Address.Parse("192.0.2.1"), new PortRange(1024, 1151), false), _client.Read(Answer(), s_now));
        Assert.Equal(new PortRange(1024, 1087), _client.Read(Answer(size: 64), s_now)!.Value.Ports);
        Assert.Equal(new PortRange(1024, 1024), _client.Read(Answer(size: 1), s_now)!.Value.Ports);
    }

    [Fact]
    public void It_believes_a_day_of_a_mapping_and_half_an_hour_of_an_error()
    {
        Ask();
        Assert.Equal(TimeSpan.FromDays(1), _client.Read(Answer(lifetime: uint.MaxValue), s_now)!.Value.Lifetime);
        byte[] request = Ask();
        byte[] error = new byte[PcpNumbers.LongestMessage];
        int length = PcpResponse.WriteError(error, request, PcpResult.NotAuthorized, uint.MaxValue, 5000);
        Assert.Equal(new PcpAnswer(PcpResult.NotAuthorized, TimeSpan.FromMinutes(30), default, default, false), _client.Read(error.AsSpan(0, length), s_now));
        length = PcpResponse.WriteError(error, request, PcpResult.NoResources, 30, 5000);
        Assert.Equal((PcpResult.NoResources, 30), (_client.Read(error.AsSpan(0, length), s_now)!.Value.Result, _client.Read(error.AsSpan(0, length), s_now)!.Value.Lifetime.TotalSeconds));
    }

    [Fact]
    public void It_hears_that_a_server_does_not_speak_its_version_whatever_else_the_answer_holds()
    {
        Ask();
        Assert.Equal(PcpResult.UnsupportedVersion, _client.Read(PcpWireTests.Octets("01 81 00 01 00000708 00000000 000000000000000000000000"), s_now)!.Value.Result);
    }

    [Theory]
    [InlineData(100, 100, false)]
    [InlineData(100, 106, false)] // A clock may be a sixteenth faster, and two seconds off.
    [InlineData(100, 108, false)]
    [InlineData(100, 111, true)]
    [InlineData(100, 90, true)]
    [InlineData(100, 92, false)]
    [InlineData(0, -1, false)] // One second back is how seconds are counted,
    [InlineData(0, -2, true)] // more is another beginning.
    [InlineData(100_000, 0, true)]
    public void A_server_whose_time_does_not_go_on_as_ours_does_has_lost_its_state(long ours, long theirs, bool lost)
    {
        var epoch = new PcpEpoch();
        Assert.False(epoch.IsLost(5000, s_now));
        Assert.Equal(lost, epoch.IsLost((uint)(5000 + theirs), s_now + TimeSpan.FromSeconds(ours)));

        // From there on it is the new time that counts.
        Assert.False(epoch.IsLost((uint)(5000 + theirs + 10), s_now + TimeSpan.FromSeconds(ours + 10)));
    }

    [Fact]
    public void An_answer_of_a_server_that_has_lost_its_state_says_so()
    {
        Ask();
        Assert.False(_client.Read(Answer(epoch: 5000), s_now)!.Value.HasForgotten);
        Assert.True(_client.Read(Answer(epoch: 3), s_now + TimeSpan.FromSeconds(60))!.Value.HasForgotten);
    }

    [Fact]
    public void Whatever_octets_come_nothing_is_thrown()
    {
        var random = new Random(7753);
        Ask();
        byte[] good = Answer();
        for (int i = 0; i < 50_000; i++)
        {
            byte[] bytes = i % 2 == 0 ? [.. good] : good[..random.Next(good.Length)];
            for (int hits = random.Next(1, 5); hits > 0 && bytes.Length > 0; hits--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            if (_client.Read(bytes, s_now) is { Result: PcpResult.Success, Lifetime.Ticks: > 0 } told) Assert.InRange(told.Ports.Count, 1, 128);
        }
    }
}
