using System.Collections.Concurrent;
using System.Text;
using Microsoft.Extensions.Logging;
using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Privacy;

/// <summary>Everything that a server wrote: its log at the finest level, and every row of its database.</summary>
internal static class Traces
{
    /// <summary>The forms of a text in which it may lie around: plain, hexadecimal as bytea prints it, base64 and base64url at any offset.</summary>
    public static IEnumerable<string> Forms(string text)
    {
        yield return text;
        var bytes = Encoding.UTF8.GetBytes(text);
        yield return Convert.ToHexStringLower(bytes);
        for (var offset = 0; offset < 3; offset++)
        {
            // The characters at either end also hold bits of what stands beside the text.
            var base64 = Convert.ToBase64String([.. new byte[offset], .. bytes]).TrimEnd('=');
            var inner = base64[(offset == 0 ? 0 : offset + 1)..^1];
            yield return inner;
            yield return inner.Replace('+', '-').Replace('/', '_');
        }
    }

    /// <summary>Where one of the forms stands, without regard to case.</summary>
    public static IEnumerable<string> Of(string text, IEnumerable<string> lines) =>
        from line in lines
        where Forms(text).Any(form => line.Contains(form, StringComparison.OrdinalIgnoreCase))
        select line.Length > 300 ? line[..300] + "…" : line;

    /// <summary>Every row of every table but the system's, as a superuser copies it out.</summary>
    public static async Task<List<string>> Rows(TestDatabase database)
    {
        await using var connection = await database.Superuser.OpenConnectionAsync();
        var tables = await database.Scalar<string[]>("""
            select array_agg(format('%I.%I', n.nspname, c.relname)) from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
            """);
        var rows = new List<string>();
        foreach (var table in tables)
        {
            using var copy = await connection.BeginTextExportAsync($"copy (select * from {table}) to stdout");
            while (await copy.ReadLineAsync() is { } row) rows.Add($"{table}\t{row}");
        }
        return rows;
    }

    /// <summary>Keeps every entry with its state, scopes and exception.</summary>
    public sealed class Log : ILoggerProvider, ISupportExternalScope
    {
        private readonly ConcurrentQueue<string> lines = new();
        private IExternalScopeProvider scopes = new LoggerExternalScopeProvider();

        public IReadOnlyCollection<string> Lines => lines;

        public ILogger CreateLogger(string categoryName) => new Category(this, categoryName);

        public void SetScopeProvider(IExternalScopeProvider scopeProvider) => scopes = scopeProvider;

        public void Dispose()
        {
        }

        private sealed class Category(Log log, string name) : ILogger
        {
            public IDisposable? BeginScope<TState>(TState state) where TState : notnull => log.scopes.Push(state);

            public bool IsEnabled(LogLevel logLevel) => true;

            public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
            {
                var line = new StringBuilder($"{logLevel} {name} {formatter(state, exception)} {exception}");
                if (state is IEnumerable<KeyValuePair<string, object?>> members) line.AppendJoin(' ', members.Select(m => $"{m.Key}={m.Value}"));
                log.scopes.ForEachScope((scope, text) => text.Append(' ').Append(scope), line);
                log.lines.Enqueue(line.ToString());
            }
        }
    }
}
