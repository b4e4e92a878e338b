using System.ComponentModel;
using System.Diagnostics;
using APlusP.Core;

namespace APlusP.Linux;

/// <summary>Tables of our own in nftables, by nft(8). Each is changed as a whole, and nobody else's is touched.</summary>
public static class Nftables
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    /// <summary>Makes a table what the text says and nothing else; packets meet the old one or the new one.</summary>
    /// <param name="family">"ip", "ip6", "inet" or "netdev".</param>
    /// <param name="table">Its name.</param>
    /// <param name="chains">What stands within its braces.</param>
    /// <exception cref="APlusPException">AP2006: nft refuses it, or is not there.</exception>
    public static void Replace(string family, string table, string chains) =>
        Run($"table {family} {table}\ndelete table {family} {table}\ntable {family} {table} {{\n{chains}\n}}\n", $"make the table {family} {table}");

    /// <summary>Takes a table away; that there is none is fine.</summary>
    /// <exception cref="APlusPException">AP2006.</exception>
    public static void Remove(string family, string table) => Run($"table {family} {table}\ndelete table {family} {table}\n", $"remove the table {family} {table}");

    /// <summary>A table as nft(8) tells it in JSON.</summary>
    /// <exception cref="APlusPException">AP2006: there is none, or nft is not there.</exception>
    public static string List(string family, string table) => Run("", $"list the table {family} {table}", "-j", "list", "table", family, table);

    static void Run(string commands, string what) => Run(commands, what, "-f", "-");

    static string Run(string commands, string what, params string[] arguments)
    {
        try
        {
            using Process nft = Process.Start(new ProcessStartInfo("nft", arguments) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardError = true, RedirectStandardOutput = true })!;
            Task<string> refusal = nft.StandardError.ReadToEndAsync(), said = nft.StandardOutput.ReadToEndAsync();
            nft.StandardInput.Write(commands);
            nft.StandardInput.Close();
            if (!nft.WaitForExit(s_patience))
            {
                nft.Kill();
                nft.WaitForExit();
            }

            Task.WaitAll(refusal, said);
            return nft.ExitCode == 0 ? said.Result : throw Refused(refusal.Result.Trim());
        }
        catch (Exception error) when (error is Win32Exception or IOException)
        {
            throw Refused($"{error.Message}. Is the package nftables installed?");
        }

        APlusPException Refused(string why) => new(ErrorCodes.NftablesRefused, $"nft could not {what}: {why}");
    }
}
