using APlusP.Core.Devices;
using APlusP.Core.Forwarding.Napt;
using APlusP.Core.Wire;

namespace APlusP.Core.Forwarding.Gateways;

/// <summary>
/// The gateway for FTP (RFC 5382 REQ-6 lets a NAT have this one): rewrites the endpoints that a host of the home names for data connections, whether it is the client (PORT, EPRT) or
/// the server (227, 229), and opens a port of the set for them. What comes in needs no rewriting.
/// </summary>
sealed class FtpGateway : ITextRewriter
{
    /// <summary>Port of control connections, RFC 959 section 8.</summary>
    public const ushort ControlPort = 21;

    const int MaxConnections = 256, LeastPort = 1024;

    readonly ForwardingCounters _counters;
    readonly TcpTextEditor _editor;

    public FtpGateway(ForwardingCounters counters)
    {
        _counters = counters;
        _editor = new TcpTextEditor(this, MaxConnections, FtpText.MaxLine, counters);
    }

    /// <summary>Whether a flow is a control connection.</summary>
    public static bool Concerns(NaptProtocol protocol, Endpoint inside, Endpoint remote) =>
        protocol == NaptProtocol.Tcp && (remote.Port == ControlPort || inside.Port == ControlPort);

    /// <inheritdoc cref="TcpTextEditor.Edit"/>
    public Verdict Edit(PacketBatch batch, int index, ref IPv4Header header, in Talk talk, long now) => _editor.Edit(batch, index, ref header, talk, now);

    // Other text than lines that name endpoints may be read wherever it begins.
    bool ITextRewriter.IsFramed => false;

    int ITextRewriter.UnitOf(ReadOnlySpan<byte> text, in Talk talk)
    {
        int end = text.IndexOf((byte)'\n') + 1;
        if (end > 0) return end;
        return talk.FromHome && FtpText.MayBecome(text, IsServer(talk)) ? 0 : text.Length;
    }

    /// <summary>The server agrees to speak TLS (RFC 4217): from here on there is nothing to read.</summary>
    bool ITextRewriter.EndsReading(ReadOnlySpan<byte> unit, in Talk talk) => talk.FromHome == IsServer(talk) && unit.StartsWith("234"u8);

    static bool IsServer(in Talk talk) => talk.Inside.Port == ControlPort;

    /// <summary>Gives a line that names an endpoint of the home one of ours.</summary>
    int ITextRewriter.Rewrite(ReadOnlySpan<byte> unit, in Talk talk, Span<byte> to)
    {
        if (!talk.FromHome || unit.Length > FtpText.MaxLine) return -1;
        FtpForm form = FtpText.TryRead(unit.TrimEnd((byte)'\n'), IsServer(talk), out Endpoint named, out int start, out int size);
        if (form == FtpForm.None) return -1;

        // Nobody else's endpoint (the bounce attack, RFC 2577 section 3), and no well-known port.
        if (form == FtpForm.ExtendedPassive) named = named with { Address = talk.Inside.Address };
        if (named.Address != talk.Inside.Address || named.Port < LeastPort
            || talk.Napt.HoldForConnection(named, talk.Remote.Address, out ushort external) != DropReason.None)
        {
            _counters.GatewayRefused++;
            return -1;
        }

        var line = new OctetWriter(to);
        line.Add(unit[..start]);
        FtpText.Write(form, talk.Outside with { Port = external }, unit[start], ref line);
        line.Add(unit[(start + size)..]);
        _counters.GatewayRewritten++;
        return line.HasFailed ? -1 : line.Length;
    }
}
