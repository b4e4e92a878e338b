namespace APlusP.Core;

/// <summary>
/// An error that a person can do something about: start-up, configuration and kernel calls. The message says what was tried, on
/// what, why it failed and what to do. Every code is a heading in docs/errors.md.
/// </summary>
public sealed class APlusPException(string code, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>One of <see cref="ErrorCodes"/>.</summary>
    public string Code { get; } = code;
}

/// <summary>Codes of errors: AP1 configuration, AP2 kernel, AP3 daemons and their control, AP4 captures, AP5 lab.</summary>
public static class ErrorCodes
{
    /// <summary>A configuration file cannot be read.</summary>
    public const string ConfigurationUnreadable = "AP1001";

    /// <summary>A configuration file has faults; each is printed with its place.</summary>
    public const string ConfigurationFaulty = "AP1002";

    /// <summary>Two bindings contradict each other.</summary>
    public const string BindingConflict = "AP1003";
}
