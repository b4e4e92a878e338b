using APlusP.Lab;

namespace APlusP.LabTests;

/// <summary>A resolver of tests, which knows one name.</summary>
static class TestResolver
{
    /// <summary>Starts it at an address of a host, and waits until it listens.</summary>
    /// <param name="host">Where.</param>
    /// <param name="at">Its address.</param>
    /// <param name="log">For what it was asked.</param>
    /// <param name="addresses">Those of www.example.</param>
    public static LabProcess StartResolver(this NetworkNamespace host, string at, string log, params string[] addresses)
    {
        LabProcess resolver = host.Start($"resolver {at}", log, "dnsmasq", "-C", "/dev/null", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--user=root", "--pid-file=",
            "--bind-interfaces", $"--listen-address={at}", "--except-interface=nowhere", $"--host-record=www.example,{string.Join(',', addresses)}", "--log-facility=-", "--log-queries");
        resolver.WaitUntil(() => host.Run("ss", "-Huln").Output.Contains($"[{at}]:53", StringComparison.Ordinal), TimeSpan.FromSeconds(20), "listen");
        return resolver;
    }
}
