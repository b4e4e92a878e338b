using System.Runtime.InteropServices;
using APlusP.Core;

namespace APlusP.Linux.Bpf;

/// <summary>Names in a BPF file system, by which maps outlive the process that made them.</summary>
static class BpfPin
{
    /// <summary>Gives a map this name, in the place of what had it.</summary>
    /// <exception cref="APlusPException">AP2013.</exception>
    public static void Replace(int fd, string path)
    {
        string aside = path + "-new";
        File.Delete(aside);
        if (Libbpf.Pin(fd, aside) < 0)
            throw new APlusPException(ErrorCodes.FastPathNotMounted, $"cannot pin an eBPF map at {path}: {Marshal.GetLastPInvokeErrorMessage()}. The directory must be writable for the daemon's user, on a BPF file system.");
        File.Move(aside, path, overwrite: true);
    }

    /// <summary>A map by its name, as its own descriptor says it is; null where there is none.</summary>
    public static unsafe BpfMap? Open(string path)
    {
        if (!File.Exists(path)) return null;
        int fd = Libbpf.Get(path);
        if (fd < 0) return null;

        // struct bpf_map_info: type, id, key size, value size, max entries, flags, name ...
        uint* info = stackalloc uint[64];
        uint length = 64 * sizeof(uint);
        new Span<uint>(info, 64).Clear();
        if (Libbpf.GetInfo(fd, info, &length) >= 0) return new BpfMap(Path.GetFileName(path), fd, info[3], info[4]);
        _ = LibC.Close(fd);
        return null;
    }
}
