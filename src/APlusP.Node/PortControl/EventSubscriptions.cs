using System.Net;
using System.Net.Sockets;
using System.Text;
using APlusP.Core.Addresses;
using APlusP.Core.PortControl.Upnp;

namespace APlusP.Node.PortControl;

/// <summary>
/// Who hears of changes: GENA, UPnP Device Architecture 1.1 section 4. Told is the host alone that subscribed, at its own address: whoever could name another made of us a gun that shoots at third parties
/// (CVE-2020-12695).
/// </summary>
/// <param name="evented">The evented variables of a service of a device, by its path.</param>
/// <param name="clock">How long subscriptions stand.</param>
sealed class EventSubscriptions(Func<int, string, IReadOnlyList<KeyValuePair<string, string>>?> evented, TimeProvider clock) : IDisposable
{
    public const int MostOfHost = 8, MostOfAll = 64;

    static readonly TimeSpan s_longest = TimeSpan.FromSeconds(1800), s_patience = TimeSpan.FromSeconds(5);

    readonly Lock _gate = new();
    readonly long _start = clock.GetTimestamp();
    readonly List<Subscription> _all = [];
    readonly CancellationTokenSource _stop = new();

    /// <summary>Since we began: the time of day may be set.</summary>
    TimeSpan Now => clock.GetElapsedTime(_start);

    sealed class Subscription
    {
        public string Id { get; } = $"uuid:{Guid.NewGuid()}";

        public required int Device { get; init; }

        public required string Path { get; init; }

        public required IPv4Address Host { get; init; }

        public required int Port { get; init; }

        public required string Callback { get; init; }

        /// <summary>By our own time.</summary>
        public TimeSpan Until { get; set; }

        public uint Key { get; set; }

        public string Told { get; set; } = "";

        /// <summary>Messages reach a subscriber one after the other.</summary>
        public Task Telling { get; set; } = Task.CompletedTask;
    }

    public HttpAnswer Subscribe(int device, HttpHead head, IPv4Address asker)
    {
        lock (_gate)
        {
            _all.RemoveAll(s => s.Until < Now);
            Subscription? subscription;
            if (head["sid"] is { } id)
            {
                if (head["callback"] is not null || head["nt"] is not null) return new HttpAnswer("400 Bad Request");
                subscription = _all.Find(s => s.Id == id && s.Host == asker && s.Path == head.Target);
                if (subscription is null) return new HttpAnswer("412 Precondition Failed");
            }
            else
            {
                if (head["nt"] != "upnp:event" || CallbackOf(head["callback"] ?? "", asker) is not { } callback) return new HttpAnswer("412 Precondition Failed");
                if (_all.Count >= MostOfAll || _all.Count(s => s.Host == asker) >= MostOfHost) return new HttpAnswer("503 Service Unavailable");
                subscription = new Subscription { Device = device, Path = head.Target, Host = asker, Port = callback.Port, Callback = callback.PathAndQuery };
                _all.Add(subscription);

                // The first message may not come before the answer.
                Tell(subscription, TimeSpan.FromMilliseconds(100));
            }

            TimeSpan asked = head["timeout"] is { } text && text.StartsWith("Second-", StringComparison.OrdinalIgnoreCase) && uint.TryParse(text.AsSpan(7), out uint seconds) && seconds > 0 ? TimeSpan.FromSeconds(seconds) : s_longest;
            TimeSpan granted = asked < s_longest ? asked : s_longest;
            subscription.Until = Now + granted;
            return new HttpAnswer("200 OK") { Fields = $"SID: {subscription.Id}\r\nTIMEOUT: Second-{(int)granted.TotalSeconds}\r\n" };
        }
    }

    /// <summary>The first place that the asker itself has; null where there is none, or it is a name.</summary>
    internal static Uri? CallbackOf(string callbacks, IPv4Address asker)
    {
        foreach (string part in callbacks.Split('<', StringSplitOptions.RemoveEmptyEntries))
        {
            int end = part.IndexOf('>');
            if (end < 0 || part.Length > 512 || !Uri.TryCreate(part[..end], UriKind.Absolute, out Uri? uri)) continue;
            if (uri is { Scheme: "http", UserInfo: "", Port: > 0 } && uri.Host == $"{asker}" && uri.PathAndQuery.All(c => c is > ' ' and < '\u007f')) return uri;
        }

        return null;
    }

    public HttpAnswer Unsubscribe(HttpHead head)
    {
        lock (_gate) return _all.RemoveAll(s => s.Id == head["sid"] && s.Path == head.Target) > 0 ? new HttpAnswer("200 OK") : new HttpAnswer("412 Precondition Failed");
    }

    /// <summary>Something changed: who subscribed to it is told.</summary>
    public void Ring()
    {
        lock (_gate)
        {
            _all.RemoveAll(s => s.Until < Now);

            // Changes that come together are told together.
            foreach (Subscription subscription in _all) Tell(subscription, TimeSpan.FromMilliseconds(200));
        }
    }

    void Tell(Subscription subscription, TimeSpan soon)
    {
        if (_stop.IsCancellationRequested) return;
        subscription.Telling = subscription.Telling.ContinueWith(_ => Send(subscription, soon), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default).Unwrap();
    }

    async Task Send(Subscription subscription, TimeSpan soon)
    {
        try
        {
            await Task.Delay(soon, _stop.Token);
            if (evented(subscription.Device, subscription.Path) is not { } values) return;
            string body = IgdDevice.PropertySet(values);
            if (body == subscription.Told) return;
            subscription.Told = body;
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
            patience.CancelAfter(s_patience);
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Parse($"{subscription.Host}"), subscription.Port), patience.Token);
            await socket.SendAsync(Encoding.UTF8.GetBytes(
                $"NOTIFY {subscription.Callback} HTTP/1.1\r\nHOST: {subscription.Host}:{subscription.Port}\r\nCONTENT-TYPE: text/xml; charset=\"utf-8\"\r\nCONTENT-LENGTH: {Encoding.UTF8.GetByteCount(body)}\r\n"
                + $"NT: upnp:event\r\nNTS: upnp:propchange\r\nSID: {subscription.Id}\r\nSEQ: {subscription.Key}\r\nCONNECTION: close\r\n\r\n{body}"), patience.Token);

            // 0 is the first alone (section 4.3.2).
            subscription.Key = subscription.Key == uint.MaxValue ? 1 : subscription.Key + 1;
            byte[] answer = new byte[1024];
            await socket.ReceiveAsync(answer, patience.Token);
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException or InvalidOperationException)
        {
            // Who does not listen misses it; its subscription ends when it is not renewed.
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _stop.Cancel();
            _all.Clear();
        }
    }
}
