using System.Net;
using APlusP.Node.Names;
using APlusP.Node.WebProxy;
using APlusP.Tests.Forwarding;

namespace APlusP.Tests.Web;

/// <summary>IPv6 addresses of names.</summary>
public class AddressBookTests
{
    static readonly IPAddress s_address = IPAddress.Parse("2001:db8:6::6");

    // www.example is an alias (for 30 s) of w6.example, which has one address (for 60 s).
    const string Question = "1234 0100 0001 0000 0000 0000  03777777 076578616d706c65 00 001c 0001";
    const string Answer = "1234 8180 0001 0002 0000 0000  03777777 076578616d706c65 00 001c 0001  c00c 0005 0001 0000001e 0005 027736 c010  c029 001c 0001 0000003c 0010 20010db8000600000000000000000006";

    static byte[] Bytes(string hex) => Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));

    [Fact]
    public void A_question_is_written_to_the_letter() => Assert.Equal(Bytes(Question), AddressQuestion.Write("www.example", 0x1234));

    [Fact]
    public void An_answer_holds_as_long_as_the_shortest_of_its_records()
    {
        Assert.True(AddressQuestion.TryRead(Bytes(Answer), Bytes(Question), out NameAddresses found));
        Assert.Equal([s_address], found.Addresses);
        Assert.Equal(TimeSpan.FromSeconds(30), found.Holds);
    }

    [Fact]
    public void An_answer_that_was_cut_short_serves_with_what_it_has()
    {
        byte[] cut = Bytes(Answer);
        cut[2] |= 0x02;
        Assert.True(AddressQuestion.TryRead(cut, Bytes(Question), out NameAddresses found));
        Assert.Equal([s_address], found.Addresses);
    }

    [Fact]
    public void Damaged_anywhere_it_is_read_or_refused()
    {
        byte[] question = Bytes(Question), answer = Bytes(Answer);
        for (int length = 0; length < answer.Length; length++) Assert.False(AddressQuestion.TryRead(answer.AsSpan(0, length), question, out _));
        for (int at = 0; at < answer.Length; at++)
        {
            for (int value = 0; value < 256; value++)
            {
                byte[] damaged = [.. answer];
                damaged[at] = (byte)value;
                AddressQuestion.TryRead(damaged, question, out _);
            }
        }
    }

    [Fact]
    public async Task All_who_ask_at_once_share_one_question_and_its_answer_holds_as_long_as_it_says()
    {
        var clock = new HandClock();
        int asked = 0;
        var answer = new TaskCompletionSource<NameAddresses?>();
        var book = new AddressBook(_ =>
        {
            Interlocked.Increment(ref asked);
            return answer.Task;
        }, clock);
        Task<NameAddresses?>[] waiting = [.. Enumerable.Range(0, 500).Select(_ => book.Find("www.example"))];
        answer.SetResult(new NameAddresses([s_address], TimeSpan.FromSeconds(30)));
        Assert.All(await Task.WhenAll(waiting), found => Assert.Equal([s_address], found!.Addresses));
        await book.Find("www.example");
        Assert.Equal(1, asked);
        clock.Advance(TimeSpan.FromSeconds(31));
        await book.Find("www.example");
        Assert.Equal(2, asked);
    }

    [Fact]
    public async Task Servers_that_do_not_answer_are_asked_again_soon_but_not_for_each_connection()
    {
        var clock = new HandClock();
        int asked = 0;
        var book = new AddressBook(_ =>
        {
            Interlocked.Increment(ref asked);
            return Task.FromResult<NameAddresses?>(null);
        }, clock);
        Assert.Null(await book.Find("www.example"));
        await book.Find("www.example");
        Assert.Equal(1, asked);
        clock.Advance(AddressBook.Retry + TimeSpan.FromSeconds(1));
        Assert.Null(await book.Find("www.example"));
        Assert.Equal(2, asked);
    }

    [Fact]
    public async Task A_name_that_did_not_answer_by_IPv6_is_tried_again_after_a_while_whatever_the_DNS_says_meanwhile()
    {
        var clock = new HandClock();
        var book = new AddressBook(_ => Task.FromResult<NameAddresses?>(new NameAddresses([s_address], TimeSpan.FromSeconds(1))), clock);
        await book.Find("www.example");
        Assert.False(book.IsDeaf("www.example"));
        book.SetDeaf("www.example");
        clock.Advance(TimeSpan.FromMinutes(9));
        await book.Find("www.example");
        Assert.True(book.IsDeaf("www.example"));
        Assert.False(book.IsDeaf("other.example"));
        clock.Advance(TimeSpan.FromMinutes(2));
        Assert.False(book.IsDeaf("www.example"));
    }

    [Fact]
    public async Task Names_without_end_take_bounded_memory()
    {
        int asked = 0;
        var book = new AddressBook(_ =>
        {
            Interlocked.Increment(ref asked);
            return Task.FromResult<NameAddresses?>(null);
        }, new HandClock());
        for (int i = 0; i < 3 * AddressBook.MostNames; i++) await book.Find($"n{i}.example");
        Assert.Equal(3 * AddressBook.MostNames, asked);
        Assert.InRange(book.Count, 1, AddressBook.MostNames);
    }

    [Theory]
    [InlineData("2001:db8::1", true)]
    [InlineData("2606:4700::1", true)]
    [InlineData("::1", false)]
    [InlineData("::ffff:192.0.2.1", false)]
    [InlineData("64:ff9b::192.0.2.1", false)]
    [InlineData("fe80::1", false)]
    [InlineData("fd00::1", false)]
    [InlineData("ff02::1", false)]
    [InlineData("2002:c000:201::1", false)]
    [InlineData("192.0.2.1", false)]
    public void Only_addresses_of_the_Internet_lead_out(string address, bool leadsOut) => Assert.Equal(leadsOut, ServerRace.LeadsOut(IPAddress.Parse(address)));
}
