using System.Security.Cryptography;
using System.Text.Json;
using APlusP.Core.PortSets;
using APlusP.Lab;

namespace APlusP.LabTests;

public sealed class BitTorrentLab : LabFixture
{
    public BitTorrentLab()
        : base(LabPlan.Smaps("tbt", 2))
    {
        try
        {
            Programs.Require("aria2c", "transmission-daemon", "transmission-create", "transmission-remote");
            Directory.CreateDirectory(Path.GetDirectoryName(SharedFile)!);
            byte[] content = new byte[4_000_000];
            new Random(2010).NextBytes(content);
            File.WriteAllBytes(SharedFile, content);
            Commands.Require("transmission-create", "-o", Torrent, SharedFile);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Torrent => Path.Combine(Lab.Directory, "film.torrent");

    /// <summary>The file that is shared, where it is whole.</summary>
    public string SharedFile => Path.Combine(Lab.Directory, "whole", "film.bin");
}

/// <summary>
/// The two limits of BitTorrent behind a shared address that the report tells of (section III.D), with clients that others wrote: many a
/// client takes a second connection from the same address for the first peer come again.
/// </summary>
public sealed class BitTorrentTests(BitTorrentLab lab) : IClassFixture<BitTorrentLab>
{
    const string Setting = "allow_multiple_connections_per_ip";
    const int Port = 6881, SetUser1 = 10;

    static readonly string s_remote = $"{LabTopology.Www4Address}:{Port}";
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    public static TheoryData<string, bool> Clients => new()
    {
        { "libtorrent", false },
        { $"libtorrent {Setting}", true },
        { "transmission", false },
        { "aria2", true },
    };

    [Theory]
    [MemberData(nameof(Clients))]
    public void Two_homes_fetch_from_one_remote_peer_at_once_only_if_it_takes_two_connections_from_one_address(string remote, bool both) => lab.Test(() =>
    {
        using var running = new Started();
        string directory = running.NewDirectory(lab);
        File.Copy(lab.SharedFile, Path.Combine(directory, "film.bin"));
        StartOnInternet(running, remote, directory, seeds: true);

        Peer first = StartAtHome(running, 1, HomePort(1));
        first.WaitUntil(peer => peer.IsConnected, "connect to the remote peer");
        Peer second = StartAtHome(running, 2, HomePort(2));
        if (both)
        {
            second.WaitUntil(peer => peer.IsConnected && peer.Progress > 0, "fetch beside the other home");
            Assert.True(first.IsConnected && first.Progress < 100, first.Process.ReadLog());
            FinishBoth(first, second);
            return;
        }

        // Refused again and again, while the other one is served; and let in when it has gone.
        second.WaitUntil(peer => peer.Refusals >= 2, "be refused");
        Assert.True(first.IsConnected, first.Process.ReadLog());
        Assert.False(second.WasEverConnected, second.Process.ReadLog());
        Assert.True(first.Process.Stop(), "the first did not stop");
        second.WaitUntil(peer => peer.IsConnected, "connect when the other home has gone");
    });

    [Theory]
    [MemberData(nameof(Clients))]
    public void A_client_is_served_by_two_seeders_behind_one_address_only_if_it_takes_two_connections_from_it(string client, bool both) => lab.Test(() =>
    {
        using var running = new Started();
        string directory = running.NewDirectory(lab);
        LabProcess fetching = StartOnInternet(running, client, directory, seeds: false);

        // Seeders call out: nothing from outside reaches a home that has not opened a port.
        Peer first = StartAtHome(running, 1, HomePort(1), seeds: true);
        first.WaitUntil(peer => peer.IsConnected, "connect to the client");
        Peer second = StartAtHome(running, 2, HomePort(2), seeds: true);
        if (both)
        {
            second.WaitUntil(peer => peer.IsConnected, "serve beside the other seeder");
            Assert.True(first.IsConnected, first.Process.ReadLog());
            first.Process.Signal(SetUser1);
            second.Process.Signal(SetUser1);
            string fetched = Path.Combine(directory, "film.bin");
            fetching.WaitUntil(() => File.Exists(fetched) && Same(fetched), s_patience, "fetch the whole file");
            return;
        }

        second.WaitUntil(peer => peer.Refusals >= 2, "be refused");
        Assert.True(first.IsConnected, first.Process.ReadLog());
        Assert.False(second.WasEverConnected, second.Process.ReadLog());
        Assert.True(first.Process.Stop(), "the first did not stop");
        second.WaitUntil(peer => peer.IsConnected, "connect when the other seeder has gone");
    });

    [Fact]
    public void Two_homes_that_listen_on_the_same_port_are_one_peer_to_others_even_where_two_are_taken() => lab.Test(() =>
    {
        using var running = new Started();
        string directory = running.NewDirectory(lab);
        File.Copy(lab.SharedFile, Path.Combine(directory, "film.bin"));
        StartOnInternet(running, $"libtorrent {Setting}", directory, seeds: true);
        Peer first = StartAtHome(running, 1, Port);
        first.WaitUntil(peer => peer.IsConnected, "connect to the remote peer");
        Peer second = StartAtHome(running, 2, Port);
        second.WaitUntil(peer => peer.Refusals >= 2, "be refused");
        Assert.True(first.IsConnected, first.Process.ReadLog());
    });

    void FinishBoth(Peer first, Peer second)
    {
        foreach (Peer peer in (Peer[])[first, second]) peer.Process.Signal(SetUser1);
        foreach (Peer peer in (Peer[])[first, second])
        {
            peer.WaitUntil(p => p.Progress == 100, "fetch the whole file");
            Assert.True(Same(Path.Combine(peer.Directory, "film.bin")), "another file arrived than was sent");
        }
    }

    bool Same(string file) => SHA256.HashData(File.ReadAllBytes(file)).AsSpan().SequenceEqual(SHA256.HashData(File.ReadAllBytes(lab.SharedFile)));

    /// <summary>A port of a home's own set, as docs/applications.md advises.</summary>
    int HomePort(int room) => PortSet.Parse(lab.Lab.Plan.Room(room).Ports).Ranges.First().First;

    /// <summary>A peer in a home: libtorrent, slow enough that nothing ends before it was seen.</summary>
    Peer StartAtHome(Started running, int room, int port, bool seeds = false)
    {
        string directory = running.NewDirectory(lab);
        if (seeds) File.Copy(lab.SharedFile, Path.Combine(directory, "film.bin"));
        LabProcess process = running.Add(lab.Lab.Start($"h{room}", $"peer {running.NextName()}", Libtorrent(directory, port, 100_000, [], s_remote)));
        return new Peer(process, directory);
    }

    /// <summary>The peer on the Internet, at its usual port.</summary>
    LabProcess StartOnInternet(Started running, string client, string directory, bool seeds)
    {
        string[] words = client.Split(' ');
        string name = $"{words[0]} {running.NextName()}";
        LabProcess process = running.Add(words[0] switch
        {
            "libtorrent" => lab.Lab.Start("www4", name, Libtorrent(directory, Port, 0, words[1..])),
            "aria2" => lab.Lab.Start("www4", name, "aria2c", $"--listen-port={Port}", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false",
                seeds ? "--seed-ratio=0" : "--seed-time=0", "--bt-seed-unverified=true", $"--dir={directory}", lab.Torrent),
            _ => lab.Lab.Start("www4", name, "transmission-daemon", "--foreground", "--config-dir", TransmissionSettings(directory)),
        });
        process.WaitUntil(() => lab.Lab.Listens("www4", Port), s_patience, $"listen on port {Port}");
        if (words[0] != "transmission") return process;

        process.WaitUntil(() => lab["www4"].Run("transmission-remote", "--add", lab.Torrent, "--download-dir", directory).Succeeded, s_patience, "take the torrent");
        process.WaitUntil(() => lab["www4"].Run("transmission-remote", "--torrent", "all", "--info").Output.Contains(seeds ? "Percent Done: 100%" : "State: Idle", StringComparison.Ordinal),
            s_patience, "have looked at its file");
        return process;
    }

    string[] Libtorrent(string directory, int port, int rate, string[] settings, params string[] peers) =>
    [
        // Debian's own Python: its libtorrent is a package of it.
        "/usr/bin/python3", Path.Combine(AppContext.BaseDirectory, "torrent_peer.py"), lab.Torrent, directory, $"{port}", $"{rate}", .. settings, "--", .. peers,
    ];

    static string TransmissionSettings(string directory)
    {
        string settings = Path.Combine(directory, "transmission");
        Directory.CreateDirectory(settings);
        File.WriteAllText(Path.Combine(settings, "settings.json"), $$"""
            {
                "download-dir": "{{directory}}", "peer-port": {{Port}}, "ratio-limit-enabled": false,
                "dht-enabled": false, "lpd-enabled": false, "pex-enabled": false, "utp-enabled": false, "port-forwarding-enabled": false
            }
            """);
        return settings;
    }

    /// <summary>What was started in a test, and is ended with it.</summary>
    sealed class Started : IDisposable
    {
        readonly List<LabProcess> _processes = [];
        readonly List<string> _directories = [];

        /// <summary>A name whose log nobody has written to before.</summary>
        public string NextName() => $"{Guid.NewGuid():N}"[..8];

        public LabProcess Add(LabProcess process)
        {
            _processes.Add(process);
            return process;
        }

        public string NewDirectory(BitTorrentLab lab)
        {
            string directory = Path.Combine(lab.Lab.Directory, $"torrent-{Guid.NewGuid():N}");
            Directory.CreateDirectory(directory);
            _directories.Add(directory);
            return directory;
        }

        public void Dispose()
        {
            foreach (LabProcess process in _processes) process.Signal(Linux.Signals.Kill);
            foreach (LabProcess process in _processes) process.Stop();
            foreach (string directory in _directories) Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>A peer of ours, as its own words tell of it.</summary>
    sealed class Peer(LabProcess process, string directory)
    {
        public LabProcess Process => process;

        public string Directory => directory;

        IEnumerable<string> Lines => process.ReadLog().Split('\n', StringSplitOptions.RemoveEmptyEntries);

        IEnumerable<(int Progress, int Peers)> States => Lines.Where(line => line.StartsWith('{') && line.EndsWith('}')).Select(line =>
        {
            using var state = JsonDocument.Parse(line);
            return (state.RootElement.GetProperty("progress").GetInt32(), state.RootElement.GetProperty("peers").GetArrayLength());
        });

        public int Progress => States.LastOrDefault().Progress;

        public bool IsConnected => States.LastOrDefault().Peers > 0;

        public bool WasEverConnected => States.Any(state => state.Peers > 0);

        /// <summary>How often the other side has closed the connection.</summary>
        public int Refusals => Lines.Count(line => line.StartsWith('#') && line.Contains(s_remote, StringComparison.Ordinal));

        public void WaitUntil(Func<Peer, bool> condition, string what) => process.WaitUntil(() => condition(this), s_patience, what);
    }
}
