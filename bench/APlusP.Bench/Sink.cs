using System.Reflection;
using System.Runtime.InteropServices;
using APlusP.Linux.Bpf;
using Microsoft.Win32.SafeHandles;

namespace APlusP.Bench;

/// <summary>Counts the frames that arrive at a device, and drops them.</summary>
sealed class Sink : IDisposable
{
    readonly BpfObject _object = BpfObject.Load("sink.o", new Dictionary<string, uint>(StringComparer.Ordinal), Assembly.GetExecutingAssembly());
    readonly MappedArray<CountEntry> _counts;
    readonly SafeFileHandle _link;

    /// <param name="at">The device.</param>
    /// <param name="hook">XDP for what XDP sends: it stays a frame. tc for what the kernel sends: it is a packet already.</param>
    public Sink(VethEnd at, BpfHook hook)
    {
        _counts = _object.Map("counts").Share<CountEntry>();
        int program = _object.Program(hook == BpfHook.Xdp ? "sink_xdp" : "sink_tc");
        _link = at.Namespace.Call(() => BpfLink.Hold(program, hook, at.Name));
    }

    public long Frames
    {
        get
        {
            long sum = 0;
            for (int processor = 0; processor < _counts.Count; processor++) sum += (long)Volatile.Read(ref _counts[processor].Frames);
            return sum;
        }
    }

    public void Dispose()
    {
        _link.Dispose();
        _counts.Dispose();
        _object.Dispose();
    }

    /// <summary>struct count of bpf/sink.bpf.c.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 64)]
    struct CountEntry
    {
        public ulong Frames;
    }
}
