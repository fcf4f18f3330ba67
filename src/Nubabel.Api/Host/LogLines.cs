using System.Buffers;
using System.Diagnostics;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace Nubabel.Api.Host;

/// <summary>
/// Writes each log entry as one line: JSON for machines, or text for people in Development. Whose request it is and which trace it belongs
/// to is added here, so that no caller can forget it. What must never be logged (bodies, tokens, query strings, personal data) is never
/// given to a logger in the first place.
/// </summary>
/// <param name="service">As telemetry names this process.</param>
internal sealed class LogLines(IHttpContextAccessor requests, TimeProvider time, LogLinesForm form, string service) : ConsoleFormatter(FormatterName)
{
    public const string FormatterName = "nubabel";
    private static readonly JsonWriterOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        var message = logEntry.Formatter(logEntry.State, logEntry.Exception);
        if (message.Length == 0 && logEntry.Exception is null) return;
        var members = logEntry.State as IReadOnlyList<KeyValuePair<string, object?>> ?? [];
        if (form == LogLinesForm.Json) WriteJson(textWriter, logEntry.LogLevel, logEntry.Category, logEntry.EventId, message, members, logEntry.Exception);
        else WriteText(textWriter, logEntry.LogLevel, logEntry.Category, message, logEntry.Exception);
    }

    private void WriteJson(TextWriter to, LogLevel level, string category, EventId id, string message, IReadOnlyList<KeyValuePair<string, object?>> members, Exception? e)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using var json = new Utf8JsonWriter(buffer, Compact);
        json.WriteStartObject();
        json.WriteString("timestamp", time.GetUtcNow().UtcDateTime);
        json.WriteString("level", NameOf(level));
        json.WriteString("message", message);
        json.WriteString("event", id.Name ?? category);
        json.WriteString("service", service);
        WriteRequest(json);
        foreach (var (name, value) in members)
            if (name != "{OriginalFormat}") WriteMember(json, name, value);
        if (e is not null) WriteException(json, e);
        json.WriteEndObject();
        json.Flush();
        to.Write(Encoding.UTF8.GetString(buffer.WrittenSpan));
        to.Write('\n');
    }

    private void WriteRequest(Utf8JsonWriter json)
    {
        if (Activity.Current is { IdFormat: ActivityIdFormat.W3C } activity) json.WriteString("trace_id", activity.TraceId.ToHexString());
        if (requests.HttpContext is not { } context) return;
        json.WriteString("request_id", context.TraceIdentifier);
        if (CallerOf(context) is not { } caller) return;
        json.WriteString(caller.Realm == Realm.Platform ? "operator_id" : "user_id", caller.Id.ToString("D"));
        if (caller.Realm == Realm.Organization) json.WriteString("organization_id", caller.Tenant);
    }

    private static Caller? CallerOf(HttpContext context)
    {
        try
        {
            return context.RequestServices?.GetService<RequestScope>() is { IsSignedIn: true } scope ? scope.Caller : null;
        }
        catch (ObjectDisposedException)
        {
            // The entry was written by work that outlived its request.
            return null;
        }
    }

    /// <summary>The entry's own values beside its text, so that they can be counted: <c>LatencyMs</c> becomes <c>latency_ms</c>.</summary>
    private static void WriteMember(Utf8JsonWriter json, string name, object? value)
    {
        json.WritePropertyName(JsonNamingPolicy.SnakeCaseLower.ConvertName(name));
        switch (value)
        {
            case null: json.WriteNullValue(); break;
            case bool b: json.WriteBooleanValue(b); break;
            case int i: json.WriteNumberValue(i); break;
            case long l: json.WriteNumberValue(l); break;
            case double d when double.IsFinite(d): json.WriteNumberValue(d); break;
            default: json.WriteStringValue(value.ToString()); break;
        }
    }

    private static void WriteException(Utf8JsonWriter json, Exception e)
    {
        json.WriteStartObject("exception");
        json.WriteString("type", e.GetType().FullName);
        // The database's message may quote a value; its code says what kind of fault it is.
        json.WriteString("message", e is Npgsql.PostgresException p ? p.SqlState : e.Message);
        json.WriteString("stack", e.StackTrace);
        if (e.InnerException is { } inner) json.WriteString("cause", inner is Npgsql.PostgresException ip ? $"{inner.GetType().FullName} {ip.SqlState}" : $"{inner.GetType().FullName}: {inner.Message}");
        json.WriteEndObject();
    }

    private void WriteText(TextWriter to, LogLevel level, string category, string message, Exception? e)
    {
        to.Write(time.GetLocalNow().ToString("HH:mm:ss.fff ", System.Globalization.CultureInfo.InvariantCulture));
        to.Write(NameOf(level).PadRight(12));
        to.Write(OneLine(message));
        to.Write("  [");
        to.Write(category);
        if (requests.HttpContext is { } context)
        {
            to.Write(' ');
            to.Write(context.TraceIdentifier);
        }
        to.Write("]\n");
        if (e is not null) to.Write(e + "\n");
    }

    // A line break in a value shall not look like another entry.
    private static string OneLine(string message) =>
        message.AsSpan().IndexOfAnyInRange('\0', '\x1F') < 0 ? message : string.Concat(message.Select(c => char.IsControl(c) ? ' ' : c));

    private static string NameOf(LogLevel level) => level.ToString().ToLowerInvariant();
}

internal enum LogLinesForm { Json, Text }
