namespace APlusP.Registry.Storage;

/// <summary>Wakes those who follow the registry's changes: when this registry has committed one, and when the database tells that another has.</summary>
sealed class ChangeWatch
{
    TaskCompletionSource _next = New();

    /// <summary>Ends at the next change. Who takes it before reading what there is misses none.</summary>
    public Task Next => Volatile.Read(ref _next).Task;

    public void Ring() => Interlocked.Exchange(ref _next, New()).TrySetResult();

    // Followers go on by themselves, not on the thread that writes.
    static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
