namespace APlusP.Core.Bindings;

/// <summary>One change of a <see cref="BindingTable"/>, after it took effect.</summary>
/// <param name="Before">What the subscriber had; null where the binding was added.</param>
/// <param name="After">What the same subscriber (the same <see cref="Binding.Softwire"/>) has now; null where the binding was removed.</param>
public readonly record struct BindingChange(Binding? Before, Binding? After);
