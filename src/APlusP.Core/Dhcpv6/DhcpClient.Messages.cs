namespace APlusP.Core.Dhcpv6;

/// <summary>What a client writes, RFC 8415 sections 18.2.1 to 18.2.8.</summary>
public sealed partial class DhcpClient
{
    byte[] Write(Exchange exchange, TimeSpan elapsed)
    {
        DhcpMessageType type = exchange.Type;
        DhcpWriter writer = DhcpMessage.Begin(type, exchange.Transaction);
        writer.Option(DhcpOption.ClientId, _options.Duid.Bytes);
        if (type is DhcpMessageType.Request or DhcpMessageType.Renew or DhcpMessageType.Release or DhcpMessageType.Decline) writer.Option(DhcpOption.ServerId, _server!.Bytes);
        using (writer.Open(DhcpOption.ElapsedTime)) writer.Number16((ushort)Math.Min(elapsed.TotalMilliseconds / 10, ushort.MaxValue));

        if (type is DhcpMessageType.Solicit or DhcpMessageType.Request or DhcpMessageType.Renew or DhcpMessageType.Rebind or DhcpMessageType.InformationRequest)
            writer.Option(DhcpOption.Requested, OptionsFor(type));
        if (type == DhcpMessageType.Solicit && _options.RapidCommit) writer.Option(DhcpOption.RapidCommit, default(ReadOnlySpan<byte>));
        if (type == DhcpMessageType.InformationRequest) return writer.ToArray();
        if (_options.Address || type == DhcpMessageType.Decline) Write(writer, DhcpOption.IaNa, type);
        if (_options.Prefix && type is not (DhcpMessageType.Decline or DhcpMessageType.Confirm)) Write(writer, DhcpOption.IaPd, type);
        return writer.ToArray();
    }

    /// <summary>The longest timeouts and the refresh time, where they must be asked for, and the softwire containers in every message that asks (RFC 7598 section 8).</summary>
    IEnumerable<DhcpOption> OptionsFor(DhcpMessageType type) =>
        type == DhcpMessageType.InformationRequest
            ? [.. _options.Requested, DhcpOption.InfMaxRt, DhcpOption.InformationRefreshTime]
            : [.. _options.Requested, DhcpOption.SolMaxRt];

    /// <summary>The association of one kind with what we have of it; lifetimes are the server's to say (section 21.6).</summary>
    void Write(DhcpWriter writer, DhcpOption kind, DhcpMessageType type)
    {
        IEnumerable<DhcpLease> leases = type == DhcpMessageType.Decline
            ? [new DhcpLease(Addresses.IPv6Prefix.Of(_declined, 128), 0, 0)]
            : _leases.Where(l => l.Kind == kind).Select(l => new DhcpLease(l.Prefix, 0, 0));
        if (kind == DhcpOption.IaPd && _options.PrefixLength > 0 && type is DhcpMessageType.Solicit)
            leases = [new DhcpLease(new Addresses.IPv6Prefix(default, _options.PrefixLength), 0, 0)];

        // What is given back are leases; an association without any is not part of it.
        DhcpLease[] held = [.. leases];
        if (held.Length == 0 && type == DhcpMessageType.Release) return;
        new IdentityAssociation(kind, _options.AssociationId, held).Write(writer);
    }
}
