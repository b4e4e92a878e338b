using System.Buffers.Binary;
using APlusP.Core.Addresses;
using APlusP.Linux;
using APlusP.Tests.Forwarding;

namespace APlusP.Tests.Lan;

/// <summary>What the kernel tells of options of router advertisements.</summary>
public class AdvertisedResolversTests
{
    const string One = "2001:db8::53", Two = "2001:db8::54";

    /// <summary>A message as of linux/rtnetlink.h, with options as they came.</summary>
    static byte[] Message(byte[] options, ushort type = 68, byte family = 10, int? size = null)
    {
        byte[] message = new byte[32 + options.Length];
        BinaryPrimitives.WriteInt32LittleEndian(message, message.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(4), type);
        message[16] = family;
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(18), (ushort)(size ?? options.Length));
        BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(20), 7);
        options.CopyTo(message, 32);
        return message;
    }

    static byte[] Servers(uint seconds, params string[] addresses)
    {
        byte[] option = new byte[8 + 16 * addresses.Length];
        (option[0], option[1]) = (25, (byte)(option.Length / 8));
        BinaryPrimitives.WriteUInt32BigEndian(option.AsSpan(4), seconds);
        for (int i = 0; i < addresses.Length; i++) IPv6Address.Parse(addresses[i]).Write(option.AsSpan(8 + 16 * i));
        return option;
    }

    static string[] Read(params byte[][] messages) => [.. AdvertisedResolvers.ReadMessages([.. messages.SelectMany(m => m)]).Select(t => $"{t.Device} {t.Address} {t.Seconds}")];

    [Fact]
    public void Each_server_has_its_lifetime_and_the_link_that_it_was_heard_on()
    {
        byte[] searchList = [31, 2, 0, 0, 0, 0, 0, 9, 1, (byte)'a', 0, 0, 0, 0, 0, 0];
        Assert.Equal([$"7 {One} 600", $"7 {Two} 600"], Read(Message(Servers(600, One, Two))));
        Assert.Equal([$"7 {One} 0", $"7 {Two} {uint.MaxValue}"], Read(Message([.. searchList, .. Servers(0, One)]), Message(Servers(uint.MaxValue, Two))));
    }

    [Fact]
    public void What_means_nothing_here_is_passed_over() =>
        Assert.Equal([$"7 {Two} 5"], Read(Message(Servers(600, One), type: 16), Message(Servers(600, One), family: 2), Message(Servers(600, "fe80::1", "ff02::1", "::")), Message(Servers(5, Two))));

    static string[] Of(KnownResolvers known) => [.. known.Of(new HashSet<int> { 7 }).Select(a => $"{a}")];

    [Fact]
    public void A_clock_that_is_set_ends_no_lifetime_and_lengthens_none()
    {
        var clock = new HandClock();
        var known = new KnownResolvers(clock);
        known.Take(Message(Servers(600, One)));
        clock.WallStep = TimeSpan.FromDays(56 * 365);
        Assert.Equal([One], Of(known));
        Assert.Empty(known.Of(new HashSet<int> { 8 }));
        known.Take(Message(Servers(600, Two)));
        clock.WallStep = default;
        clock.Advance(TimeSpan.FromSeconds(599));
        Assert.Equal([One, Two], Of(known));
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Empty(Of(known));
        Assert.False(known.IsAny);
        known.Take(Message(Servers(uint.MaxValue, One)));
        known.Take(Message(Servers(0, One)));
        Assert.False(known.IsAny);
    }

    [Fact]
    public void Routers_are_asked_three_times_and_anew_when_the_last_resolver_goes()
    {
        var clock = new HandClock();
        var known = new KnownResolvers(clock);
        AskThrice();

        // A clock that is set back gives no leave, and keeps from none.
        clock.WallStep = TimeSpan.FromDays(-1);
        known.Take(Message(Servers(60, One)));
        Assert.Equal([One], Of(known));
        clock.Advance(TimeSpan.FromSeconds(60));
        Assert.Empty(Of(known));
        AskThrice();

        void AskThrice()
        {
            for (int i = 0; i < 3; i++)
            {
                Assert.True(known.MayAsk);
                known.Ask();
                Assert.False(known.MayAsk);
                clock.Advance(TimeSpan.FromSeconds(4));
            }

            Assert.False(known.MayAsk);
        }
    }

    [Fact]
    public void Resolvers_without_end_take_no_more_room_and_those_that_are_over_give_theirs()
    {
        var clock = new HandClock();
        var known = new KnownResolvers(clock);
        for (int i = 0; i < 100; i++) known.Take(Message(Servers(60, $"2001:db8::{i + 1:x}")));
        Assert.Equal(KnownResolvers.Most, Of(known).Length);
        clock.Advance(TimeSpan.FromSeconds(60));
        known.Take(Message(Servers(60, Two)));
        Assert.Equal([Two], Of(known));
    }

    [Fact]
    public void What_is_cut_or_lies_about_its_length_tells_nothing_that_is_not_there()
    {
        byte[] whole = Message(Servers(600, One, Two));
        for (int length = 0; length < whole.Length; length++) Assert.Empty(Read(whole[..length]));
        Assert.Empty(Read(Message(Servers(600, One), size: 500)));
        byte[] odd = Servers(600, One);
        odd[1] = 0;
        Assert.Empty(Read(Message(odd)));
        odd[1] = 9;
        Assert.Empty(Read(Message(odd)));
        var random = new Random(1);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] octets = (byte[])whole.Clone();
            for (int change = random.Next(1, 8); change > 0; change--) octets[random.Next(octets.Length)] = (byte)random.Next(256);
            AdvertisedResolvers.ReadMessages(octets);
        }
    }
}
