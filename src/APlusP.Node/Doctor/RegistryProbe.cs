using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using APlusP.Node.Registry;

namespace APlusP.Node.Doctor;

/// <summary>
/// Looks whether a registry is there and what its clock says. It is told nothing, our token least of all, and its certificate is not judged: that is the daemon's to do, and a clock that is
/// wrong would make every certificate invalid.
/// </summary>
static class RegistryProbe
{
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    public static async Task<RegistrySight> Look(Uri url)
    {
        using var patience = new CancellationTokenSource(s_patience);
        try
        {
            if (url.Scheme == RegistryAddress.Found) url = (await ServiceLookup.Find(url.Host, [], patience.Token))[0];
            if (!IPAddress.TryParse(url.Host, out _)) await Dns.GetHostAddressesAsync(url.Host, patience.Token);
        }
        catch (Exception error) when (error is ApiFault or SocketException or OperationCanceledException)
        {
            return Sight() with { IsFound = false, Fault = error.Message };
        }

        try
        {
            using var client = new HttpClient(new SocketsHttpHandler
            {
                UseProxy = false,
                AllowAutoRedirect = false,
                SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null },
            });
            using HttpResponseMessage answer = await client.GetAsync(new Uri(url, "v1/health"), HttpCompletionOption.ResponseHeadersRead, patience.Token);
            return Sight() with { TheirClock = answer.Headers.Date };
        }
        catch (OperationCanceledException)
        {
            return Sight() with { Fault = $"not within {s_patience.TotalSeconds:N0} s" };
        }
        catch (HttpRequestException error)
        {
            return Sight() with { Fault = error.GetBaseException().Message.ReplaceLineEndings(" ") };
        }

        RegistrySight Sight() => new(url, TimeProvider.System.GetUtcNow());
    }
}
