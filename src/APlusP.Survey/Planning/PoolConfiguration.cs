using System.Text;
using APlusP.Core;
using APlusP.Core.Addresses;

namespace APlusP.Survey.Planning;

/// <summary>A plan as the configuration of a registry that carries it out.</summary>
public static class PoolConfiguration
{
    /// <exception cref="APlusPException">AP7005: no pool, or one that is no prefix.</exception>
    public static string Write(PlanDocument plan, IReadOnlyCollection<string> pools)
    {
        if (pools.Count == 0) throw new APlusPException(ErrorCodes.SurveySettings, "--pool is missing: the addresses that are shared, such as --pool 192.0.2.0/24.");
        bool isDynamic = plan.Recommendation == "dynamic";
        int block = isDynamic ? Math.Min(plan.Block!.Value, plan.PortsPerSubscriber) : plan.PortsPerSubscriber;
        int limit = (plan.PortsPerSubscriber + block - 1) / block * block;
        var text = new StringBuilder();
        text.Append("# From 'aplusp plan'. Start the registry with: aplusp registry --config THIS-FILE\n");
        foreach (string reason in plan.Reasons ?? []) text.Append("# ").Append(reason).Append('\n');
        text.Append("data = \"/var/lib/aplusp\"\n");
        foreach (string pool in pools)
        {
            if (!IPv4Prefix.TryParse(pool, out IPv4Prefix prefix, out string fault)) throw new APlusPException(ErrorCodes.SurveySettings, $"--pool: {fault}.");
            text.Append($"\n[[pool]]\nprefix = \"{prefix}\"\nblock = {block}\n");
        }

        return text.Append($"\n[[class]]\nname = \"home\"\nstart = {block}\nadd = {block}\nlimit = {limit}\n").ToString();
    }
}
