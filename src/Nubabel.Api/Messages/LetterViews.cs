using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Store;

namespace Nubabel.Api.Messages;

/// <summary>A dead letter with all that is known of it.</summary>
/// <param name="IsKnown">Whether this build knows the type; only then can the body be edited.</param>
/// <param name="Body">The original. Personal values are sealed unless they were asked for.</param>
/// <param name="Edited">The body with which it was replayed last, where that was another.</param>
/// <param name="ExpiresAt">When it is deleted.</param>
public sealed record DeadLetterShown(
    Guid Id, string Tenant, string Queue, string Type, bool IsKnown, string? Key, string? Subject, string Actor, string? CorrelationId, string? CausationId, IReadOnlyDictionary<string, string> Headers,
    DateTimeOffset Enqueued, DateTimeOffset Died, IReadOnlyList<FailedAttempt> Attempts, string? Cause, string? Error, bool Parks, DeadLetterState State, DateTimeOffset? Closed, string? ClosedBy,
    int Replays, JsonElement Body, JsonElement? Edited, DateTimeOffset ExpiresAt);

/// <summary>What operators ask of dead letters, and how these are shown.</summary>
internal static class LetterViews
{
    public const string See = "platform:messages", Write = "platform:messages-write", Personal = "platform:messages-personal";

    public static DeadLetterLine LineOf(DeadLetter l) =>
        new(l.Id, l.Tenant, l.Queue, l.Type, l.Key, l.State, l.Died, l.Attempts.Count, l.Cause, l.Error, l.Parks, l.Replays, l.Closed, l.ClosedBy);

    public static DeadLetterFilter FilterOf(string? tenant, string? queue, string? type, string? cause, string? from, string? to, string? state = null) =>
        new(null, tenant, queue, type, cause, Time(nameof(from), from), Time(nameof(to), to), state switch
        {
            null => null,
            "dead" => DeadLetterState.Dead,
            "replayed" => DeadLetterState.Replayed,
            "discarded" => DeadLetterState.Discarded,
            _ => throw Problem.At("state", "query.invalid", "One of: dead, replayed, discarded."),
        });

    /// <summary>Whether personal values are opened, on purpose and by whom that is allowed.</summary>
    public static bool Opens(string? personal, Caller caller) => personal switch
    {
        null => false,
        "open" when caller.May(Personal) => true,
        "open" => throw PermissionDenied.Of(Personal),
        _ => throw Problem.At("personal", "query.invalid", "Personal values stay sealed, or: open."),
    };

    /// <summary>The letter as it goes out: with personal values sealed as they are stored, or opened with the keys of its tenant.</summary>
    /// <param name="opens">Opens them; null leaves them sealed.</param>
    public static async ValueTask<ReadOnlyMemory<byte>> Render(DeadLetter l, Reader? opens, Node node, Settings settings, CancellationToken ct)
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(new DeadLetterShown(
            l.Id, l.Tenant, l.Queue, l.Type, node.Outbox.Types.Find(l.Type) is not null, l.Key, l.Subject, l.Actor, l.CorrelationId, l.CausationId, l.Headers, l.Enqueued, l.Died, l.Attempts, l.Cause, l.Error,
            l.Parks, l.State, l.Closed, l.ClosedBy, l.Replays, JsonElement.Parse(l.Body), l.Edited is { } edited ? JsonElement.Parse(edited) : null, l.Died + settings.DeadLetterLife), Json.Options);
        return opens is null ? json : await opens.Open(json, ct);
    }

    private static DateTimeOffset? Time(string name, string? text) =>
        text is null ? null
        : StrictTimes.TryParse(text, out var time) ? time
        : throw Problem.At(name, "query.invalid", "A time is RFC 3339 with an offset, as in 2026-01-31T12:00:00Z.");
}
