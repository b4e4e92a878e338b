using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using APlusP.Core;
using APlusP.Registry.Access;
using APlusP.Registry.Configuration;
using Microsoft.AspNetCore.Connections;

namespace APlusP.Registry.Api;

/// <summary>The certificate that a client showed in its handshake, with whatever it sent besides.</summary>
sealed record ShownCertificate(X509Certificate2 Certificate, X509Certificate2Collection Sent);

/// <summary>
/// What TLS stands on, of one moment: the server's certificate, and whose certificates clients may show. The files are read when it is made; connections that are open
/// keep what they began with.
/// </summary>
sealed class ServerTls
{
    readonly SslStreamCertificateContext _certificate;

    /// <exception cref="APlusPException">AP6005: the files cannot be used.</exception>
    public ServerTls(RegistrySettings settings)
    {
        _certificate = ServerCertificate.Load(settings.Certificate!, settings.Key!, ErrorCodes.RegistryNotListening);
        if (settings.ClientAuthority is not { } authority) return;
        try
        {
            Clients = new ClientCertificates(authority, settings.Revoked);
        }
        catch (Exception error) when (error is CryptographicException or IOException or UnauthorizedAccessException or FormatException)
        {
            throw new APlusPException(ErrorCodes.RegistryNotListening, $"the authorities of clients in {authority} cannot be used: {error.Message} It is a PEM file of their certificates; 'client-crl' is their revocation lists.", error);
        }
    }

    /// <summary>Whose certificates are believed; null where clients are asked for none.</summary>
    public ClientCertificates? Clients { get; }

    /// <summary>
    /// What a new connection begins with. A client's certificate is not judged in the handshake, where a refusal would be an alert without words, but at each
    /// request: so an open connection ends to be believed when its certificate does.
    /// </summary>
    public SslServerAuthenticationOptions Begin(ConnectionContext connection) => new()
    {
        ServerCertificateContext = _certificate,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        ClientCertificateRequired = Clients is not null,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        CertificateChainPolicy = new X509ChainPolicy { RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true },
        RemoteCertificateValidationCallback = (_, shown, chain, _) => Remember(connection, shown, chain),
    };

    bool Remember(ConnectionContext connection, X509Certificate? shown, X509Chain? chain)
    {
        if (shown is null) return true;
        connection.Features.Set(new ShownCertificate(X509CertificateLoader.LoadCertificate(shown.GetRawCertData()), chain is null ? [] : [.. chain.ChainPolicy.ExtraStore]));
        return Clients is not null;
    }
}
