using System.Formats.Asn1;
using System.Numerics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace APlusP.Registry.Access;

/// <summary>The certificates that an authority took back, signed by it (RFC 5280 section 5). Complete lists only: one that is a part, or of several authorities, says so by a critical extension.</summary>
sealed class RevocationList
{
    const string Label = "X509 CRL";

    static readonly Asn1Tag s_extensions = new(TagClass.ContextSpecific, 0);

    readonly byte[] _issuer;
    readonly HashSet<BigInteger> _serials = [];

    /// <exception cref="CryptographicException">It is not a list that can be understood whole, or nobody of the authorities signed it.</exception>
    RevocationList(byte[] encoded, X509Certificate2Collection authorities)
    {
        AsnReader list = new AsnReader(encoded, AsnEncodingRules.DER).ReadSequence();
        ReadOnlyMemory<byte> signed = list.PeekEncodedValue();
        AsnReader content = list.ReadSequence();
        string algorithm = list.ReadSequence().ReadObjectIdentifier();
        byte[] signature = list.ReadBitString(out _);

        if (content.PeekTag() == Asn1Tag.Integer) content.ReadInteger();
        content.ReadSequence();
        _issuer = content.ReadEncodedValue().ToArray();
        ReadTime(content);
        if (content.HasData && content.PeekTag() is { TagClass: TagClass.Universal, TagValue: (int)UniversalTagNumber.UtcTime or (int)UniversalTagNumber.GeneralizedTime }) Until = ReadTime(content);
        if (content.HasData && content.PeekTag() == Asn1Tag.Sequence)
            for (AsnReader entries = content.ReadSequence(); entries.HasData;) ReadEntry(entries.ReadSequence());
        if (content.HasData) RefuseCritical(content.ReadSequence(s_extensions).ReadSequence());

        X509Certificate2[] issuers = [.. authorities.Where(a => a.SubjectName.RawData.AsSpan().SequenceEqual(_issuer))];
        string name = new X500DistinguishedName(_issuer).Name;
        if (issuers.Length == 0) throw new CryptographicException($"the revocation list of '{name}' is of none of the authorities.");
        if (!issuers.Any(issuer => IsSignedBy(issuer, algorithm, signed.Span, signature))) throw new CryptographicException($"the revocation list of '{name}' is not signed by that authority.");
    }

    /// <summary>When the next list is there at the latest; null where it does not say.</summary>
    public DateTimeOffset? Until { get; }

    /// <summary>Whether it is the list of this certificate's authority.</summary>
    public bool IsOf(X509Certificate2 certificate) => certificate.IssuerName.RawData.AsSpan().SequenceEqual(_issuer);

    public bool Holds(X509Certificate2 certificate) => _serials.Contains(new BigInteger(certificate.SerialNumberBytes.Span, isBigEndian: true));

    /// <summary>Reads one list in DER, or any number of them in PEM.</summary>
    /// <inheritdoc cref="RevocationList(byte[], X509Certificate2Collection)"/>
    public static IReadOnlyList<RevocationList> ReadFile(string path, X509Certificate2Collection authorities)
    {
        byte[] content = File.ReadAllBytes(path);
        string text = System.Text.Encoding.Latin1.GetString(content);
        var encoded = new List<byte[]>();
        for (ReadOnlySpan<char> rest = text; PemEncoding.TryFind(rest, out PemFields pem); rest = rest[pem.Location.End..])
            if (rest[pem.Label].SequenceEqual(Label)) encoded.Add(Convert.FromBase64String(rest[pem.Base64Data].ToString()));
        if (encoded.Count == 0) encoded.Add(content);
        try
        {
            return [.. encoded.Select(one => new RevocationList(one, authorities))];
        }
        catch (Exception error) when (error is AsnContentException or CryptographicException)
        {
            throw new CryptographicException($"{path}: {error.Message}", error);
        }
    }

    void ReadEntry(AsnReader entry)
    {
        _serials.Add(entry.ReadInteger());
        ReadTime(entry);
        if (entry.HasData) RefuseCritical(entry.ReadSequence());
    }

    static void RefuseCritical(AsnReader extensions)
    {
        while (extensions.HasData)
        {
            AsnReader extension = extensions.ReadSequence();
            string id = extension.ReadObjectIdentifier();
            if (extension.PeekTag() == Asn1Tag.Boolean && extension.ReadBoolean())
                throw new CryptographicException($"a revocation list has the critical extension {id}, which is not understood; take a complete list of one authority.");
        }
    }

    static DateTimeOffset ReadTime(AsnReader reader) => reader.PeekTag().TagValue == (int)UniversalTagNumber.UtcTime ? reader.ReadUtcTime() : reader.ReadGeneralizedTime();

    static bool IsSignedBy(X509Certificate2 issuer, string algorithm, ReadOnlySpan<byte> signed, byte[] signature)
    {
        HashAlgorithmName hash = algorithm switch
        {
            "1.2.840.113549.1.1.11" or "1.2.840.10045.4.3.2" => HashAlgorithmName.SHA256,
            "1.2.840.113549.1.1.12" or "1.2.840.10045.4.3.3" => HashAlgorithmName.SHA384,
            "1.2.840.113549.1.1.13" or "1.2.840.10045.4.3.4" => HashAlgorithmName.SHA512,
            _ => throw new CryptographicException($"a revocation list is signed by the algorithm {algorithm}; it is to be RSA (PKCS #1) or ECDSA with SHA-256, SHA-384 or SHA-512."),
        };
        using RSA? rsa = issuer.GetRSAPublicKey();
        if (rsa is not null) return rsa.VerifyData(signed, signature, hash, RSASignaturePadding.Pkcs1);
        using ECDsa? ecdsa = issuer.GetECDsaPublicKey();
        return ecdsa?.VerifyData(signed, signature, hash, DSASignatureFormat.Rfc3279DerSequence) == true;
    }
}
