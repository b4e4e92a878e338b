using System.Runtime.InteropServices;
using APlusP.Core;

namespace APlusP.Linux.Bpf;

/// <summary>A BPF file system of our own, in which programs and maps outlive the process that made them.</summary>
public static partial class BpfFileSystem
{
    const long Magic = 0xcafe4a11;
    const int DetachWhenIdle = 2;

    /// <summary>Makes a directory a BPF file system, where it is none yet. CAP_SYS_ADMIN, unless somebody else has mounted it.</summary>
    /// <exception cref="APlusPException">AP2013.</exception>
    public static void Mount(string path)
    {
        Directory.CreateDirectory(path);
        if (IsMounted(path)) return;
        if (Mount("bpf", path, "bpf", 0, "mode=0700") == 0) return;
        throw new APlusPException(ErrorCodes.FastPathNotMounted,
            $"cannot mount a BPF file system at {path}: {Marshal.GetLastPInvokeErrorMessage()}. It takes CAP_SYS_ADMIN once: have it mounted before, with `mount -t bpf bpf {path}`, and give the directory to the daemon's user.");
    }

    public static unsafe bool IsMounted(string path)
    {
        // struct statfs has 120 octets on all 64-bit machines; f_type comes first.
        long* buffer = stackalloc long[16];
        return StatFs(path, buffer) == 0 && buffer[0] == Magic;
    }

    /// <summary>Unmounts it, and with it goes what is pinned there and held by nobody else. What somebody mounted for a user who cannot unmount it stays.</summary>
    public static void Unmount(string path)
    {
        if (IsMounted(path) && Unmount2(path, DetachWhenIdle) < 0) return;
        if (Directory.Exists(path)) Directory.Delete(path);
    }

    // int mount(const char *source, const char *target, const char *filesystemtype, unsigned long mountflags, const void *data);
    [LibraryImport("libc", EntryPoint = "mount", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Mount(string source, string target, string type, nuint flags, string data);

    // int umount2(const char *target, int flags);
    [LibraryImport("libc", EntryPoint = "umount2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Unmount2(string target, int flags);

    // int statfs(const char *path, struct statfs *buf);
    [LibraryImport("libc", EntryPoint = "statfs", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int StatFs(string path, long* buffer);
}
