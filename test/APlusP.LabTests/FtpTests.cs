using System.Security.Cryptography;
using APlusP.Lab;

namespace APlusP.LabTests;

public sealed class FtpLab : LabFixture
{
    public FtpLab()
        : base(LabPlan.Fig22("tftp"))
    {
        Programs.Require("lftp", "tnftp");
        Sum = FtpServer.Start(Lab, "www4");
    }

    /// <summary>SHA-256 of film.mp4.</summary>
    public string Sum { get; }

    public void Gateway(bool on) => Configure("smap1", on ? "" : "[gateways]\nftp = false");
}

/// <summary>vsftpd with a film that anybody may fetch.</summary>
static class FtpServer
{
    /// <summary>Starts it on a host; gives the SHA-256 of film.mp4.</summary>
    public static string Start(RunningLab lab, string host)
    {
        Programs.Require("vsftpd");
        string root = Path.Combine(lab.Directory, "ftp"), configuration = Path.Combine(lab.Directory, "vsftpd.conf");
        Directory.CreateDirectory(root);
        Directory.CreateDirectory("/run/vsftpd/empty"); // Where vsftpd locks itself in; Debian's unit makes it.
        byte[] film = new byte[500_000];
        Random.Shared.NextBytes(film);
        File.WriteAllBytes(Path.Combine(root, "film.mp4"), film);
        File.WriteAllText(configuration, $"""
            listen=YES
            background=NO
            anonymous_enable=YES
            anon_root={root}
            no_anon_password=YES
            secure_chroot_dir=/run/vsftpd/empty
            connect_from_port_20=YES
            seccomp_sandbox=NO

            """);
        LabProcess server = lab.Start(host, "vsftpd", "vsftpd", configuration);
        server.WaitUntil(() => lab.Listens(host, 21), TimeSpan.FromSeconds(10), "listen on port 21");
        return Convert.ToHexStringLower(SHA256.HashData(film));
    }
}

/// <summary>FTP with real clients behind a SMAP, in its four ways.</summary>
public sealed class FtpTests(FtpLab lab) : IClassFixture<FtpLab>
{
    const string Film = $"ftp://{LabTopology.Www4Address}/film.mp4";

    // The client's command, and how many endpoints it names in its text: in passive mode the server does.
    public static TheoryData<string, string, int> Clients => new()
    {
        { "curl, PORT", $"curl -sS --max-time 20 -P - --disable-eprt {Film}", 1 },
        { "curl, EPRT", $"curl -sS --max-time 20 -P - {Film}", 1 },
        { "curl, PASV", $"curl -sS --max-time 20 --disable-epsv {Film}", 0 },
        { "curl, EPSV", $"curl -sS --max-time 20 {Film}", 0 },
        { "lftp, active", $"lftp -c 'set net:timeout 10; set net:max-retries 1; set ftp:passive-mode off; cat {Film}'", 1 },
        { "lftp, passive", $"lftp -c 'set net:timeout 10; set net:max-retries 1; cat {Film}'", 0 },
        { "ftp, active", $"tnftp -A -V -o - {Film}", 1 },
        { "ftp, passive", $"tnftp -p -V -o - {Film}", 0 },
    };

    [Theory]
    [MemberData(nameof(Clients))]
    public void A_file_is_fetched(string client, string command, int endpoints) => lab.Test(() =>
    {
        lab.Gateway(on: true);
        IReadOnlyDictionary<string, long> moved = lab.Moved("smap1", () =>
            Assert.Equal(lab.Sum, lab["B"].Do("bash", "-o", "pipefail", "-ec", $"timeout 30 {command} | sha256sum | cut -d ' ' -f 1")));
        long rewritten = moved.GetValueOrDefault("gateway-rewritten");
        Assert.True(endpoints == 0 ? rewritten == 0 : rewritten >= endpoints, $"{client}: {rewritten} endpoints were rewritten");
        Assert.Equal(0, moved.GetValueOrDefault("gateway-refused"));
    });

    [Fact]
    public void Without_the_gateway_active_ftp_fails_at_the_address_that_the_server_is_told() => lab.Test(() =>
    {
        lab.Gateway(on: false);
        try
        {
            CommandResult result = lab["B"].Run("curl", "-sSv", "--max-time", "10", "-P", "-", "--disable-eprt", "-o", "/dev/null", Film);
            Assert.False(result.Succeeded);
            Assert.Contains("PORT 192,168,1,142,", result.Text);
            Assert.Contains("500 Illegal PORT command", result.Text);

            // Passive mode needs nobody's help.
            Assert.Equal(lab.Sum, lab["B"].Do("bash", "-o", "pipefail", "-ec", $"curl -sS --max-time 20 {Film} | sha256sum | cut -d ' ' -f 1"));
        }
        finally
        {
            lab.Gateway(on: true);
        }
    });
}
