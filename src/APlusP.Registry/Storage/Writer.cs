using System.Data.Common;
using System.Threading.Channels;
using APlusP.Core;

namespace APlusP.Registry.Storage;

/// <summary>
/// The one that changes the database: a thread that takes what waits, up to <see cref="MostAtOnce"/> requests, makes all of it one transaction, and answers when
/// it is on the disk. So a disk that takes 2 ms to sync does not limit the registry to 500 requests a second.
/// </summary>
sealed class Writer : IDisposable
{
    const int MostAtOnce = 64;

    /// <summary>How long a request waits for a database that is away, before it is told so.</summary>
    static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    readonly RegistryDatabase _database;
    readonly TimeProvider _clock;
    readonly Action _committed;
    readonly Channel<Request> _waiting = Channel.CreateBounded<Request>(new BoundedChannelOptions(10_000) { SingleReader = true });
    readonly Thread _thread;
    Session? _session;

    /// <param name="database">Where.</param>
    /// <param name="clock">For the times of changes.</param>
    /// <param name="committed">Told after each transaction.</param>
    public Writer(RegistryDatabase database, TimeProvider clock, Action committed)
    {
        _database = database;
        _clock = clock;
        _committed = committed;
        _thread = new Thread(Run) { IsBackground = true, Name = "registry-writer" };
        _thread.Start();
    }

    /// <summary>Does something in a transaction, and gives what it gave once that is safe.</summary>
    /// <exception cref="APlusPException">What it refused; or AP6111: the database is away.</exception>
    public async Task<T> Do<T>(Func<Transaction, T> what)
    {
        var request = new Request<T>(what);
        if (!_waiting.Writer.TryWrite(request))
            throw new Refusal(ErrorCodes.StorageAway, "Too many requests wait for the database. Nothing was changed; ask again in a few seconds.");
        return await request.Answer.Task;
    }

    void Run()
    {
        var together = new List<Request>();
        while (true)
        {
            ValueTask<bool> more = _waiting.Reader.WaitToReadAsync();
            if (!(more.IsCompleted ? more.Result : more.AsTask().GetAwaiter().GetResult())) return;
            while (together.Count < MostAtOnce && _waiting.Reader.TryRead(out Request? next)) together.Add(next);

            // One that cannot be written must not take the others with it.
            if (!Try(together, out Exception? error) && together.Count > 1)
                foreach (Request request in together) Persist([request]);
            else if (error is not null)
                Persist(together);
            together.Clear();
        }
    }

    /// <summary>Tries until the time is over; then each request hears why.</summary>
    void Persist(List<Request> requests)
    {
        long start = _clock.GetTimestamp();
        while (!Try(requests, out Exception? error))
        {
            bool passing = _database.IsPassing(error!);
            if (passing && _clock.GetElapsedTime(start) < s_patience)
            {
                Thread.Sleep(100);
                continue;
            }

            foreach (Request request in requests)
                request.Fail(passing ? new Refusal(ErrorCodes.StorageAway, $"The database does not answer ({error!.Message}). Leases that exist stay as they are; ask again in a few seconds.") : error!);
            return;
        }
    }

    bool Try(List<Request> requests, out Exception? error)
    {
        try
        {
            _session ??= new Session(_database, _database.Connect());
            _session.Begin();
            var transaction = new Transaction(_session, _clock);
            foreach (Request request in requests) request.Perform(transaction);
            transaction.Finish();
            _session.Commit();
        }
        catch (Exception fault)
        {
            // Whatever it is: nothing of it is stored, those who asked hear of it, and the next goes on.
            error = fault;
            Forget();
            return false;
        }

        foreach (Request request in requests) request.Tell();
        _committed();
        error = null;
        return true;
    }

    /// <summary>After a fault the connection is not to be trusted.</summary>
    void Forget()
    {
        try
        {
            _session?.Rollback();
        }
        catch (Exception error) when (error is DbException or InvalidOperationException or IOException)
        {
            // It was gone already, and its transaction with it.
        }

        try
        {
            _session?.Dispose();
        }
        catch (Exception error) when (error is DbException or InvalidOperationException or IOException)
        {
            // Likewise.
        }

        _session = null;
    }

    public void Dispose()
    {
        _waiting.Writer.TryComplete();
        _thread.Join();
        _session?.Dispose();
    }

    abstract class Request
    {
        public abstract void Perform(Transaction transaction);

        public abstract void Tell();

        public abstract void Fail(Exception error);
    }

    sealed class Request<T>(Func<Transaction, T> what) : Request
    {
        T? _result;
        Exception? _refused;

        public TaskCompletionSource<T> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public override void Perform(Transaction transaction)
        {
            _refused = null;
            try
            {
                _result = what(transaction);
            }
            catch (Refusal refusal)
            {
                // What was written before it (a lease that expired, ports that came out of hold-down) is true all the same.
                _refused = refusal;
            }
        }

        public override void Tell()
        {
            if (_refused is null) Answer.SetResult(_result!);
            else Answer.SetException(_refused);
        }

        public override void Fail(Exception error) => Answer.SetException(error);
    }
}
