using System.Buffers.Binary;
using System.Security.Cryptography;

namespace APlusP.Core.Forwarding.Napt;

/// <summary>
/// Random numbers of the system: who sees some of our ports learns nothing about the next (RFC 7857 section 9, RFC 6056 section 3).
/// One number is drawn for a new mapping, none for a packet.
/// </summary>
sealed class UnforeseeableRandom : Random
{
    public override int Next(int maxValue) => maxValue == 0 ? 0 : RandomNumberGenerator.GetInt32(maxValue);

    public override long NextInt64()
    {
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        RandomNumberGenerator.Fill(bytes);
        return BinaryPrimitives.ReadInt64LittleEndian(bytes) & long.MaxValue;
    }
}
