using System.Globalization;
using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>Two homes behind one address, a file, and a tracker that knows of it.</summary>
public sealed class BitTorrentLab : LabFixture
{
    public BitTorrentLab()
        : base(LabPlan.Smaps("tbt", 2))
    {
        try
        {
            Programs.Require("aria2c", "opentracker", "transmission-daemon", "transmission-create", "transmission-remote", "transmission-show");
            Directory.CreateDirectory(Path.GetDirectoryName(SharedFile)!);
            byte[] content = new byte[4_000_000];
            new Random(2010).NextBytes(content);
            File.WriteAllBytes(SharedFile, content);
            Commands.Require("transmission-create", "-o", Torrent, "-t", $"http://{Tracker}:{TrackerPort}/announce", SharedFile);
            string hash = Commands.Require("transmission-show", Torrent).Split('\n').Single(line => line.Contains("Hash:", StringComparison.Ordinal)).Split(": ")[1].Trim();
            InfoHash = Convert.FromHexString(hash);

            // Debian's opentracker serves what it is told to alone, and reads that as nobody.
            Directory.CreateDirectory(TrackerDirectory);
            File.SetUnixFileMode(TrackerDirectory, (UnixFileMode)0x1ed);
            File.WriteAllText(Path.Combine(TrackerDirectory, "served"), hash + "\n");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public const string Tracker = LabTopology.Www6Address;
    public const int TrackerPort = 6969;

    // A port that nobody has, by which we ask the tracker; it takes us for a peer then.
    const int Asker = 1;

    public string Torrent => Path.Combine(Lab.Directory, "film.torrent");

    /// <summary>What the tracker calls the file by.</summary>
    public byte[] InfoHash { get; } = [];

    string TrackerDirectory => Path.Combine(Lab.Directory, "tracker");

    /// <summary>Starts a tracker that has heard of nobody yet.</summary>
    public LabProcess StartTracker(string name)
    {
        LabProcess tracker = Lab.Start("www6", $"tracker {name}", "opentracker", "-i", Tracker, "-p", $"{TrackerPort}", "-P", $"{TrackerPort}", "-d", TrackerDirectory, "-w", "served");
        tracker.WaitUntil(() => Lab.Listens("www6", TrackerPort), TimeSpan.FromSeconds(10), "listen");
        return tracker;
    }

    /// <summary>Whom the tracker names to somebody who asks (BEP 23: six octets each).</summary>
    public IReadOnlyList<string> PeersOfTracker()
    {
        byte[] answer = Ask("announce", $"&peer_id=-XX0000-000000000000&port={Asker}&left=1&uploaded=0&downloaded=0&compact=1");
        int key = answer.AsSpan().IndexOf("5:peers"u8) + 7, colon = key + answer.AsSpan(key).IndexOf((byte)':');
        int length = int.Parse(answer.AsSpan(key, colon - key), CultureInfo.InvariantCulture);
        return [.. answer.AsSpan(colon + 1, length).ToArray().Chunk(6).Select(p => $"{p[0]}.{p[1]}.{p[2]}.{p[3]}:{p[4] << 8 | p[5]}").Where(p => p != $"{LabTopology.Www4Address}:{Asker}")];
    }

    /// <summary>How many peers the tracker counts: those that have the whole file, and the others.</summary>
    public (int Whole, int Others) CountsOfTracker()
    {
        byte[] answer = Ask("scrape", "");
        return (Count("8:completei"u8), Count("10:incompletei"u8));

        int Count(ReadOnlySpan<byte> key)
        {
            // Of a file that nobody has asked for it says nothing.
            int at = answer.AsSpan().IndexOf(key), from = at + key.Length;
            return at < 0 ? 0 : int.Parse(answer.AsSpan(from, answer.AsSpan(from).IndexOf((byte)'e')), CultureInfo.InvariantCulture);
        }
    }

    byte[] Ask(string what, string more)
    {
        string answer = Path.Combine(Lab.Directory, what), hash = string.Concat(InfoHash.Select(octet => $"%{octet:x2}"));
        this["www4"].Do("curl", "-sS", "--fail", "--max-time", "5", "-o", answer, $"http://{Tracker}:{TrackerPort}/{what}?info_hash={hash}{more}");
        return File.ReadAllBytes(answer);
    }

    /// <summary>The file that is shared, where it is whole.</summary>
    public string SharedFile => Path.Combine(Lab.Directory, "whole", "film.bin");
}
