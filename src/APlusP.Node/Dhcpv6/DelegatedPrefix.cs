using System.Diagnostics;
using APlusP.Core.Addresses;

namespace APlusP.Node.Dhcpv6;

/// <summary>A prefix that we hold for a time.</summary>
/// <param name="Prefix">It.</param>
/// <param name="PreferredUntil">Until when it is for something new, by <see cref="Now"/>; <see cref="TimeSpan.MaxValue"/> for ever.</param>
readonly record struct DelegatedPrefix(IPv6Prefix Prefix, TimeSpan PreferredUntil)
{
    /// <summary>The time by a clock that nobody sets.</summary>
    public static TimeSpan Now => Stopwatch.GetElapsedTime(0);
}
