using APlusP.Core;
using APlusP.Survey.Storage;

namespace APlusP.Survey.Sites;

/// <summary>Sends a site's samples to a collector: what that does not have yet, by its own word, so that nothing is lost when either is away, and nothing counts twice.</summary>
public sealed class SitePusher(string storePath, ApiAddress collector) : IDisposable
{
    /// <summary>Samples sent together: at ten seconds half an hour, of 500 hosts a megabyte.</summary>
    const int Together = 180;

    readonly ApiEndpoint _endpoint = new(collector, kind: new ApiKind("collector", ErrorCodes.NoCollector));

    /// <summary>Sends all that there is to send; gives how many samples.</summary>
    /// <exception cref="APlusPException">The store cannot be read; or the collector refuses, or does not answer (AP7013).</exception>
    public async Task<int> Push(CancellationToken stop)
    {
        using SurveyStore store = SurveyStore.Open(storePath);
        try
        {
            long? last = (await _endpoint.Get("v1/site", SiteJson.Default.SiteDocument, stop)).Last;
            int sent = 0;
            while (store.BatchAfter(last is { } at ? DateTimeOffset.FromUnixTimeMilliseconds(at) : null, Together) is { } batch)
            {
                SiteDocument known = await _endpoint.Post("v1/samples", batch, SiteJson.Default.SampleBatch, SiteJson.Default.SiteDocument, requestId: null, stop);
                if (known.Last is null || known.Last <= last) throw new APlusPException(ErrorCodes.NoCollector, $"the collector at {collector.Url} takes samples, and keeps none; is its clock, or the store's, years ahead?");
                last = known.Last;
                sent += batch.Samples.Count;
            }

            return sent;
        }
        catch (ApiFault fault)
        {
            throw new APlusPException(fault.Code, fault.Message, fault);
        }
    }

    public void Dispose() => _endpoint.Dispose();
}
