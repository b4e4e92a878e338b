using APlusP.Lab;

namespace APlusP.LabTests;

public sealed class FtpServerLab : LabFixture
{
    public FtpServerLab()
        : base(LabPlan.Fig22("tftps"))
    {
        Programs.Require("lftp", "tnftp");
        Sum = FtpServer.Start(Lab, "B");
        Gateway(on: true);
    }

    /// <summary>SHA-256 of film.mp4.</summary>
    public string Sum { get; }

    public void Gateway(bool on) =>
        Configure("smap1", $"[[forward]]\nport = 10021\nto = \"192.168.1.142:21\"\n[gateways]\nftp = {(on ? "true" : "false")}");
}

/// <summary>An FTP server in a home, by a forwarded port, with real clients on the Internet and in another home.</summary>
public sealed class FtpServerTests(FtpServerLab lab) : IClassFixture<FtpServerLab>
{
    static readonly string s_film = $"ftp://{LabPlan.SharedAddress}:10021/film.mp4";

    // The client's host and command, and whether the server names an endpoint.
    public static TheoryData<string, string, bool> Clients => new()
    {
        { "www6", $"curl -sS --max-time 20 -P - --disable-eprt {s_film}", false },
        { "www6", $"curl -sS --max-time 20 -P - {s_film}", false },
        { "www6", $"curl -sS --max-time 20 --disable-epsv {s_film}", true },
        { "www6", $"curl -sS --max-time 20 {s_film}", true },
        { "www6", $"lftp -c 'set net:timeout 10; set net:max-retries 1; set ftp:passive-mode off; cat {s_film}'", false },
        { "www6", $"lftp -c 'set net:timeout 10; set net:max-retries 1; cat {s_film}'", true },
        { "www6", $"tnftp -A -V -o - {s_film}", false },
        { "www6", $"tnftp -p -V -o - {s_film}", true },
        { "A", $"curl -sS --max-time 20 {s_film}", true },
    };

    [Theory]
    [MemberData(nameof(Clients))]
    public void A_file_is_fetched(string host, string command, bool isPassive) => lab.Test(() =>
    {
        lab.Gateway(on: true);
        IReadOnlyDictionary<string, long> moved = lab.Moved("smap1", () =>
            Assert.Equal(lab.Sum, lab[host].Do("bash", "-o", "pipefail", "-ec", $"timeout 30 {command} | sha256sum | cut -d ' ' -f 1")));
        long rewritten = moved.GetValueOrDefault("gateway-rewritten");
        Assert.True(isPassive ? rewritten >= 1 : rewritten == 0, $"{rewritten} endpoints were rewritten");
        Assert.Equal(0, moved.GetValueOrDefault("gateway-refused"));
    });

    [Fact]
    public void Without_the_gateway_passive_ftp_fails_at_the_address_that_the_client_is_told() => lab.Test(() =>
    {
        lab.Gateway(on: false);
        try
        {
            CommandResult result = lab["www6"].Run("curl", "-sSv", "--connect-timeout", "3", "--max-time", "10", "--disable-epsv", "--no-ftp-skip-pasv-ip", "-o", "/dev/null", s_film);
            Assert.False(result.Succeeded);
            Assert.Contains("227 Entering Passive Mode (192,168,1,142,", result.Text);

            // Active mode needs nobody's help.
            Assert.Equal(lab.Sum, lab["www6"].Do("bash", "-o", "pipefail", "-ec", $"curl -sS --max-time 20 -P - {s_film} | sha256sum | cut -d ' ' -f 1"));
        }
        finally
        {
            lab.Gateway(on: true);
        }
    });

    [Fact]
    public void Status_tells_of_the_forward() => lab.Test(() =>
    {
        System.Text.Json.JsonElement forward = Assert.Single(lab.Lab.DaemonStatus("smap1").GetProperty("smap").GetProperty("forwards").EnumerateArray());
        Assert.Equal("tcp", forward.GetProperty("protocol").GetString());
        Assert.Equal(10021, forward.GetProperty("port").GetInt32());
        Assert.Equal("192.168.1.142:21", forward.GetProperty("to").GetString());
    });
}
