using System.IO.Compression;
using System.Numerics;
using APlusP.Survey.Counting;

namespace APlusP.Survey.Storage;

/// <summary>
/// The counts of one tick as octets: the hosts by rising number, and of each what is not zero. Numbers are LEB128, the last of each list is left out, since the
/// sums are known; the whole is compressed by Brotli. docs/survey.md has the same for readers in other languages.
/// </summary>
/// <remarks>
/// <code>
/// hosts
/// each host: number less the one before | form | ports | [minimum] | [peak - ports] | [flows - ports] | protocols | mask, applications | [mask, states]
/// form:      bits 0-3 which protocols are there, 4 minimum is known, 5 peak is more than ports, 6 flows are more than ports
/// </code>
/// </remarks>
sealed class TickCodec
{
    const int MinimumKnown = 0x10, HasPeak = 0x20, HasFlows = 0x40, ProtocolMask = 0x0f;

    // Brotli's fastest, with a window that holds a tick of thousands of hosts.
    const int Quality = 1, Window = 18;

    readonly List<HostCounts> _hosts = [];
    byte[] _plain = new byte[1 << 16];
    byte[] _packed = new byte[1 << 16];
    int _at;

    /// <summary>The octets of these hosts, which are sorted by number; borrowed until the next call.</summary>
    /// <param name="columns">The store's number of each application.</param>
    public ReadOnlySpan<byte> Write(IReadOnlyList<(int Host, HostCounts Counts)> hosts, ReadOnlySpan<int> columns)
    {
        Span<int> applications = stackalloc int[64];
        applications.Clear();
        _at = 0;
        Number(hosts.Count);
        int before = 0;
        foreach ((int host, HostCounts counts) in hosts)
        {
            Number(host - before);
            before = host;
            for (int i = 0; i < columns.Length; i++) applications[columns[i]] = counts.ByApplication[i];
            Write(counts, applications);
        }

        int most = BrotliEncoder.GetMaxCompressedLength(_at);
        if (_packed.Length < most) _packed = new byte[most];
        BrotliEncoder.TryCompress(_plain.AsSpan(0, _at), _packed, out int written, Quality, Window);
        return _packed.AsSpan(0, written);
    }

    void Write(HostCounts counts, ReadOnlySpan<int> applications)
    {
        int form = (int)Mask(counts.ByProtocol);
        if (counts.MinimumPorts >= 0) form |= MinimumKnown;
        if (counts.PeakPorts > counts.Ports) form |= HasPeak;
        if (counts.Flows > counts.Ports) form |= HasFlows;
        Number(form);
        Number(counts.Ports);
        if ((form & MinimumKnown) != 0) Number(counts.MinimumPorts);
        if ((form & HasPeak) != 0) Number(counts.PeakPorts - counts.Ports);
        if ((form & HasFlows) != 0) Number(counts.Flows - counts.Ports);
        Counts(counts.ByProtocol, Mask(counts.ByProtocol));
        WithMask(applications);
        if (counts.ByProtocol[0] > 0) WithMask(counts.ByState);
    }

    static ulong Mask(ReadOnlySpan<int> counts)
    {
        ulong mask = 0;
        for (int i = 0; i < counts.Length; i++)
            if (counts[i] > 0) mask |= 1UL << i;
        return mask;
    }

    void WithMask(ReadOnlySpan<int> counts)
    {
        ulong mask = Mask(counts);
        Number(mask);
        Counts(counts, mask);
    }

    void Counts(ReadOnlySpan<int> counts, ulong mask)
    {
        for (; (mask & (mask - 1)) != 0; mask &= mask - 1) Number(counts[BitOperations.TrailingZeroCount(mask)]);
    }

    void Number(long value) => Number((ulong)value);

    void Number(ulong value)
    {
        if (_plain.Length - _at < 10) Array.Resize(ref _plain, _plain.Length * 2);
        for (; value > 0x7f; value >>= 7) _plain[_at++] = (byte)(value | 0x80);
        _plain[_at++] = (byte)value;
    }

    /// <summary>Reads a tick's hosts into <paramref name="hosts"/>; their counts are borrowed until the next call.</summary>
    /// <exception cref="InvalidDataException">The octets are no tick.</exception>
    /// <param name="packed">The octets.</param>
    /// <param name="applications">How many there are.</param>
    /// <param name="hosts">Filled.</param>
    /// <param name="most">Hosts that it may have: what somebody sent is not believed.</param>
    public void Read(ReadOnlySpan<byte> packed, int applications, List<(int Host, HostCounts Counts)> hosts, int most = int.MaxValue)
    {
        int length;
        while (!BrotliDecoder.TryDecompress(packed, _plain, out length))
        {
            // Too small, or damaged; it tells neither.
            if (_plain.Length > 1 << 26) throw new InvalidDataException("a tick cannot be decompressed");
            _plain = new byte[_plain.Length * 2];
        }

        hosts.Clear();
        var reader = new Reader(_plain.AsSpan(0, length));
        int count = reader.Number(), host = 0;
        if (count < 0 || count > most) throw new InvalidDataException("a tick has more hosts than there are");
        for (int i = 0; i < count; i++)
        {
            if (_hosts.Count == i) _hosts.Add(new HostCounts());
            HostCounts counts = _hosts[i];
            host += reader.Number();
            if (counts.ByApplication.Length != applications) counts.ByApplication = new int[applications];
            Read(ref reader, counts);
            hosts.Add((host, counts));
        }
    }

    static void Read(ref Reader reader, HostCounts counts)
    {
        int form = reader.Number();
        counts.Ports = reader.Number();
        counts.MinimumPorts = (form & MinimumKnown) != 0 ? reader.Number() : -1;
        counts.PeakPorts = counts.Ports + ((form & HasPeak) != 0 ? reader.Number() : 0);
        counts.Flows = counts.Ports + ((form & HasFlows) != 0 ? reader.Number() : 0);
        reader.Counts(counts.ByProtocol, (ulong)(form & ProtocolMask), counts.Ports);
        reader.Counts(counts.ByApplication, reader.LongNumber(), counts.Ports);
        int tcp = counts.ByProtocol[0];
        reader.Counts(counts.ByState, tcp > 0 ? reader.LongNumber() : 0, tcp);
    }

    ref struct Reader(ReadOnlySpan<byte> octets)
    {
        readonly ReadOnlySpan<byte> _octets = octets;
        int _at;

        public int Number()
        {
            // Most numbers are of one octet.
            if (_at < _octets.Length && _octets[_at] is < 0x80 and var octet)
            {
                _at++;
                return octet;
            }

            return (int)LongNumber();
        }

        public ulong LongNumber()
        {
            ulong value = 0;
            for (int shift = 0; ; shift += 7)
            {
                if (_at == _octets.Length) throw new InvalidDataException("a tick ends too early");
                byte octet = _octets[_at++];
                value |= (ulong)(octet & 0x7f) << shift;
                if (octet < 0x80) return value;
            }
        }

        /// <summary>The counts that the mask names; the last is what is left of the sum.</summary>
        public void Counts(Span<int> counts, ulong mask, int sum)
        {
            counts.Clear();
            for (; mask != 0; mask &= mask - 1)
            {
                int count = (mask & (mask - 1)) != 0 ? Number() : sum;
                int i = BitOperations.TrailingZeroCount(mask);
                if (i >= counts.Length) throw new InvalidDataException("a tick has an application that the store does not name");
                counts[i] = count;
                sum -= count;
            }
        }
    }
}
