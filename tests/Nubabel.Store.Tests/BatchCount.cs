using Microsoft.Extensions.Logging;

namespace Nubabel.Store.Tests;

/// <summary>Counts the batches of statements that a data source has begun to send, as the driver tells its log: so a test knows which of them brought something.</summary>
internal sealed class BatchCount : ILoggerFactory, ILogger
{
    private int begun;

    public int Begun => Volatile.Read(ref begun);

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider)
    {
    }

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (formatter(state, exception).StartsWith("Executing batch", StringComparison.Ordinal)) Interlocked.Increment(ref begun);
    }

    public void Dispose()
    {
    }
}
