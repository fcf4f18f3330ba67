using System.Text;
using Microsoft.Extensions.Logging.Abstractions;

namespace Nubabel.Api.Host;

/// <summary>
/// Takes log lines to standard output. Whoever logs only adds its line to what has gathered; one thread writes all of it at once, a few milliseconds later at most,
/// where the framework's console writes, and wakes its thread, for every line. When more has gathered than may, those who log wait, but not for ever;
/// no line is lost.
/// </summary>
[ProviderAlias("Console")]
internal sealed class LogOutput : ILoggerProvider
{
    /// <summary>Characters that may wait for a slow reader of standard output.</summary>
    private const int Most = 4 * 1024 * 1024;

    /// <summary>Of one write; more takes several.</summary>
    private const int BufferBytes = 64 * 1024;

    /// <summary>Between two writes.</summary>
    private static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(5);

    /// <summary>A reader that has died must not hold the server: from then on each line that is logged costs this long, and is kept.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(1);

    [ThreadStatic]
    private static StringWriter? line;

    private readonly LogLines lines;
    private readonly StreamWriter output;
    private readonly Thread writer;
    private readonly Lock told = new();
    private readonly SemaphoreSlim ready = new(0, 1);
    private readonly ManualResetEventSlim room = new(true);
    private readonly ManualResetEventSlim ended = new();
    private StringBuilder gathered = new();

    public LogOutput(LogLines lines, Stream output)
    {
        (this.lines, this.output) = (lines, new StreamWriter(output, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), BufferBytes));
        writer = new Thread(Write) { IsBackground = true, Name = "Log output" };
        writer.Start();
    }

    public ILogger CreateLogger(string categoryName) => new Category(this, categoryName);

    /// <summary>Writes what has gathered until now.</summary>
    public void Dispose()
    {
        if (ended.IsSet) return;
        ended.Set();
        Wake();
        writer.Join();
    }

    private void Add(StringBuilder text)
    {
        if (!ended.IsSet) room.Wait(LongestWait);
        bool isFirst;
        lock (told)
        {
            isFirst = gathered.Length == 0;
            gathered.Append(text);
            if (gathered.Length > Most) room.Reset();
        }
        if (isFirst) Wake();
    }

    private void Wake()
    {
        try
        {
            ready.Release();
        }
        catch (SemaphoreFullException)
        {
            // It is awake already, or will be.
        }
    }

    private void Write()
    {
        var writing = new StringBuilder();
        while (true)
        {
            var isLast = ended.IsSet;
            if (!isLast) ready.Wait(LongestWait);
            lock (told)
            {
                (gathered, writing) = (writing, gathered);
                room.Set();
            }
            try
            {
                output.Write(writing);
                output.Flush();
            }
            catch (IOException)
            {
                // Nobody reads standard output any more; the server goes on.
            }
            writing.Clear();
            if (isLast) return;
            ended.Wait(Gathering);
        }
    }

    private sealed class Category(LogOutput to, string name) : ILogger
    {
        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var text = line ??= new StringWriter(System.Globalization.CultureInfo.InvariantCulture);
            to.lines.Write(new LogEntry<TState>(logLevel, name, eventId, state, exception, formatter), null, text);
            if (text.GetStringBuilder() is { Length: > 0 } written) to.Add(written);
            text.GetStringBuilder().Clear();
        }
    }
}
