using System.Runtime.CompilerServices;
using APlusP.Core.Addresses;
using APlusP.Linux.Bpf;

namespace APlusP.Linux.FastPath;

/// <summary>
/// The shared addresses as programs find them: a hash table of buckets of a cache line. Who is not in the bucket of its hash is in one of the next, and
/// a record that was never used ends the search. A record is never moved: one that is free again waits for its address, or for another that comes by.
/// </summary>
sealed class SharedAddresses(MappedArray<BucketEntry> buckets) : IDisposable
{
    /// <summary>Buckets for so many addresses: three quarters full at most, so that nearly all are in their first.</summary>
    public static long BucketsFor(long addresses) => addresses / (BucketEntry.Records * 3 / 4) + BucketEntry.Most;

    public uint Buckets => (uint)buckets.Count;

    /// <summary>How this address's ports are divided; nothing where it is not shared.</summary>
    public PortsEntry this[IPv4Address address]
    {
        get
        {
            ref AddressEntry record = ref Find(address, toAdd: false);
            return Unsafe.IsNullRef(ref record) ? default : Unsafe.BitCast<ulong, PortsEntry>(record.Ports);
        }
    }

    public bool HasRoomFor(IPv4Address address) => !Unsafe.IsNullRef(ref Find(address, toAdd: true));

    /// <summary>Says how this address's ports are divided from now on. There is room for it.</summary>
    public void Set(IPv4Address address, PortsEntry ports)
    {
        ref AddressEntry record = ref Find(address, toAdd: true);

        // A program that sees the address before its ports finds nothing; one that takes the ports for those of the record's last address finds slots that say that they are not its.
        Volatile.Write(ref record.Address, NetworkAddress.Of(address));
        Volatile.Write(ref record.Ports, Unsafe.BitCast<PortsEntry, ulong>(ports));
    }

    /// <summary>The record of an address, or else, to add it, the first that is free; no record where there is none.</summary>
    ref AddressEntry Find(IPv4Address address, bool toAdd)
    {
        ref AddressEntry free = ref Unsafe.NullRef<AddressEntry>();
        uint wanted = NetworkAddress.Of(address);
        int at = (int)((address.Value * 0x9E3779B97F4A7C15ul >> 32) * Buckets >> 32);
        for (int i = 0; i < BucketEntry.Most; i++, at = at + 1 == buckets.Count ? 0 : at + 1)
        {
            foreach (ref AddressEntry record in (Span<AddressEntry>)buckets[at])
            {
                if (record.Address == wanted) return ref record;
                if (toAdd && record.Ports == 0 && Unsafe.IsNullRef(ref free)) free = ref record;
                if (record.Address == 0) return ref free;
            }
        }

        return ref free;
    }

    public void Dispose() => buckets.Dispose();
}
