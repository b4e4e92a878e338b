namespace APlusP.Linux;

/// <summary>Where programs are.</summary>
public static class Executables
{
    /// <summary>The full path of a program, or null. Looks where root finds programs even if PATH leaves /usr/sbin out.</summary>
    public static string? Find(string program)
    {
        string path = Environment.GetEnvironmentVariable("PATH") ?? "";
        return $"{path}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Select(directory => Path.Combine(directory, program))
            .FirstOrDefault(File.Exists);
    }
}
