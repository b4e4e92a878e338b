using Microsoft.Extensions.Logging;

namespace APlusP.Tests;

/// <summary>What was logged, by one thread.</summary>
sealed class LogLines : List<(int Id, string Text)>, ILogger
{
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Add((eventId.Id, formatter(state, exception)));
}
