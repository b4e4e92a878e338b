using System.Collections.Concurrent;
using APlusP.Core.Devices;
using APlusP.Core.Forwarding;
using APlusP.Linux;

namespace APlusP.Node.Daemons;

/// <summary>One thread that owns a queue, its buffers and a data plane: receives, judges, sends. Nothing is allocated after start.</summary>
sealed class Worker : IDisposable
{
    /// <summary>Packets taken from the queue before any is sent on.</summary>
    public const int BatchSize = 64;

    /// <summary>How often an idle worker looks up from its wait, in milliseconds.</summary>
    const int IdleWait = 1000;

    readonly TunQueue _queue;
    readonly PacketBatch _batch = new(BatchSize, TunDevice.MaxPacket);
    readonly ConcurrentQueue<Action> _errands = new();
    readonly Action<Exception> _failed;
    readonly Thread _thread;
    volatile bool _stopping;

    /// <param name="name">Name of the thread.</param>
    /// <param name="queue">The queue; disposed with the worker.</param>
    /// <param name="forwarder">The data plane.</param>
    /// <param name="failed">Told when the worker cannot go on.</param>
    public Worker(string name, TunQueue queue, IForwarder forwarder, Action<Exception> failed)
    {
        _queue = queue;
        Forwarder = forwarder;
        _failed = failed;
        _thread = new Thread(Run) { Name = name, IsBackground = true };
    }

    public IForwarder Forwarder { get; }

    public long SendFailures => _queue.SendFailures;

    /// <inheritdoc cref="TunQueue.Softwires"/>
    public IReadOnlyList<SoftwireSocket> Softwires
    {
        get => _queue.Softwires;
        set => _queue.Softwires = value;
    }

    public void Start() => _thread.Start();

    /// <summary>Runs something between two batches on the worker's own thread, and waits for it: how others read or change what the worker owns.</summary>
    public void Between(Action errand)
    {
        using var done = new ManualResetEventSlim();
        Exception? failure = null;
        _errands.Enqueue(() =>
        {
            try
            {
                errand();
            }
            catch (Exception error)
            {
                failure = error;
            }
            finally
            {
                done.Set();
            }
        });
        _queue.Wake();
        while (!done.Wait(IdleWait))
            if (!_thread.IsAlive) throw new InvalidOperationException($"The worker '{_thread.Name}' has ended.");
        if (failure is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
    }

    void Run()
    {
        try
        {
            while (!_stopping)
            {
                while (_errands.TryDequeue(out Action? errand)) errand();
                _queue.Receive(_batch);
                bool idle = _batch.Count == 0;
                if (!idle)
                {
                    Forwarder.Process(_batch);
                    _queue.Send(_batch);
                }

                while (Forwarder.Continue(_batch)) _queue.Send(_batch);
                if (idle && !_queue.Wait(Forwarder.MillisecondsUntilDue(IdleWait)))
                {
                    throw new IOException("The TUN device is gone; somebody has deleted it.");
                }
            }
        }
        catch (Exception error)
        {
            _failed(error);
        }
    }

    public void Dispose()
    {
        _stopping = true;
        _queue.Wake();
        if (_thread.IsAlive) _thread.Join();
        _queue.Dispose();
    }
}
