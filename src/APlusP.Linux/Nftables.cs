using System.Buffers.Binary;
using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using APlusP.Core;

namespace APlusP.Linux;

/// <summary>Tables of our own in nftables, by nft(8). Each is changed as a whole, and nobody else's is touched.</summary>
public static unsafe class Nftables
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

    /// <summary>Whether there is a table of that name.</summary>
    public static bool Has(string family, string table)
    {
        try
        {
            List(family, table);
            return true;
        }
        catch (APlusPException)
        {
            return false;
        }
    }

    /// <summary>A number of the ruleset that is another after each change, whoever makes it: cheaper to ask for than what has changed. Null where the kernel does not say.</summary>
    public static uint? Generation()
    {
        // <linux/netfilter/nfnetlink.h> and nf_tables.h: the subsystem, NFT_MSG_NEWGEN and NFT_MSG_GETGEN, and NFTA_GEN_ID.
        const int subsystem = 10, told = 15, ask = 16, number = 1;
        const int family = 4;
        int fd;
        try
        {
            fd = NetlinkSocket.Open(NetlinkSocket.Netfilter, 0, "ask for the ruleset's number", (what, errno) => new APlusPException(ErrorCodes.NftablesRefused, $"cannot {what}: {LibC.Reason(errno)}."));
        }
        catch (APlusPException)
        {
            return null;
        }

        try
        {
            Span<byte> request = stackalloc byte[NetlinkMessage.HeaderSize + family];
            request.Clear();
            MemoryMarshal.Write(request, request.Length);
            MemoryMarshal.Write(request[4..], (ushort)(subsystem << 8 | ask));
            MemoryMarshal.Write(request[6..], (ushort)1); // NLM_F_REQUEST
            byte* answer = stackalloc byte[1024];
            fixed (byte* octets = request)
                if (LibC.SendTo(fd, octets, (nuint)request.Length, 0, null, 0) < 0) return null;
            nint received = LibC.Receive(fd, answer, 1024, LibC.MSG_DONTWAIT);
            if (received <= 0) return null;
            foreach (NetlinkMessage message in NetlinkMessage.All(new ReadOnlySpan<byte>(answer, (int)received)))
            {
                if (message.Type != (subsystem << 8 | told) || message.Body.Length < family) continue;
                foreach (NetlinkAttribute attribute in NetlinkAttribute.All(message.Body[family..]))
                    if (attribute.Type == number && attribute.Value.Length == sizeof(uint)) return BinaryPrimitives.ReadUInt32BigEndian(attribute.Value);
            }

            return null;
        }
        finally
        {
            _ = LibC.Close(fd);
        }
    }

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
