using APlusP.Node.WebProxy;

namespace APlusP.Tests.Web;

public class SiteRankingTests
{
    [Fact]
    public void The_most_visited_is_first_and_those_alike_are_in_order()
    {
        var ranking = new SiteRanking();
        foreach (string name in (string[])["b.example", "a.example", "c.example", "a.example", "c.example", "c.example"]) ranking.Count(name);
        Assert.Equal([("c.example", 3), ("a.example", 2), ("b.example", 1)], ranking.First(10).Select(s => (s.Name, s.Connections)));
        Assert.Equal("c.example", Assert.Single(ranking.First(1)).Name);
    }

    [Fact]
    public void Names_without_end_take_no_more_room_and_hide_none_that_is_visited_often()
    {
        var ranking = new SiteRanking();
        for (int i = 0; i < 50_000; i++) ranking.Count(i % 100 == 0 ? "often.example" : $"once{i}.example");
        IReadOnlyList<Node.Control.SiteVisits> first = ranking.First(int.MaxValue);
        Assert.Equal(SiteRanking.Most, first.Count);
        Assert.Equal("often.example", first[0].Name);

        // No count is below the truth, and the sum is that of all visits.
        Assert.True(first[0].Connections >= 500);
        Assert.Equal(50_000, first.Sum(s => s.Connections));
    }
}
