using System.Buffers;
using System.Text.Json;
using System.Text.Unicode;
using APlusP.Registry.Leases;
using APlusP.Registry.Memory;

namespace APlusP.Registry.Api;

/// <summary>
/// The lines of the feed. What they hold is ours and plain ASCII, so it needs no escapes; of a million of them none makes an object.
/// <code>
/// {"begins":"snapshot","leases":1000000,"why":"no version was given"}    all leases follow; who is not among them has none
/// {"begins":"changes"}                                                   changes follow, from the version that was asked for on
/// {"softwire":"2001:db8::1","address":"192.0.2.0","ports":"1024-1151","until":1764248360623}
/// {"softwire":"2001:db8::2",...,"names":[{"name":"www.example.org","http":1180,"https":1443,"proxied":true}]}
/// {"gone":"2001:db8::1"}
/// {"version":"3:0f1e2d3c4b5a6978","after":"2:23836071eca1d3a4","lines":2,"at":1764161960623,"now":1764161960625}
/// </code>
/// The last is a heartbeat too, with the version that was told before and no lines.
/// </summary>
static class FeedLines
{
    // The ports of a lease can be many ranges.
    const int Usual = 256, UsualName = 96;

    public static void BeginChanges(IBufferWriter<byte> to) => to.Write("{\"begins\":\"changes\"}\n"u8);

    public static void BeginSnapshot(IBufferWriter<byte> to, long leases, string why) =>
        Finish(to, Utf8.TryWrite(to.GetSpan(Usual + 6 * why.Length), $"{{\"begins\":\"snapshot\",\"leases\":{leases},\"why\":\"{JsonEncodedText.Encode(why)}\"}}\n", out int octets), octets);

    public static void Write(IBufferWriter<byte> to, FedLease lease)
    {
        int octets;
        if (lease.Address is not { } address) Finish(to, Utf8.TryWrite(to.GetSpan(Usual), $"{{\"gone\":\"{lease.Softwire}\"}}\n", out octets), octets);
        else
        {
            Span<byte> room = to.GetSpan(Usual + lease.Ports!.Length);
            Finish(to, Utf8.TryWrite(room, $"{{\"softwire\":\"{lease.Softwire}\",\"address\":\"{address >> 24}.{(byte)(address >> 16)}.{(byte)(address >> 8)}.{(byte)address}\",\"ports\":\"{lease.Ports}\",\"until\":{lease.Until}", out octets), octets);
            if (lease.Names.Count > 0) Write(to, lease.Names);
            to.Write("}\n"u8);
        }
    }

    static void Write(IBufferWriter<byte> to, IReadOnlyList<ServerName> names)
    {
        string before = ",\"names\":[";
        foreach (ServerName name in names)
        {
            string http = name.Http is { } port ? $",\"http\":{port}" : "", https = name.Https is { } secure ? $",\"https\":{secure}" : "", proxied = name.IsProxied ? ",\"proxied\":true" : "";
            Finish(to, Utf8.TryWrite(to.GetSpan(UsualName + name.Name.Length), $"{before}{{\"name\":\"{name.Name}\"{http}{https}{proxied}}}", out int octets), octets);
            before = ",";
        }

        to.Write("]"u8);
    }

    public static void WriteVersion(IBufferWriter<byte> to, FeedVersion version, FeedVersion? after, int lines, long at, DateTimeOffset now)
    {
        string before = after is { } known ? $"\"after\":\"{known}\"," : "";
        Finish(to, Utf8.TryWrite(to.GetSpan(Usual), $"{{\"version\":\"{version}\",{before}\"lines\":{lines},\"at\":{at},\"now\":{now.ToUnixTimeMilliseconds()}}}\n", out int octets), octets);
    }

    static void Finish(IBufferWriter<byte> to, bool fits, int octets)
    {
        if (!fits) throw new InvalidOperationException("a line of the feed is longer than the room for it");
        to.Advance(octets);
    }
}
