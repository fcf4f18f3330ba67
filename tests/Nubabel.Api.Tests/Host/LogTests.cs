using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Nubabel.Api.Host;

namespace Nubabel.Api.Tests.Host;

public sealed class LogTests
{
    private static string Line(LogLinesForm form, string message, Exception? e = null, HttpContext? context = null, params (string, object?)[] members)
    {
        var lines = new LogLines(new HttpContextAccessor { HttpContext = context }, TimeProvider.System, form, "nubabel-backend");
        using var text = new StringWriter();
        IReadOnlyList<KeyValuePair<string, object?>> state = [.. members.Select(m => KeyValuePair.Create(m.Item1, m.Item2))];
        lines.Write(new LogEntry<IReadOnlyList<KeyValuePair<string, object?>>>(LogLevel.Warning, "Nubabel.Test", new EventId(7, "tested"), state, e, (_, _) => message), null, text);
        return text.ToString();
    }

    [Fact]
    public void An_entry_is_one_line_of_json()
    {
        var context = new DefaultHttpContext { TraceIdentifier = "request-1" };
        var line = Line(LogLinesForm.Json, "two\nlines \"quoted\"", new InvalidOperationException("broken"), context, ("LatencyMs", 1.5), ("Status", 200), ("{OriginalFormat}", "x"));
        Assert.Equal(line.Length - 1, line.IndexOf('\n', StringComparison.Ordinal));
        var json = JsonNode.Parse(line)!;
        Assert.Equal("two\nlines \"quoted\"", (string)json["message"]!);
        Assert.Equal("warning", (string)json["level"]!);
        Assert.Equal("tested", (string)json["event"]!);
        Assert.Equal("nubabel-backend", (string)json["service"]!);
        Assert.Equal("request-1", (string)json["request_id"]!);
        Assert.Equal(1.5, (double)json["latency_ms"]!);
        Assert.Equal(200, (int)json["status"]!);
        Assert.Equal("System.InvalidOperationException", (string)json["exception"]!["type"]!);
        Assert.EndsWith("Z", (string)json["timestamp"]!, StringComparison.Ordinal);
        Assert.Null(json["{OriginalFormat}"]);
    }

    [Fact]
    public void An_entry_knows_its_trace()
    {
        using var activity = new System.Diagnostics.Activity("test").SetIdFormat(System.Diagnostics.ActivityIdFormat.W3C).Start();
        Assert.Equal(activity.TraceId.ToHexString(), (string)JsonNode.Parse(Line(LogLinesForm.Json, "x"))!["trace_id"]!);
    }

    [Fact]
    public void What_the_database_quotes_is_not_repeated()
    {
        var fault = new PostgresException("duplicate key (email)=(ada@example.com)", "ERROR", "ERROR", "23505");
        Assert.DoesNotContain("ada@", Line(LogLinesForm.Json, "x", fault), StringComparison.Ordinal);
        Assert.Contains("23505", Line(LogLinesForm.Json, "x", fault), StringComparison.Ordinal);
        Assert.DoesNotContain("ada@", Line(LogLinesForm.Json, "x", new InvalidOperationException("outer", fault)), StringComparison.Ordinal);
    }

    [Fact]
    public void In_development_a_line_break_is_no_second_entry()
    {
        var line = Line(LogLinesForm.Text, "one\r\n12:00 error forged");
        Assert.Equal(1, line.Count(c => c == '\n'));
        Assert.Contains("warning", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_leaves_one_entry_with_its_route_and_nothing_it_said()
    {
        using var kept = new Kept();
        await using var probe = await Probe.Start(app =>
        {
            app.MapPost("/things/{id}", (string id) => id);
            app.MapGet("/fault", string () => throw new InvalidOperationException());
        }, build: b => b.Logging.AddProvider(kept));
        using var request = new HttpRequestMessage(HttpMethod.Post, "/things/7?email=ada@example.com") { Content = """{"password":"hunter2"}""".AsJson() };
        request.Headers.Authorization = new("Bearer", "token-text");
        await probe.Http.SendAsync(request);
        await probe.Http.GetAsync("/fault");
        await probe.Http.GetAsync("/ada@example.com");
        // The entry is written when the answer is out already.
        await kept.Wait(e => e.Category == "Nubabel.Access", 3);
        var entries = kept.Entries.Where(e => e.Category == "Nubabel.Access").Select(e => e.Text).ToArray();
        Assert.StartsWith("POST /things/7 200 in ", entries[0], StringComparison.Ordinal);
        Assert.EndsWith("(/things/{id})", entries[0], StringComparison.Ordinal);
        Assert.StartsWith("GET /fault 500 in ", entries[1], StringComparison.Ordinal);
        Assert.StartsWith("GET (unknown) 404 in ", entries[2], StringComparison.Ordinal);
        Assert.Single(kept.Entries, e => e.Text.StartsWith("Unhandled", StringComparison.Ordinal));
        foreach (var secret in new[] { "ada@", "hunter2", "token-text" }) Assert.DoesNotContain(kept.Entries, e => e.Text.Contains(secret, StringComparison.Ordinal));
    }

    private sealed class Kept : ILoggerProvider
    {
        private readonly SemaphoreSlim added = new(0);
        public ConcurrentQueue<(string Category, string Text)> Entries { get; } = new();

        public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

        public async Task Wait(Func<(string Category, string Text), bool> which, int count)
        {
            while (Entries.Count(which) < count) Assert.True(await added.WaitAsync(TimeSpan.FromSeconds(10)));
        }

        public void Dispose() => added.Dispose();

        private sealed class Logger(Kept kept, string category) : ILogger
        {
            public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;
            public bool IsEnabled(LogLevel logLevel) => true;

            public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
            {
                kept.Entries.Enqueue((category, formatter(state, exception)));
                kept.added.Release();
            }
        }
    }
}
