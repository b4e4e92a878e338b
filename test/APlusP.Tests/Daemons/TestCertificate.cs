using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace APlusP.Tests.Daemons;

/// <summary>A certificate for a registry in a test, with the authority that made it, as PEM files in a directory of its own.</summary>
sealed class TestCertificate : IDisposable
{
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-tls-").FullName;

    /// <param name="address">The address that it is for.</param>
    public TestCertificate(IPAddress address)
    {
        DateTimeOffset from = DateTimeOffset.UtcNow.AddDays(-1), until = DateTimeOffset.UtcNow.AddDays(2);
        using var authorityKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var authority = new CertificateRequest("CN=a test's authority", authorityKey, HashAlgorithmName.SHA256);
        authority.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        using X509Certificate2 root = authority.CreateSelfSigned(from, until);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=registry", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(address);
        request.CertificateExtensions.Add(names.Build());
        using X509Certificate2 made = request.Create(root, from, until.AddDays(-1), RandomNumberGenerator.GetBytes(8));
        File.WriteAllText(Authority, root.ExportCertificatePem());
        File.WriteAllText(Certificate, made.ExportCertificatePem());
        File.WriteAllText(Key, key.ExportPkcs8PrivateKeyPem());
        Pin = made.GetCertHashString(HashAlgorithmName.SHA256);
    }

    public string Authority => Path.Combine(_directory, "ca.pem");

    public string Certificate => Path.Combine(_directory, "registry.crt");

    public string Key => Path.Combine(_directory, "registry.key");

    /// <summary>SHA-256 of the certificate, in hexadecimal.</summary>
    public string Pin { get; }

    public void Dispose() => Directory.Delete(_directory, recursive: true);
}
