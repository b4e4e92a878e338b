using System.Text.Json.Serialization;

namespace APlusP.Node.Control;

/// <summary>
/// One line of the stream by which bindings change while a PRR runs: the verb <c>bindings</c> on its control socket, and then as many of these as one likes, each answered by
/// a <see cref="BindingAnswer"/> in the same order. Whoever sends many need not wait for the answers in between.
/// </summary>
/// <remarks>
/// A subscriber is known by its softwire. <c>add</c> makes a binding, which must be a new one; <c>change</c> gives the subscriber what the line says and leaves it the rest; <c>set</c> is
/// whichever of the two is needed, so that it can be sent again without harm, and makes the binding exactly what the line says; <c>remove</c> and <c>show</c> take a softwire or a name; <c>list</c> gives all.
/// </remarks>
public sealed record BindingRequest
{
    /// <summary>add, change, set, remove, show or list.</summary>
    public string? Op { get; init; }

    public string? Address { get; init; }

    /// <summary>The port set, in the form of the configuration.</summary>
    public string? Ports { get; init; }

    public string? Softwire { get; init; }

    /// <summary>The PRR's end; the first of <c>softwire-address</c> where it is left out.</summary>
    public string? Prr { get; init; }

    /// <summary>That of the PRR where it is left out.</summary>
    public int? PathMtu { get; init; }

    public string? Name { get; init; }
}

/// <summary>What came of a <see cref="BindingRequest"/>: done, or a code and a message.</summary>
public sealed record BindingAnswer
{
    /// <summary>added, changed, unchanged, removed, shown or listed.</summary>
    public string? Done { get; init; }

    /// <summary>The binding that <c>show</c> asks for, or one of those of <c>list</c>: the answer with <see cref="Done"/> comes behind the last.</summary>
    public BindingEntry? Binding { get; init; }

    /// <summary>Bindings that were listed.</summary>
    public int? Count { get; init; }

    /// <summary>Done, but somebody should look at this.</summary>
    public string? Warning { get; init; }

    /// <summary>Code of the error, where nothing was done.</summary>
    public string? Code { get; init; }

    public string? Message { get; init; }
}

/// <summary>A binding as it is told, in the words of a <see cref="BindingRequest"/>. What is as for all others is left out of a list.</summary>
public sealed record BindingEntry(string Address, string Ports, string Softwire, string? Prr, int? PathMtu, string? Name);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(BindingRequest))]
[JsonSerializable(typeof(BindingAnswer))]
public sealed partial class BindingJson : JsonSerializerContext;
