using APlusP.Core;
using APlusP.Survey.Counting;
using APlusP.Survey.Flows;
using APlusP.Survey.Readers;
using APlusP.Survey.Storage;

namespace APlusP.Survey;

/// <summary>When saved tables were taken, which they do not say themselves: the first at a time, each next one a period later.</summary>
/// <param name="At">The first; null for one period after the store's last sample, or, in an empty store, when the first file was written.</param>
/// <param name="Every">The period.</param>
public sealed record ImportClock(DateTimeOffset? At, TimeSpan Every);

/// <summary>Adds saved files to a store.</summary>
public static class Importer
{
    /// <summary>Reads all files as one change of the store: where one of them is refused, none is added.</summary>
    /// <param name="done">Hears of each file when it is read.</param>
    public static void Import(SurveyStore store, IReadOnlyList<string> files, ImportClock clock, ApplicationRules rules, InsideNetworks inside, Action<string, FileResult> done)
    {
        DateTimeOffset next = clock.At ?? (store.Last is { } last ? last + clock.Every : Written(files[0]));
        store.Together(() =>
        {
            foreach (string file in files)
            {
                done(file, SurveyFile.Read(file, rules, inside, (at, counts) =>
                {
                    store.Add(new SampleTime(at ?? next, clock.Every), counts, rules);
                    if (at is null) next += clock.Every;
                }));
            }
        });
    }

    static DateTimeOffset Written(string file)
    {
        try
        {
            return File.Exists(file) ? new DateTimeOffset(File.GetLastWriteTimeUtc(file)) : DateTimeOffset.UnixEpoch;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new APlusPException(ErrorCodes.SurveyFileUnreadable, $"{file} cannot be read: {error.Message} Check the path and the rights.", error);
        }
    }
}
