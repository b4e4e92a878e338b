using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace APlusP.Tests.Registry;

/// <summary>A certificate authority of a test, with the files that a registry reads.</summary>
sealed class Authority : IDisposable
{
    public const string ForClients = "1.3.6.1.5.5.7.3.2", ForServers = "1.3.6.1.5.5.7.3.1";

    readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    readonly string _directory = Directory.CreateTempSubdirectory("aplusp-ca-").FullName;
    int _files;

    /// <param name="now">The time around which its certificates are valid.</param>
    /// <param name="above">The authority that signs it; null for itself.</param>
    public Authority(DateTimeOffset now, string name = "homes", Authority? above = null)
    {
        Now = now;
        var request = new CertificateRequest($"CN={name}", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        Certificate = above is null ? request.CreateSelfSigned(now.AddYears(-1), now.AddYears(1)) : Sign(above, request, now.AddDays(-100), now.AddDays(100)).CopyWithPrivateKey(_key);
        File = Write(Certificate.ExportCertificatePem());
    }

    public DateTimeOffset Now { get; }

    public X509Certificate2 Certificate { get; }

    /// <summary>Its certificate, in PEM.</summary>
    public string File { get; }

    /// <summary>A file of this content.</summary>
    public string Write(string content)
    {
        string path = Path.Combine(_directory, $"{++_files}.pem");
        System.IO.File.WriteAllText(path, content + "\n");
        return path;
    }

    static X509Certificate2 Sign(Authority by, CertificateRequest request, DateTimeOffset from, DateTimeOffset until) =>
        request.Create(by.Certificate, from, until, RandomNumberGenerator.GetBytes(12));

    /// <summary>A certificate, with its key.</summary>
    public X509Certificate2 Issue(string subject, string[]? dns = null, string? purpose = ForClients, double fromDays = -1, double untilDays = 1)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        if (purpose is not null) request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(purpose)], true));
        if (dns is not null)
        {
            var names = new SubjectAlternativeNameBuilder();
            foreach (string name in dns) names.AddDnsName(name);
            request.CertificateExtensions.Add(names.Build());
        }

        using X509Certificate2 signed = Sign(this, request, Now.AddDays(fromDays), Now.AddDays(untilDays));
        using X509Certificate2 whole = signed.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(whole.Export(X509ContentType.Pkcs12), null, X509KeyStorageFlags.Exportable);
    }

    /// <summary>A file with the list of those that it took back.</summary>
    public string Revoke(double untilDays, params X509Certificate2[] certificates)
    {
        var list = new CertificateRevocationListBuilder();
        foreach (X509Certificate2 certificate in certificates) list.AddEntry(certificate);
        return Write(PemEncoding.WriteString("X509 CRL", list.Build(Certificate, 1, Now.AddDays(untilDays), HashAlgorithmName.SHA256, null, Now.AddDays(-10))));
    }

    public void Dispose()
    {
        _key.Dispose();
        Certificate.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
