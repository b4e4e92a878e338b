using System.Runtime.InteropServices;
using APlusP.Core;

namespace APlusP.Linux.Bpf;

/// <summary>A map in the kernel. Keys and values are structs of exactly the layout that the program's source gives them.</summary>
public readonly unsafe struct BpfMap(string name, int fd, uint valueSize, uint entries)
{
    public string Name => name;

    public int Fd => fd;

    /// <summary>Entries that it holds at most.</summary>
    public uint Entries => entries;

    /// <summary>Sets an entry, new or known.</summary>
    /// <exception cref="APlusPException">AP2011: the kernel refuses.</exception>
    public void Set<TKey, TValue>(TKey key, TValue value)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        if (!TrySet(key, value, out int errno)) throw Failure("change", errno);
    }

    /// <summary>As <see cref="Set"/>; false where the map is full.</summary>
    public bool TrySet<TKey, TValue>(TKey key, TValue value, out int errno)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        CheckSize<TValue>();
        bool set = Libbpf.UpdateElement(fd, &key, &value, 0) >= 0;
        errno = set ? 0 : Marshal.GetLastPInvokeError();
        return set;
    }

    public bool TryGet<TKey, TValue>(TKey key, out TValue value)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        CheckSize<TValue>();
        value = default;
        fixed (TValue* place = &value) return Libbpf.LookupElement(fd, &key, place) >= 0;
    }

    /// <summary>Removes an entry; false where there is none.</summary>
    public bool Remove<TKey>(TKey key)
        where TKey : unmanaged => Libbpf.DeleteElement(fd, &key) >= 0;

    /// <summary>All keys, one after the other; entries that come and go meanwhile may be missed or told twice.</summary>
    public List<TKey> Keys<TKey>()
        where TKey : unmanaged
    {
        var keys = new List<TKey>();
        TKey key = default, next;
        bool more = Libbpf.NextKey(fd, null, &next) >= 0;
        while (more)
        {
            keys.Add(next);
            key = next;
            more = Libbpf.NextKey(fd, &key, &next) >= 0;
        }

        return keys;
    }

    /// <summary>The entry of a per-CPU array, one value for each possible CPU.</summary>
    public void ReadPerCpu<TValue>(uint index, Span<TValue> values)
        where TValue : unmanaged
    {
        fixed (TValue* start = values)
            if (Libbpf.LookupElement(fd, &index, start) < 0) throw Failure("read", Marshal.GetLastPInvokeError());
    }

    /// <summary>Sets the entry of a per-CPU array.</summary>
    public void WritePerCpu<TValue>(uint index, ReadOnlySpan<TValue> values)
        where TValue : unmanaged
    {
        fixed (TValue* start = values)
            if (Libbpf.UpdateElement(fd, &index, start, 0) < 0) throw Failure("change", Marshal.GetLastPInvokeError());
    }

    /// <summary>Maps an array into memory, so that an entry is a place that both sides see, whatever becomes of the map's descriptor.</summary>
    public MappedArray<TValue> Share<TValue>()
        where TValue : unmanaged
    {
        CheckSize<TValue>();
        void* memory = LibC.MMap(null, MappedArray<TValue>.Octets(entries), LibC.PROT_READ | LibC.PROT_WRITE, LibC.MAP_SHARED, fd, 0);
        return memory == (void*)-1 ? throw Failure("map", Marshal.GetLastPInvokeError()) : new MappedArray<TValue>((TValue*)memory, entries);
    }

    void CheckSize<TValue>()
        where TValue : unmanaged
    {
        if (sizeof(TValue) != valueSize) throw new InvalidOperationException($"The map {name} has values of {valueSize} octets, {typeof(TValue).Name} has {sizeof(TValue)}.");
    }

    APlusPException Failure(string what, int errno) => new(ErrorCodes.FastPathMapRefused, $"cannot {what} the eBPF map {name}: {LibC.Reason(errno)}.");
}

/// <summary>An array that programs in the kernel and this process share.</summary>
public readonly unsafe struct MappedArray<T>(T* start, uint count) : IDisposable
    where T : unmanaged
{
    public int Count => (int)count;

    public ref T this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, count, nameof(index));
            return ref start[index];
        }
    }

    /// <summary>Whole pages, as the kernel maps them.</summary>
    internal static nuint Octets(uint count) => (nuint)count * (nuint)sizeof(T) + 4095 & ~(nuint)4095;

    public void Dispose() => _ = LibC.MUnmap(start, Octets(count));
}
