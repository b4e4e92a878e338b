using APlusP.Core;
using APlusP.Survey.Readers;
using APlusP.Survey.Storage;

namespace APlusP.Survey;

/// <summary>Adds saved files to a store.</summary>
public static class Importer
{
    /// <summary>Reads all files as one change of the store: where one of them is refused, none is added.</summary>
    /// <param name="first">
    /// When the first was taken that does not say so itself; each next one was a period later. Null for one period after the store's last sample, or, in an empty store, when
    /// the first file was written.
    /// </param>
    /// <param name="done">Hears of each file when it is read.</param>
    public static void Import(SurveyStore store, IReadOnlyList<string> files, DateTimeOffset? first, SurveyReading reading, Action<string, FileResult> done)
    {
        DateTimeOffset next = first ?? (store.Last is { } last ? last + reading.Every : Written(files[0]));
        store.Together(() =>
        {
            foreach (string file in files)
            {
                done(file, SurveyFile.Read(file, reading, (at, counts) =>
                {
                    store.Add(new SampleTime(at ?? next, reading.Every), counts, reading.Rules);
                    if (at is null) next += reading.Every;
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
