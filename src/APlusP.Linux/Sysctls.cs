using APlusP.Core;

namespace APlusP.Linux;

/// <summary>Kernel settings under /proc/sys that were changed, with what they were, so that exactly those are put back.</summary>
public sealed class Sysctls : IDisposable
{
    readonly Stack<(string Path, string Before, string Now)> _changes = new();

    /// <summary>Gives a setting this value, where it has another.</summary>
    /// <param name="name">With slashes, as in <c>net/ipv4/ip_forward</c>, since device names may contain dots.</param>
    /// <param name="value">The value.</param>
    /// <exception cref="APlusPException">AP2005: the setting cannot be read or written.</exception>
    public void Set(string name, string value)
    {
        string path = Path.Combine("/proc/sys", name);
        try
        {
            string before = File.ReadAllText(path).Trim();
            if (before == value) return;
            File.WriteAllText(path, value);
            _changes.Push((path, before, value));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new APlusPException(ErrorCodes.SysctlRefused, $"cannot set {name} to {value}: {error.Message}. It takes CAP_NET_ADMIN and a writable /proc/sys; in a container, set it from outside with `sysctl -w {name.Replace('/', '.')}={value}`.", error);
        }
    }

    /// <summary>The value of a setting, or null where the kernel does not have it.</summary>
    public static string? Get(string name)
    {
        string path = Path.Combine("/proc/sys", name);
        return File.Exists(path) ? File.ReadAllText(path).Trim() : null;
    }

    /// <summary>What was changed, for a process after this one to put back: a line for each, of path, value before and value now.</summary>
    public IReadOnlyList<string> Remember() => [.. _changes.Reverse().Select(c => $"{c.Path}\t{c.Before}\t{c.Now}")];

    /// <summary>Takes over what another process has changed.</summary>
    /// <param name="lines">As from <see cref="Remember"/>.</param>
    public void TakeOver(IEnumerable<string> lines)
    {
        foreach (string line in lines)
            if (line.Split('\t') is [var path, var before, var now] && path.StartsWith("/proc/sys/", StringComparison.Ordinal)) _changes.Push((path, before, now));
    }

    /// <summary>Leaves everything as it is now.</summary>
    public void Keep() => _changes.Clear();

    /// <summary>Puts back what was changed, last first; a value that somebody else has changed since stays.</summary>
    public void Dispose()
    {
        foreach ((string path, string before, string now) in _changes)
        {
            try
            {
                if (File.ReadAllText(path).Trim() == now) File.WriteAllText(path, before);
            }
            catch (IOException)
            {
                // The device that the setting belonged to is gone, and the setting with it.
            }
        }

        _changes.Clear();
    }
}
