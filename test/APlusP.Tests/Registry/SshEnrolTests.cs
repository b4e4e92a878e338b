using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;
using APlusP.Registry.Ssh;
using CsCheck;

namespace APlusP.Tests.Registry;

/// <summary>What homes of the experiment of 2010 send through SSH.</summary>
public class SshEnrolTests
{
    /// <summary>As the script of the report's appendix C writes it, with the blank that it puts in front.</summary>
    const string Sent = " Cpe1AddrV6 2a01:240:fe55:3::1\n Cpe1PortRange 10000-11000\n";

    static readonly HomeAnnouncement s_home = new(IPv6Address.Parse("2a01:240:fe55:3::1"), new PortRange(10000, 11000));

    [Fact]
    public void Two_lines_are_a_home() => Assert.Equal(s_home, HomeAnnouncement.Read(Sent));

    [Theory]
    [InlineData("", "AP6010", "0 homes")]
    [InlineData("Cpe1AddrV6 2001:db8::1\n", "AP1002", "'Cpe1PortRange' is missing")]
    [InlineData("Cpe1AddrV6 2001:db8::1\nCpe1PortRange 11000-10000\n", "AP1002", "11000-10000")]
    [InlineData(Sent + "Cpe2AddrV6 2001:db8::2\nCpe2PortRange 1-2\n", "AP6010", "2 homes")]
    [InlineData(Sent + "IPv4Shared 192.0.2.1\n", "AP6010", "keys of a PRR")]
    [InlineData("rm -rf /\n", "AP1002", "has 3 words")]
    public void What_is_no_home_is_told(string text, string code, string part)
    {
        APlusPException error = Assert.Throws<APlusPException>(() => HomeAnnouncement.Read(text));
        Assert.Equal(code, error.Code);
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
    }

    static MemoryStream Of(string text) => new MemoryStream(Encoding.UTF8.GetBytes(text));

    [Theory]
    [InlineData("scp -t /home/reloader/", true)]
    [InlineData("/usr/bin/scp -p -t -- x", true)]
    [InlineData("scp -pt .", true)]
    [InlineData("scp -f secret", false)]
    [InlineData("/bin/sh -t", false)]
    [InlineData("", false)]
    [InlineData(null, false)]
    public void Scp_is_known_by_its_command(string? command, bool isScp) => Assert.Equal(isScp, SshInput.IsScp(command));

    [Theory]
    [InlineData("")]
    [InlineData("T1700000000 0 1700000000 0\n")]
    public void A_file_by_scp_is_taken_step_by_step(string times)
    {
        using var answers = new MemoryStream();
        Assert.Equal(Sent, SshInput.ReceiveFile(Of($"{times}C0644 {Sent.Length} conf\n{Sent}\0"), answers));
        Assert.Equal(new byte[times.Length > 0 ? 3 : 2], answers.ToArray());
    }

    [Theory]
    [InlineData("D0755 0 directory\n")]
    [InlineData("C0644 9999999 large\n")]
    [InlineData("C0644 -1 odd\n")]
    [InlineData("C0644 10 short\nabc")]
    [InlineData("C0644 3 text\n\u00ff\u00fe")]
    [InlineData("C0644")]
    [InlineData("")]
    public void What_is_no_small_file_is_refused(string sent)
    {
        using var input = new MemoryStream(Encoding.Latin1.GetBytes(sent));
        Assert.Equal(ErrorCodes.BadRequest, Assert.Throws<APlusPException>(() => SshInput.ReceiveFile(input, Stream.Null)).Code);
    }

    [Fact]
    public void More_than_two_lines_can_be_is_refused() =>
        Assert.Equal(ErrorCodes.BadRequest, Assert.Throws<APlusPException>(() => SshInput.ReadLines(Of(new string('x', SshInput.Longest + 1)))).Code);

    [Fact]
    public void Whatever_comes_is_a_home_or_a_refusal() => Gen.Byte.Array[0, 200].Sample(octets =>
    {
        try
        {
            string text = octets.Length % 2 == 0 ? SshInput.ReadLines(new MemoryStream(octets)) : SshInput.ReceiveFile(new MemoryStream([.. "C0644 100 x\n"u8, .. octets]), Stream.Null);
            HomeAnnouncement.Read(text);
        }
        catch (APlusPException)
        {
            // As it should be.
        }
    });
}
