using System.Text.Json.Serialization;

namespace Nubabel.Store;

/// <summary>A failed attempt.</summary>
/// <param name="At">When it ended.</param>
/// <param name="Milliseconds">How long it took.</param>
/// <param name="Node">Which process ran it.</param>
/// <param name="Cause">The kind of the error: <c>TimeoutException</c>, <c>lost</c>.</param>
/// <param name="Error">What it said, shortened. It may hold personal data and goes when its letter does.</param>
public sealed record FailedAttempt(DateTimeOffset At, [property: JsonPropertyName("ms")] long Milliseconds, string Node, string Cause, string Error)
{
    /// <summary>The longest <see cref="Error"/>, in characters.</summary>
    public const int LongestError = 2_000;
}

/// <summary>Whether a dead letter is open.</summary>
public enum DeadLetterState
{
    /// <summary>Nobody has dealt with it.</summary>
    Dead,

    /// <summary>It was enqueued again.</summary>
    Replayed,

    /// <summary>Somebody decided that it is not to be handled.</summary>
    Discarded,
}

/// <summary>A message that was given up, with every attempt.</summary>
/// <param name="Id">The message's.</param>
/// <param name="Body">The original, as JSON.</param>
/// <param name="Died">When the last attempt failed, by the database's clock.</param>
/// <param name="Cause">The kind of the last error.</param>
/// <param name="Parks">The later messages of its key wait for it.</param>
/// <param name="Edited">The body it was replayed with, where that was changed.</param>
public sealed record DeadLetter(
    string Tenant, Guid Id, string Queue, string Lane, long Seq, string Type, string Body, string? Key, string? Subject, string Actor, string? CorrelationId, string? CausationId,
    IReadOnlyDictionary<string, string> Headers, DateTimeOffset Enqueued, DateTimeOffset Died, IReadOnlyList<FailedAttempt> Attempts, string? Cause, string? Error,
    bool Parks, DeadLetterState State, DateTimeOffset? Closed, string? ClosedBy, int Replays, string? Edited);
