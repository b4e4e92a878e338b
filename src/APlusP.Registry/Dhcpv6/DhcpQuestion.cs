using APlusP.Core.Dhcpv6;

namespace APlusP.Registry.Dhcpv6;

/// <summary>What a client wants, out of its message.</summary>
/// <param name="Type">What kind of message.</param>
/// <param name="Transaction">What the answer must bear.</param>
/// <param name="Client">Who.</param>
/// <param name="Server">Whom it asks; null for any.</param>
/// <param name="Associations">What it wants to lease, or has.</param>
/// <param name="Requested">What it wants to know.</param>
/// <param name="RapidCommit">Whether two messages will do for it.</param>
sealed record DhcpQuestion(
    DhcpMessageType Type, uint Transaction, Duid? Client, Duid? Server, IReadOnlyList<IdentityAssociation> Associations, IReadOnlyList<DhcpOption> Requested, bool RapidCommit)
{
    /// <summary>Reads a message that a server may answer; null where it must discard it (RFC 8415 section 16).</summary>
    /// <param name="bytes">The message.</param>
    /// <param name="self">The server.</param>
    public static DhcpQuestion? Read(ReadOnlySpan<byte> bytes, Duid self)
    {
        if (!DhcpMessage.TryRead(bytes, out DhcpMessage message)) return null;
        bool namesServer = message.Options.Has(DhcpOption.ServerId);
        Duid.TryRead(message.Options, DhcpOption.ClientId, out Duid? client);
        Duid.TryRead(message.Options, DhcpOption.ServerId, out Duid? server);
        bool isForUs = server is not null && server.Equals(self);
        List<IdentityAssociation> associations = IdentityAssociation.ReadAll(message.Options);
        bool valid = message.Type switch
        {
            DhcpMessageType.Solicit or DhcpMessageType.Confirm or DhcpMessageType.Rebind => client is not null && !namesServer,
            DhcpMessageType.Request or DhcpMessageType.Renew or DhcpMessageType.Release or DhcpMessageType.Decline => client is not null && isForUs,
            DhcpMessageType.InformationRequest => (isForUs || !namesServer) && associations.Count == 0 && !message.Options.Has(DhcpOption.IaTa),
            _ => false,
        };
        return valid
            ? new DhcpQuestion(message.Type, message.Transaction, client, server, associations, message.Options.Codes(DhcpOption.Requested), message.Options.Has(DhcpOption.RapidCommit))
            : null;
    }

    /// <summary>Whether it must have been sent to all servers (section 16).</summary>
    public bool IsForAll => Type is DhcpMessageType.Solicit or DhcpMessageType.Confirm or DhcpMessageType.Rebind or DhcpMessageType.InformationRequest;
}
