using APlusP.Core;
using APlusP.Node.Configuration;
using CsCheck;

namespace APlusP.Tests.Configuration;

public class ReportFormatTests
{
    const string Report = "PrrAddrV4 192.108.119.26\nPrrAddrV6 2001:660:7301:d002:250:baff:febe:711\nIPv4Shared 192.108.119.27\n"
        + "Cpe1AddrV6 2001:660:7301:4666::1\nCpe1PortRange 10000-11000\nCpe2AddrV6 2001:660:7301:4666::2\nCpe2PortRange 11001-12000\n";

    [Fact]
    public void The_reports_own_file_makes_a_prr_of_two_homes_and_comes_back_the_same()
    {
        ReportFormat report = ReportFormat.Read("prr.conf", Report).Configuration!;
        Assert.Equal(Report, report.ToString());
        PrrConfiguration prr = ConfigurationFile.CheckPrr("prr.toml", report.ToToml()).Configuration!;
        Assert.Equal(2, prr.Bindings.Count);
        Assert.Equal([1001, 1000], prr.Bindings.Select(b => b.Ports.Count));
        Assert.Equal(Report, ReportFormat.From(prr).ToString());
    }

    [Fact]
    public void Order_blanks_comments_and_line_ends_do_not_matter()
    {
        string other = string.Join("\r\n", Report.Trim().Split('\n').Reverse().Select(l => $"  {l.Replace(" ", "\t ", StringComparison.Ordinal)}  # as it was")) + "\r\n\r\n";
        Assert.Equal(Report, ReportFormat.Read("prr.conf", other).Configuration!.ToString());
    }

    [Theory]
    [InlineData("Cpe1PortRange 10000-11000", "Cpe1PortRange 11000-10000", "AP1015", 5, 15)]
    [InlineData("IPv4Shared 192.108.119.27", "IPv4Shared 192.108.119.277", "AP1015", 3, 12)]
    [InlineData("IPv4Shared", "IPv4Sharde", "AP1012", 3, 1)]
    [InlineData("Cpe2AddrV6 2001:660:7301:4666::2\n", "", "AP1016", 6, 1)]
    [InlineData("Cpe2PortRange 11001-12000", "Cpe1PortRange 11001-12000", "AP1018", 7, 1)]
    [InlineData("Cpe2PortRange 11001", "Cpe2PortRange 11000", "AP1017", 0, 0)]
    [InlineData("Cpe1PortRange ", "Cpe1PortRange from ", "AP1011", 5, 1)]
    public void A_fault_is_told_at_its_place(string right, string wrong, string code, int line, int column)
    {
        IReadOnlyList<Diagnostic> found = ReportFormat.Read("prr.conf", Report.Replace(right, wrong, StringComparison.Ordinal)).Diagnostics;
        Assert.Contains(found, d => line == 0 ? d.Severity == DiagnosticSeverity.Error : (d.Code, d.Line, d.Column) == (code, line, column));
    }

    [Fact]
    public void What_the_format_cannot_say_is_listed()
    {
        PrrConfiguration prr = ConfigurationFile.CheckPrr("prr.toml", """
            softwire-address = ["2001:db8::1", "2001:db8::2"]
            [[binding]]
            address = "192.0.2.1"
            psid = { offset = 6, length = 8, psid = 52 }
            softwire = "2001:db8:1::1"
            [[binding]]
            address = "192.0.2.2"
            ports = "all"
            softwire = "2001:db8:2::1"
            [[rule]]
            rule-ipv6-prefix = "2001:db8:f000::/40"
            rule-ipv4-prefix = "198.51.100.0/24"
            ea-length = 16
            """).Configuration!;
        APlusPException error = Assert.Throws<APlusPException>(() => ReportFormat.From(prr));
        Assert.Equal(ErrorCodes.NotExportable, error.Code);
        foreach (string part in new[] { "2 PRR addresses", "2 shared addresses", "icmp-source", "1 mapping rule", "more than one range" }) Assert.Contains(part, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Damaged_text_is_told_or_taken_and_never_throws() =>
        Gen.Select(Gen.Int[0, Report.Length - 1], Gen.Char, Gen.Int[0, 20]).Array[1, 4].Sample(damage =>
        {
            string text = Report;
            foreach ((int at, char c, int cut) in damage) text = text[..Math.Min(at, text.Length)] + c + text[Math.Min(at + cut, text.Length)..];
            ConfigurationCheck<ReportFormat> check = ReportFormat.Read("prr.conf", text);
            return check.Configuration is not null || check.Diagnostics.Count > 0;
        });
}
