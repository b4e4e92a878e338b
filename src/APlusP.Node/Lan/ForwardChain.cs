namespace APlusP.Node.Lan;

/// <summary>The chain of a table of ours that packets pass which this machine forwards; others' chains are asked too.</summary>
static class ForwardChain
{
    /// <param name="rules">A line each; empty for no chain.</param>
    public static string Of(string rules) => rules.Length == 0 ? "" : $$"""
            chain forward {
                type filter hook forward priority filter; policy accept;
        {{rules}}    }

        """;
}
