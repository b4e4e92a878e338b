namespace APlusP.Node.Configuration;

/// <summary>Reads the configuration files of PRR and SMAP.</summary>
public static class ConfigurationFile
{
    /// <exception cref="Core.APlusPException">The file cannot be read, or has faults; the message holds all of them.</exception>
    public static PrrConfiguration LoadPrr(string path) => throw new NotSupportedException(path);

    /// <inheritdoc cref="LoadPrr"/>
    public static SmapConfiguration LoadSmap(string path) => throw new NotSupportedException(path);
}
