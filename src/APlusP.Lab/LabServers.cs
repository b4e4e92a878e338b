namespace APlusP.Lab;

/// <summary>The real servers on the lab's Internet, each with its files in the lab's directory.</summary>
public static class LabServers
{
    /// <summary>Files that the web servers offer, and their octets.</summary>
    static readonly (string Name, int Size)[] s_pages = [("index.html", 20_000), ("picture.jpg", 300_000), ("film.mp4", 4_000_000)];

    /// <summary>The servers' certificate, in one file, and the key.</summary>
    public static void MakeCertificate(string directory) =>
        Commands.Require("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-keyout", Path.Combine(directory, "key.pem"), "-out", Path.Combine(directory, "certificate.pem"),
            "-subj", "/CN=www4.example", "-addext", "subjectAltName=DNS:www4.example,DNS:www6.example");

    /// <summary>nginx with HTTP and HTTPS. Its access log has one line a request: see <see cref="AccessLogEntry"/>.</summary>
    public static (string[] Command, string Log) Web(string directory, string host)
    {
        string own = Path.Combine(directory, host);
        string pages = Path.Combine(own, "pages");
        Directory.CreateDirectory(pages);
        foreach ((string name, int size) in s_pages) WritePage(Path.Combine(pages, name), host, size);
        string configuration = Path.Combine(own, "nginx.conf");
        string accessLog = Path.Combine(own, "access.log");
        string temporary = string.Concat(((string[])["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]).Select(kind => $"    {kind}_temp_path {own}/{kind};\n"));
        File.WriteAllText(configuration, $$"""
            user root;
            worker_processes 1;
            pid {{own}}/nginx.pid;
            error_log {{own}}/error.log;
            events { worker_connections 1024; }
            http {
                log_format lab '$remote_addr $remote_port $server_port $status $body_bytes_sent "$request" "$http_user_agent"';
                access_log {{accessLog}} lab;
                root {{pages}};
            {{temporary}}
                server {
                    listen 80;
                    listen [::]:80;
                    listen 443 ssl;
                    listen [::]:443 ssl;
                    ssl_certificate {{directory}}/certificate.pem;
                    ssl_certificate_key {{directory}}/key.pem;
                }
            }

            """);
        return (["nginx", "-e", $"{own}/error.log", "-c", configuration, "-g", "daemon off;"], accessLog);
    }

    /// <summary>A domain in which every name is www4's.</summary>
    public const string ManyNames = "many.example";

    /// <summary>A resolver with the lab's names, over UDP and TCP; big.example does not fit into 512 octets.</summary>
    public static string[] Resolver(string directory)
    {
        string configuration = Path.Combine(directory, "dnsmasq.conf");
        string text = new('x', 200);
        File.WriteAllText(configuration, $"""
            keep-in-foreground
            no-resolv
            no-hosts
            user=root
            group=root
            listen-address={LabTopology.DnsAddress},{LabTopology.DnsAddressV6}
            bind-interfaces
            host-record=www4.example,{LabTopology.Www4Address}
            address=/{ManyNames}/{LabTopology.Www4Address}
            host-record=www6.example,{LabTopology.Www6Address},{LabTopology.Www6AddressV6}
            txt-record=big.example,{text},{text},{text},{text}
            edns-packet-max=1232
            local-ttl=60
            log-queries=extra

            """);
        return ["dnsmasq", $"--conf-file={configuration}"];
    }

    /// <summary>An SSH server and a key that it admits; the client's key is DIRECTORY/ssh/client.</summary>
    public static string[] Ssh(string directory)
    {
        string own = Path.Combine(directory, "ssh");
        Directory.CreateDirectory(own);
        Directory.CreateDirectory("/run/sshd"); // Where sshd locks itself in before the login; Debian's unit makes it.
        foreach (string key in (string[])["host", "client"]) Commands.Require("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", Path.Combine(own, key));
        File.Copy(Path.Combine(own, "client.pub"), Path.Combine(own, "authorized"));
        string configuration = Path.Combine(own, "sshd_config");
        File.WriteAllText(configuration, $"""
            HostKey {own}/host
            AuthorizedKeysFile {own}/authorized
            PidFile {own}/sshd.pid
            UsePAM no
            StrictModes no
            PasswordAuthentication no
            PermitRootLogin prohibit-password

            """);
        return [Programs.Find("sshd") ?? "sshd", "-D", "-e", "-f", configuration];
    }

    static void WritePage(string path, string host, int size)
    {
        using var page = new StreamWriter(path);
        page.Write($"<html><title>{host}</title><p>A page of {host}.\n");
        for (int line = 0; page.BaseStream.Length + 4096 < size; line++)
        {
            page.Write($"line {line} of {Path.GetFileName(path)}, so that a page with a hole or a repeated packet has another checksum\n");
            if (line % 32 == 0) page.Flush();
        }
    }
}

/// <summary>A line of a web server's log: who asked, from which port, for what.</summary>
/// <param name="Agent">What the client called itself; the lab's clients say the name of their host.</param>
public readonly record struct AccessLogEntry(string Address, int Port, int ServerPort, int Status, long Octets, string Request, string Agent)
{
    public static AccessLogEntry Parse(string line)
    {
        string[] quoted = line.Split('"');
        string[] fields = quoted[0].Split(' ');
        return new AccessLogEntry(fields[0], int.Parse(fields[1]), int.Parse(fields[2]), int.Parse(fields[3]), long.Parse(fields[4]), quoted[1], quoted[3]);
    }
}
