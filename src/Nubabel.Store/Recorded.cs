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

    /// <summary>Roughly what it takes in memory.</summary>
    public Weight Weight { get; init; }

    /// <summary>The stream id without its kind: the id itself for <c>kind-uuid</c>. <see cref="Guid.Empty"/> where it is none.</summary>
    public Guid StreamGuid =>
        Stream.Length > 36 && Guid.TryParseExact(Stream.AsSpan(Stream.Length - 36), "D", out var id) ? id : Guid.Empty;
}

/// <summary>
/// What an event weighs, by the length of its texts. It is no part of what the event is: one that was read weighs a little else than the same one when it was
/// written, and they are equal.
/// </summary>
public readonly struct Weight : IEquatable<Weight>
{
    /// <summary>The object, its envelope and its place in lists, where all texts are empty.</summary>
    private const int Least = 500;

    private readonly int more;

    /// <param name="json">The length of the event's JSON. Its strings take two bytes a character; objects and numbers cost more than their text.</param>
    /// <param name="envelope">The length of the envelope's texts together.</param>
    public Weight(int json, int envelope) => more = (int)Math.Min(int.MaxValue - Least, 3L * json + 2L * envelope);

    public int Bytes => Least + more;
    public bool Equals(Weight other) => true;
    public override bool Equals(object? obj) => obj is Weight;
    public override int GetHashCode() => 0;
    public static bool operator ==(Weight left, Weight right) => left.Equals(right);
    public static bool operator !=(Weight left, Weight right) => !left.Equals(right);
}
