using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using APlusP.Core;

namespace APlusP.Registry.Access;

/// <summary>Whose a client certificate is, or why it is not believed.</summary>
/// <param name="Subscriber">The subscriber that it names; empty where it is not believed.</param>
/// <param name="Fault">For whoever showed it; null where it is believed.</param>
sealed record ClientIdentity(string Subscriber, string? Fault);

/// <summary>The authorities whose certificates SMAPs may show in place of a key, and what they took back (RFC 5280).</summary>
sealed class ClientCertificates
{
    const string ForClients = "1.3.6.1.5.5.7.3.2", AlternativeName = "2.5.29.17", CommonName = "2.5.4.3";

    readonly X509Certificate2Collection _roots = [];
    readonly X509Certificate2Collection _between = [];
    readonly IReadOnlyList<RevocationList> _revoked = [];

    /// <param name="authorities">PEM file: the authority's own certificate, and those between it and the SMAPs'.</param>
    /// <param name="revoked">PEM or DER file of revocation lists; null for none.</param>
    /// <exception cref="CryptographicException">Not such files.</exception>
    public ClientCertificates(string authorities, string? revoked)
    {
        var all = new X509Certificate2Collection();
        all.ImportFromPemFile(authorities);
        foreach (X509Certificate2 one in all) (one.SubjectName.RawData.AsSpan().SequenceEqual(one.IssuerName.RawData) ? _roots : _between).Add(one);
        if (_roots.Count == 0) throw new CryptographicException($"{authorities} holds no authority's own certificate (one that it signed itself).");
        if (revoked is not null) _revoked = RevocationList.ReadFile(revoked, all);
    }

    /// <summary>Judges a certificate at a time. That whoever shows it has its key is TLS's to know.</summary>
    /// <param name="certificate">The SMAP's.</param>
    /// <param name="sent">What it sent besides: authorities between, perhaps.</param>
    public ClientIdentity Judge(X509Certificate2 certificate, X509Certificate2Collection sent, DateTimeOffset now)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(_roots);
        chain.ChainPolicy.ExtraStore.AddRange(_between);
        chain.ChainPolicy.ExtraStore.AddRange(sent);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.VerificationTime = now.LocalDateTime;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(ForClients));
        bool sound = chain.Build(certificate);
        string? fault = sound ? RevokedFault(chain, now) : ChainFault(certificate, chain.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, one) => all | one.Status), now);
        string subscriber = fault is null ? SubscriberOf(certificate, out fault) : "";
        return new ClientIdentity(subscriber, fault is null ? null : $"The client certificate of '{Visible(certificate.Subject)}' is not believed: {fault}");
    }

    /// <summary>A stranger's certificate says what the stranger likes, and goes into the log.</summary>
    static string Visible(string subject) => new([.. subject.Take(Names.Longest).Select(c => char.IsControl(c) || char.IsSurrogate(c) ? '?' : c)]);

    static string ChainFault(X509Certificate2 certificate, X509ChainStatusFlags status, DateTimeOffset now) =>
        status.HasFlag(X509ChainStatusFlags.NotTimeValid) && now.UtcDateTime < certificate.NotBefore.ToUniversalTime() ? $"it is valid from {certificate.NotBefore.ToUniversalTime():yyyy-MM-ddTHH:mm:ssZ} on only. Check the clocks."
        : status.HasFlag(X509ChainStatusFlags.NotTimeValid) ? $"it, or an authority of it, was valid until {certificate.NotAfter.ToUniversalTime():yyyy-MM-ddTHH:mm:ssZ}. Have a new one signed."
        : status.HasFlag(X509ChainStatusFlags.NotValidForUsage) ? "its extended key usage is not that of clients (clientAuth). Have one signed for clients."
        : (status & (X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.NotSignatureValid)) != 0 ? "none of the authorities in the registry's 'client-ca' signed it."
        : $"{status}.";

    string? RevokedFault(X509Chain chain, DateTimeOffset now)
    {
        foreach (X509ChainElement element in chain.ChainElements)
            foreach (RevocationList list in _revoked.Where(list => list.IsOf(element.Certificate)))
            {
                if (list.Until is { } until && until < now) return $"the revocation list of its authority was good until {until:yyyy-MM-ddTHH:mm:ssZ}. The registry's operator fetches a new one, and reloads the registry.";
                if (list.Holds(element.Certificate)) return "its authority took it back.";
            }

        return null;
    }

    /// <summary>The DNS name among the alternative names; without one, the common name (RFC 9525 has the latter as the older way).</summary>
    static string SubscriberOf(X509Certificate2 certificate, out string? fault)
    {
        string[] names = certificate.Extensions.FirstOrDefault(e => e.Oid?.Value == AlternativeName) is { } extension
            ? [.. new X509SubjectAlternativeNameExtension(extension.RawData).EnumerateDnsNames()] : [];
        if (names.Length == 0)
            names = [.. certificate.SubjectName.EnumerateRelativeDistinguishedNames().Where(part => !part.HasMultipleElements && part.GetSingleElementType().Value == CommonName).Select(part => part.GetSingleElementValue() ?? "")];
        fault = names.Length != 1 ? $"it names {names.Length} subscribers; it needs one DNS name among its alternative names, or one common name."
            : Names.FaultOf(names[0]) is { } wrong ? $"the subscriber's name in it {wrong}."
            : null;
        return fault is null ? names[0] : "";
    }
}
