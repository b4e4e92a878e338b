using APlusP.Lab;

namespace APlusP.LabTests.Registry;

/// <summary>The way of the report of 2010, by real OpenSSH: a home sends its address and ports, and the forced command behind its key makes a lease of them.</summary>
public sealed class SshEnrolTests : IDisposable
{
    readonly RegistryHost _host = new();

    public SshEnrolTests()
    {
        Programs.Require("ssh", "sshd", "scp");
        _host.Start("""
            [[pool]]
            prefix = "192.0.2.1/32"
            block = 1
            [[class]]
            name = "home"
            start = 1
            limit = 2000
            """);

        // Each home's key is a subscriber's, and opens nothing but this.
        string[] server = LabServers.Ssh(_host.Directory);
        string key = File.ReadAllText(_host.File("ssh/client.pub")).Trim();
        File.WriteAllText(_host.File("ssh/authorized"), $"command=\"{LabFixture.Executable} registry ssh-enrol --subscriber cpe-1 --address 192.0.2.1\",restrict {key}\n");
        LabProcess sshd = _host.Machine.Start("sshd", _host.File("sshd.log"), server);
        sshd.WaitUntil(() => _host.Machine.Run("ss", "-Hltn", "sport = :22").Output.Length > 0, TimeSpan.FromSeconds(30), "listen on port 22");
    }

    public void Dispose() => _host.Dispose();

    string[] Options => ["-i", _host.File("ssh/client"), "-o", "StrictHostKeyChecking=no", "-o", $"UserKnownHostsFile={_host.File("known")}", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"];

    CommandResult Ssh(string input, params string[] command) => _host.Machine.Run(["ssh", .. Options, "root@127.0.0.1", .. command], input, TimeSpan.FromSeconds(60));

    string Leases() => _host.Curl("http://127.0.0.1:8646/v1/leases").Output;

    const string Home = " Cpe1AddrV6 2001:db8:5::1\n Cpe1PortRange 10000-11000\n";

    [Fact]
    public void Lines_through_ssh_become_a_lease_of_exactly_those_ports_and_again_extend_it()
    {
        CommandResult first = Ssh(Home), again = Ssh(Home);
        Assert.True(first.Succeeded && again.Succeeded, first.Text + again.Text);
        Assert.StartsWith("cpe-1 has 10000-11000 of 192.0.2.1 at 2001:db8:5::1 until ", first.Output, StringComparison.Ordinal);
        Assert.True(string.CompareOrdinal(again.Output, first.Output) >= 0, again.Output);
        Assert.Contains("\"subscriber\":\"cpe-1\",\"class\":\"home\",\"softwire\":\"2001:db8:5::1\",\"address\":\"192.0.2.1\",\"ports\":1001,\"ranges\":[[10000,11000]]", Leases(), StringComparison.Ordinal);
    }

    [Fact]
    public void The_scripts_own_two_connections_work_scp_and_then_a_command()
    {
        string file = _host.Write("conf", Home);
        CommandResult sent = _host.Machine.Run(["scp", "-O", .. Options, file, "root@[::1]:/home/reloader/"], timeout: TimeSpan.FromSeconds(60));
        Assert.True(sent.Succeeded, sent.Text);
        CommandResult command = Ssh("", "/home/reloader/reload.sh", "2001:db8:5::1");
        Assert.Equal((0, true), (command.ExitCode, command.Output.StartsWith("cpe-1 has 10000-11000 of 192.0.2.1 at 2001:db8:5::1", StringComparison.Ordinal)));
        Assert.False(File.Exists("/home/reloader/conf"));
    }

    [Theory]
    [InlineData("Cpe1AddrV6 2001:db8:5::1\nCpe1PortRange 1000-2000\n", "AP6010", "not whole blocks")]
    [InlineData("Cpe1AddrV6 2001:db8:5::1\nCpe1PortRange 10000-13000\n", "AP6016", "more than the 2000 of class 'home'")]
    [InlineData("Cpe1AddrV6 2001:db8:5::1\n", "AP1002", "'Cpe1PortRange' is missing")]
    [InlineData("", "AP6010", "0 homes")]
    public void What_cannot_be_is_refused_with_its_reason_and_no_lease(string sent, string code, string reason)
    {
        CommandResult refused = Ssh(sent);
        Assert.Equal(1, refused.ExitCode);
        Assert.StartsWith($"aplusp: {code}: ", refused.Error, StringComparison.Ordinal);
        Assert.Contains(reason, refused.Error, StringComparison.Ordinal);
        Assert.Contains("\"leases\":[]", Leases(), StringComparison.Ordinal);
    }

    [Fact]
    public void Ports_of_another_are_refused()
    {
        Assert.Contains("\n201", _host.Curl("http://127.0.0.1:8646/v1/leases", "-d", """{"subscriber": "cpe-2", "softwire": "2001:db8:6::1", "address": "192.0.2.1", "ranges": [[11000, 11999]]}""").Output, StringComparison.Ordinal);
        CommandResult refused = Ssh(Home);
        Assert.Equal(1, refused.ExitCode);
        Assert.StartsWith("aplusp: AP6014: Ports of 10000-11000 of 192.0.2.1 are another's", refused.Error, StringComparison.Ordinal);
        CommandResult none = Ssh("", "reload.sh");
        Assert.Equal((1, true), (none.ExitCode, none.Error.StartsWith("aplusp: AP6013: cpe-1 has no lease", StringComparison.Ordinal)));
    }
}
