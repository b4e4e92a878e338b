using APlusP.Core;

namespace APlusP.Survey.Models;

/// <summary>The models that come along, those of the report of 2010, and those that somebody wrote.</summary>
public static class ModelLibrary
{
    const string Folder = "models/", Extension = ".toml";

    /// <summary>In alphabetical order.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. typeof(ModelLibrary).Assembly.GetManifestResourceNames().Where(name => name.StartsWith(Folder, StringComparison.Ordinal)).Select(name => name[Folder.Length..^Extension.Length]).Order(StringComparer.Ordinal)];

    /// <summary>The file of a model that comes along, to read, or to begin one's own with.</summary>
    /// <exception cref="APlusPException">AP7011: there is none of this name.</exception>
    public static string TextOf(string name)
    {
        if (!Names.Contains(name)) throw NoModel(name);
        using var reader = new StreamReader(typeof(ModelLibrary).Assembly.GetManifestResourceStream($"{Folder}{name}{Extension}")!);
        return reader.ReadToEnd();
    }

    /// <summary>A model that comes along.</summary>
    /// <exception cref="APlusPException">AP7011: there is none of this name.</exception>
    public static TrafficModel Get(string name) => ModelFile.Check($"{name}{Extension}", TextOf(name)).Require($"{name}{Extension}");

    /// <summary>A model by its name or, where there is a dot or a slash in it, out of a file.</summary>
    /// <exception cref="APlusPException">AP7011: there is none of this name. AP1001: the file cannot be read. AP1002: it has faults; the message holds all of them.</exception>
    public static TrafficModel Find(string nameOrFile) =>
        nameOrFile.AsSpan().IndexOfAny('.', '/') < 0 ? Get(nameOrFile) : ModelFile.Check(nameOrFile, ConfigurationText.Read(nameOrFile)).Require(nameOrFile);

    static APlusPException NoModel(string name) => new(ErrorCodes.NoSuchModel,
        $"there is no model '{name}'. Those that come along are {string.Join(", ", Names)}; a file is written with its ending or its directory, such as ./{name}{Extension}.");
}
