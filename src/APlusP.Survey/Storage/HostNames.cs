using System.Buffers.Binary;
using System.Security.Cryptography;
using APlusP.Core;
using APlusP.Core.Addresses;

namespace APlusP.Survey.Storage;

/// <summary>
/// How hosts are called in a store: by their addresses, or by pseudonyms, which are the same for the same address, and lead back to it only with the key
/// (HMAC-SHA-256 of the address). The key is a file beside the store: whoever gets the store alone learns no address, not even by trying them all.
/// </summary>
sealed class HostNames
{
    public const string Addresses = "addresses", Pseudonyms = "pseudonyms";

    const int KeySize = 32, PseudonymOctets = 8;

    readonly byte[]? _key;

    HostNames(byte[]? key) => _key = key;

    public static HostNames ByAddress { get; } = new(null);

    /// <summary>Tells one key from another, and nothing of it.</summary>
    public string Fingerprint => _key is null ? "" : Convert.ToHexStringLower(SHA256.HashData(_key).AsSpan(0, PseudonymOctets));

    /// <summary>Where the key of a store is, if nobody says otherwise.</summary>
    public static string KeyFileOf(string store) => $"{store}.key";

    /// <summary>Takes the key out of its file, or null where there is none.</summary>
    public static HostNames? ByKeyIn(string file)
    {
        if (!File.Exists(file)) return null;
        try
        {
            byte[] key = Convert.FromHexString(File.ReadAllText(file).Trim());
            return key.Length == KeySize ? new HostNames(key) : throw NoKey(file, null);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or FormatException)
        {
            throw NoKey(file, error);
        }
    }

    static APlusPException NoKey(string file, Exception? error) => new(ErrorCodes.SurveySettings,
        $"{file} is no key of a survey, or cannot be read: it holds {KeySize * 2} hexadecimal digits and is made with the store.{(error is null ? "" : $" {error.Message}")}", error);

    /// <summary>Makes a key, for its owner alone.</summary>
    public static HostNames MakeKey(string file)
    {
        byte[] key = RandomNumberGenerator.GetBytes(KeySize);
        try
        {
            using var stream = new FileStream(file, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite });
            using var writer = new StreamWriter(stream);
            writer.WriteLine(Convert.ToHexStringLower(key));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new APlusPException(ErrorCodes.SurveyStorage, $"the key {file} cannot be made: {error.Message} Check that its directory exists and may be written.", error);
        }

        return new HostNames(key);
    }

    public string NameOf(HostAddress address)
    {
        if (_key is null) return address.ToString();
        Span<byte> octets = stackalloc byte[16], hash = stackalloc byte[HMACSHA256.HashSizeInBytes];
        BinaryPrimitives.WriteUInt128BigEndian(octets, address.Value);
        HMACSHA256.HashData(_key, octets, hash);
        return $"host-{Convert.ToHexStringLower(hash[..PseudonymOctets])}";
    }
}
