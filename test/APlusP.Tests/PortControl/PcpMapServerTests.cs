using APlusP.Core.Pcp;
using APlusP.Core.PortControl;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;
using APlusP.Tests.Registry;
using static APlusP.Tests.PortControl.DeskScene;

namespace APlusP.Tests.PortControl;

/// <summary>PCP of a home (RFC 6887, 7753): requests in, answers out, each result code.</summary>
public class PcpMapServerTests
{
    static readonly byte[] s_preferFailure = [2, 0, 0, 0];

    [Fact]
    public void A_client_of_the_kind_that_we_are_gets_one_port()
    {
        var home = new DeskScene();
        PcpSaid said = home.AskPcp(8080, suggested: 10080);
        Assert.Equal((PcpResult.Success, PcpOpcode.Map, 3600u), (said.Result, said.Opcode, said.Lifetime));
        Assert.Equal((Host(Shared), new PortRange(10080, 10080), false), (said.Address, said.Ports, said.HasSet));
        Assert.Equal(8080, said.Map.InternalPort);
        Assert.Equal(home.Epoch, said.Epoch);
        Assert.Equal(1, home.Counted("pcp-requests-granted"));
    }

    /// <summary>Octets written by hand from RFC 6887 figures 2, 3, 9 and 10.</summary>
    [Fact]
    public void The_octets_are_those_of_the_RFC()
    {
        var home = new DeskScene();
        byte[] request = Convert.FromHexString("02010000" + "00000e10" + "00000000000000000000ffffc0a8020a" + "0102030405060708090a0b0c" + "11000000" + "0c022710" + "00000000000000000000ffff00000000");
        byte[] answer = Convert.FromHexString("02810000" + "00000e10" + "000003e8" + "000000000000000000000000" + "0102030405060708090a0b0c" + "11000000" + "0c022710" + "00000000000000000000ffffc0000201");
        Assert.Equal(answer, home.Pcp.Answer(request, Host(DeskScene.Console)));
        Assert.Equal(Static(10000, DeskScene.Console, 3074, IpProtocol.Udp), Assert.Single(home.Book.Forwards));
    }

    [Theory]
    [InlineData(1u, 120u)]
    [InlineData(3600u, 3600u)]
    [InlineData(4_000_000_000u, 86_400u)]
    public void Lifetimes_are_kept_within_bounds(uint asked, uint given) => Assert.Equal(given, new DeskScene().AskPcp(80, lifetime: asked).Lifetime);

    [Fact]
    public void Another_nonce_than_the_mapping_s_is_not_authorized_until_that_is_over()
    {
        var home = new DeskScene();
        home.AskPcp(80, nonce: 1);
        home.Now += 600;
        PcpSaid said = home.AskPcp(80, nonce: 2);
        Assert.Equal((PcpResult.NotAuthorized, 3000u), (said.Result, said.Lifetime));
        Assert.Equal(PcpResult.NotAuthorized, home.AskPcp(80, nonce: 2, lifetime: 0).Result);
        home.Now += 3000;
        Assert.Equal(PcpResult.Success, home.AskPcp(80, nonce: 2).Result);
    }

    [Fact]
    public void Who_asks_in_another_s_name_hears_ADDRESS_MISMATCH()
    {
        var home = new DeskScene();
        Assert.Equal(PcpResult.AddressMismatch, home.AskPcp(80, host: Phone, source: DeskScene.Console).Result);
        Assert.Equal(0, home.Book.Count);
    }

    [Fact]
    public void THIRD_PARTY_and_FILTER_are_options_that_it_does_not_know()
    {
        var home = new DeskScene();
        byte[] thirdParty = [1, 0, 0, 16, .. new byte[10], 0xff, 0xff, 192, 168, 2, 11], filter = [3, 0, 0, 20, 0, 128, 0, 80, .. new byte[10], 0xff, 0xff, 203, 0, 113, 9];
        Assert.Equal(PcpResult.UnsupportedOption, home.AskPcp(80, more: thirdParty).Result);
        Assert.Equal(PcpResult.UnsupportedOption, home.AskPcp(80, more: filter).Result);
        Assert.Equal(0, home.Book.Count);

        // What may be left unprocessed is.
        Assert.Equal(PcpResult.Success, home.AskPcp(80, more: [200, 0, 0, 4, 1, 2, 3, 4]).Result);
    }

    [Fact]
    public void PREFER_FAILURE_takes_the_port_and_address_it_named_or_nothing()
    {
        var home = new DeskScene();
        Assert.Equal(PcpResult.Success, home.AskPcp(80, suggested: 10010, address: Shared, more: s_preferFailure).Result);
        Assert.Equal(PcpResult.CannotProvideExternal, home.AskPcp(81, suggested: 10010, more: s_preferFailure).Result);
        Assert.Equal(PcpResult.CannotProvideExternal, home.AskPcp(81, suggested: 80, more: s_preferFailure).Result);
        Assert.Equal(PcpResult.CannotProvideExternal, home.AskPcp(81, suggested: 10011, address: "192.0.2.77", more: s_preferFailure).Result);
        Assert.Equal(PcpResult.CannotProvideExternal, home.AskPcp(80, suggested: 10012, more: s_preferFailure).Result);
        Assert.Equal(PcpResult.MalformedOption, home.AskPcp(82, suggested: 10012, size: 4, more: s_preferFailure).Result);
        Assert.Equal(1, home.Book.Count);
    }

    [Fact]
    public void A_port_set_is_given_in_one_piece_and_deleted_in_one()
    {
        var home = new DeskScene();
        PcpSaid said = home.AskPcp(3000, protocol: 17, size: 6, suggested: 10020);
        Assert.Equal((new PortRange(10020, 10025), true), (said.Ports, said.HasSet));
        Assert.Equal(6, home.Book.Count);
        said = home.AskPcp(3000, protocol: 17, lifetime: 0, size: 6);
        Assert.Equal((PcpResult.Success, 0u), (said.Result, said.Lifetime));
        Assert.Equal(0, home.Book.Count);
        Assert.Equal(PcpResult.MalformedOption, home.AskPcp(3000, size: 0).Result);
    }

    [Fact]
    public void All_ports_or_all_protocols_are_not_to_be_had_but_deleted()
    {
        var home = new DeskScene();
        Assert.Equal(PcpResult.UnsupportedProtocol, home.AskPcp(0, protocol: 0).Result);
        Assert.Equal(PcpResult.UnsupportedProtocol, home.AskPcp(80, protocol: 132).Result);
        Assert.Equal(PcpResult.NotAuthorized, home.AskPcp(0).Result);
        home.AskPcp(80);
        home.AskPcp(81, nonce: 2);
        home.AskPcp(82, protocol: 17);
        home.AskPcp(80, host: Phone);
        Assert.Equal(PcpResult.Success, home.AskPcp(0, lifetime: 0).Result);
        Assert.Equal(3, home.Book.Count);
        Assert.Equal(PcpResult.Success, home.AskPcp(0, protocol: 0, lifetime: 0).Result);

        // Another nonce's and another host's are not touched.
        Assert.Equal(2, home.Book.Count);
    }

    [Fact]
    public void What_is_not_there_is_deleted_already_and_what_is_static_never()
    {
        var home = new DeskScene(forwards: Static(10080, DeskScene.Console, 80));
        Assert.Equal(PcpResult.Success, home.AskPcp(81, lifetime: 0).Result);
        Assert.Equal(PcpResult.NotAuthorized, home.AskPcp(80, lifetime: 0).Result);
        Assert.Equal(new PortRange(10080, 10080), home.AskPcp(80).Ports);
    }

    [Fact]
    public void A_host_that_has_enough_hears_USER_EX_QUOTA_and_a_home_that_has_none_left_NO_RESOURCES()
    {
        var home = new DeskScene("10000-10007", new MappingLimits { PerHost = 3 });
        for (int i = 0; i < 3; i++) Assert.Equal(PcpResult.Success, home.AskPcp(80 + i).Result);
        PcpSaid said = home.AskPcp(83);
        Assert.Equal((PcpResult.UserExceedsQuota, 30u), (said.Result, said.Lifetime));
        for (int i = 0; i < 3; i++) Assert.Equal(PcpResult.Success, home.AskPcp(80 + i, host: Phone).Result);
        Assert.Equal(PcpResult.NoResources, home.AskPcp(80, host: "192.168.2.12").Result);
        Assert.Equal(2, home.Counted("pcp-requests-refused"));
    }

    [Fact]
    public void Without_an_address_there_is_NETWORK_FAILURE()
    {
        var home = new DeskScene();
        home.Book.Adopt(home.Terms("all", address: null));
        Assert.Equal(PcpResult.NetworkFailure, home.AskPcp(80).Result);
    }

    [Fact]
    public void An_ANNOUNCE_hears_the_epoch_PEER_is_no_opcode_of_ours_and_other_versions_hear_of_ours()
    {
        var home = new DeskScene();
        byte[] announce = PcpRequestOf(0)[..PcpNumbers.HeaderSize], peer = [.. PcpRequestOf(80), .. new byte[20]];
        announce[1] = (byte)PcpOpcode.Announce;
        peer[1] = (byte)PcpOpcode.Peer;
        var said = new PcpSaid(home.Pcp.Answer(announce, Host(DeskScene.Console))!);
        Assert.Equal((PcpResult.Success, PcpOpcode.Announce, home.Epoch), (said.Result, said.Opcode, said.Epoch));
        Assert.Equal(PcpResult.UnsupportedOpcode, new PcpSaid(home.Pcp.Answer(peer, Host(DeskScene.Console))!).Result);
        byte[] later = PcpRequestOf(80);
        later[0] = 3;
        byte[] answer = home.Pcp.Answer(later, Host(DeskScene.Console))!;
        Assert.Equal((PcpNumbers.Version, (byte)PcpResult.UnsupportedVersion), (answer[0], answer[3]));
    }

    [Fact]
    public void Malformed_requests_hear_so_and_what_is_no_request_hears_nothing()
    {
        var home = new DeskScene();
        Assert.Equal(PcpResult.MalformedRequest, new PcpSaid(home.Pcp.Answer(PcpRequestOf(80)[..40], Host(DeskScene.Console))!).Result);
        Assert.Equal(PcpResult.MalformedOption, home.AskPcp(80, more: [2, 0, 0, 4]).Result);
        byte[] response = PcpRequestOf(80);
        response[1] |= 0x80;
        Assert.Null(home.Pcp.Answer(response, Host(DeskScene.Console)));
        Assert.Null(home.Pcp.Answer([2], Host(DeskScene.Console)));
        Assert.Equal(2, home.Counted("pcp-requests-discarded"));
    }

    [Fact]
    public void Who_has_mappings_is_told_when_their_address_changes_and_when_they_go()
    {
        var home = new DeskScene();
        home.AskPcp(80, suggested: 10010);
        home.AskPcp(3000, protocol: 17, size: 4, suggested: 10020, nonce: 9);
        home.Map(Wish(90));
        PcpSaid[] told = [.. home.Book.Mappings.Select(m => PcpMapServer.Update(m, Host("192.0.2.9"), isLost: false, 5, home.Now)).OfType<byte[]>().Select(b => new PcpSaid(b)).OrderBy(s => s.Map.InternalPort)];
        Assert.Equal([(new PortRange(10010, 10010), 3600u, 5u), (new PortRange(10020, 10023), 3600u, 5u)], told.Select(t => (t.Ports, t.Lifetime, t.Epoch)));
        Assert.All(told, t => Assert.Equal(Host("192.0.2.9"), t.Address));
        Assert.Equal(0u, new PcpSaid(PcpMapServer.Update(home.Book.At(IpProtocol.Tcp, 10010)!, Host(Shared), isLost: true, 5, home.Now)!).Lifetime);
    }
}
