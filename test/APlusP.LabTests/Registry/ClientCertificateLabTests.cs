using APlusP.Lab;
using APlusP.Linux;

namespace APlusP.LabTests.Registry;

/// <summary>Certificates as openssl makes them, shown by curl: of SMAPs in place of a key, and the registry's own, exchanged while it runs.</summary>
public sealed class ClientCertificateLabTests : IDisposable
{
    readonly RegistryHost _host = new();
    readonly LabProcess _registry;

    public ClientCertificateLabTests()
    {
        Programs.Require("openssl", "curl");
        Authority("homes");
        Authority("strangers");
        Authority("operator");
        _host.Machine.Shell($"cd {_host.Directory}; openssl req -newkey rsa:2048 -nodes -subj '/CN=homes of the north' -keyout north.key -out north.csr; printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n' > ca.ext; openssl x509 -req -in north.csr -CA homes.crt -CAkey homes.key -CAcreateserial -days 9 -extfile ca.ext -out north.crt 2>&1");
        Issue("server", "operator", "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth");
        RevocationList();
        _registry = Start();
    }

    LabProcess Start() => _host.Start($"""
        [tls]
        certificate = "{_host.File("server.crt")}"
        key = "{_host.File("server.key")}"
        client-ca = "{_host.File("homes.crt")}"
        client-crl = "{_host.File("homes.crl")}"
        [[pool]]
        prefix = "192.0.2.0/30"
        """, "https");

    public void Dispose() => _host.Dispose();

    void Authority(string name) => _host.Machine.Shell($"cd {_host.Directory}; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN={name}' -days 9 -keyout {name}.key -out {name}.crt 2>&1");

    /// <summary>A certificate, valid for days that may lie in the past or the future.</summary>
    void Issue(string name, string authority, string extensions, string subject = "/CN=cpe-1", string from = "-1 day", string until = "+2 days") => _host.Machine.Shell($"""
        cd {_host.Directory}
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '{subject}' -keyout {name}.key -out {name}.csr 2>&1
        printf '{extensions.Replace("\n", "\\n", StringComparison.Ordinal)}\n' > {name}.ext
        : > index.txt; date +0%s%N > serial; printf '[ca]\ndefault_ca=c\n[c]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=optional\norganizationName=optional\n' > ca.cnf
        openssl ca -batch -config ca.cnf -cert {authority}.crt -keyfile {authority}.key -in {name}.csr -extfile {name}.ext -notext -startdate "$(date -u -d '{from}' +%Y%m%d%H%M%SZ)" -enddate "$(date -u -d '{until}' +%Y%m%d%H%M%SZ)" -out {name}.crt 2>&1
        """);

    void RevocationList(params string[] revoked)
    {
        _host.Machine.Shell($"cd {_host.Directory}; : > crl-index.txt; printf '[ca]\\ndefault_ca=c\\n[c]\\ndatabase=crl-index.txt\\ndefault_md=sha256\\ndefault_crl_days=3\\nunique_subject=no\\n' > crl.cnf; {string.Concat(revoked.Select(r => $"openssl ca -config crl.cnf -cert homes.crt -keyfile homes.key -revoke {r}.crt 2>&1; "))}openssl ca -config crl.cnf -cert homes.crt -keyfile homes.key -gencrl -out homes.crl 2>&1");
    }

    CommandResult Ask(string name, string path = "/v1/leases", params string[] more) => _host.Curl($"https://localhost:8646{path}", ["--cacert", _host.File("operator.crt"), "--resolve", "localhost:8646:127.0.0.1", "--cert", _host.File($"{name}.crt"), "--key", _host.File($"{name}.key"), .. more]);

    CommandResult Lease(string name) => Ask(name, "/v1/leases", "-d", """{"softwire": "2001:db8:5::1"}""");

    [Fact]
    public void A_home_with_a_certificate_of_the_right_authority_gets_its_lease_and_others_hear_why_not()
    {
        Issue("home", "homes", "extendedKeyUsage=clientAuth");
        Issue("bare", "homes", "subjectAltName=DNS:cpe-2.example", "/O=homes");
        CommandResult lease = Lease("home");
        Assert.True(lease.Output.EndsWith("\n201\n", StringComparison.Ordinal) && lease.Output.Contains("\"subscriber\":\"cpe-1\"", StringComparison.Ordinal), lease.Text);
        Assert.Contains("\"leases\":[]", Ask("bare").Output, StringComparison.Ordinal);

        Issue("stranger", "strangers", "extendedKeyUsage=clientAuth");
        Issue("old", "homes", "extendedKeyUsage=clientAuth", from: "-3 days", until: "-1 day");
        Issue("young", "homes", "extendedKeyUsage=clientAuth", from: "+1 day", until: "+3 days");
        Issue("webserver", "homes", "extendedKeyUsage=serverAuth");
        Issue("crowd", "homes", "subjectAltName=DNS:a.example,DNS:b.example");
        foreach ((string name, string why) in new[] { ("stranger", "none of the authorities"), ("old", "was valid until"), ("young", "is valid from"), ("webserver", "not that of clients"), ("crowd", "names 2 subscribers") })
        {
            CommandResult refused = Lease(name);
            Assert.EndsWith("\n401\n", refused.Output, StringComparison.Ordinal);
            Assert.Contains(why, refused.Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_certificate_below_an_authority_between_is_believed_when_that_is_sent_with_it()
    {
        Issue("deep", "north", "extendedKeyUsage=clientAuth");
        Assert.Contains("none of the authorities", Lease("deep").Output, StringComparison.Ordinal);
        _host.Machine.Shell($"cd {_host.Directory}; cat deep.crt north.crt > both.crt; cp deep.key both.key");
        Assert.EndsWith("\n201\n", Lease("both").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_revoked_is_refused_by_list_after_a_hang_up_and_by_an_operator_at_once()
    {
        Issue("one", "homes", "extendedKeyUsage=clientAuth");
        Issue("two", "homes", "extendedKeyUsage=clientAuth", "/CN=cpe-2");
        Assert.EndsWith("\n201\n", Lease("one").Output, StringComparison.Ordinal);
        Assert.Contains("\"leases\":[]", Ask("two").Output, StringComparison.Ordinal);
        RevocationList("one");
        Reload("certificates were read again");
        Assert.Contains("its authority took it back", Lease("one").Output, StringComparison.Ordinal);

        string[] operation = ["--cacert", _host.File("operator.crt"), "--resolve", "localhost:8646:127.0.0.1", "-H", $"Authorization: Bearer {_host.Token}"];
        string known = _host.Curl("https://localhost:8646/v1/credentials", operation).Output;
        string id = known.Split("\"kind\":\"certificate\",\"name\":\"cpe-2\"")[0].Split("\"id\":\"")[^1].Split('"')[0];
        Assert.EndsWith("\n200\n", _host.Curl($"https://localhost:8646/v1/credentials/{id}", [.. operation, "-X", "DELETE"]).Output, StringComparison.Ordinal);
        Assert.Contains("was revoked at", Ask("two").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_registrys_own_certificate_is_exchanged_while_it_runs_and_a_bad_one_is_not_taken()
    {
        Issue("home", "homes", "extendedKeyUsage=clientAuth");
        string Seen() => _host.Machine.Shell("echo | openssl s_client -connect 127.0.0.1:8646 -servername localhost 2>/dev/null | openssl x509 -noout -serial");
        string before = Seen();
        Issue("server", "operator", "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth");
        Reload("certificates were read again");
        string after = Seen();
        Assert.NotEqual(before, after);
        Assert.Contains("\"leases\":[]", Ask("home").Output, StringComparison.Ordinal);
        File.WriteAllText(_host.File("server.crt"), "no certificate");
        Reload("certificates were not read again, and those of before stay in force");
        Assert.Equal(after, Seen());
        Assert.True(_registry.IsRunning);
    }

    void Reload(string told)
    {
        int before = Count(told);
        _registry.Signal(Signals.Hangup);
        RegistryHost.Until(() => Count(told) > before, told);
    }

    int Count(string told) => _registry.ReadLog().Split(told).Length - 1;
}
