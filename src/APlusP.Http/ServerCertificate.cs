using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using APlusP.Core;

namespace APlusP.Http;

/// <summary>The certificate that a server of ours shows.</summary>
static class ServerCertificate
{
    /// <summary>Reads certificate, with those between it and its authority, and key from PEM files.</summary>
    /// <exception cref="APlusPException">The code given: the files cannot be used.</exception>
    public static SslStreamCertificateContext Load(string certificate, string key, string code)
    {
        try
        {
            // Read back from PKCS#12, since TLS does not take a key that lives in memory alone on every system.
            using X509Certificate2 pem = X509Certificate2.CreateFromPemFile(certificate, key);
            var chain = new X509Certificate2Collection();
            chain.ImportFromPemFile(certificate);
            return SslStreamCertificateContext.Create(X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null), chain, offline: true);
        }
        catch (Exception error) when (error is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new APlusPException(code, $"the certificate {certificate} with the key {key} cannot be used: {error.Message} Both are PEM files; the key is not encrypted.", error);
        }
    }
}
