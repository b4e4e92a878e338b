using System.Net.Sockets;
using System.Text.RegularExpressions;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>Fig. 22 with Kamailio as registrar and proxy on the Internet. It helps nobody over a NAT: it believes what it is told.</summary>
public sealed partial class SipLab : LabFixture
{
    public const string Registrar = LabTopology.Www6Address;

    public SipLab()
        : base(LabPlan.Fig22("tsip"))
    {
        Programs.Require("sipp", "kamailio");
        foreach ((string name, string text) in ((string, string)[])[("register", SipScenarios.Register), ("call", SipScenarios.Call), ("answer", SipScenarios.Answer)])
            File.WriteAllText(Scenario(name), text);
        string configuration = Path.Combine(Lab.Directory, "kamailio.cfg");
        File.WriteAllText(configuration, $$"""
            debug=2
            log_stderror=yes
            children=1
            listen=udp:{{Registrar}}:5060
            listen=tcp:{{Registrar}}:5060
            loadmodule "tm.so"
            loadmodule "sl.so"
            loadmodule "rr.so"
            loadmodule "pv.so"
            loadmodule "usrloc.so"
            loadmodule "registrar.so"
            loadmodule "siputils.so"
            modparam("tm", "fr_timer", 3000)
            request_route {
                if (method == "REGISTER") { save("location"); exit; }
                if (has_totag()) {
                    if (loose_route()) t_relay();
                    exit;
                }
                if (method == "CANCEL") { if (t_check_trans()) t_relay(); exit; }
                record_route();
                if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
                t_relay();
            }

            """);
        LabProcess proxy = Lab.Start("www6", "kamailio", "kamailio", "-DD", "-E", "-f", configuration, "-m", "32", "-M", "4", "-P", Path.Combine(Lab.Directory, "kamailio.pid"), "-Y", Lab.Directory);
        proxy.WaitUntil(() => Lab.Listens("www6", 5060), TimeSpan.FromSeconds(20), "listen on port 5060");
        Gateway(on: true);
    }

    string Scenario(string name) => Path.Combine(Lab.Directory, $"{name}.xml");

    public void Gateway(bool on)
    {
        foreach (string smap in (string[])["smap1", "smap2"]) Configure(smap, on ? "[gateways]\nsip = true" : "");
    }

    string[] Sipp(string host, string scenario, string transport, int mediaPort) =>
    [
        "sipp", "-sf", Scenario(scenario), "-i", AddressOf(host), "-p", "5060", "-t", transport, "-mi", AddressOf(host), "-mp", $"{mediaPort}", "-rtp_echo", "-nostdin",
        "-trace_msg", "-message_overwrite", "true", "-message_file", Trace(host, scenario),
    ];

    public static string AddressOf(string host) => host switch { "B" => "192.168.1.142", "A" => "192.168.2.121", "www4" => LabTopology.Www4Address, _ => throw new ArgumentException(host) };

    string Trace(string host, string scenario) => Path.Combine(Lab.Directory, $"{host}-{scenario}.msg");

    /// <summary>All that a phone said and heard.</summary>
    public string Heard(string host, string scenario) => File.Exists(Trace(host, scenario)) ? File.ReadAllText(Trace(host, scenario)) : "";

    /// <summary>Whether a message of a phone's conversation says all of this.</summary>
    public bool Has(string host, string scenario, params string[] said) =>
        Heard(host, scenario).Split(new string('-', 47)).Any(message => said.All(part => message.Contains(part, StringComparison.Ordinal)));

    /// <summary>Registers a name for a phone, and gives whether the registrar's answer was heard.</summary>
    public bool Registers(string host, string name, string transport, int seconds = 20) =>
        this[host].Run([.. Sipp(host, "register", transport, 6000), "-s", name, "-m", "1", "-timeout", $"{seconds}s", $"{Registrar}:5060"]).Succeeded;

    /// <summary>A phone that answers, until it is stopped.</summary>
    public LabProcess Answers(string host, string transport, int mediaPort)
    {
        File.Delete(Trace(host, "answer"));
        LabProcess phone = Lab.Start(host, "sipp", Sipp(host, "answer", transport, mediaPort));
        phone.WaitUntil(() => this[host].Do("ss", "-Hln", transport == "t1" ? "-t" : "-u", "sport = :5060").Length > 0, TimeSpan.FromSeconds(10), "listen");
        return phone;
    }

    /// <summary>A phone that calls somebody by a proxy, and hangs up when it is told to: it goes on echoing media meanwhile.</summary>
    public LabProcess Calls(string host, string whom, string by, string transport, int mediaPort, int milliseconds)
    {
        File.Delete(Trace(host, "call"));
        return Lab.Start(host, "sipp", [.. Sipp(host, "call", transport, mediaPort), "-s", whom, "-d", $"{milliseconds}", "-m", "1", "-timeout", "60s", $"{by}:5060"]);
    }

    /// <summary>What a session description in a phone's messages says: where media go.</summary>
    public static (string Address, int Port) MediaOf(string heard, bool last)
    {
        Match[] found = [.. MediaForm.Matches(heard).Cast<Match>()];
        Assert.NotEmpty(found);
        Match media = last ? found[^1] : found[0];
        return (media.Groups["address"].Value, int.Parse(media.Groups["port"].Value));
    }

    /// <summary>Whether what is sent to somebody's media port comes back.</summary>
    public bool Echoes(string from, (string Address, int Port) media)
    {
        using Socket socket = this[from].Call(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 1000 });
        socket.Connect(media.Address, media.Port);
        return Wait.Until(() =>
        {
            try
            {
                socket.Send("a word"u8);
                return socket.Receive(new byte[100]) == 6;
            }
            catch (SocketException)
            {
                return false;
            }
        }, TimeSpan.FromSeconds(20));
    }

    [GeneratedRegex(@"c=IN IP4 (?<address>[0-9.]+)\s+t=0 0\s+m=audio (?<port>\d+) ", RegexOptions.ExplicitCapture)]
    private static partial Regex MediaForm { get; }
}

/// <summary>SIP with sipp as phones and Kamailio as their registrar, by UDP and by TCP, and their media.</summary>
public sealed class SipTests(SipLab lab) : IClassFixture<SipLab>
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData("u1")]
    [InlineData("t1")]
    public void Phones_of_two_homes_register_and_call_each_other(string transport) => lab.Test(() =>
    {
        foreach (string host in (string[])["B", "A"])
        {
            Assert.True(lab.Registers(host, host, transport), $"{host} heard no answer of the registrar");

            // The phone finds its own contact in the answer.
            Assert.True(lab.Has(host, "register", "received", "SIP/2.0 200 OK", $"<sip:{host}@{SipLab.AddressOf(host)}:5060;transport={(transport == "t1" ? "TCP" : "UDP")}>"));
        }

        Call("A", "B", "B", SipLab.Registrar, transport, fromOutside: false);
        Call("B", "A", "A", SipLab.Registrar, transport, fromOutside: false);
    });

    [Theory]
    [InlineData("u1")]
    [InlineData("t1")]
    public void A_phone_is_called_from_the_internet(string transport) => lab.Test(() =>
    {
        Assert.True(lab.Registers("B", "B", transport));
        Call("www4", "B", "B", SipLab.Registrar, transport, fromOutside: true);
    });

    [Theory]
    [InlineData("u1")]
    [InlineData("t1")]
    public void A_phone_calls_a_server_on_the_internet(string transport) => lab.Test(() =>
        Call("B", "service", "www4", LabTopology.Www4Address, transport, fromOutside: false));

    /// <summary>A call from one host to another: signalling both ways, and media to either from the other one's place, which come back.</summary>
    void Call(string caller, string whom, string called, string by, string transport, bool fromOutside)
    {
        LabProcess answers = lab.Answers(called, transport, 6000);
        LabProcess calls = lab.Calls(caller, whom, by, transport, 7000, 8000);
        try
        {
            calls.WaitUntil(() => lab.Heard(called, "answer").Contains("ACK sip:", StringComparison.Ordinal), s_patience, "open a call");
            (string Address, int Port) toCaller = SipLab.MediaOf(lab.Heard(called, "answer"), last: false), toCalled = SipLab.MediaOf(lab.Heard(caller, "call"), last: true);
            Assert.Equal(fromOutside ? LabTopology.Www4Address : LabPlan.SharedAddress, toCaller.Address);
            Assert.Equal(called == "www4" ? LabTopology.Www4Address : LabPlan.SharedAddress, toCalled.Address);
            Assert.True(lab.Echoes(called, toCaller), $"what is sent to {toCaller}, the caller's media, does not come back");
            Assert.True(lab.Echoes(caller, toCalled), $"what is sent to {toCalled}, the media of who was called, does not come back");
            Assert.True(calls.WaitForExit(s_patience), "the caller did not hang up");
            Assert.True(lab.Has(called, "answer", "received", "BYE sip:"), "who was called did not hear that the caller hung up");
            Assert.True(lab.Has(caller, "call", "received", "SIP/2.0 200 OK", "CSeq: 2 BYE"), "the caller did not hear that this was heard");
        }
        finally
        {
            calls.Stop();
            answers.Stop();
        }
    }

    [Fact]
    public void Without_the_gateway_a_phone_names_an_address_that_nobody_reaches() => lab.Test(() =>
    {
        lab.Gateway(on: false);
        try
        {
            // The registrar answers to the port that the phone says it has, which is nobody's here; what it was told leads nowhere either.
            Assert.False(lab.Registers("B", "unheard", "u1", seconds: 4));
            LabProcess unheard = lab.Answers("B", "u1", 6000), calls = lab.Calls("www4", "unheard", SipLab.Registrar, "u1", 7000, 100);
            Assert.True(calls.WaitForExit(s_patience), "the call that reaches nobody did not end");
            Assert.DoesNotContain("INVITE", lab.Heard("B", "answer"));
            Assert.DoesNotContain("SIP/2.0 200", lab.Heard("www4", "call"));
            unheard.Stop();

            // A call from the home is set up, since the server answers where it was called from; but its media are lost.
            LabProcess answers = lab.Answers("www4", "u1", 6000);
            calls = lab.Calls("B", "service", LabTopology.Www4Address, "u1", 7000, 4000);
            calls.WaitUntil(() => lab.Heard("www4", "answer").Contains("ACK sip:", StringComparison.Ordinal), s_patience, "open a call");
            (string Address, int Port) media = SipLab.MediaOf(lab.Heard("www4", "answer"), last: false);
            Assert.Equal("192.168.1.142", media.Address);
            Assert.NotEqual("a word\n", lab["www4"].Run(["socat", "-t", "1", "-T", "1", "-", $"UDP4:{media.Address}:{media.Port}"], input: "a word\n").Output);
            calls.Stop();
            answers.Stop();
        }
        finally
        {
            lab.Gateway(on: true);
        }
    });
}
