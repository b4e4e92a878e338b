namespace APlusP.LabTests;

/// <summary>Classes whose tests measure: they have the machine for themselves, after all others, one by one.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
