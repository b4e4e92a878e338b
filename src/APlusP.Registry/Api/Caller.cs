using System.Net;
using APlusP.Core;
using APlusP.Core.Addresses;
using APlusP.Registry.Access;
using APlusP.Registry.Configuration;
using Microsoft.AspNetCore.Http;

namespace APlusP.Registry.Api;

/// <summary>What a route asks of whoever calls it.</summary>
enum Needs
{
    /// <summary>Nothing: it tells nothing of anybody.</summary>
    Nothing,

    /// <summary>To read: an operator of any role; this machine itself.</summary>
    Read,

    /// <summary>To follow the bindings: a PRR; whoever may read.</summary>
    Feed,

    /// <summary>To change: an operator of role operate; this machine itself where the settings say so.</summary>
    Operate,

    /// <summary>To read a lease; a SMAP its own.</summary>
    ReadLease,

    /// <summary>To change a lease; a SMAP its own.</summary>
    ChangeLease,

    /// <summary>To give rights to others: an operator of role operate with a token.</summary>
    Manage,

    /// <summary>An enrolment token.</summary>
    Enrol,

    /// <summary>A SMAP's key.</summary>
    Key,
}

/// <summary>Who makes a request.</summary>
/// <param name="Credential">By which token; null for this machine itself, without one.</param>
sealed record Caller(Credential? Credential)
{
    /// <summary>Somebody who brings no token, and does not ask from this machine.</summary>
    public static Caller Stranger { get; } = new((Credential?)null) { IsStranger = true };

    bool IsStranger { get; init; }

    /// <summary>How the memory calls them.</summary>
    public string Name => Credential is null ? "this machine" : $"{Credential.Kind} {Credential.Name}";

    /// <summary>The subscriber that this SMAP is; null for everybody else.</summary>
    public string? Subscriber => Credential is { Kind: Credential.Key or Credential.Certificate } ? Credential.Name : null;

    /// <summary>Refuses whoever may not do this.</summary>
    public void Require(Needs needs, LoopbackAccess loopback)
    {
        if (needs == Needs.Nothing) return;
        string? refused = (Credential, needs) switch
        {
            (null, _) when IsStranger => "",
            (null, Needs.Read or Needs.ReadLease or Needs.Feed) when loopback != LoopbackAccess.Token => null,
            (null, Needs.Operate or Needs.ChangeLease) when loopback == LoopbackAccess.Operate => null,
            (null, _) => "",
            ({ Kind: Credential.Operator }, Needs.Read or Needs.ReadLease or Needs.Feed) => null,
            ({ Kind: Credential.Operator, Role: Credential.Operate }, Needs.Operate or Needs.ChangeLease or Needs.Manage) => null,
            ({ Kind: Credential.Operator }, Needs.Enrol or Needs.Key) => "this is for SMAPs, and your token is an operator's",
            ({ Kind: Credential.Operator }, _) => $"the operator {Credential.Name} may read only; ask one whose role is 'operate'",
            ({ Kind: Credential.Key }, Needs.ReadLease or Needs.ChangeLease or Needs.Key) => null,
            ({ Kind: Credential.Certificate }, Needs.ReadLease or Needs.ChangeLease) => null,
            ({ Kind: Credential.Certificate }, Needs.Key) => "a certificate is not rotated here; have a new one signed by its authority",
            ({ Kind: Credential.Key or Credential.Certificate }, _) => "a SMAP may ask about its own lease only",
            ({ Kind: Credential.Router }, Needs.Feed) => null,
            ({ Kind: Credential.Router }, _) => "a router's token is good for GET /v1/bindings only",
            ({ Kind: Credential.Enrolment }, Needs.Enrol) => null,
            _ => "an enrolment token is good for POST /v1/enrol only, which gives a key",
        };
        if (refused == "") throw new Refusal(ErrorCodes.NotAuthenticated, "A token is needed: send 'Authorization: Bearer TOKEN'. The first operator's is in operator.token in the registry's directory; SMAPs get a key by POST /v1/enrol.");
        if (refused is not null) throw new Refusal(ErrorCodes.NotAllowed, $"{char.ToUpperInvariant(refused[0])}{refused[1..]}.");
    }

    /// <summary>Refuses a SMAP that means another than itself.</summary>
    public void RequireSelf(string subscriber)
    {
        if (Subscriber is { } self && self != subscriber) throw new Refusal(ErrorCodes.NotAllowed, "A SMAP may ask about its own lease only.");
    }

    /// <summary>Refuses a SMAP that means a softwire elsewhere than where its enrolment said.</summary>
    public void RequireWithin(IPv6Address softwire)
    {
        if (Credential?.Prefix is { } prefix && !prefix.Contains(softwire))
            throw new Refusal(ErrorCodes.NotAllowed, $"The softwire {softwire} is not in {prefix}, for which this SMAP was enrolled. Ask from an address there, or have an operator issue an enrolment token for the right prefix.");
    }

    /// <summary>The token that a request brings; null where it brings none.</summary>
    public static string? TokenOf(HttpContext context)
    {
        if (context.Request.Headers.Authorization is not { Count: > 0 } headers) return null;
        const string scheme = "Bearer ";
        if (headers is [{ } header] && header.StartsWith(scheme, StringComparison.OrdinalIgnoreCase) && header.Length is > 7 and < 512) return header[scheme.Length..].Trim();
        throw new Refusal(ErrorCodes.NotAuthenticated, "The Authorization header is not 'Bearer TOKEN'.");
    }

    /// <summary>
    /// Whether a request without a token comes from this machine itself, by its own will: over loopback, not passed on by a proxy, and not made by a page of
    /// somebody else's in a browser here, which shows by the Origin or, where a name was pointed at us, by the Host.
    /// </summary>
    public static bool IsThisMachine(HttpContext context)
    {
        IHeaderDictionary headers = context.Request.Headers;
        if (context.Connection.RemoteIpAddress is not { } from || !IPAddress.IsLoopback(from) || context.Connection.LocalIpAddress is not { } at || !IPAddress.IsLoopback(at)) return false;
        if (headers.ContainsKey("Forwarded") || headers.ContainsKey("X-Forwarded-For")) return false;
        string host = context.Request.Host.Host.Trim('[', ']');
        if (host != "localhost" && !(IPAddress.TryParse(host, out IPAddress? named) && IPAddress.IsLoopback(named))) return false;
        return headers.Origin is not { Count: > 0 } origin || origin == $"{context.Request.Scheme}://{context.Request.Host}";
    }
}
