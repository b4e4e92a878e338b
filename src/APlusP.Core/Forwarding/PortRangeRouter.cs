using System.Runtime.CompilerServices;
using APlusP.Core.Addresses;
using APlusP.Core.Bindings;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding.Fragments;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

/// <summary>
/// The PRR: Port Range Router (RFC 6346 section 3.1.2), lwAFTR (RFC 7596 section 6), MAP border relay (RFC 7597 section 8.1). It keeps no state about
/// flows; one lookup of (address, port) says where a packet goes, and whether it may have come.
/// </summary>
/// <remarks>
/// A batch is taken in pieces of 32, in two passes: the first reads headers and collects what to look up, the second, when all
/// lookups of the piece are done with their cache misses overlapping, checks, rewrites and judges. What fails the source check waits for a third, in which
/// the lookups of why overlap: a flood costs no more than traffic.
/// </remarks>
[SkipLocalsInit]
public sealed partial class PortRangeRouter : DataPlane
{
    const int PieceSize = BindingTable.BatchSize;

    readonly BindingTable _table;
    readonly BindingQuery[] _queries = new BindingQuery[PieceSize];
    readonly BindingHit[] _hits = new BindingHit[PieceSize];
    readonly Pending[] _pending = new Pending[PieceSize];
    readonly int[] _refused = new int[PieceSize];
    readonly SoftwireQuery[] _senders = new SoftwireQuery[PieceSize];
    readonly SoftwireHolder[] _holders = new SoftwireHolder[PieceSize];
    Policy _policy;

    /// <param name="table">The bindings.</param>
    /// <param name="options">How it behaves.</param>
    /// <param name="time">The clock of rate limits and fragments.</param>
    /// <param name="paths">What the paths to the softwires carry, shared by all routers of a PRR; null where the bindings alone say so.</param>
    public PortRangeRouter(BindingTable table, PrrOptions options, TimeProvider time, PathMtuTable? paths = null)
        : base(Origin.FromInternet, options.Fragments, options.Secret, time, paths)
    {
        _table = table;
        _policy = new Policy(options);
    }

    /// <summary>May be exchanged while another thread processes: a piece of a batch meets the old or the new.</summary>
    public PrrOptions Options
    {
        get => _policy.Options;
        set => Volatile.Write(ref _policy, new Policy(value));
    }

    /// <summary>Where set, each packet's steps are written down, for <see cref="Explain"/>; never in a daemon.</summary>
    public PacketJourney? Journey { get; set; }

    private protected override byte HopLimit => _policy.HopLimit;

    private protected override (int PerSecond, int PerHost) ErrorRation => (_policy.Options.IcmpErrorsPerSecond, _policy.Options.IcmpErrorsPerHost);

    private protected override void Process(PacketBatch batch, bool wereHeld)
    {
        Clock.Advance();
        for (int start = 0; start < batch.Count; start += PieceSize)
            ProcessPiece(batch, start, Math.Min(PieceSize, batch.Count - start), Volatile.Read(ref _policy), wereHeld);
    }

    void ProcessPiece(PacketBatch batch, int start, int count, Policy policy, bool wereHeld)
    {
        for (int i = 0; i < count; i++)
        {
            ref Pending pending = ref _pending[i];
            ref PacketSlot slot = ref batch[start + i];
            pending = new Pending { Octets = slot.Length };
            _queries[i] = default;
            slot.Verdict = slot.Origin switch
            {
                Origin.FromInternet => ReadFromInternet(batch, start + i, policy, ref pending, ref _queries[i]),
                Origin.FromSmap => ReadFromSmap(batch, start + i, policy, ref pending, ref _queries[i]),
                _ => Verdict.Drop(DropReason.NotForUs),
            };
        }

        _table.Find(_queries.AsSpan(0, count), _hits.AsSpan(0, count));

        int refused = 0;
        for (int i = 0; i < count; i++)
        {
            ref PacketSlot slot = ref batch[start + i];
            Verdict verdict = slot.Verdict;
            if (verdict.Fate == Fate.None)
            {
                verdict = slot.Origin == Origin.FromInternet
                    ? DeliverFromInternet(batch, start + i, policy, _pending[i], _hits[i])
                    : DeliverFromSmap(batch, start + i, policy, _pending[i], _hits[i]);
                if (verdict.Fate == Fate.None)
                {
                    _refused[refused++] = i;
                    continue;
                }

                slot.Verdict = verdict;
            }

            Journey?.Judge(verdict);
            Count(slot.Origin, verdict, _pending[i].Octets, wereHeld);
        }

        if (refused > 0) RefuseSources(batch, start, _refused.AsSpan(0, refused), policy, wereHeld);
    }

    /// <summary>
    /// Drops a packet whose inner form begins its buffer, and tells its sender by ICMPv4 where policy and rate allow: through the softwire
    /// back to a subscriber, or, where that is null, to the Internet.
    /// </summary>
    Verdict DropTelling(PacketBatch batch, int index, Policy policy, DropReason reason, IcmpV4Type type, byte code, in Softwire.Path? subscriber,
    uint rest = 0)
    {
        // What the sender must know to go on is told always: RFC 2473 section 7.2, RFC 1812 section 4.3.3.4.
        bool isOptional = type == IcmpV4Type.DestinationUnreachable && code != IcmpV4Header.FragmentationNeeded;
        Span<byte> packet = batch.Bytes(index);
        if ((isOptional && !policy.Options.SendIcmpV4Errors) || !IPv4Header.TryRead(packet, out IPv4Header header)
            || !IcmpErrors.MayTellSender(packet, header)) return Verdict.Drop(reason);
        if (!MaySendError(header.Source.Value)) return Verdict.Drop(reason);
        IcmpErrors.WriteV4(batch, index, type, code, policy.Options.IcmpSource ?? header.Destination, header.Source, rest);
        if (subscriber is { } path) Tell(batch, index, policy, path);
        Counters.IcmpV4Sent++;
        return Verdict.DropAndTell(reason);
    }

    /// <summary>Puts an ICMPv4 error of ours into the softwire of the subscriber that it is for. It fits every path.</summary>
    void Tell(PacketBatch batch, int index, Policy policy, in Softwire.Path path) =>
        End.Encapsulate(batch, index, IcmpErrors.InternetworkControl, policy.HopLimit, path, PathMtuTable.Least - SoftwireEnd.Overhead);

    /// <summary>What the first pass knows of a packet that the second needs.</summary>
    struct Pending
    {
        /// <summary>Length as received.</summary>
        public int Octets;

        /// <summary>Where the inner packet begins.</summary>
        public int Inner;

        /// <summary>What is wrong with a packet, if its destination turns out to be ours to deliver to.</summary>
        public DropReason Fault;

        /// <summary>Why the packet has no port, though it may still belong to a whole address.</summary>
        public DropReason Portless;

        /// <summary>A later fragment: its ports are those of the first, <see cref="DestinationPort"/> too.</summary>
        public bool Follows;

        public ushort DestinationPort;
    }

    /// <summary>Options as the hot path wants them.</summary>
    sealed class Policy(PrrOptions options)
    {
        readonly IPv6Address[] _softwireAddresses = [.. options.SoftwireAddresses];

        public PrrOptions Options { get; } = options;

        public readonly bool TtlAlreadyTaken = options.TtlAlreadyTaken;

        public readonly bool ClampMss = options.ClampMss;

        public readonly bool UniformServices = options.UniformServices;

        public readonly byte HopLimit = options.HopLimit;

        public readonly ushort[] NamedPorts = [.. options.NamedPorts];

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public bool IsOurs(IPv6Address address)
        {
            foreach (IPv6Address ours in _softwireAddresses)
                if (ours == address) return true;
            return false;
        }
    }
}
