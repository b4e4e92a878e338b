using System.Diagnostics.CodeAnalysis;
using APlusP.Core.Addresses;

namespace APlusP.Node.Configuration;

/// <summary>What people call subscribers: each name stands for one softwire.</summary>
public sealed class SubscriberNames
{
    readonly Dictionary<IPv6Address, string> _names = [];
    readonly Dictionary<string, IPv6Address> _softwires = new(StringComparer.Ordinal);

    /// <summary>Names by softwire; who has none is not here.</summary>
    public IReadOnlyDictionary<IPv6Address, string> BySoftwire => _names;

    /// <summary>False where the name is somebody's already.</summary>
    public bool TryAdd(IPv6Address softwire, string name)
    {
        if (!_softwires.TryAdd(name, softwire)) return false;
        _names[softwire] = name;
        return true;
    }

    public string? Of(IPv6Address softwire) => _names.GetValueOrDefault(softwire);

    public bool TryFind(string name, out IPv6Address softwire) => _softwires.TryGetValue(name, out softwire);

    public void Remove(IPv6Address softwire)
    {
        if (_names.Remove(softwire, out string? name)) _softwires.Remove(name);
    }

    /// <summary>Whether people can call somebody so; <paramref name="why"/> says what to write.</summary>
    public static bool IsName(string name, [NotNullWhen(false)] out string? why)
    {
        why = name.Length == 0 || name.Any(c => char.IsControl(c) || char.IsSurrogate(c))
            ? "'name' is empty or holds control characters; write what people call this subscriber." : null;
        return why is null;
    }
}
