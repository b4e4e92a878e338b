using APlusP.Core.Addresses;
using APlusP.Core.Forwarding;
using APlusP.Core.PortControl;
using APlusP.Core.PortSets;
using APlusP.Core.Wire;
using CsCheck;
using static APlusP.Tests.PortControl.DeskScene;

namespace APlusP.Tests.PortControl;

/// <summary>Which ports hosts get, and which they do not.</summary>
public class MappingBookTests
{
    [Fact]
    public void A_host_gets_the_port_that_it_asks_for_where_it_is_free()
    {
        var home = new DeskScene();
        Assert.Equal(new MappingGrant(MappingRefusal.None, Host(Shared), new PortRange(10007, 10007), 3600), home.Map(Wish(80, suggested: 10007)));
        Assert.Equal([Static(10007, DeskScene.Console, 80)], home.Book.Forwards);
    }

    [Fact]
    public void Without_a_wish_it_gets_its_own_port_where_that_is_of_the_set_and_else_any_other_of_it()
    {
        var home = new DeskScene();
        Assert.Equal(10044, home.Map(Wish(10044)).Ports.First);
        Assert.InRange(home.Map(Wish(80)).Ports.First, 10000, 10099);
        Assert.InRange(home.Map(Wish(81, suggested: 80)).Ports.First, 10000, 10099);
    }

    [Fact]
    public void What_it_asks_for_again_it_has_still()
    {
        var home = new DeskScene();
        ushort port = home.Map(Wish(80, seconds: 100)).Ports.First;
        home.Now += 90;
        Assert.Equal(port, home.Map(Wish(80, suggested: 10099, seconds: 100)).Ports.First);
        home.Now += 90;
        home.Book.Expire(home.Now);
        Assert.Equal(1, home.Book.Count);
        home.Now += 10;
        home.Book.Expire(home.Now);
        Assert.Equal(0, home.Book.Count);
    }

    [Fact]
    public void An_endpoint_that_has_a_port_by_its_flows_keeps_it()
    {
        var home = new DeskScene();
        home.Flows[(IpProtocol.Udp, Host(DeskScene.Console), 3074)] = 10050;
        Assert.Equal(10050, home.Map(Wish(3074, protocol: IpProtocol.Udp, suggested: 10001)).Ports.First);

        // Not so the port of the same number in TCP.
        Assert.Equal(10001, home.Map(Wish(3074, suggested: 10001)).Ports.First);
    }

    [Fact]
    public void By_UPnP_which_wants_one_port_or_none_its_own_flows_make_way()
    {
        var home = new DeskScene();
        home.Flows[(IpProtocol.Udp, Host(DeskScene.Console), 3074)] = 10050;
        Assert.Equal(10001, home.Map(Wish(3074, by: MappingProtocol.Upnp, protocol: IpProtocol.Udp, suggested: 10001, exact: true)).Ports.First);
        Assert.Equal(MappingRefusal.TakenOtherwise, home.Map(Wish(4000, by: MappingProtocol.Upnp, protocol: IpProtocol.Udp, suggested: 10050, exact: true)).Refusal);
    }

    [Fact]
    public void Ports_of_flows_of_others_are_not_given_away()
    {
        var home = new DeskScene("10000-10001");
        home.Flows[(IpProtocol.Tcp, Host(Phone), 50000)] = 10000;
        Assert.Equal(10001, home.Map(Wish(80, suggested: 10000)).Ports.First);
        Assert.Equal(MappingRefusal.TakenOtherwise, home.Map(Wish(81, exact: true, suggested: 10000)).Refusal);
    }

    [Fact]
    public void A_static_forward_comes_first_and_its_server_has_that_port_alone()
    {
        var home = new DeskScene(forwards: Static(10080, DeskScene.Console, 80));
        Assert.Equal(MappingRefusal.TakenOtherwise, home.Map(Wish(81, exact: true, suggested: 10080)).Refusal);
        Assert.Equal(10080, home.Map(Wish(80, suggested: 10001)).Ports.First);
        Assert.Equal(0, home.Book.Count);
        Assert.Equal(MappingRefusal.NotTheirs, home.Book.Unmap(MappingProtocol.NatPmp, IpProtocol.Tcp, Host(DeskScene.Console), 80));
    }

    [Fact]
    public void A_port_outside_the_set_is_refused_where_it_must_be_that_one()
    {
        var home = new DeskScene();
        Assert.Equal(MappingRefusal.NotOurs, home.Map(Wish(80, exact: true, suggested: 80)).Refusal);
        Assert.Equal(MappingRefusal.None, home.Map(Wish(80, exact: true, suggested: 10000)).Refusal);
        Assert.Equal(MappingRefusal.TakenOtherwise, home.Map(Wish(80, Phone, MappingProtocol.Upnp, exact: true, suggested: 10000)).Refusal);
        Assert.Equal(MappingRefusal.Taken, home.Map(Wish(80, Phone, MappingProtocol.NatPmp, exact: true, suggested: 10000)).Refusal);
    }

    [Fact]
    public void Three_quarters_of_the_set_may_be_mapped_and_no_more()
    {
        var home = new DeskScene("10000-10007");
        for (int i = 0; i < 6; i++) Assert.Equal(MappingRefusal.None, home.Map(Wish(3000 + i, protocol: IpProtocol.Udp)).Refusal);
        Assert.Equal(MappingRefusal.HostLimit, home.Map(Wish(3006, protocol: IpProtocol.Udp)).Refusal);
        Assert.Equal(MappingRefusal.NoneLeft, home.Map(Wish(3000, Phone, protocol: IpProtocol.Udp)).Refusal);

        // TCP's ports are others, and what it has it may ask for again.
        Assert.Equal(MappingRefusal.None, home.Map(Wish(3000, Phone)).Refusal);
        Assert.Equal(MappingRefusal.None, home.Map(Wish(3003, protocol: IpProtocol.Udp)).Refusal);
    }

    [Fact]
    public void A_mapping_stands_for_as_long_as_one_protocol_asks_for_it()
    {
        var home = new DeskScene();
        home.Map(Wish(6881, suggested: 10000));
        home.Map(Wish(6881, by: MappingProtocol.Upnp, suggested: 10000, exact: true));
        home.Map(Wish(6881, by: MappingProtocol.Pcp, nonce: 5));
        Assert.Equal(1, home.Book.Count);
        home.Book.Unmap(MappingProtocol.NatPmp, IpProtocol.Tcp, Host(DeskScene.Console), 6881);
        home.Book.UnmapAll(MappingProtocol.Pcp, null, Host(DeskScene.Console), new(1, 5));
        Assert.Equal(1, home.Book.Count);
        home.Book.Unmap(MappingProtocol.Upnp, IpProtocol.Tcp, Host(DeskScene.Console), 6881);
        Assert.Equal(0, home.Book.Count);
    }

    [Fact]
    public void Ports_in_a_row_inside_are_ports_in_a_row_outside_or_fewer()
    {
        var home = new DeskScene("10000-10007", forwards: Static(10003, Phone, 80, IpProtocol.Udp));
        MappingGrant grant = home.Map(Wish(3000, by: MappingProtocol.Pcp, protocol: IpProtocol.Udp, count: 8, nonce: 1));
        Assert.Equal(new PortRange(10004, 10007), grant.Ports);
        Assert.Equal([3000, 3001, 3002, 3003], home.Book.Mappings.Select(m => (int)m.Forward.HostPort).Order());

        // Renewed it is the same, and it ends as one.
        Assert.Equal(grant.Ports, home.Map(Wish(3000, by: MappingProtocol.Pcp, protocol: IpProtocol.Udp, count: 2, nonce: 1)).Ports);
        home.Book.Unmap(MappingProtocol.Pcp, IpProtocol.Udp, Host(DeskScene.Console), 3000, new(1, 1));
        Assert.Equal(0, home.Book.Count);
    }

    [Fact]
    public void With_another_set_what_is_outside_of_it_goes_and_the_rest_stays()
    {
        var home = new DeskScene();
        home.Map(Wish(80, suggested: 10010));
        home.Map(Wish(81, suggested: 10090));
        MappingChange change = home.Book.Adopt(home.Terms("10050-10149"));
        Assert.False(change.IsOtherAddress);
        Assert.Equal(10010, Assert.Single(change.Lost).Forward.Port);
        Assert.Equal(10090, Assert.Single(home.Book.Mappings).Forward.Port);
        change = home.Book.Adopt(home.Terms("10050-10149", "192.0.2.9"));
        Assert.True(change.IsOtherAddress);
        Assert.Empty(change.Lost);
    }

    [Fact]
    public void While_there_is_no_address_mappings_wait_and_nobody_gets_one()
    {
        var home = new DeskScene();
        home.Map(Wish(80, suggested: 10010));
        Assert.Empty(home.Book.Adopt(home.Terms("all", address: null)).Lost);
        Assert.Equal(MappingRefusal.NoAddress, home.Map(Wish(81)).Refusal);
        Assert.Empty(home.Book.Adopt(home.Terms("10000-10099")).Lost);
        Assert.Equal(1, home.Book.Count);
    }

    [Fact]
    public void A_forward_of_the_household_takes_the_place_of_a_mapping_and_waits_while_its_port_is_not_ours()
    {
        var home = new DeskScene();
        home.Map(Wish(80, suggested: 10010));
        Assert.Equal(10010, Assert.Single(home.Book.Add(Static(10010, Phone, 80)).Lost).Forward.Port);
        Assert.Equal([Static(10010, Phone, 80)], home.Book.Forwards);
        home.Book.Adopt(home.Terms("10050-10149"));
        Assert.Empty(home.Book.Forwards);
        home.Book.Adopt(home.Terms("10000-10099"));
        Assert.Single(home.Book.Forwards);
        Assert.Single(home.Book.Remove(10010, [IpProtocol.Tcp]));
        Assert.Empty(home.Book.Forwards);
    }

    [Fact]
    public void The_household_takes_away_what_a_host_asked_for_by_all_protocols_and_the_host_may_ask_again()
    {
        var home = new DeskScene(forwards: Static(10001, Phone, 80));
        home.Map(Wish(80, suggested: 10010));
        home.Map(Wish(80, by: MappingProtocol.Upnp, suggested: 10010));
        home.Map(Wish(80, protocol: IpProtocol.Udp, suggested: 10010));
        (long version, uint update) = (home.Book.Version, home.Book.UpdateId);
        MappingChange taken = home.Book.Take(10010, [IpProtocol.Tcp]);
        Assert.Equal([MappingProtocol.NatPmp, MappingProtocol.Upnp], Assert.Single(taken.Lost).Claims.Select(c => c.By));
        Assert.True(home.Book.Version > version && home.Book.UpdateId > update);
        Assert.Equal([Static(10001, Phone, 80), Static(10010, DeskScene.Console, 80, IpProtocol.Udp)], home.Book.Forwards);
        Assert.False(home.Book.Take(10010, [IpProtocol.Tcp]).IsAny);
        Assert.False(home.Book.Take(10001, [IpProtocol.Tcp]).IsAny);
        Assert.Equal(10010, home.Map(Wish(80, suggested: 10010)).Ports.First);
    }

    [Fact]
    public void Ports_that_are_about_to_be_given_back_are_not_mapped()
    {
        var options = new SmapOptions
        {
            SoftwireAddress = IPv6Address.Parse("2001:db8:1::1"),
            PrrAddress = IPv6Address.Parse("2001:db8::1"),
            SharedAddress = Host(Shared),
            Ports = PortSet.Parse("10000-10099"),
            RestingPorts = PortSet.Parse("10050-10099"),
        };
        Assert.Equal(PortSet.Parse("10000-10049"), MappingTerms.Of(options, new MappingLimits()).Ports);
        Assert.Null(MappingTerms.Of(options with { IsSuspended = true }, new MappingLimits()).Address);
    }

    /// <summary>Whatever hosts ask for: never a port that is not ours, never one twice, never a static forward's, never one endpoint with two, never more than a host may have.</summary>
    [Fact]
    public void The_book_holds_whatever_is_asked()
    {
        Gen<(int Kind, int Host, int HostPort, int Suggested, int By, int Protocol, int Count, int Exact)> step =
            Gen.Select(Gen.Int[0, 9], Gen.Int[0, 3], Gen.Int[3000, 3011], Gen.Int[9990, 10030], Gen.Int[0, 2], Gen.Int[0, 1], Gen.Int[1, 6], Gen.Int[0, 3], (a, b, c, d, e, f, g, h) => (a, b, c, d, e, f, g, h));
        step.Array[1, 60].Sample(steps =>
        {
            PortForward[] forwards = [Static(10002, "192.168.2.50", 80), Static(10002, "192.168.2.50", 80, IpProtocol.Udp)];
            var home = new DeskScene("10000-10019", new MappingLimits { PerHost = 5 }, forwards);
            string ports = "10000-10019";
            foreach ((int kind, int host, int hostPort, int suggested, int by, int protocol, int count, int exact) in steps)
            {
                string address = $"192.168.2.{10 + host}";
                IpProtocol number = protocol == 0 ? IpProtocol.Tcp : IpProtocol.Udp;
                switch (kind)
                {
                    case 0:
                        home.Book.Unmap((MappingProtocol)by, number, Host(address), (ushort)hostPort, by == 0 ? new(1, 1) : null);
                        break;
                    case 1:
                        home.Now += 1000;
                        break;
                    case 2:
                        ports = suggested % 2 == 0 ? "10000-10019" : "10005-10024";
                        home.Book.Adopt(home.Terms(ports, forwards: forwards));
                        break;
                    case 3:
                        home.Flows[(number, Host("192.168.2.40"), (ushort)hostPort)] = (ushort)suggested;
                        foreach ((IpProtocol, IPv4Address, ushort) flow in home.Flows.Where(f => home.Book.At(f.Key.Protocol, f.Value) is not null).Select(f => f.Key).ToList()) home.Flows.Remove(flow);
                        break;
                    default:
                        home.Map(Wish(hostPort, address, (MappingProtocol)by, number, suggested, exact: exact == 0, count: (ushort)(by == 0 ? count : 1), nonce: by == 0 ? 1 : 0));
                        break;
                }

                home.Book.Expire(home.Now);
                PortForward[] all = [.. home.Book.Mappings.Select(m => m.Forward)];
                PortSet set = PortSet.Parse(ports);
                Assert.All(all, f => Assert.True(set.Contains(f.Port)));
                Assert.DoesNotContain(all, f => f.Port == 10002 && set.Contains(10002));
                Assert.Equal(all.Length, all.DistinctBy(f => (f.Protocol, f.Port)).Count());
                Assert.Equal(all.Length, all.DistinctBy(f => (f.Protocol, f.Host, f.HostPort)).Count());
                Assert.All(all.GroupBy(f => (f.Protocol, f.Host)), g => Assert.True(g.Count() <= 5));
                Assert.DoesNotContain(home.Flows, f => f.Key.Host == Host("192.168.2.40") && all.Any(m => m.Protocol == f.Key.Protocol && m.Port == f.Value));
                Assert.Equal(home.Book.Forwards.Count, home.Book.Forwards.DistinctBy(f => (f.Protocol, f.Port)).Count());
            }
        }, iter: 400);
    }
}
