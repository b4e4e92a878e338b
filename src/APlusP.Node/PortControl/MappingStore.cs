using System.Text.Json;
using System.Text.Json.Serialization;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Core.Forwarding;
using APlusP.Core.Pcp;
using APlusP.Core.PortControl;
using APlusP.Core.Wire;
using APlusP.Node.Daemons;
using APlusP.Node.Home;

namespace APlusP.Node.PortControl;

/// <summary>What is kept of port control from one start to the next: mappings, so that nobody need ask again, and forwards of the household.</summary>
sealed record SavedMappings
{
    public required DateTimeOffset Saved { get; init; }

    /// <summary>The machine's uptime then; null where it was not known, and in files of before it was kept.</summary>
    public Uptime? Up { get; init; }

    /// <summary>
    /// Seconds since mappings began to be kept, at the time of saving, with their fraction: whole ones would lose up to two at a restart, and a client that finds an epoch more than one second
    /// behind takes its mappings for lost (RFC 6887 section 8.5).
    /// </summary>
    public required double Epoch { get; init; }

    /// <summary>The shared address that they are of.</summary>
    public string? Address { get; init; }

    /// <summary>What the UPnP device is called by, what its paths begin with, and where it was, so that programs find it again as they knew it.</summary>
    public required Guid DeviceId { get; init; }

    public required string Secret { get; init; }

    public int WebPort { get; init; }

    public uint BootId { get; init; }

    public IReadOnlyList<SavedForward> Household { get; init; } = [];

    public IReadOnlyList<SavedClaim> Claims { get; init; } = [];
}

/// <summary>A port and where it leads.</summary>
sealed record SavedForward(string Protocol, ushort Port, string Host, ushort HostPort)
{
    public static SavedForward Of(PortForward forward) => new(forward.Protocol == IpProtocol.Udp ? "udp" : "tcp", forward.Port, $"{forward.Host}", forward.HostPort);

    public PortForward Read() => new(Protocol == "udp" ? IpProtocol.Udp : IpProtocol.Tcp, Port, IPv4Address.Parse(Host), HostPort);
}

/// <summary>A claim on a mapping.</summary>
sealed record SavedClaim(SavedForward Forward, MappingProtocol By, uint Seconds)
{
    public string? Nonce { get; init; }

    public ushort? SetFirst { get; init; }

    public ushort? SetSize { get; init; }

    public string Description { get; init; } = "";

    public static SavedClaim Of(PortMapping mapping, MappingProtocol by, MappingClaim claim, long now) => new(SavedForward.Of(mapping.Forward), by, MappingBook.SecondsLeft(claim, now))
    {
        Nonce = claim.Nonce?.ToString(),
        SetFirst = claim.Set?.First,
        SetSize = claim.Set?.Size,
        Description = claim.Description,
    };

    /// <param name="passed">Seconds since it was kept.</param>
    /// <param name="now">The book's time.</param>
    public (PortForward Forward, MappingProtocol By, MappingClaim Claim) Read(long passed, long now) => (Forward.Read(), By, new MappingClaim(now + Seconds - passed)
    {
        Nonce = Nonce is { } nonce ? PcpNonce.Read(Convert.FromHexString(nonce)) : null,
        Set = SetFirst is { } first && SetSize is { } size ? new MappingSet(first, size) : null,
        Description = Description,
    });
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true, UseStringEnumConverter = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(SavedMappings))]
sealed partial class MappingJson : JsonSerializerContext;

/// <summary>The file of these. Nothing of it is needed for packets to pass: where it cannot be written, that is said, and all goes on.</summary>
/// <param name="directory">Made when there is something to keep.</param>
/// <param name="log">Told of a file that is damaged.</param>
sealed class MappingStore(string directory, DaemonLog log)
{
    readonly string _path = Path.Combine(directory, "mappings.json");

    /// <summary>What was kept; null where nothing was, or what is there means nothing: it is put aside then, so that the household may see what it had.</summary>
    /// <exception cref="APlusPException">AP3016: it cannot be read.</exception>
    public SavedMappings? Load()
    {
        try
        {
            if (!File.Exists(_path)) return null;
            byte[] bytes = File.ReadAllBytes(_path);
            try
            {
                return Read(bytes);
            }
            catch (Exception fault) when (fault is JsonException or FormatException or ArgumentException or NullReferenceException)
            {
                string aside = $"{_path}.damaged";
                File.Move(_path, aside, overwrite: true);
                log.MappingsDamaged(_path, fault.Message, aside);
                return null;
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new APlusPException(ErrorCodes.MappingState, $"what this SMAP keeps of port mappings in {_path} cannot be read: {error.Message} Let its user read and write there, or delete the file: programs then ask for their ports again, and forwards of the household are to be added again.", error);
        }
    }

    static SavedMappings Read(byte[] bytes)
    {
        SavedMappings saved = JsonSerializer.Deserialize(bytes, MappingJson.Default.SavedMappings)!;
        if (saved.Epoch < 0) throw new FormatException($"No epoch is {saved.Epoch} seconds long.");
        if (saved.Up is { Seconds: < 0 } up) throw new FormatException($"No machine is up for {up.Seconds} seconds.");
        foreach (SavedForward forward in saved.Household) forward.Read();
        foreach (SavedClaim claim in saved.Claims)
        {
            claim.Read(0, 0);
            if (!Enum.IsDefined(claim.By)) throw new FormatException($"Nobody asks by {claim.By}.");
        }

        if (saved.Address is { } address) IPv4Address.Parse(address);
        return saved;
    }

    /// <exception cref="APlusPException">AP3016: it cannot be written.</exception>
    public void Save(SavedMappings saved)
    {
        try
        {
            Directory.CreateDirectory(directory, StateFile.OwnerOnly | UnixFileMode.UserExecute);
            StateFile.Replace(_path, file => JsonSerializer.Serialize(file, saved, MappingJson.Default.SavedMappings));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new APlusPException(ErrorCodes.MappingState, $"this SMAP cannot keep its port mappings in {_path}: {error.Message} Set `state` in [port-control] to a directory that this user may write.", error);
        }
    }
}
