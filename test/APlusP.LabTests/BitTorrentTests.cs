using System.Security.Cryptography;
using System.Text.Json;
using APlusP.Core.PortSets;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>
/// The two limits of BitTorrent behind a shared address that the report tells of (section III.D), with a tracker and clients that others wrote: many a
/// client takes a second connection from the same address for the first peer come again. Who is there, all learn from the tracker.
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
        using var running = new Started(lab);
        string directory = running.NewDirectory();
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
        using var running = new Started(lab);
        string directory = running.NewDirectory();
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
        using var running = new Started(lab);
        string directory = running.NewDirectory();
        File.Copy(lab.SharedFile, Path.Combine(directory, "film.bin"));
        StartOnInternet(running, $"libtorrent {Setting}", directory, seeds: true);
        Peer first = StartAtHome(running, 1, Port);
        first.WaitUntil(peer => peer.IsConnected, "connect to the remote peer");
        Peer second = StartAtHome(running, 2, Port);
        second.WaitUntil(peer => peer.Refusals >= 2, "be refused");
        Assert.True(first.IsConnected, first.Process.ReadLog());
    });

    /// <summary>What a tracker keeps of peers is address and port, so a port of the home's own set makes two of two homes.</summary>
    [Theory]
    [InlineData("aria2", true)]
    [InlineData("aria2", false)]
    [InlineData("transmission", true)]
    [InlineData("transmission", false)]
    public void A_tracker_knows_two_homes_apart_only_by_the_ports_that_they_listen_on(string client, bool ownPorts) => lab.Test(() =>
    {
        using var running = new Started(lab);
        int[] ports = [ownPorts ? HomePort(1) : Port, ownPorts ? HomePort(2) : Port];
        StartClient(running, "h1", client, running.NewDirectory(), ports[0], seeds: false);
        Assert.True(Wait.Until(() => lab.CountsOfTracker() == (0, 1), s_patience), $"the tracker counts {lab.CountsOfTracker()}");

        // The second home has the file: it stands beside the first, or in its place.
        string directory = running.NewDirectory();
        File.Copy(lab.SharedFile, Path.Combine(directory, "film.bin"));
        StartClient(running, "h2", client, directory, ports[1], seeds: true);
        Assert.True(Wait.Until(() => lab.CountsOfTracker() == (1, ownPorts ? 1 : 0), s_patience), $"the tracker counts {lab.CountsOfTracker()}");
        Assert.Equal(ports.Select(port => $"{LabPlan.SharedAddress}:{port}").Distinct().Order(), lab.PeersOfTracker().Order());
    });

    [Fact]
    public void Two_homes_with_aria2_learn_of_a_seeder_from_the_tracker_and_both_fetch_from_it() => lab.Test(() =>
    {
        using var running = new Started(lab);
        string directory = running.NewDirectory();
        File.Copy(lab.SharedFile, Path.Combine(directory, "film.bin"));
        StartOnInternet(running, $"libtorrent {Setting}", directory, seeds: true);
        string[] homes = [running.NewDirectory(), running.NewDirectory()];
        for (int room = 1; room <= 2; room++) StartClient(running, $"h{room}", "aria2", homes[room - 1], HomePort(room), seeds: false);
        foreach (string home in homes)
            Assert.True(Wait.Until(() => File.Exists(Path.Combine(home, "film.bin")) && Same(Path.Combine(home, "film.bin")), s_patience), "the file did not arrive whole");
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
        string directory = running.NewDirectory();
        if (seeds) File.Copy(lab.SharedFile, Path.Combine(directory, "film.bin"));
        LabProcess process = running.Add(lab.Lab.Start($"h{room}", $"peer {Started.NextName()}", Libtorrent(directory, port, 100_000)));
        return new Peer(process, directory);
    }

    /// <summary>The peer on the Internet, at its usual port, when the tracker has heard of it.</summary>
    LabProcess StartOnInternet(Started running, string client, string directory, bool seeds)
    {
        LabProcess process = StartClient(running, "www4", client, directory, Port, seeds);
        process.WaitUntil(() => lab.PeersOfTracker().Contains(s_remote), s_patience, "tell the tracker of itself");
        return process;
    }

    /// <summary>A client that others wrote, with its settings where it has any.</summary>
    LabProcess StartClient(Started running, string host, string client, string directory, int port, bool seeds)
    {
        string[] words = client.Split(' ');
        string name = $"{words[0]} {Started.NextName()}";
        LabProcess process = running.Add(words[0] switch
        {
            "libtorrent" => lab.Lab.Start(host, name, Libtorrent(directory, port, 0, words[1..])),
            "aria2" => lab.Lab.Start(host, name, "aria2c", $"--listen-port={port}", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false",
                seeds ? "--seed-ratio=0" : "--seed-time=0", "--bt-seed-unverified=true", $"--dir={directory}", lab.Torrent),
            _ => lab.Lab.Start(host, name, "transmission-daemon", "--foreground", "--config-dir", TransmissionSettings(directory, port)),
        });
        process.WaitUntil(() => lab.Lab.Listens(host, port), s_patience, $"listen on port {port}");
        if (words[0] != "transmission") return process;

        process.WaitUntil(() => lab[host].Run("transmission-remote", "--add", lab.Torrent, "--download-dir", directory).Succeeded, s_patience, "take the torrent");
        process.WaitUntil(() => lab[host].Run("transmission-remote", "--torrent", "all", "--info").Output.Contains(seeds ? "Percent Done: 100%" : "State: Idle", StringComparison.Ordinal),
            s_patience, "have looked at its file");
        return process;
    }

    // Debian's own Python: its libtorrent is a package of it.
    string[] Libtorrent(string directory, int port, int rate, params string[] settings) =>
        ["/usr/bin/python3", Path.Combine(AppContext.BaseDirectory, "torrent_peer.py"), lab.Torrent, directory, $"{port}", $"{rate}", .. settings];

    static string TransmissionSettings(string directory, int port)
    {
        string settings = Path.Combine(directory, "transmission");
        Directory.CreateDirectory(settings);
        File.WriteAllText(Path.Combine(settings, "settings.json"), $$"""
            {
                "download-dir": "{{directory}}", "peer-port": {{port}}, "ratio-limit-enabled": false,
                "dht-enabled": false, "lpd-enabled": false, "pex-enabled": false, "utp-enabled": false, "port-forwarding-enabled": false
            }
            """);
        return settings;
    }

    /// <summary>What was started in a test, and is ended with it.</summary>
    sealed class Started(BitTorrentLab lab) : IDisposable
    {
        readonly List<LabProcess> _processes = [lab.StartTracker(NextName())];
        readonly List<string> _directories = [];

        /// <summary>A name whose log nobody has written to before.</summary>
        public static string NextName() => $"{Guid.NewGuid():N}"[..8];

        public LabProcess Add(LabProcess process)
        {
            _processes.Add(process);
            return process;
        }

        public string NewDirectory()
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
