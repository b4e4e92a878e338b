using APlusP.Core.PortSets;

namespace APlusP.Node.Configuration;

/// <summary>The ports of one address that are somebody's already: a bit for each, for checking millions of ranges without keeping them.</summary>
sealed class TakenPorts
{
    const int BitsOfWord = 64;

    readonly ulong[] _words = new ulong[65536 / BitsOfWord];

    /// <summary>Begins with another address.</summary>
    public void Clear() => Array.Clear(_words);

    /// <summary>Takes a set's ports. False where one of them was taken before.</summary>
    public bool TryTake(PortSet ports)
    {
        bool free = true;
        foreach (PortRange range in ports.Ranges) free &= TryTake(range.First, range.Last);
        return free;
    }

    /// <summary>Takes the numbers from first to last.</summary>
    public bool TryTake(int first, int last)
    {
        ulong overlap = 0;
        int lastWord = last / BitsOfWord;
        for (int word = first / BitsOfWord; word <= lastWord; word++)
        {
            ulong wanted = ulong.MaxValue;
            if (word == first / BitsOfWord) wanted &= ulong.MaxValue << (first % BitsOfWord);
            if (word == lastWord) wanted &= ulong.MaxValue >> (BitsOfWord - 1 - last % BitsOfWord);
            overlap |= _words[word] & wanted;
            _words[word] |= wanted;
        }

        return overlap == 0;
    }
}
