using APlusP.Core.Addresses;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding.Fragments;
using APlusP.Core.Forwarding.PathMtus;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

/// <summary>What PRR and SMAP have alike: an end of softwires, fragments that wait, ICMP errors that are rationed, and the counters of it all.</summary>
public abstract class DataPlane : IForwarder
{
    readonly RateLimiter _icmpLimit;

    /// <summary>Side of the packets that this end sends of its own accord.</summary>
    readonly Origin _own;

    private protected DataPlane(Origin own, FragmentOptions fragments, ulong secret, TimeProvider time, PathMtuTable? paths)
    {
        _own = own;
        _icmpLimit = new RateLimiter(time.TimestampFrequency);
        Clock = new BatchClock(time);
        End = new SoftwireEnd(secret, paths, Clock, Counters);
        Reassembly = new Reassembly(fragments, Clock, Mix.Of(secret, 1), Counters);
        Followers = new FragmentFollower(fragments, Clock, Mix.Of(secret, 2), Counters);
    }

    public ForwardingCounters Counters { get; } = new();

    private protected BatchClock Clock { get; }

    private protected SoftwireEnd End { get; }

    private protected Reassembly Reassembly { get; }

    private protected FragmentFollower Followers { get; }

    /// <summary>What fragments of softwire packets, and of the IPv4 packets inside, hold now. Any thread may ask.</summary>
    public (FragmentUse Outer, FragmentUse Inner) FragmentUse => (Reassembly.Use, Followers.Use);

    /// <summary>The most that they held since this was asked last.</summary>
    public (FragmentUse Outer, FragmentUse Inner) TakeFragmentPeak() => (Reassembly.TakePeak(), Followers.TakePeak());

    /// <summary>Of IPv6 packets that this end sends.</summary>
    private protected abstract byte HopLimit { get; }

    /// <summary>ICMP errors a second, and of these for one host.</summary>
    private protected abstract (int PerSecond, int PerHost) ErrorRation { get; }

    public void Process(PacketBatch batch) => Process(batch, wereHeld: false);

    /// <param name="batch">The packets.</param>
    /// <param name="wereHeld">They have been received, counted and held before.</param>
    private protected abstract void Process(PacketBatch batch, bool wereHeld);

    public bool Continue(PacketBatch batch)
    {
        batch.Clear();
        if (Followers.HasReady)
        {
            Followers.TakeReady(batch);
            Process(batch, wereHeld: true);
            return true;
        }

        KeepTime();
        TellOfLostFragments(batch);
        End.TakeProbes(batch, _own, HopLimit);
        return batch.Count > 0;
    }

    /// <summary>Ends what is over by now.</summary>
    private protected virtual void KeepTime() => Clock.Advance();

    /// <summary>
    /// Who sent the first fragment of an outer packet whose rest did not come hears so by ICMPv6 3/1, RFC 8200 section 4.5. Inner fragments have no such message: they are put together by
    /// the host that they are for, which tells of it itself.
    /// </summary>
    void TellOfLostFragments(PacketBatch batch)
    {
        while (Reassembly.TryTakeExpired(batch))
        {
            int index = batch.Count - 1;
            Span<byte> fragment = batch.Bytes(index);
            IPv6Header.TryRead(fragment, out IPv6Header outer);
            IPv6Address sender = outer.Source, self = outer.Destination;
            if (!IcmpErrors.MayTellSenderV6(fragment, outer) || !MaySendError((ulong)sender.Value))
            {
                batch.Count--;
                continue;
            }

            IcmpErrors.WriteV6(batch, index, IcmpV6Type.TimeExceeded, IcmpV6Header.ReassemblyTimeExceeded, HopLimit, self, sender);
            batch[index].Verdict = Verdict.Own;
            Counters.IcmpV6Sent++;
        }
    }

    public int MillisecondsUntilDue(int most)
    {
        Clock.Advance();
        Reassembly.Expire();
        Followers.Expire();
        return Reassembly.HasExpired ? 0 : End.MillisecondsUntilDue(most);
    }

    /// <summary>Counts what became of a packet of <see cref="Process(PacketBatch, bool)"/>.</summary>
    private protected void Count(Origin origin, Verdict verdict, int octets, bool wasHeld)
    {
        if (wasHeld) Counters.Settle(origin, verdict);
        else Counters.Count(origin, verdict, octets);
    }

    /// <summary>Whether an ICMP error may be sent to this host now; what the ration keeps back is counted.</summary>
    private protected bool MaySendError(ulong host)
    {
        (int perSecond, int perHost) = ErrorRation;
        if (_icmpLimit.TryTake(perSecond, perHost, host, Clock.Now)) return true;
        Counters.IcmpSuppressed++;
        return false;
    }
}
