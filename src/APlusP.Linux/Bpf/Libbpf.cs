using System.Runtime.InteropServices;

namespace APlusP.Linux.Bpf;

/// <summary>What we take of libbpf 1.0 and newer, Debian package libbpf1. Its own functions give errno or a negative errno; ours look at both.</summary>
static unsafe partial class Libbpf
{
    const string Library = "libbpf.so.1";

    // libbpf_print_fn_t libbpf_set_print(libbpf_print_fn_t fn);
    [LibraryImport(Library, EntryPoint = "libbpf_set_print")]
    public static partial void* SetPrint(void* function);

    // struct bpf_object *bpf_object__open_mem(const void *obj_buf, size_t obj_buf_sz, const struct bpf_object_open_opts *opts);
    [LibraryImport(Library, EntryPoint = "bpf_object__open_mem", SetLastError = true)]
    public static partial nint OpenObject(byte* octets, nuint length, ObjectOpenOptions* options);

    // int bpf_object__load(struct bpf_object *obj);
    [LibraryImport(Library, EntryPoint = "bpf_object__load", SetLastError = true)]
    public static partial int Load(nint bpfObject);

    // void bpf_object__close(struct bpf_object *obj);
    [LibraryImport(Library, EntryPoint = "bpf_object__close")]
    public static partial void CloseObject(nint bpfObject);

    // struct bpf_map *bpf_object__find_map_by_name(const struct bpf_object *obj, const char *name);
    [LibraryImport(Library, EntryPoint = "bpf_object__find_map_by_name", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint FindMap(nint bpfObject, string name);

    // int bpf_map__fd(const struct bpf_map *map);
    [LibraryImport(Library, EntryPoint = "bpf_map__fd")]
    public static partial int MapFd(nint map);

    // __u32 bpf_map__value_size(const struct bpf_map *map);
    [LibraryImport(Library, EntryPoint = "bpf_map__value_size")]
    public static partial uint ValueSize(nint map);

    // __u32 bpf_map__max_entries(const struct bpf_map *map);
    [LibraryImport(Library, EntryPoint = "bpf_map__max_entries")]
    public static partial uint MaxEntries(nint map);

    // int bpf_map__set_max_entries(struct bpf_map *map, __u32 max_entries);
    [LibraryImport(Library, EntryPoint = "bpf_map__set_max_entries", SetLastError = true)]
    public static partial int SetMaxEntries(nint map, uint entries);

    // int bpf_map__reuse_fd(struct bpf_map *map, int fd);
    [LibraryImport(Library, EntryPoint = "bpf_map__reuse_fd", SetLastError = true)]
    public static partial int ReuseFd(nint map, int fd);

    // struct bpf_program *bpf_object__find_program_by_name(const struct bpf_object *obj, const char *name);
    [LibraryImport(Library, EntryPoint = "bpf_object__find_program_by_name", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint FindProgram(nint bpfObject, string name);

    // int bpf_program__fd(const struct bpf_program *prog);
    [LibraryImport(Library, EntryPoint = "bpf_program__fd")]
    public static partial int ProgramFd(nint program);

    // int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags);
    [LibraryImport(Library, EntryPoint = "bpf_map_update_elem", SetLastError = true)]
    public static partial int UpdateElement(int fd, void* key, void* value, ulong flags);

    // int bpf_map_lookup_elem(int fd, const void *key, void *value);
    [LibraryImport(Library, EntryPoint = "bpf_map_lookup_elem", SetLastError = true)]
    public static partial int LookupElement(int fd, void* key, void* value);

    // int bpf_map_delete_elem(int fd, const void *key);
    [LibraryImport(Library, EntryPoint = "bpf_map_delete_elem", SetLastError = true)]
    public static partial int DeleteElement(int fd, void* key);

    // int bpf_map_get_next_key(int fd, const void *key, void *next_key);
    [LibraryImport(Library, EntryPoint = "bpf_map_get_next_key", SetLastError = true)]
    public static partial int NextKey(int fd, void* key, void* next);

    // int bpf_obj_pin(int fd, const char *pathname);
    [LibraryImport(Library, EntryPoint = "bpf_obj_pin", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Pin(int fd, string path);

    // int bpf_obj_get(const char *pathname);
    [LibraryImport(Library, EntryPoint = "bpf_obj_get", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Get(string path);

    // int bpf_link_create(int prog_fd, int target_fd, enum bpf_attach_type attach_type, const struct bpf_link_create_opts *opts);
    [LibraryImport(Library, EntryPoint = "bpf_link_create", SetLastError = true)]
    public static partial int CreateLink(int program, int target, int attachType, void* options);

    // int bpf_link_update(int link_fd, int new_prog_fd, const struct bpf_link_update_opts *opts);
    [LibraryImport(Library, EntryPoint = "bpf_link_update", SetLastError = true)]
    public static partial int UpdateLink(int link, int program, void* options);

    // int bpf_prog_test_run_opts(int prog_fd, struct bpf_test_run_opts *opts);
    [LibraryImport(Library, EntryPoint = "bpf_prog_test_run_opts", SetLastError = true)]
    public static partial int TestRun(int program, TestRunOptions* options);

    // int bpf_obj_get_info_by_fd(int bpf_fd, void *info, __u32 *info_len);
    [LibraryImport(Library, EntryPoint = "bpf_obj_get_info_by_fd", SetLastError = true)]
    public static partial int GetInfo(int fd, void* info, uint* length);
}

/// <summary>struct bpf_object_open_opts of libbpf 1.1; a newer one takes the rest as zero.</summary>
[StructLayout(LayoutKind.Sequential)]
unsafe struct ObjectOpenOptions
{
    public nuint Size;
    public byte* Name;
    public byte RelaxedMaps;
    public byte* PinRootPath;
    public uint Reserved;
    public byte* Kconfig;
    public byte* BtfCustomPath;
    public byte* KernelLogBuffer;
    public nuint KernelLogSize;
    public uint KernelLogLevel;
}

/// <summary>struct bpf_test_run_opts.</summary>
[StructLayout(LayoutKind.Sequential)]
unsafe struct TestRunOptions
{
    public nuint Size;
    public byte* DataIn;
    public byte* DataOut;
    public uint DataSizeIn;

    /// <summary>In: room for the answer; out: its length.</summary>
    public uint DataSizeOut;
    public void* ContextIn;
    public void* ContextOut;
    public uint ContextSizeIn;
    public uint ContextSizeOut;
    public uint Result;
    public int Repeat;
    public uint Duration;
    public uint Flags;
    public uint Cpu;
    public uint BatchSize;
}
