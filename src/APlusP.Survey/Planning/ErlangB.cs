namespace APlusP.Survey.Planning;

/// <summary>
/// Erlang's formula B: which share of new flows finds every port taken, when flows come at random and hold a port for a while. The load is the mean number of ports in use,
/// if none were refused (erlangs). Ports of people come in bursts, so a survey's tail is often heavier than this.
/// </summary>
public static class ErlangB
{
    /// <summary>The share that is refused with so many ports.</summary>
    public static double Refused(double erlangs, int ports)
    {
        // 1/B(n) = 1 + n/A * 1/B(n-1), which neither overflows nor cancels.
        double inverse = 1;
        for (int n = 1; n <= ports; n++) inverse = 1 + n / erlangs * inverse;
        return 1 / inverse;
    }

    /// <summary>The fewest ports with which no more than this share is refused.</summary>
    public static int Ports(double erlangs, double refusal)
    {
        double inverse = 1;
        int ports = 0;
        while (1 / inverse > refusal) inverse = 1 + ++ports / erlangs * inverse;
        return ports;
    }

    /// <summary>The highest load that so many ports carry with no more than this share refused.</summary>
    public static double Load(int ports, double refusal)
    {
        // n ports carry no more than n erlangs, so of a load beyond n/(1 - refusal) more is refused.
        double low = 0, high = ports / (1 - refusal) + 1;
        for (int i = 0; i < 60; i++)
        {
            double middle = (low + high) / 2;
            if (middle > 0 && Refused(middle, ports) > refusal) high = middle;
            else low = middle;
        }

        return low;
    }
}
