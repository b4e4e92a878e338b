using System.Data.Common;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Registry.Api;
using APlusP.Registry.Storage;

namespace APlusP.Registry.Memory;

/// <summary>What a verification told, for people.</summary>
/// <param name="Events">Events that were read.</param>
/// <param name="Blocks">Blocks that were compared with them.</param>
/// <param name="Head">Number and hash of the last event.</param>
/// <param name="Faults">What is not as it was written.</param>
public sealed record VerificationReport(long Events, long Blocks, string Head, IReadOnlyList<string> Faults);

/// <summary>The memory of a registry, read from its database beside the running process or without it. Changes nothing.</summary>
public static class OfflineMemory
{
    /// <exception cref="APlusPException">AP6002: the database cannot be read.</exception>
    public static VerificationReport Verify(RegistryDatabase database) => With(database, session =>
    {
        Verification seen = Verification.Run(session);
        return new VerificationReport(seen.Events, seen.Blocks, seen.Head, seen.Faults);
    });

    /// <inheritdoc cref="Verify"/>
    public static WhoDocument Who(RegistryDatabase database, IPv4Address address, ushort port, DateTimeOffset at) =>
        With(database, session => LeaseRoutes.Document(WhoAnswer.Find(session, address, port, at), address, port, at));

    static T With<T>(RegistryDatabase database, Func<Session, T> what)
    {
        if (database is SqliteDatabase && !File.Exists(database.Name))
            throw new APlusPException(ErrorCodes.RegistryStorage, $"there is no registry's database at {database.Name}. Name the directory that the registry was started with by --data.");
        try
        {
            using var session = new Session(database, database.Connect());
            return what(session);
        }
        catch (DbException error)
        {
            throw new APlusPException(ErrorCodes.RegistryStorage, $"the database {database.Name} cannot be read: {error.Message}", error);
        }
    }
}
