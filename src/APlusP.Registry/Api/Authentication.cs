using System.Security.Cryptography;
using APlusP.Core;
using APlusP.Registry.Access;
using APlusP.Registry.Memory;
using Microsoft.AspNetCore.Http;

namespace APlusP.Registry.Api;

/// <summary>Tells who makes a request: by a token, by a certificate, or as this machine itself.</summary>
/// <param name="believed">The authorities of clients' certificates, of this moment; null for none.</param>
sealed class Authentication(Registrar registrar, TimeProvider clock, RegistryLog log, Func<ClientCertificates?> believed)
{
    readonly WrongTokens _wrongTokens = new(clock);

    /// <summary>Who asks. A wrong token is refused everywhere, also where none is needed.</summary>
    public async Task<Caller> Of(HttpContext context)
    {
        if (Caller.TokenOf(context) is not { } token)
            return context.Features.Get<ShownCertificate>() is { } shown && believed() is { } authorities ? await OfCertificate(context, shown, authorities)
                : Caller.IsThisMachine(context) ? new Caller(null) : Caller.Stranger;
        Credential? credential = registrar.Read(s => CredentialBook.Find(s, token, clock.GetUtcNow()));
        if (credential is null)
        {
            log.WrongToken($"{context.Connection.RemoteIpAddress}");
            if (!await _wrongTokens.Wait(context.Connection.RemoteIpAddress, context.RequestAborted))
                throw new Refusal(ErrorCodes.TooManyWrongTokens, "Too many wrong tokens came from this address at once. Wait a minute.") { RetryAfter = TimeSpan.FromMinutes(1) };
            throw new Refusal(ErrorCodes.NotAuthenticated, "This token is not known: it was revoked, is over, or is mistyped.");
        }

        if (credential.Replaces is not null)
            await registrar.Change(t =>
            {
                new CredentialBook(t, $"{credential.Kind} {credential.Name}").Settle(credential);
                return true;
            });
        return new Caller(credential);
    }

    /// <summary>Who shows a certificate. At its first use it becomes a credential, so that it is listed, and revoked by DELETE like any other.</summary>
    async Task<Caller> OfCertificate(HttpContext context, ShownCertificate shown, ClientCertificates authorities)
    {
        DateTimeOffset now = clock.GetUtcNow();
        ClientIdentity identity = authorities.Judge(shown.Certificate, shown.Sent, now);
        if (identity.Fault is { } fault)
        {
            log.WrongCertificate($"{context.Connection.RemoteIpAddress}", fault);
            throw new Refusal(ErrorCodes.NotAuthenticated, fault);
        }

        string print = shown.Certificate.GetCertHashString(HashAlgorithmName.SHA256);
        Credential known = registrar.Read(s => CredentialBook.Known(s, print))
            ?? await registrar.Change(t => new CredentialBook(t, "registry").Know(print, identity.Subscriber, new DateTimeOffset(shown.Certificate.NotAfter)));
        if (known.Revoked is { } then) throw new Refusal(ErrorCodes.NotAuthenticated, $"The client certificate of {known.Name} was revoked at {Moment.Write(then)}. Have a new one signed.");
        return new Caller(known);
    }
}
