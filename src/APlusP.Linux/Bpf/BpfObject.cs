using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using APlusP.Core;

namespace APlusP.Linux.Bpf;

/// <summary>The programs and maps of one of our .bpf.c files, loaded into the kernel. They live on where a link or a pin holds them.</summary>
public sealed unsafe class BpfObject : IDisposable
{
    readonly nint _object;
    readonly string _name;

    BpfObject(string name, nint bpfObject)
    {
        _name = name;
        _object = bpfObject;
    }

    /// <summary>Loads an object that was compiled into an assembly. CAP_BPF, CAP_NET_ADMIN, and CAP_PERFMON, without which the verifier forbids sums with pointers.</summary>
    /// <param name="name">Its name, such as <c>prr.tc.o</c>.</param>
    /// <param name="entries">Entries of the maps that are not of the size that the source gives them.</param>
    /// <param name="assembly">Which; this one where it is left out.</param>
    /// <param name="reused">Maps that are there already, by the names that they have in the source.</param>
    /// <exception cref="APlusPException">AP2010: the library is missing, or the kernel refuses; the message says what.</exception>
    public static BpfObject Load(string name, IReadOnlyDictionary<string, uint> entries, Assembly? assembly = null, IReadOnlyDictionary<string, BpfMap>? reused = null)
    {
        byte[] octets = Resource(assembly ?? Assembly.GetExecutingAssembly(), name);
        try
        {
            // The library would write to standard error; what the kernel says is in the message of our own.
            Libbpf.SetPrint(null);
            return Load(name, octets, entries, reused);
        }
        catch (DllNotFoundException missing)
        {
            throw new APlusPException(ErrorCodes.FastPathRefused, $"cannot load the eBPF program {name}: the library libbpf.so.1 is not installed. Install the package libbpf1.", missing);
        }
    }

    static BpfObject Load(string name, byte[] octets, IReadOnlyDictionary<string, uint> entries, IReadOnlyDictionary<string, BpfMap>? reused)
    {
        const int logSize = 1 << 20;
        byte* log = (byte*)NativeMemory.AllocZeroed(logSize);
        BpfObject? loaded = null;
        try
        {
            var options = new ObjectOpenOptions { Size = (nuint)sizeof(ObjectOpenOptions), KernelLogBuffer = log, KernelLogSize = logSize };
            fixed (byte* start = octets)
            {
                nint opened = Libbpf.OpenObject(start, (nuint)octets.Length, &options);
                if (opened == 0) throw Refused(name, "open", Marshal.GetLastPInvokeError(), "");
                loaded = new BpfObject(name, opened);
            }

            foreach ((string map, uint count) in entries)
                if (Libbpf.SetMaxEntries(loaded.Find(map), count) < 0) throw Refused(name, $"give the map {map} {count} entries in", Marshal.GetLastPInvokeError(), "");
            foreach ((string map, BpfMap there) in reused ?? new Dictionary<string, BpfMap>())
                if (Libbpf.ReuseFd(loaded.Find(map), there.Fd) < 0) throw Refused(name, $"go on with the map {map} in", Marshal.GetLastPInvokeError(), "");
            if (Libbpf.Load(loaded._object) < 0)
            {
                int errno = Marshal.GetLastPInvokeError();
                throw Refused(name, "load", errno, LastWords(Marshal.PtrToStringUTF8((nint)log) ?? ""));
            }

            return loaded;
        }
        catch
        {
            loaded?.Dispose();
            throw;
        }
        finally
        {
            NativeMemory.Free(log);
        }
    }

    static byte[] Resource(Assembly assembly, string name)
    {
        using Stream stream = assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"The eBPF object {name} was not built into {assembly.GetName().Name}.");
        byte[] octets = new byte[stream.Length];
        stream.ReadExactly(octets);
        return octets;
    }

    /// <summary>Of the verifier's log, the lines before its summary: there stands why.</summary>
    static string LastWords(string log)
    {
        string[] lines = [.. log.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(l => !l.StartsWith("processed ", StringComparison.Ordinal))];
        return lines.Length == 0 ? "" : $" ({string.Join("; ", lines[^Math.Min(3, lines.Length)..]).Trim()})";
    }

    internal static APlusPException Refused(string name, string what, int errno, string kernel) => new(
        ErrorCodes.FastPathRefused,
        $"cannot {what} the eBPF program {name}: {LibC.Reason(errno)}{kernel}." + errno switch
        {
            LibC.EPERM or LibC.EACCES => " It takes CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, or the kernel forbids it (kernel.unprivileged_bpf_disabled, lockdown).",
            LibC.ENOSYS => " This kernel has no eBPF (CONFIG_BPF_SYSCALL).",
            LibC.EINVAL => " This kernel lacks something that it needs; kernel 6.6 and newer have all of it.",
            _ => "",
        });

    nint Find(string map) => Libbpf.FindMap(_object, map) is var found and not 0 ? found : throw new InvalidOperationException($"The eBPF object {_name} has no map {map}.");

    /// <summary>One of the object's maps, valid until the object is closed unless it is pinned and opened again.</summary>
    public BpfMap Map(string name)
    {
        nint map = Find(name);
        return new BpfMap(name, Libbpf.MapFd(map), Libbpf.ValueSize(map), Libbpf.MaxEntries(map));
    }

    /// <summary>File descriptor of a program, valid until the object is closed.</summary>
    public int Program(string name) => Libbpf.FindProgram(_object, name) is var program and not 0
        ? Libbpf.ProgramFd(program)
        : throw new InvalidOperationException($"The eBPF object {_name} has no program {name}.");

    /// <summary>Runs a program on one frame, as its hook would.</summary>
    /// <param name="program">File descriptor.</param>
    /// <param name="frame">The frame, from its Ethernet header on.</param>
    /// <param name="answer">Room for the frame afterwards.</param>
    /// <param name="length">Its length then.</param>
    /// <returns>What the program returned; negative where the kernel did not run it.</returns>
    public static int Run(int program, ReadOnlySpan<byte> frame, Span<byte> answer, out int length)
    {
        fixed (byte* input = frame, output = answer)
        {
            var options = new TestRunOptions
            {
                Size = (nuint)sizeof(TestRunOptions),
                DataIn = input,
                DataSizeIn = (uint)frame.Length,
                DataOut = output,
                DataSizeOut = (uint)answer.Length,
                Repeat = 1,
            };
            int failed = Libbpf.TestRun(program, &options);
            length = (int)options.DataSizeOut;
            return failed < 0 ? failed : (int)options.Result;
        }
    }

    /// <summary>
    /// Runs an XDP program over and over on frames that then really go where it sends them, of this thread's network namespace: a source of millions of frames a second.
    /// Each is in a page that comes back when it has been used, and is not laid out anew. A call takes some 30 ms besides.
    /// </summary>
    /// <param name="program">File descriptor.</param>
    /// <param name="frame">What each page begins with.</param>
    /// <param name="repeat">How often.</param>
    /// <exception cref="APlusPException">AP2010: the kernel refuses; it is older than 5.18.</exception>
    public static void RunLive(int program, ReadOnlySpan<byte> frame, int repeat)
    {
        const uint liveFrames = 2;
        fixed (byte* input = frame)
        {
            var options = new TestRunOptions
            {
                Size = (nuint)sizeof(TestRunOptions),
                DataIn = input,
                DataSizeIn = (uint)frame.Length,
                Repeat = repeat,
                Flags = liveFrames,
            };
            if (Libbpf.TestRun(program, &options) < 0) throw Refused("of live frames", "run", Marshal.GetLastPInvokeError(), "");
        }
    }

    public void Dispose() => Libbpf.CloseObject(_object);
}
