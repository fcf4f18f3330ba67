using System.Text.Json;

namespace Nubabel.Store;

/// <summary>An event with its envelope, as it stands in the log.</summary>
public sealed record Recorded
{
    /// <summary>The place in the log (<c>seq_id</c>): unique and ascending, not contiguous, ordered per tenant and stream.</summary>
    public required long Position { get; init; }
    public required string Tenant { get; init; }

    /// <summary>The stream id, e.g. <c>device-0198…</c>.</summary>
    public required string Stream { get; init; }

    /// <summary>The place in the stream, from 1.</summary>
    public required long Version { get; init; }

    /// <summary>The stable alias, e.g. <c>device_registered</c>.</summary>
    public required string Type { get; init; }

    /// <summary>The event as its current .NET type; null for an alias this build does not know (a foreign or newer writer).</summary>
    public required object? Data { get; init; }

    /// <summary>Whether this build does not know the alias. Data may be missing of a known one too, where it does not fit its type.</summary>
    public bool IsUnknown { get; init; }

    public required DateTimeOffset At { get; init; }
    public Guid Id { get; init; }

    /// <summary><c>user:…</c>, <c>key:…</c>, <c>operator:…</c>, <c>system:…</c>; null where a foreign writer left it out.</summary>
    public string? Actor { get; init; }

    /// <summary>The request that caused it.</summary>
    public string? CorrelationId { get; init; }

    /// <summary>The command or message that caused it.</summary>
    public string? CausationId { get; init; }

    /// <summary>The rest: <c>ip</c> and <c>user_agent</c> (sealed), <c>traceparent</c>, <c>reason</c>. The raw JSON of the column; null when empty.</summary>
    public string? Headers { get; init; }

    /// <summary>The stream id without its kind: the id itself for <c>kind-uuid</c>. <see cref="Guid.Empty"/> where it is none.</summary>
    public Guid StreamGuid =>
        Stream.Length > 36 && Guid.TryParseExact(Stream.AsSpan(Stream.Length - 36), "D", out var id) ? id : Guid.Empty;
}
