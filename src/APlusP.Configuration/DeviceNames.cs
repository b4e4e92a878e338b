namespace APlusP.Configuration;

/// <summary>What Linux takes as the name of a network device.</summary>
public static class DeviceNames
{
    /// <summary>The rest of a sentence that refuses one.</summary>
    public const string Form = "not a name that Linux gives a device: 1 to 15 ASCII characters without space, slash, colon and percent.";

    public static bool IsName(string name) => name.Length is >= 1 and <= 15 && name is not ("." or "..") && !name.Any(c => c is '/' or ':' or '%' or > '~' or <= ' ');
}
