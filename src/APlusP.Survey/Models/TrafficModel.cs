using APlusP.Core.Wire;

namespace APlusP.Survey.Models;

/// <summary>What an application does on the network, in numbers: which flows it opens, when, and for how long. It is data, docs/models.md describes the file; <see cref="Timeline"/> makes one performance of it.</summary>
/// <param name="Name">Lower-case letters, digits and hyphens.</param>
/// <param name="About">What it is, in a sentence.</param>
/// <param name="Length">How long it takes.</param>
/// <param name="Flows">In the order of the file.</param>
public sealed record TrafficModel(string Name, string About, TimeSpan Length, IReadOnlyList<FlowGroup> Flows);

/// <summary>Flows of a model that are alike, each from a port of its own.</summary>
/// <param name="Application">As the survey's rules name it.</param>
/// <param name="Protocol">TCP or UDP.</param>
/// <param name="Ports">The remote ports: remote end n has the one at n modulo their number.</param>
/// <param name="IsIPv6">Its family; flows of IPv6 take no port of a shared address.</param>
/// <param name="Count">How many.</param>
/// <param name="Remotes">How many remote ends they go to, one after the other.</param>
/// <param name="FirstRemote">The first of them.</param>
/// <param name="From">The first is opened no sooner, from the model's beginning on.</param>
/// <param name="Until">The last is opened no later.</param>
/// <param name="Lives">How long each lives; zero is a question and its answer; null is until the model is over.</param>
/// <param name="Stays">Whether they stay open when the model is over, where they live that long.</param>
public sealed record FlowGroup(
    string Application, IpProtocol Protocol, IReadOnlyList<ushort> Ports, bool IsIPv6, int Count, int Remotes, int FirstRemote, TimeSpan From, TimeSpan Until, TimeSpan? Lives, bool Stays);

/// <summary>Another end of flows: the application's n-th, whichever model it stands in, as a home asks one resolver for all.</summary>
/// <param name="Application">As the survey's rules name it.</param>
/// <param name="Number">From 0.</param>
/// <param name="Protocol">TCP or UDP.</param>
/// <param name="Port">Its port.</param>
/// <param name="IsIPv6">Its family.</param>
public readonly record struct RemoteEnd(string Application, int Number, IpProtocol Protocol, ushort Port, bool IsIPv6);
