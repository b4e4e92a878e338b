using System.Text.Json;
using APlusP.Core.PortSets;
using CsCheck;

namespace APlusP.Tests.PortSets;

public class PortSetTests
{
    public static TheoryData<string> VectorNames => [.. Vectors().Select(vector => vector.GetProperty("name").GetString()!)];

    static List<JsonElement> Vectors()
    {
        using Stream stream = typeof(PortSetTests).Assembly.GetManifestResourceStream("portsets.json")!;
        return [.. JsonDocument.Parse(stream).RootElement.EnumerateArray()];
    }

    [Theory]
    [MemberData(nameof(VectorNames))]
    public void A_published_port_set_has_exactly_its_ranges_and_each_port_leads_back_to_its_psid(string name)
    {
        JsonElement vector = Vectors().Single(vector => vector.GetProperty("name").GetString() == name);
        int offset = vector.GetProperty("offset").GetInt32(), length = vector.GetProperty("length").GetInt32();
        PortSet set = PortSet.FromPsid(offset, length, vector.GetProperty("psid").GetInt32());
        PortRange[] ranges = [.. vector.GetProperty("ranges").EnumerateArray().Select(range => new PortRange(range[0].GetUInt16(), range[1].GetUInt16()))];

        Assert.Equal(ranges, set.Ranges);
        Assert.Equal(vector.GetProperty("ports").GetInt32(), set.Count);
        for (int port = 0; port < 65536; port++)
            Assert.Equal(ranges.Any(range => range.Contains((ushort)port)), set.Contains((ushort)port));
    }

    [Fact]
    public void The_vectors_are_all_there() => Assert.Equal(9, Vectors().Count);

    public static TheoryData<int, int> Layouts()
    {
        var layouts = new TheoryData<int, int>();
        for (int offset = 0; offset < 16; offset++)
            for (int length = 0; length <= 16 - offset; length++) layouts.Add(offset, length);
        return layouts;
    }

    /// <summary>RFC 7597 section 5.1 and B.2: the sets of one (a, k) are disjoint and together leave out only the block A = 0 where a > 0.</summary>
    [Theory]
    [MemberData(nameof(Layouts))]
    public void Every_port_belongs_to_at_most_one_psid_and_all_psids_together_have_all_but_the_first_block(int offset, int length)
    {
        const int Nobody = -1;
        var owners = new int[65536];
        Array.Fill(owners, Nobody);
        int size = length == 0 ? 65536 : ((1 << offset) - (offset == 0 ? 0 : 1)) * (1 << 16 - offset - length);
        for (int psid = 0; psid < 1 << length; psid++)
        {
            PortSet set = PortSet.FromPsid(offset, length, psid);
            int last = -2, count = 0;
            foreach (PortRange range in set.Ranges)
            {
                if (range.First <= last + 1) Assert.Fail($"{range} touches or overlaps what ends at {last}, or is not in order");
                last = range.Last;
                count += range.Count;
                for (int port = range.First; port <= range.Last; port++)
                {
                    if (owners[port] != Nobody) Assert.Fail($"Port {port} belongs to PSIDs {owners[port]} and {psid}");
                    owners[port] = psid;
                }
            }

            if (count != size || set.Count != size) Assert.Fail($"{set} has {count} ports and says {set.Count}, not {size}");
        }

        int firstOwned = length == 0 || offset == 0 ? 0 : 1 << 16 - offset;
        for (int port = 0; port < 65536; port++)
        {
            if (owners[port] == Nobody != port < firstOwned) Assert.Fail($"Port {port} has the owner {owners[port]}");
            foreach (int psid in (ReadOnlySpan<int>)[owners[port], (owners[port] + 1) & (1 << length) - 1])
                if (psid != Nobody && new Psid(offset, length, psid).Contains((ushort)port) != (psid == owners[port]))
                    Assert.Fail($"PSID {psid} and port {port}, which belongs to {owners[port]}");
        }
    }

    [Fact]
    public void The_range_10000_to_11000_has_1001_ports()
    {
        PortSet set = PortSet.Parse("10000-11000");
        Assert.Equal(1001, set.Count);
        Assert.Null(set.Psid);
        Assert.False(set.IsWholeAddress);
        Assert.Equal([new PortRange(10000, 11000)], set.Ranges);
        Assert.False(set.Contains(9999));
        Assert.True(set.Contains(10000));
        Assert.True(set.Contains(11000));
        Assert.False(set.Contains(11001));
    }

    [Fact]
    public void Ranges_in_any_order_are_sorted_and_joined_where_they_touch() =>
        Assert.Equal("1-30,32,65535", PortSet.FromRanges(new(65535, 65535), new(21, 30), new(1, 20), new(32, 32)).ToString());

    [Fact]
    public void The_whole_address_is_known_in_every_form()
    {
        foreach (string text in (string[])["all", "ALL", "0-65535", "0-9,10-65535", "offset=6,length=0,psid=0"])
        {
            PortSet set = PortSet.Parse(text);
            Assert.True(set.IsWholeAddress);
            Assert.Equal(65536, set.Count);
            Assert.Equal([PortRange.All], set.Ranges);
            Assert.True(set.Contains(0) && set.Contains(65535));
        }
    }

    [Fact]
    public void Text_and_json_read_back_to_an_equal_set() => PortSetGen.Any.Sample(set =>
    {
        Assert.Equal(set, PortSet.Parse(set.ToString()));
        Assert.Equal(set.GetHashCode(), PortSet.Parse(set.ToString()).GetHashCode());
        string json = JsonSerializer.Serialize(set);
        Assert.Equal(set, JsonSerializer.Deserialize<PortSet>(json));
    }, iter: 200);

    [Fact]
    public void Overlap_and_the_common_port_are_as_comparing_every_port_says() => Gen.Select(PortSetGen.Any, PortSetGen.Any).Sample((left, right) =>
    {
        int common = 0;
        while (common < 65536 && !(left.Contains((ushort)common) && right.Contains((ushort)common))) common++;
        if (common == 65536) common = -1;
        Assert.Equal(common >= 0, left.Overlaps(right));
        Assert.Equal(common >= 0, right.TryFindCommon(left, out ushort port));
        if (common >= 0) Assert.Equal(common, port);
        if (left.Psid is { } psid)
            Assert.Equal(common >= 0, right.Ranges.Any(psid.Overlaps));
    }, iter: 200);

    [Fact]
    public void Containing_a_port_is_lying_in_a_range() => PortSetGen.Any.Sample(set =>
    {
        var inside = new bool[65536];
        foreach (PortRange range in set.Ranges) inside.AsSpan(range.First, range.Count).Fill(true);
        for (int port = 0; port < 65536; port++)
            if (inside[port] != set.Contains((ushort)port)) Assert.Fail($"{set} and port {port}");
        Assert.Equal(inside.Count(there => there), set.Count);
    }, iter: 100);

    [Theory]
    [InlineData("", "a port is missing; write a range such as 10000-11000")]
    [InlineData("10000-", "a port is missing")]
    [InlineData("-5", "a port is missing")]
    [InlineData("10000-11000,", "a port is missing")]
    [InlineData("ssh", "'ssh' is not a port; ports are numbers from 0 to 65535")]
    [InlineData("65536", "'65536' is not a port")]
    [InlineData("1-2-3", "'2-3' is not a port")]
    [InlineData("+5", "'+5' is not a port")]
    [InlineData("11000-10000", "the range 11000-10000 ends before it begins; write 10000-11000")]
    [InlineData("10000-11000,11000-12000", "the ranges 10000-11000 and 11000-12000 overlap")]
    [InlineData("5,1-10", "the ranges 1-10 and 5 overlap")]
    [InlineData("offset=6,length=8", "psid is missing; write offset=6,length=8,psid=52")]
    [InlineData("offset=6,psid=8", "length is missing")]
    [InlineData("offset=6,length=8,psid=52,psid=52", "'psid' stands twice")]
    [InlineData("offset=6,length=8,psid=0x34", "'psid=0x34' is not a number with its name")]
    [InlineData("offset=6,len=8,psid=52", "'len' is none of offset, length and psid")]
    [InlineData("offset=6,length=8,psid=52,80", "'80' is not a number with its name")]
    [InlineData("offset=16,length=0,psid=0", "the PSID offset 16 is not from 0 to 15")]
    [InlineData("offset=6,length=11,psid=0", "the PSID length 11 is not from 0 to 10 (16 less the offset 6)")]
    [InlineData("offset=15,length=2147483642,psid=0", "the PSID length 2147483642 is not from 0 to 1")]
    [InlineData("offset=6,length=8,psid=256", "the PSID 256 is not from 0 to 255, which is what 8 bits can say")]
    public void What_is_no_port_set_is_refused_with_what_is_wrong(string text, string why)
    {
        Assert.False(PortSet.TryParse(text, out PortSet? set, out string error));
        Assert.Null(set);
        Assert.Contains(why, error);
        Assert.Contains(why, Assert.Throws<FormatException>(() => PortSet.Parse(text)).Message);
    }

    [Fact]
    public void A_psid_set_of_one_block_may_leave_the_offset_out() =>
        Assert.Equal(PortSet.FromPsid(0, 6, 10), PortSet.Parse(" length=6 , psid=10 "));

    [Fact]
    public void Numbers_that_are_no_psid_and_ranges_that_are_no_set_are_refused()
    {
        Assert.Contains("256", Assert.Throws<ArgumentException>(() => PortSet.FromPsid(6, 8, 256)).Message);
        Assert.Throws<ArgumentException>(() => PortSet.FromPsid(-1, 8, 0));
        Assert.Throws<ArgumentException>(() => PortSet.FromPsid(6, -1, 0));
        Assert.Throws<ArgumentException>(() => PortSet.FromPsid(6, 8, -1));
        Assert.Throws<ArgumentException>(() => PortSet.FromRanges());
        Assert.Contains("ends before", Assert.Throws<ArgumentException>(() => PortSet.FromRanges(new PortRange(11000, 10000))).Message);
    }

    [Fact]
    public void Any_text_gives_a_set_or_an_error_and_no_exception()
    {
        Gen<string> text = Gen.OneOf(Gen.String[Gen.Char["0123456789-,= alofsetngthpid"], 0, 30], Gen.String);
        text.Sample(text =>
        {
            if (!PortSet.TryParse(text, out PortSet? set, out string error)) Assert.NotEmpty(error);
            else Assert.Equal(set, PortSet.Parse(set!.ToString()));
        }, iter: 2000);
    }

    [Fact]
    public void Sets_are_equal_when_ports_and_form_are()
    {
        Assert.Equal(PortSet.Parse("1-5"), PortSet.Parse("1-2,3-5"));
        Assert.NotEqual(PortSet.Parse("1-5"), PortSet.Parse("1-6"));
        Assert.NotEqual(PortSet.Parse("0-1023"), PortSet.Parse("offset=0,length=6,psid=0"));
        Assert.False(PortSet.Parse("1-5").Equals(null));
    }
}

/// <summary>Port sets of every form and size.</summary>
public static class PortSetGen
{
    public static Gen<PortSet> Any { get; } = Gen.OneOf(OfPsid(), OfRanges(), Gen.Const(PortSet.WholeAddress));

    static Gen<PortSet> OfPsid() =>
        from offset in Gen.Int[0, 15]
        from length in Gen.Int[0, 16 - offset]
        from psid in Gen.Int[0, (1 << length) - 1]
        select PortSet.FromPsid(offset, length, psid);

    static Gen<PortSet> OfRanges() => Gen.Int[0, 65535].Array[1, 40].Select(bounds =>
    {
        int[] sorted = [.. bounds.Distinct().Order()];
        var ranges = new List<PortRange>();
        for (int i = 0; i + 1 < sorted.Length; i += 2) ranges.Add(new PortRange((ushort)sorted[i], (ushort)sorted[i + 1]));
        if (sorted.Length % 2 == 1) ranges.Add(new PortRange((ushort)sorted[^1], (ushort)sorted[^1]));
        return PortSet.FromRanges(ranges);
    });
}
