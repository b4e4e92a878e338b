using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using APlusP.Core.PortSets;

namespace APlusP.Tests.PortSets;

public partial class PortSetJsonTests
{
    [Theory]
    [InlineData("10000-11000", """{"ports":1001,"ranges":[[10000,11000]]}""")]
    [InlineData("7,10-11", """{"ports":3,"ranges":[[7,7],[10,11]]}""")]
    [InlineData("all", """{"ports":65536,"ranges":[[0,65535]]}""")]
    [InlineData("offset=0,length=6,psid=10", """{"ports":1024,"ranges":[[10240,11263]],"psid":{"offset":0,"length":6,"psid":10}}""")]
    [InlineData("offset=2,length=13,psid=1", """{"ports":6,"ranges":[[16386,16387],[32770,32771],[49154,49155]],"psid":{"offset":2,"length":13,"psid":1}}""")]
    public void A_set_is_written_as_its_ports_and_ranges_and_read_back(string text, string json)
    {
        PortSet set = PortSet.Parse(text);
        Assert.Equal(json, JsonSerializer.Serialize(set));
        Assert.Equal(set, JsonSerializer.Deserialize<PortSet>(json));
    }

    [Fact]
    public void It_works_inside_other_objects_without_reflection()
    {
        var owner = new Owner { Name = "room 1", Ports = PortSet.Parse("10000-11000"), After = 7 };
        string json = JsonSerializer.Serialize(owner, Context.Default.Owner);
        Assert.Equal("""{"Name":"room 1","Ports":{"ports":1001,"ranges":[[10000,11000]]},"After":7}""", json);
        Assert.Equal(owner, JsonSerializer.Deserialize(json, Context.Default.Owner));
    }

    [Theory]
    [InlineData("""{"ranges":[[11,12],[10,10]]}""", "10-12")]
    [InlineData("""{"psid":{"psid":52,"length":8,"offset":6}}""", "offset=6,length=8,psid=52")]
    public void What_follows_from_the_rest_may_be_left_out(string json, string text) =>
        Assert.Equal(PortSet.Parse(text), JsonSerializer.Deserialize<PortSet>(json));

    [Theory]
    [InlineData("{}", "needs ranges")]
    [InlineData("[]", "should be an object")]
    [InlineData("""{"ports":1001}""", "needs ranges")]
    [InlineData("""{"ports":1000,"ranges":[[10000,11000]]}""", "says that it has 1000 ports, but its ranges have 1001")]
    [InlineData("""{"ports":"1","ranges":[[1,1]]}""", "'ports' is not a whole number")]
    [InlineData("""{"ranges":[[1,2],[2,3]]}""", "the ranges 1-2 and 2-3 overlap")]
    [InlineData("""{"ranges":[]}""", "at least one range")]
    [InlineData("""{"ranges":[[2,1]]}""", "ends before it begins")]
    [InlineData("""{"ranges":[[1]]}""", "two ports")]
    [InlineData("""{"ranges":[[1,2,3]]}""", "two ports")]
    [InlineData("""{"ranges":[[1,65536]]}""", "from 0 to 65535")]
    [InlineData("""{"ranges":[[-1,5]]}""", "from 0 to 65535")]
    [InlineData("""{"ranges":[5]}""", "should be an array [first, last]")]
    [InlineData("""{"ranges":[[1,2]],"range":1}""", "'range' does not belong")]
    [InlineData("""{"ranges":[[1,2]],"ranges":[[1,2]]}""", "'ranges' of a port set stands twice")]
    [InlineData("""{"psid":{"offset":6,"length":8}}""", "needs offset, length and psid")]
    [InlineData("""{"psid":{"offset":6,"length":8,"psid":256}}""", "the PSID 256 is not from 0 to 255")]
    [InlineData("""{"ranges":[[1232,1235]],"psid":{"offset":6,"length":8,"psid":52}}""", "not those of its psid")]
    public void What_contradicts_itself_or_is_no_set_is_refused(string json, string why) =>
        Assert.Contains(why, Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<PortSet>(json)).Message);

    [Fact]
    public void Json_cut_short_anywhere_is_refused()
    {
        string json = JsonSerializer.Serialize(PortSet.Parse("offset=2,length=13,psid=1"));
        for (int length = 0; length < json.Length; length++)
        {
            byte[] cut = Encoding.UTF8.GetBytes(json[..length]);
            Assert.ThrowsAny<JsonException>(() =>
            {
                var reader = new Utf8JsonReader(cut);
                return PortSetJson.Read(ref reader);
            });
        }
    }

    public sealed record Owner
    {
        public required string Name { get; init; }

        public required PortSet Ports { get; init; }

        public int After { get; init; }
    }

    [JsonSerializable(typeof(Owner))]
    sealed partial class Context : JsonSerializerContext;
}
