using APlusP.Tests.Cli;

namespace APlusP.Tests.Registry;

/// <summary>Ports that an operator gives or keeps by the command line.</summary>
public class KeptPortsVerbTests
{
    static (int Exit, string Output, string Error) Registry(ApiScene scene, params string[] arguments)
    {
        (int exit, string output, string error) = Executable.Run(Path.GetTempPath(), ["registry", .. arguments, "--server", $"{scene.Address}"]);
        return (exit, output.TrimEnd(), error.TrimEnd());
    }

    [Fact]
    public async Task Blocks_are_kept_for_a_subscriber_listed_and_free_again()
    {
        await using ApiScene scene = await ApiScene.Start();
        Assert.Equal((0, "vip: 1024-1279 of 192.0.2.1", ""), Registry(scene, "reservation", "add", "--subscriber", "vip", "--address", "192.0.2.1", "--ports", "1024-1279"));
        Assert.Equal("vip: 1024-1279 of 192.0.2.1", Registry(scene, "reservation", "list").Output);
        Assert.Equal("""[{"subscriber":"vip","address":"192.0.2.1","ports":256,"ranges":[[1024,1279]]}]""", Registry(scene, "reservation", "list", "--json").Output);
        Assert.Equal((0, "1024-1279 of 192.0.2.1 are no longer kept for vip.", ""), Registry(scene, "reservation", "remove", "--subscriber", "vip"));
        Assert.Equal((0, "", ""), Registry(scene, "reservation", "list"));
    }

    [Fact]
    public async Task A_port_that_everybody_knows_is_given_listed_and_taken_back()
    {
        await using ApiScene scene = await ApiScene.Start();
        Assert.Equal((0, "192.0.2.1:25: cpe-1", ""), Registry(scene, "service-port", "add", "192.0.2.1:25", "-s", "cpe-1"));
        Assert.Equal("192.0.2.1:25: cpe-1", Registry(scene, "service-port", "list").Output);
        Assert.Equal("""[{"subscriber":"cpe-1","address":"192.0.2.1","port":25}]""", Registry(scene, "service-port", "list", "--json").Output);
        Assert.Equal((0, "cpe-1 no longer has 192.0.2.1:25.", ""), Registry(scene, "service-port", "remove", "192.0.2.1:25"));
        Assert.Equal((0, "", ""), Registry(scene, "service-port", "list"));
    }

    [Theory]
    [InlineData("service-port add 192.0.2.1 -s a", "'192.0.2.1' is not an IPv4 address and port such as 192.0.2.1:4242")]
    [InlineData("service-port add 192.0.2.1:1024 -s a", "Reserve its block")]
    [InlineData("service-port remove 192.0.2.1:25", "is nobody's service port")]
    [InlineData("reservation add -s a --address 192.0.2 --ports 1024-1151", "--address: '192.0.2' is not an IPv4 address")]
    [InlineData("reservation add -s a --address 192.0.2.1 --ports 1151-1024", "--ports: '1151-1024' is not a set of ports")]
    [InlineData("reservation add -s a --address 192.0.2.1 --ports 1000-1100", "are not whole blocks")]
    [InlineData("reservation add -s a --address 198.51.100.1 --ports 1024-1151", "is in no pool")]
    [InlineData("reservation remove -s a", "Nothing is reserved for a.")]
    public async Task What_cannot_be_is_told_and_changes_nothing(string arguments, string part)
    {
        await using ApiScene scene = await ApiScene.Start();
        (int exit, string output, string error) = Registry(scene, arguments.Split(' '));
        Assert.Equal((1, ""), (exit, output));
        Assert.Contains(part, error, StringComparison.Ordinal);
        Assert.Equal("[]", (await scene.Ask("GET", "/v1/service-ports")).Text);
        Assert.Equal("[]", (await scene.Ask("GET", "/v1/reservations")).Text);
    }
}
