using System.Net;
using System.Net.Sockets;
using APlusP.Core;
using APlusP.Lab;

namespace APlusP.LabTests;

public sealed class NetworkNamespaceTests : IDisposable
{
    readonly NetworkNamespace _namespace = NetworkNamespace.Create($"ap-test-{LabFixture.NewMark()}");
    readonly string _log = Path.GetTempFileName();

    public void Dispose()
    {
        NetworkNamespace.Delete(_namespace);
        File.Delete(_log);
    }

    [Fact]
    public void A_socket_made_inside_stays_inside_and_may_be_handed_out()
    {
        _namespace.Ip("addr add 192.0.2.77/32 dev lo");
        using Socket inside = _namespace.Call(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        inside.Bind(new IPEndPoint(IPAddress.Parse("192.0.2.77"), 0));
        using var outside = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        Assert.Throws<SocketException>(() => outside.Bind(new IPEndPoint(IPAddress.Parse("192.0.2.77"), 0)));
    }

    [Fact]
    public void A_process_started_inside_is_found_there_and_ends_when_asked()
    {
        LabProcess process = _namespace.Start("sleeper", _log, "sleep", "60");
        Assert.True(Wait.Until(() => _namespace.ProcessIds().Contains(process.Id), TimeSpan.FromSeconds(20)));
        Assert.True(process.Stop());
        Assert.False(process.IsRunning);
    }

    [Fact]
    public void A_program_that_ends_by_itself_is_told_with_its_last_words()
    {
        LabProcess process = _namespace.Start("talker", _log, "sh", "-c", "echo no luck today >&2; exit 3");
        APlusPException error = Assert.Throws<APlusPException>(() => process.WaitUntil(() => false, TimeSpan.FromSeconds(5), "answer"));
        Assert.Equal(ErrorCodes.LabProcessEnded, error.Code);
        Assert.Contains("no luck today", error.Message);
    }

    [Fact]
    public void A_namespace_goes_with_the_processes_in_it()
    {
        LabProcess process = _namespace.Start("stubborn", _log, "sh", "-c", "trap '' TERM; while :; do sleep 1; done");
        Assert.True(Wait.Until(() => _namespace.ProcessIds().Contains(process.Id), TimeSpan.FromSeconds(20)));
        NetworkNamespace.Delete(_namespace);
        Assert.False(process.IsRunning);
        Assert.False(_namespace.Exists);
        NetworkNamespace.Delete(_namespace);
    }

    [Fact]
    public void A_program_that_is_not_installed_is_named()
    {
        APlusPException error = Assert.Throws<APlusPException>(() => _namespace.Start("nobody", _log, "no-such-program"));
        Assert.Equal(ErrorCodes.LabProgramMissing, error.Code);
        Assert.Contains("no-such-program", error.Message);
    }
}
