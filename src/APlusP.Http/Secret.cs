using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace APlusP.Http;

/// <summary>Tokens and keys: 256 random bits each.</summary>
static class Secret
{
    const int Octets = 32;

    public static string New() => "aplusp-" + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(Octets));

    /// <summary>A secret has 256 random bits, so a plain hash keeps it, and finding it by its hash tells nothing by the time it takes.</summary>
    public static byte[] HashOf(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));
}
