namespace APlusP.Registry.Storage;

/// <summary>
/// The tables, as a list of steps from nothing to now. A step that has been released never changes; the next change is a step of its own. Both
/// databases have the same tables and columns; times are milliseconds since 1970, IPv4 addresses numbers. They differ in how a block of ports is kept from
/// overlapping another in time: PostgreSQL refuses it itself, SQLite relies on the one writer that it allows.
/// </summary>
/// <remarks>
/// <code>
/// pool, address   what there is to give out; an address's `taken` is a bit for each unit
/// lease           who has what now, and had; `ended` is null while it lives
/// block           ports that a lease had from when until when; `free_at`, the end of its hold-down, is when others may have them
/// reservation     ports that are kept for one subscriber
/// service_port    single ports that a subscriber has besides its set
/// server_name     names of a subscriber's servers, and its ports where they are
/// event, chain    every change, each with a hash over itself and the one before; the head and the tail of that chain
/// request         answers already given, by request id
/// credential      operators, enrolment tokens, SMAPs' keys and certificates, as hashes
/// export          the last event that each IPFIX collector has
/// </code>
/// </remarks>
static class Migrations
{
    public static IReadOnlyList<string> Sqlite { get; } = [Tables("INTEGER PRIMARY KEY AUTOINCREMENT", "TEXT", "BLOB", """
        CREATE INDEX block_of_address ON block(address, lowest, highest, valid_from, until);
        """), SecondStep, ThirdStep, FourthStep, FifthStep];

    public static IReadOnlyList<string> Postgres { get; } = ["CREATE EXTENSION IF NOT EXISTS btree_gist;\n" + Tables("BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "INT4MULTIRANGE", "BYTEA", """
        ALTER TABLE block ADD CONSTRAINT no_port_twice EXCLUDE USING gist (address WITH =, ports WITH &&, int8range(valid_from, free_at) WITH &&);
        """), SecondStep, ThirdStep, FourthStep, FifthStep];

    /// <summary>The IPv6 prefix in which the softwires of a credential are; how far a collector has been told of events.</summary>
    const string SecondStep = """
        ALTER TABLE credential ADD COLUMN prefix TEXT NOT NULL DEFAULT '';
        CREATE TABLE export(collector TEXT PRIMARY KEY, seq BIGINT NOT NULL);
        """;

    /// <summary>By which nonce a client of PCP has its lease.</summary>
    const string ThirdStep = "ALTER TABLE lease ADD COLUMN nonce TEXT;";

    /// <summary>Ports that everybody knows, and whose they are.</summary>
    const string FourthStep = "CREATE TABLE service_port(subscriber TEXT NOT NULL, address BIGINT NOT NULL, port BIGINT NOT NULL, PRIMARY KEY(address, port));";

    /// <summary>Names of subscribers' servers, and the ports that they lead to.</summary>
    const string FifthStep = """
        CREATE TABLE server_name(name TEXT PRIMARY KEY, subscriber TEXT NOT NULL, http BIGINT, https BIGINT, proxied BIGINT NOT NULL, services TEXT NOT NULL);
        CREATE INDEX server_name_of_subscriber ON server_name(subscriber);
        """;

    static string Tables(string identity, string ports, string bytes, string last) => $"""
        CREATE TABLE pool(name TEXT PRIMARY KEY, layout TEXT NOT NULL, units BIGINT NOT NULL);
        CREATE TABLE address(address BIGINT PRIMARY KEY, pool TEXT NOT NULL, free BIGINT NOT NULL, taken {bytes} NOT NULL);
        CREATE INDEX address_by_room ON address(pool, free DESC, address);

        CREATE TABLE lease(
            id TEXT PRIMARY KEY, subscriber TEXT NOT NULL, class TEXT NOT NULL, softwire TEXT NOT NULL, address BIGINT NOT NULL, ports TEXT NOT NULL,
            units BIGINT NOT NULL, valid_from BIGINT NOT NULL, until BIGINT NOT NULL, changed BIGINT, ended BIGINT);
        CREATE UNIQUE INDEX lease_of_subscriber ON lease(subscriber) WHERE ended IS NULL;
        CREATE UNIQUE INDEX lease_of_softwire ON lease(softwire) WHERE ended IS NULL;
        CREATE INDEX lease_last ON lease(subscriber, valid_from);
        CREATE INDEX lease_expiry ON lease(until) WHERE ended IS NULL;

        CREATE TABLE block(
            id {identity}, lease TEXT NOT NULL, address BIGINT NOT NULL, ports {ports} NOT NULL, lowest BIGINT NOT NULL, highest BIGINT NOT NULL,
            first_unit BIGINT NOT NULL, unit_count BIGINT NOT NULL, valid_from BIGINT NOT NULL, until BIGINT NOT NULL, free_at BIGINT NOT NULL,
            reclaimed BIGINT NOT NULL, opened BIGINT NOT NULL, altered BIGINT NOT NULL);
        CREATE INDEX block_of_lease ON block(lease);
        CREATE INDEX block_hold_down ON block(free_at) WHERE reclaimed = 0;

        CREATE TABLE reservation(
            subscriber TEXT PRIMARY KEY, address BIGINT NOT NULL, ports TEXT NOT NULL, first_unit BIGINT NOT NULL, unit_count BIGINT NOT NULL);
        CREATE INDEX reservation_of_address ON reservation(address);

        CREATE TABLE event(
            seq BIGINT PRIMARY KEY, at BIGINT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, subscriber TEXT, softwire TEXT, address BIGINT, ports TEXT,
            until BIGINT, actor TEXT NOT NULL, hash {bytes} NOT NULL);
        CREATE TABLE chain(
            one BIGINT PRIMARY KEY, seq BIGINT NOT NULL, at BIGINT NOT NULL, hash {bytes} NOT NULL,
            forgotten_seq BIGINT NOT NULL, forgotten_at BIGINT NOT NULL, forgotten_hash {bytes} NOT NULL);

        CREATE TABLE request(id TEXT PRIMARY KEY, at BIGINT NOT NULL, fingerprint TEXT NOT NULL, status BIGINT NOT NULL, body TEXT NOT NULL);
        CREATE INDEX request_age ON request(at);

        CREATE TABLE credential(
            id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, class TEXT NOT NULL, hash {bytes} NOT NULL UNIQUE, uses BIGINT,
            created BIGINT NOT NULL, until BIGINT, revoked BIGINT, replaces TEXT);
        {last}
        """;
}
