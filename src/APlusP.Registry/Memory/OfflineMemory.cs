using System.Data.Common;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Registry.Api;
using APlusP.Registry.Configuration;
using APlusP.Registry.Dhcpv6;
using APlusP.Registry.Leases;
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

    /// <summary>Names of servers, as they stand now.</summary>
    /// <inheritdoc cref="Verify"/>
    public static IReadOnlyList<ServerNameDocument> Names(RegistryDatabase database) => With(database, session => NameRoutes.Documents(session));

    /// <summary>The leases that run now, as reservations of a Kea DHCPv6 server; beside them, of whom there are none.</summary>
    /// <exception cref="APlusPException">AP6001: the settings do not say what to tell. AP6002: the database cannot be read.</exception>
    public static (string Reservations, IReadOnlyList<string> LeftOut) ExportToKea(RegistryDatabase database, RegistrySettings settings)
    {
        DhcpServerSettings dhcp = settings.Dhcpv6 ?? throw new APlusPException(ErrorCodes.RegistrySettings, "the configuration has no [dhcpv6], which says what homes are to be told.");
        List<Lease> leases = With(database, session => session.All(
            $"SELECT {Lease.Columns} FROM lease WHERE ended IS NULL AND until > @now ORDER BY id", Lease.Read, ("now", TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds())));
        string reservations = KeaReservations.Write(leases, dhcp, new HomePrefixes(dhcp, settings.Policy), out IReadOnlyList<string> leftOut);
        return (reservations, leftOut);
    }

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
