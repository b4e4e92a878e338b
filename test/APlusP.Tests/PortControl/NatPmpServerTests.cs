using APlusP.Core.PortControl;
using APlusP.Core.Wire;
using static APlusP.Tests.PortControl.DeskScene;

namespace APlusP.Tests.PortControl;

/// <summary>NAT-PMP (RFC 6886), octet by octet as section 3 draws it.</summary>
public class NatPmpServerTests
{
    static string? Ask(DeskScene home, string request, string host = DeskScene.Console) =>
        home.NatPmp.Answer(Convert.FromHexString(request.Replace(" ", "")), Host(host)) is { } answer ? Convert.ToHexStringLower(answer) : null;

    static string Hex(string spaced) => spaced.Replace(" ", "");

    [Fact]
    public void The_external_address_is_told()
    {
        var home = new DeskScene();
        Assert.Equal(Hex("00 80 0000 000003e8 c0000201"), Ask(home, "00 00"));
        home.Book.Adopt(home.Terms("all", address: null));
        Assert.Equal(Hex("00 80 0003 000003e8 00000000"), Ask(home, "00 00"));
    }

    [Fact]
    public void Ports_of_UDP_and_TCP_are_mapped_and_renewed()
    {
        var home = new DeskScene();
        Assert.Equal(Hex("00 81 0000 000003e8 0c02 2712 00001c20"), Ask(home, "00 01 0000 0c02 2712 00001c20"));
        Assert.Equal(Hex("00 82 0000 000003e8 0c02 2713 00001c20"), Ask(home, "00 02 0000 0c02 2713 00001c20"));
        home.Now += 1;
        Assert.Equal(Hex("00 81 0000 000003e9 0c02 2712 00000e10"), Ask(home, "00 01 0000 0c02 0000 00000e10"));
        Assert.Equal(2, home.Book.Count);
        Assert.Equal(3, home.Counted("nat-pmp-requests-granted"));
    }

    [Fact]
    public void A_lifetime_that_is_too_long_is_cut()
    {
        var home = new DeskScene();
        Assert.EndsWith("00015180", Ask(home, "00 01 0000 0c02 2712 ffffffff"));
    }

    [Fact]
    public void Without_a_lifetime_a_mapping_is_deleted_and_with_port_0_all_of_the_protocol()
    {
        var home = new DeskScene();
        Ask(home, "00 01 0000 0c02 2712 00001c20");
        Ask(home, "00 01 0000 0c03 2713 00001c20");
        Ask(home, "00 01 0000 0c04 2714 00001c20");
        Ask(home, "00 02 0000 0c04 2714 00001c20");
        Ask(home, "00 01 0000 0c04 2715 00001c20", Phone);
        Assert.Equal(Hex("00 81 0000 000003e8 0c02 0000 00000000"), Ask(home, "00 01 0000 0c02 0000 00000000"));
        Assert.Equal(4, home.Book.Count);
        Assert.Equal(Hex("00 81 0000 000003e8 0000 0000 00000000"), Ask(home, "00 01 0000 0000 0000 00000000"));
        Assert.Equal([(IpProtocol.Tcp, DeskScene.Console), (IpProtocol.Udp, Phone)], home.Book.Mappings.Select(m => (m.Forward.Protocol, $"{m.Forward.Host}")).Order());
    }

    [Fact]
    public void Refusals_have_their_codes()
    {
        var home = new DeskScene("10000-10007", new MappingLimits { PerHost = 1 }, Static(10001, DeskScene.Console, 3076, IpProtocol.Udp));
        Assert.Equal(Hex("00 83 0005 000003e8"), Ask(home, "00 03"));
        Ask(home, "00 01 0000 0c02 0000 00001c20");
        Assert.Equal(Hex("00 81 0004 000003e8 0c03 0000 00000000"), Ask(home, "00 01 0000 0c03 0000 00001c20"));

        // A static forward is nobody's to delete, and all ports nobody's to have.
        Assert.Equal(Hex("00 81 0002 000003e8 0c04 0000 00000000"), Ask(home, "00 01 0000 0c04 0000 00000000"));
        Assert.Equal(Hex("00 81 0002 000003e8 0000 0000 00000000"), Ask(home, "00 01 0000 0000 0000 00001c20"));
        home.Book.Adopt(home.Terms("all", address: null));
        Assert.Equal(Hex("00 81 0003 000003e8 0c05 0000 00000000"), Ask(home, "00 01 0000 0c05 0000 00001c20"));
        Assert.Equal(5, home.Counted("nat-pmp-requests-refused"));
    }

    [Theory]
    [InlineData("00")]
    [InlineData("00 80")]
    [InlineData("00 81 0000 000003e8 0c02 2712 00001c20")]
    [InlineData("00 01 0000 0c02 2712")]
    public void What_is_no_request_hears_nothing(string message)
    {
        var home = new DeskScene();
        Assert.Null(Ask(home, message));
        Assert.Equal(1, home.Counted("nat-pmp-requests-discarded"));
        Assert.Equal(0, home.Book.Count);
    }
}
