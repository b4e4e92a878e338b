using System.Buffers.Binary;
using APlusP.Core.Addresses;
using APlusP.Core.Pcp;

namespace APlusP.Tests.Pcp;

/// <summary>Messages of PCP, octet by octet as RFC 6887 and RFC 7753 draw them, and in the order in which section 8.3 has a server look at them.</summary>
public class PcpWireTests
{
    internal static readonly IPv6Address Client = IPv6Address.Parse("2001:db8:1::5");

    static readonly PcpNonce s_nonce = new(0x0102030405060708, 0x090a0b0c);

    const PcpOptionSet Processed = PcpOptionSet.PreferFailure | PcpOptionSet.PortSet;

    /// <summary>A MAP of all protocols with PORT_SET, by hand.</summary>
    const string MapRequest =
        "02 01 0000" + "00015180" + "20010db8000100000000000000000005" // version, MAP, a day, the client
        + "0102030405060708090a0b0c" + "00 000000" + "0000 0400" + "00000000000000000000ffffc0000201" // nonce, all protocols, port 1024 of 192.0.2.1
        + "82 00 0005" + "0080 0000 00 000000"; // PORT_SET: 128 ports

    internal static byte[] Octets(string hex) => Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));

    static string Hex(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(bytes);

    static PcpResult Read(byte[] bytes, IPv6Address? source = null, PcpOptionSet processed = Processed) => PcpRequest.Read(bytes, source ?? Client, processed, out _);

    static byte[] With(byte[] bytes, int at, params byte[] octets)
    {
        bytes = [.. bytes];
        octets.CopyTo(bytes, at);
        return bytes;
    }

    [Fact]
    public void A_request_for_a_port_set_is_written_as_the_RFCs_draw_it()
    {
        byte[] bytes = new byte[PcpNumbers.LongestMessage];
        bytes.AsSpan().Fill(0xee);
        var map = new PcpMap(s_nonce, 0, 0, 1024, PcpMap.Written(IPv4Address.Parse("192.0.2.1")));
        int length = PcpRequest.WriteMap(bytes, Client, 86400, map, new PcpPortSet(128, 0, KeepsParity: false));
        Assert.Equal(Hex(Octets(MapRequest)), Hex(bytes.AsSpan(0, length)));
    }

    [Fact]
    public void What_is_written_is_read_the_same()
    {
        Assert.Equal(PcpResult.Success, PcpRequest.Read(Octets(MapRequest), Client, Processed, out PcpRequest request));
        Assert.Equal((PcpOpcode.Map, 86400u, Client), (request.Opcode, request.Lifetime, request.Client));
        Assert.Equal(new PcpMap(s_nonce, 0, 0, 1024, PcpMap.Written(IPv4Address.Parse("192.0.2.1"))), request.Map);
        Assert.Equal(IPv4Address.Parse("192.0.2.1"), request.Map.External);
        Assert.Equal(new PcpPortSet(128, 0, false), request.PortSet(out PcpResult fault));
        Assert.Equal(PcpResult.Success, fault);
        Assert.Equal("0102030405060708090a0b0c", $"{request.Map.Nonce}");
    }

    [Fact]
    public void A_response_is_written_as_the_RFCs_draw_it_and_read_the_same()
    {
        byte[] bytes = new byte[PcpNumbers.LongestMessage];
        bytes.AsSpan().Fill(0xee);
        var map = new PcpMap(s_nonce, 0, 0, 2048, PcpMap.Written(IPv4Address.Parse("192.0.2.9")));
        int length = PcpResponse.WriteMap(bytes, 3600, 0x01020304, map, new PcpPortSet(256, 0, KeepsParity: true));
        Assert.Equal(
            Hex(Octets("02 81 00 00" + "00000e10" + "01020304" + "000000000000000000000000" + "0102030405060708090a0b0c" + "00 000000" + "0000 0800" + "00000000000000000000ffffc0000209" + "82 00 0005" + "0100 0000 01 000000")),
            Hex(bytes.AsSpan(0, length)));
        Assert.True(PcpResponse.TryRead(bytes.AsSpan(0, length), out PcpResponse response));
        Assert.Equal((PcpOpcode.Map, PcpResult.Success, 3600u, 0x01020304u), (response.Opcode, response.Result, response.Lifetime, response.Epoch));
        Assert.True(response.TryReadMap(out PcpMap told, out int size));
        Assert.Equal((map, 256), (told, size));
    }

    [Fact]
    public void An_announcement_is_a_header_alone()
    {
        byte[] bytes = new byte[64];
        Assert.Equal(Hex(Octets("02 80 00 00" + "00000000" + "0000002a" + "000000000000000000000000")), Hex(bytes.AsSpan(0, PcpResponse.WriteAnnounce(bytes, 42))));
    }

    [Theory]
    [InlineData("", true)]
    [InlineData("02", true)]
    [InlineData("02 81", true)] // A response.
    [InlineData("02 01 0000 00000000 20010db8", true)] // Ours, and shorter than a header.
    [InlineData("00 00", false)] // NAT-PMP: to hear which version there is.
    [InlineData("03 01 0000", false)]
    public void What_is_no_request_or_too_short_is_left_without_an_answer(string hex, bool discarded) => Assert.Equal(discarded, PcpRequest.IsDiscarded(Octets(hex)));

    [Fact]
    public void Another_version_hears_which_one_there_is_in_a_whole_header()
    {
        byte[] request = Octets("00 00"), bytes = new byte[PcpNumbers.LongestMessage];
        Assert.Equal(PcpResult.UnsupportedVersion, Read(request));
        int length = PcpResponse.WriteError(bytes, request, PcpResult.UnsupportedVersion, 1800, 7);
        Assert.Equal(Hex(Octets("02 80 00 01" + "00000708" + "00000007" + "000000000000000000000000")), Hex(bytes.AsSpan(0, length)));
    }

    [Fact]
    public void The_checks_come_in_the_order_of_section_8_3()
    {
        byte[] good = Octets(MapRequest), all = With(good, 0, 9);
        Assert.Equal(PcpResult.UnsupportedVersion, Read([.. all, 1])); // Before the length.
        Assert.Equal(PcpResult.MalformedRequest, Read([.. good, 1])); // Not whole words; before the address.
        Assert.Equal(PcpResult.MalformedRequest, Read(new byte[1104].Select((_, i) => i < good.Length ? good[i] : (byte)0).ToArray()));
        Assert.Equal(PcpResult.AddressMismatch, Read(With(good, 1, 77), IPv6Address.Parse("2001:db8:1::6"))); // Before the opcode.
        Assert.Equal(PcpResult.UnsupportedOpcode, Read(With(good, 1, 2))); // PEER.
        Assert.Equal(PcpResult.UnsupportedOpcode, Read(With(good, 1, 77)));
        Assert.Equal(PcpResult.MalformedRequest, Read(good[..56])); // Too short for MAP.
        Assert.Equal(PcpResult.Success, Read(good[..60]));
        Assert.Equal(PcpResult.Success, Read(With(good[..24], 1, 0)));
    }

    [Theory]
    [InlineData("82 00 0005 0080 0000", PcpResult.MalformedOption)] // Longer than the message.
    [InlineData("82 00 0005 0080 0000 00 000000 82 00 0005 0080 0000 00 000000", PcpResult.MalformedOption)] // Twice.
    [InlineData("82 00 0004 0080 0000", PcpResult.MalformedOption)] // Of another length.
    [InlineData("82 00 0006 0080 0000 0000 0000", PcpResult.MalformedOption)]
    [InlineData("02 00 0000 02 00 0000", PcpResult.MalformedOption)]
    [InlineData("02 00 0004 00000000", PcpResult.MalformedOption)]
    [InlineData("01 00 0010 20010db8000100000000000000000007", PcpResult.UnsupportedOption)] // THIRD_PARTY.
    [InlineData("03 00 0014 00 80 0000 20010db8000100000000000000000007", PcpResult.UnsupportedOption)] // FILTER.
    [InlineData("7f 00 0000", PcpResult.UnsupportedOption)] // The last that must be processed.
    [InlineData("00 00 0000", PcpResult.UnsupportedOption)]
    [InlineData("80 00 0000", PcpResult.Success)] // The first that may be left out.
    [InlineData("ff 07 0003 010203 00", PcpResult.Success)]
    [InlineData("ff 00 ffff", PcpResult.MalformedOption)]
    public void Options_are_refused_or_left_out_by_their_code_and_form(string option, PcpResult result) => Assert.Equal(result, Read([.. Octets(MapRequest)[..60], .. Octets(option)]));

    [Theory]
    [InlineData("82 00 0005 0000 0000 00 000000", 600, PcpResult.MalformedOption)] // RFC 7753 section 4.2: no ports at all,
    [InlineData("82 00 0005 0080 0000 00 000000 02 00 0000", 600, PcpResult.MalformedOption)] // or with PREFER_FAILURE,
    [InlineData("82 00 0005 0000 0000 00 000000", 0, PcpResult.Success)] // which does not matter to a deletion.
    [InlineData("82 00 0005 0080 0000 00 000000", 600, PcpResult.Success)]
    public void A_port_set_has_rules_of_its_own(string options, ushort lifetime, PcpResult result)
    {
        byte[] bytes = [.. With(Octets(MapRequest), 4, 0, 0, (byte)(lifetime >> 8), (byte)lifetime)[..60], .. Octets(options)];
        Assert.Equal(PcpResult.Success, PcpRequest.Read(bytes, Client, Processed, out PcpRequest request));
        request.PortSet(out PcpResult fault);
        Assert.Equal(lifetime == 0 ? PcpResult.Success : result, fault);
    }

    [Fact]
    public void A_set_of_one_port_is_none()
    {
        Assert.Equal(PcpResult.Success, PcpRequest.Read(With(Octets(MapRequest), 64, 0, 1), Client, Processed, out PcpRequest request));
        Assert.Null(request.PortSet(out _));
        Assert.Equal(PcpResult.Success, PcpRequest.Read(With(Octets(MapRequest), 68, 0xff), Client, Processed, out request));
        Assert.True(request.PortSet(out _)!.Value.KeepsParity);
    }

    [Fact]
    public void A_server_that_processes_more_options_takes_them()
    {
        byte[] filters = [.. Octets(MapRequest)[..60], .. Octets("03 00 0014 00 80 0000 20010db8000100000000000000000007"), .. Octets("03 00 0014 00 00 0000 00000000000000000000000000000000")];
        Assert.Equal(PcpResult.Success, Read(filters, processed: PcpOptionSet.Filter));
        byte[] third = [.. Octets(MapRequest)[..60], .. Octets("01 00 0010 20010db8000100000000000000000007")];
        Assert.Equal(PcpResult.Success, Read(third, processed: PcpOptionSet.ThirdParty));
        Assert.Equal(PcpResult.MalformedOption, Read([.. third, .. third[60..]], processed: PcpOptionSet.ThirdParty));
    }

    [Fact]
    public void An_error_carries_the_request_back_with_its_header_changed_alone()
    {
        byte[] request = Octets(MapRequest), bytes = new byte[PcpNumbers.LongestMessage];
        int length = PcpResponse.WriteError(bytes, request, PcpResult.NotAuthorized, 1800, 7);
        Assert.Equal(request.Length, length);
        Assert.Equal(Hex(Octets("02 81 00 02" + "00000708" + "00000007" + "000000000000000000000000")), Hex(bytes.AsSpan(0, 24)));
        Assert.Equal(Hex(request.AsSpan(24)), Hex(bytes.AsSpan(24, length - 24)));

        // Of one that could not be read, the last 96 bits of the client's address stay (section 7.2).
        PcpResponse.WriteError(bytes, request, PcpResult.MalformedOption, 1800, 7);
        Assert.Equal(Hex(request.AsSpan(12)), Hex(bytes.AsSpan(12, length - 12)));
    }

    [Theory]
    [InlineData(1101, 1100)]
    [InlineData(5000, 1100)]
    [InlineData(1098, 1100)]
    [InlineData(25, 28)]
    [InlineData(2, 24)]
    public void An_error_is_whole_words_and_no_longer_than_a_message(int request, int answer)
    {
        byte[] bytes = new byte[PcpNumbers.LongestMessage];
        Assert.Equal(answer, PcpResponse.WriteError(bytes, new byte[request], PcpResult.MalformedRequest, 1, 1));
    }

    [Fact]
    public void Errors_that_pass_by_themselves_stand_for_half_a_minute_and_others_for_half_an_hour()
    {
        PcpResult[] passing = [PcpResult.NetworkFailure, PcpResult.NoResources, PcpResult.UserExceedsQuota, PcpResult.CannotProvideExternal];
        foreach (PcpResult error in Enum.GetValues<PcpResult>().Where(r => r != PcpResult.Success))
            Assert.Equal(passing.Contains(error) ? 30 : 1800, PcpNumbers.LifetimeOf(error).TotalSeconds);
        Assert.Equal(Enum.GetValues<PcpResult>().Length, PcpNumbers.ResultNames.Count);
        Assert.Equal(("USER_EX_QUOTA", "ADDRESS_MISMATCH", "result 99"), (PcpNumbers.NameOf(PcpResult.UserExceedsQuota), PcpNumbers.NameOf(PcpResult.AddressMismatch), PcpNumbers.NameOf((PcpResult)99)));
    }

    [Fact]
    public void Whatever_octets_come_nothing_is_thrown_and_an_error_can_be_written()
    {
        var random = new Random(6887);
        byte[] good = Octets(MapRequest), answer = new byte[PcpNumbers.LongestMessage];
        int read = 0;
        for (int i = 0; i < 200_000; i++)
        {
            byte[] bytes = (i % 3) switch
            {
                0 => new byte[random.Next(0, 140)],
                1 => good[..random.Next(0, good.Length + 1)],
                _ => [.. good, .. new byte[random.Next(0, 10) * 4]],
            };
            if (i % 3 == 0) random.NextBytes(bytes);
            if (bytes.Length > 0 && i % 3 == 0 && random.Next(2) == 0) bytes[0] = 2;
            for (int hits = random.Next(0, 4); hits > 0 && bytes.Length > 0; hits--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            _ = PcpResponse.TryRead(bytes, out PcpResponse response) && response.TryReadMap(out _, out _);
            if (PcpRequest.IsDiscarded(bytes)) continue;
            PcpResult result = PcpRequest.Read(bytes, Client, (PcpOptionSet)random.Next(16), out PcpRequest request);
            if (result != PcpResult.Success)
            {
                int length = PcpResponse.WriteError(answer, bytes, result, 1, 1);
                Assert.True(length % 4 == 0 && length is >= 24 and <= 1100 && PcpResponse.TryRead(answer.AsSpan(0, length), out _), Hex(bytes));
                continue;
            }

            read++;
            if (request.Opcode == PcpOpcode.Map) request.PortSet(out _);
        }

        Assert.InRange(read, 1000, 200_000);
    }

    [Fact]
    public void Every_truncation_of_a_request_is_discarded_or_refused()
    {
        byte[] good = Octets(MapRequest);
        for (int length = 0; length < good.Length; length++)
        {
            byte[] cut = good[..length];
            if (length < 24) Assert.True(PcpRequest.IsDiscarded(cut));
            else if (length is not 60) Assert.Contains(Read(cut), (PcpResult[])[PcpResult.MalformedRequest, PcpResult.MalformedOption]);
        }
    }

    [Fact]
    public void Reading_and_writing_allocate_nothing()
    {
        byte[] good = Octets(MapRequest), bytes = new byte[PcpNumbers.LongestMessage];
        Allocations.None(() =>
        {
            PcpRequest.Read(good, Client, Processed, out PcpRequest request);
            int length = PcpResponse.WriteMap(bytes, 1, 1, request.Map, request.PortSet(out _));
            PcpResponse.TryRead(bytes.AsSpan(0, length), out PcpResponse response);
            response.TryReadMap(out _, out _);
            PcpResponse.WriteError(bytes, good, PcpResult.NoResources, 1, 1);
        });
    }

    [Fact]
    public void A_client_throws_away_what_is_no_whole_response()
    {
        byte[] bytes = new byte[PcpNumbers.LongestMessage];
        int length = PcpResponse.WriteMap(bytes, 3600, 1, new PcpMap(s_nonce, 0, 0, 2048, default), new PcpPortSet(256, 0, false));
        byte[] good = bytes[..length];
        Assert.True(PcpResponse.TryRead(good, out _));
        Assert.False(PcpResponse.TryRead(good[..20], out _));
        Assert.False(PcpResponse.TryRead(good[..^1], out _));
        Assert.False(PcpResponse.TryRead(With(good, 1, 1), out _)); // A request.
        Assert.False(PcpResponse.TryRead(With(good, 0, 3), out _)); // Of a version that we do not know, which has not said that it is the only one.
        Assert.False(PcpResponse.TryRead(new byte[1104], out _));
        BinaryPrimitives.WriteUInt16BigEndian(good.AsSpan(64), 0);
        Assert.True(PcpResponse.TryRead(good, out PcpResponse empty));
        Assert.False(empty.TryReadMap(out _, out _));
    }
}
