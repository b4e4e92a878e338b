using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.PortSets;

namespace APlusP.Node.Home;

/// <summary>What a SMAP knows of itself from one start to the next.</summary>
sealed record SavedHome
{
    /// <summary>The subscriber that we are to the registry; made by chance, since a machine-id or an Ethernet address is copied with a disk, or not kept.</summary>
    public required string Subscriber { get; init; }

    /// <summary>What our softwire address is made of, beside the prefix.</summary>
    public required string Secret { get; init; }

    /// <summary>The machine on which this was made.</summary>
    public required MachineTraits Machine { get; init; }

    /// <summary>Our key with the registry.</summary>
    public string? Key { get; init; }

    /// <summary>SHA-256 of the token that it was got by: another one means that somebody wants us to enrol anew.</summary>
    public string? TokenDigest { get; init; }

    public SavedLease? Lease { get; init; }

    public static SavedHome New(MachineTraits machine) => new()
    {
        Subscriber = $"smap-{RandomNumberGenerator.GetHexString(24, lowercase: true)}",
        Secret = RandomNumberGenerator.GetHexString(32, lowercase: true),
        Machine = machine,
    };
}

/// <summary>A lease as it is kept.</summary>
sealed record SavedLease(string Id, string Softwire, string Address, string Ports, DateTimeOffset Until, DateTimeOffset Saved, string Prr, int? PayloadMtu, IReadOnlyList<string> Growths)
{
    /// <summary>As a SMAP keeps it that knows of policies.</summary>
    public LanPolicy? Policy { get; init; }

    public static SavedLease Of(HeldLease lease, TimeSpan left, DateTimeOffset now) => new(
        lease.Id, $"{lease.Softwire}", $"{lease.Address}", $"{lease.Ports}", now + left, now, $"{lease.Prr}", lease.PayloadMtu, [.. lease.Growths.Select(g => $"{g}")])
    { Policy = lease.Policy };

    /// <summary>The lease, and how long it runs by our clock; a clock that is behind the time at which it was kept is taken to stand there.</summary>
    public (HeldLease Lease, TimeSpan Left) Read(DateTimeOffset now) => (
        new HeldLease(Id, IPv6Address.Parse(Softwire), IPv4Address.Parse(Address), PortSet.Parse(Ports), Until)
        {
            Prr = IPv6Address.Parse(Prr),
            PayloadMtu = PayloadMtu,
            Policy = Policy ?? LanPolicy.None,
            Growths = [.. Growths.Select(g => PortSet.Parse(g))],
        },
        Until - (now > Saved ? now : Saved));
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(SavedHome))]
sealed partial class HomeJson : JsonSerializerContext;

/// <summary>The SMAP's state directory: one file that only its owner reads, replaced as a whole.</summary>
sealed class HomeStore
{
    readonly string _path;
    readonly Lock _saving = new();

    /// <summary>Reads what is kept, or makes a new identity: at the first start, and where the file is from another machine, as on the copy of a disk.</summary>
    /// <exception cref="APlusPException">AP3013: the directory or the file cannot be used.</exception>
    public HomeStore(string directory, MachineTraits machine)
    {
        _path = Path.Combine(directory, "smap.json");
        try
        {
            Directory.CreateDirectory(directory, StateFile.OwnerOnly | UnixFileMode.UserExecute);
            Saved = File.Exists(_path) ? JsonSerializer.Deserialize(File.ReadAllBytes(_path), HomeJson.Default.SavedHome)! : SavedHome.New(machine);
            _ = Saved.Lease?.Read(default);
        }
        catch (Exception error) when (error is JsonException or FormatException or NullReferenceException)
        {
            throw new APlusPException(ErrorCodes.HomeState, $"what this SMAP keeps in {_path} cannot be read: {error.Message} Delete the file, and it enrols as a new one.", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw Unusable(error);
        }

        IsCopy = Saved.Machine.IsOther(machine);
        Save(saved => IsCopy ? SavedHome.New(machine) : saved);
    }

    public SavedHome Saved { get; private set; }

    /// <summary>Whether what was kept is another machine's, so that this one began anew.</summary>
    public bool IsCopy { get; }

    /// <summary>Keeps something else from now on; two who change different parts do not undo each other.</summary>
    /// <exception cref="APlusPException">AP3013: it cannot be written.</exception>
    public void Save(Func<SavedHome, SavedHome> change)
    {
        lock (_saving)
        {
            SavedHome saved = change(Saved);
            Write(saved);
            Saved = saved;
        }
    }

    void Write(SavedHome saved)
    {
        try
        {
            StateFile.Replace(_path, file => JsonSerializer.Serialize(file, saved, HomeJson.Default.SavedHome));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw Unusable(error);
        }
    }

    APlusPException Unusable(Exception error) =>
        new(ErrorCodes.HomeState, $"this SMAP cannot keep its identity and lease in {_path}: {error.Message} Set `state` in [registry] or [pcp] (or --state) to a directory that this user may write.", error);
}
