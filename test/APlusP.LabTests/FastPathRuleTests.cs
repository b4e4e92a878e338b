using APlusP.Lab;
using static APlusP.LabTests.MapDomain;

namespace APlusP.LabTests;

/// <summary>A PRR that knows a mapping rule and nothing else, and its kernel, which forwards for the rule's homes.</summary>
public sealed class FastPathRuleTests : IDisposable
{
    readonly MapDomain _domain = new() { FastPath = "tc" };

    public void Dispose() => _domain.Dispose();

    [Fact]
    public void The_kernel_forwards_for_homes_of_a_rule_and_follows_the_routes_to_each()
    {
        _domain.StartPrr();
        _domain.StartSmap(Home1);
        _domain.StartSmap(Home2);
        using UdpPlace host1 = _domain.Udp("host1", MapDomain.Host), host2 = _domain.Udp("host2", MapDomain.Host), server = _domain.Udp("internet", Server);
        string one = host1.Through(server)!, two = host2.Through(server)!;

        // All homes are behind the default route, and so is one next hop.
        AssertAnswered(host1, server, one);
        AssertAnswered(host2, server, two);

        // One of them has a route of its own now: to nobody, which the daemon gets to see; then to a host that is not there; then as before.
        _domain["prr"].Ip($"route add unreachable {Home2.EndUser}");
        AssertUp("fast-path-from-internet-up-no-route", () => server.Send(two));
        AssertAnswered(host1, server, one);
        _domain["prr"].Ip($"route del unreachable {Home2.EndUser}", $"route add {Home2.EndUser} via 2001:db8:f004::3");
        Assert.True(Wait.Until(() =>
        {
            server.Send(two);
            return host2.Receive(seconds: 2) is null;
        }, TimeSpan.FromSeconds(30)));
        AssertAnswered(host1, server, one);
        _domain["prr"].Ip($"route replace {Home2.EndUser} via 2001:db8:f004::1");
        AssertAnswered(host2, server, two);
        AssertAnswered(host1, server, one);

        // From home to home, each by its own.
        Assert.True(Wait.Until(() =>
        {
            Dictionary<string, long> moved = _domain.Moved("prr", () => host1.Send(two));
            return host2.Receive(seconds: 2) == one && moved.GetValueOrDefault("fast-path-from-smap-hairpinned") == 1;
        }, TimeSpan.FromSeconds(30)));
    }

    void AssertUp(string counter, Action send) => Assert.True(Wait.Until(() => _domain.Moved("prr", send).GetValueOrDefault(counter) > 0, TimeSpan.FromSeconds(30)), counter);

    /// <summary>A question and its answer, within seconds of a change.</summary>
    void AssertAnswered(UdpPlace host, UdpPlace server, string home)
    {
        Dictionary<string, long> moved = [];
        Assert.True(Wait.Until(() =>
        {
            bool arrived = false;
            moved = _domain.Moved("prr", () =>
            {
                host.Send(server.Local);
                server.Send(home);
                arrived = server.Receive(seconds: 2) == home && host.Receive(seconds: 2) == server.Local;
            });
            return arrived && (moved.GetValueOrDefault("fast-path-from-internet-forwarded"), moved.GetValueOrDefault("fast-path-from-smap-forwarded")) == (1, 1);
        }, TimeSpan.FromSeconds(30)), string.Join(", ", moved));
    }
}
