using APlusP.Core.Devices;
using APlusP.Core.Forwarding.Gateways;
using APlusP.Core.Forwarding.Napt;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding;

// Packets whose text a gateway reads, and perhaps writes anew.
public sealed partial class Smap
{
    bool IsSip(NaptProtocol protocol, Endpoint inside, Endpoint remote) => _options.SipGateway && SipGateway.Concerns(protocol, inside, remote, _options.SipPort);

    Verdict Read(PacketBatch batch, int index, ref IPv4Header header, in Talk talk) => IsSip(talk.Protocol, talk.Inside, talk.Remote)
        ? _sip!.Edit(batch, index, ref header, talk, Clock.Now)
        : _ftp.Edit(batch, index, ref header, talk, Clock.Now);

    /// <summary>The gateway for SIP takes its memory when it is switched on first.</summary>
    void SetGateways(SmapOptions options)
    {
        if (!options.SipGateway) return;
        _sip ??= new SipGateway(Counters);
        _sip.Callers = options.SipCallers;
    }

    /// <summary>From the home: read, and into the softwire, with what did not fit into the packet any more.</summary>
    Verdict SendRead(PacketBatch batch, int index, ref IPv4Header header, in Talk talk)
    {
        int before = batch.Count;
        Verdict otherwise = Read(batch, index, ref header, talk);
        if (otherwise.Fate != Fate.None) return otherwise;
        for (int added = before; added < batch.Count; added++)
        {
            IPv4Header.TryRead(batch.Bytes(added), out IPv4Header its);
            batch[added].Verdict = SendAgain(batch, added, ref its).Sends ? Verdict.Own : default;
        }

        return SendAgain(batch, index, ref header);
    }

    /// <summary>Its size may be another than that which was asked about.</summary>
    Verdict SendAgain(PacketBatch batch, int index, ref IPv4Header header)
    {
        if (!Fits(header, out int payloadMtu)) return RefuseTooBig(batch, index, payloadMtu);
        Identify(ref header);
        return Send(batch, index, header, payloadMtu);
    }

    /// <summary>From outside: read, and to the home.</summary>
    Verdict DeliverRead(PacketBatch batch, int index, ref IPv4Header header, in Talk talk)
    {
        int before = batch.Count;
        Verdict otherwise = Read(batch, index, ref header, talk);
        for (int added = before; added < batch.Count; added++) batch[added].Verdict = Verdict.Own;
        if (otherwise.Fate == Fate.Answered) TellSender(batch, index, header.TrafficClass);
        return otherwise.Fate == Fate.None ? Verdict.Forward : otherwise;
    }
}
