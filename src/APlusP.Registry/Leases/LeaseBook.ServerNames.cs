using APlusP.Core;
using APlusP.Core.PortSets;
using APlusP.Registry.Memory;
using APlusP.Registry.Storage;

namespace APlusP.Registry.Leases;

// Names are the subscriber's, not the lease's: they go with it to another address. A port that is not in its set meanwhile leads nowhere.
sealed partial class LeaseBook
{
    /// <summary>Gives a subscriber a name, or changes what its name leads to.</summary>
    /// <returns>The name, the lease that it stands for, and whether it is new.</returns>
    public (ServerName Name, Lease? Lease, bool New) GiveName(ServerName name)
    {
        ServerName? before = FindName(name.Name);
        if (before is not null && before.Subscriber != name.Subscriber)
            throw new Refusal(ErrorCodes.LeaseConflict, $"{name.Name} is a name of {before.Subscriber}. DELETE /v1/names?name={name.Name} first.");
        if (before is null && _session.All("SELECT name FROM server_name WHERE subscriber = @subscriber", r => r.GetString(0), ("subscriber", name.Subscriber)).Count >= ServerName.Most)
            throw new Refusal(ErrorCodes.LeaseConflict, $"{name.Subscriber} has {ServerName.Most} names, which is the most. DELETE one of them first.");
        Lease? lease = LeaseNow(name.Subscriber);
        if (lease is not null && name.Ports.Where(p => !lease.Ports.Contains(p)).ToArray() is { Length: > 0 } others)
            throw new Refusal(ErrorCodes.BadRequest, $"{string.Join(", ", others)}: not in the set of {name.Subscriber}, which has {lease.Ports} of {lease.Address}. Choose ports of these, and forward them to the server there.")
            { Fields = [.. FieldsOf(name, others).Select(f => (f, "is not in the subscriber's port set"))] };
        transaction.Append(Event("named", name, lease));
        _session.Write("DELETE FROM server_name WHERE name = @name", ("name", name.Name));
        _session.Write(
            $"INSERT INTO server_name({ServerName.Columns}) VALUES(@name, @subscriber, @http, @https, @proxied, @services)",
            ("name", name.Name), ("subscriber", name.Subscriber), ("http", (long?)name.Http), ("https", (long?)name.Https), ("proxied", name.IsProxied ? 1L : 0L), ("services", string.Join(' ', name.Services)));
        return (name, lease, before is null);
    }

    /// <summary>Takes a name away.</summary>
    public ServerName TakeName(string text)
    {
        ServerName name = FindName(text) ?? throw new Refusal(ErrorCodes.NotThere, $"{text} is nobody's name. GET /v1/names lists those that there are.");
        transaction.Append(Event("unnamed", name, LeaseNow(name.Subscriber)));
        _session.Write("DELETE FROM server_name WHERE name = @name", ("name", name.Name));
        return name;
    }

    ServerName? FindName(string name) => _session.One($"SELECT {ServerName.Columns} FROM server_name WHERE name = @name", ServerName.Read, ("name", name));

    static IEnumerable<string> FieldsOf(ServerName name, ushort[] ports)
    {
        if (name.Http is { } http && ports.Contains(http)) yield return "http";
        if (name.Https is { } https && ports.Contains(https)) yield return "https";
        if (name.Services.Any(s => ports.Contains(s.Port))) yield return "services";
    }

    /// <summary>It names the softwire, so that whoever follows the leases is told what this one has now.</summary>
    RegistryEvent Event(string kind, ServerName name, Lease? lease) => new(
        kind, name.Name, name.Subscriber, lease?.Softwire.ToString(), lease?.Address.Value,
        name.Ports.ToArray() is { Length: > 0 } ports ? Rows.Multirange(PortSet.FromRanges(ports.Order().Select(p => new PortRange(p, p)))) : null, null, actor);
}
