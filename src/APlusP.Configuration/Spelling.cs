namespace APlusP.Configuration;

/// <summary>Finds the word that was meant.</summary>
static class Spelling
{
    /// <summary>The nearest of the words, or several that are equally near joined by " or "; null where none is near enough to be meant.</summary>
    public static string? Suggest(string written, IEnumerable<string> words)
    {
        if (written.Length > 64) return null;
        var near = new List<string>();
        int best = Math.Max(2, written.Length / 3);
        foreach (string word in words)
        {
            int distance = Distance(written.ToLowerInvariant(), word);
            if (distance > best || distance >= Math.Max(2, word.Length)) continue;
            if (distance < best) near.Clear();
            best = distance;
            near.Add(word);
        }

        return near.Count is 0 or > 3 ? null : string.Join(" or ", near);
    }

    /// <summary>Letters left out, put in, exchanged, or swapped with their neighbour (optimal string alignment).</summary>
    public static int Distance(string a, string b)
    {
        int[] before = new int[b.Length + 1], above = new int[b.Length + 1], row = new int[b.Length + 1];
        for (int j = 0; j <= b.Length; j++) above[j] = j;
        for (int i = 1; i <= a.Length; i++)
        {
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int cost = a[i - 1] == b[j - 1] ? 0 : 1;
                row[j] = Math.Min(Math.Min(above[j] + 1, row[j - 1] + 1), above[j - 1] + cost);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = Math.Min(row[j], before[j - 2] + 1);
            }

            (before, above, row) = (above, row, before);
        }

        return above[b.Length];
    }
}
