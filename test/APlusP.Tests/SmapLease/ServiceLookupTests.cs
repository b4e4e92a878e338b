using APlusP.Node.Names;
using APlusP.Node.Registry;

namespace APlusP.Tests.SmapLease;

/// <summary>SRV records as they stand on the wire.</summary>
public class ServiceLookupTests
{
    // _a._tcp.example.net: two records of the question's own name by a pointer, the second target with the domain by one.
    const string Question = "1234 0100 0001 0000 0000 0000  025f61 045f746370 076578616d706c65 036e6574 00 0021 0001";
    const string Answer = "1234 8180 0001 0002 0000 0000  025f61 045f746370 076578616d706c65 036e6574 00 0021 0001"
        + " c00c 0021 0001 0000003c 000b 0014 0005 0001 026f32 c014"
        + " c00c 0021 0001 0000003c 000b 000a 0000 21c6 026f31 c014";

    static byte[] Bytes(string hex) => Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));

    [Fact]
    public void A_question_is_written_to_the_letter() => Assert.Equal(Bytes(Question), ServiceQuestion.Write("_a._tcp.example.net", 0x1234));

    [Fact]
    public void The_best_place_comes_first()
    {
        Assert.True(ServiceQuestion.TryRead(Bytes(Answer), Bytes(Question), out IReadOnlyList<ServicePlace> places));
        Assert.Equal([new ServicePlace(10, 0, 8646, "o1.example.net"), new ServicePlace(20, 5, 1, "o2.example.net")], places);
    }

    [Fact]
    public void A_name_that_is_not_there_is_an_answer_and_what_is_another_question_is_none()
    {
        byte[] question = Bytes(Question), none = [.. question];
        (none[2], none[3]) = (0x81, 0x83);
        Assert.True(ServiceQuestion.TryRead(none, question, out IReadOnlyList<ServicePlace> places));
        Assert.Empty(places);
        Assert.False(ServiceQuestion.TryRead(question, question, out _));
        none[0]++;
        Assert.False(ServiceQuestion.TryRead(none, question, out _));
    }

    [Fact]
    public void What_is_cut_or_damaged_anywhere_is_refused_or_read_and_never_runs_away()
    {
        byte[] question = Bytes(Question), answer = Bytes(Answer);
        for (int length = 0; length < answer.Length; length++) Assert.False(ServiceQuestion.TryRead(answer.AsSpan(0, length), question, out _));
        for (int at = 0; at < answer.Length; at++)
        {
            foreach (byte value in (byte[])[0, 0x3f, 0xc0, 0xff])
            {
                byte[] damaged = [.. answer];
                damaged[at] = value;
                ServiceQuestion.TryRead(damaged, question, out _);
            }
        }
    }

    [Fact]
    public void The_resolver_is_read() =>
        Assert.Equal(
            ("2001:db8::53,192.0.2.53", "example.net,example.org"),
            NameServers.Read(["# nameserver 192.0.2.1", "domain other.example", "nameserver 2001:db8::53", "nameserver\t192.0.2.53", "search example.net. example.org", "options edns0"]) is var (servers, search)
                ? (string.Join(',', servers), string.Join(',', search)) : default);

    [Fact]
    public void It_is_looked_for_where_that_is_configured_else_where_DHCPv6_says_and_then_as_any_name()
    {
        Assert.Equal(["example.net"], ServiceLookup.Domains("example.net", ["isp.example"], ["lan.example"]));
        Assert.Equal(["isp.example", "lan.example"], ServiceLookup.Domains("", ["isp.example"], ["lan.example", "ISP.example"]));
        Assert.Empty(ServiceLookup.Domains("", [], []));
    }
}
