using System.Text;
using APlusP.Node.Configuration;

namespace APlusP.Node.Lan;

/// <summary>LANs whose hosts and those of the others are strangers, as guests are: nothing is forwarded from one to the other, and who tries is told.</summary>
static class IsolatedLans
{
    /// <summary>The rules of a forward chain, a line each.</summary>
    /// <param name="configuration">The LANs.</param>
    /// <param name="answer">What a sender hears, in nft's words.</param>
    public static string Rules(SmapConfiguration configuration, string answer)
    {
        var text = new StringBuilder();
        foreach (SmapLan lan in configuration.Lans.Where(l => l.IsIsolated))
        {
            string others = string.Join(", ", configuration.Lans.Where(l => l != lan).Select(l => $"\"{l.Device}\""));
            if (others.Length == 0) continue;
            text.AppendLine($"        iifname \"{lan.Device}\" oifname {{ {others} }} counter reject with {answer}");
            text.AppendLine($"        iifname {{ {others} }} oifname \"{lan.Device}\" counter reject with {answer}");
        }

        return text.ToString();
    }
}
