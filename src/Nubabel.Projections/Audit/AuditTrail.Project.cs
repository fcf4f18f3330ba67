using System.Text.Json;
using Nubabel.Domain;
using Nubabel.Domain.Attempts;
using Nubabel.Store;

namespace Nubabel.Projections.Audit;

/// <summary>What an entry of the audit trail is found by and shows without the event itself.</summary>
/// <param name="Object">The stream id.</param>
/// <param name="Reason">Why: as the actor gave it, or what refused an attempt: the code, or the permission that was missing.</param>
/// <param name="Outcome">One of <see cref="AuditTrail.Outcomes"/>.</param>
/// <param name="Version">The event's place in the object's stream: with it the entry finds its event.</param>
public sealed record AuditRow(
    DateTimeOffset At, Guid Id, Personal? Ip, string? Actor, string Action, string Object, string? Reason, string Outcome, string? TraceId, long Version, string? RequestId, Personal? UserAgent);

/// <summary>How an event becomes an entry.</summary>
public sealed partial class AuditTrail
{
    private const string Succeeded = "succeeded", Refused = "refused", Denied = "denied";

    /// <summary>
    /// What was recorded because it was not let through, by alias, with the entry's action. An alias belongs here from its first event on: the outcome stands
    /// in the entries, and the search goes by the actions.
    /// </summary>
    private static readonly Dictionary<string, (string Action, string Outcome)> NotLetThrough = new()
    {
        ["attempt_denied"] = ("attempt.denied", Denied),
        ["attempt_refused"] = ("attempt.refused", Refused),
        ["attempt_overflowed"] = ("attempt.overflowed", Refused),
        ["session_refresh_reused"] = ("session.refresh_reused", Refused),
        ["sign_in_failed"] = ("sign_in.failed", Refused),
        ["sign_in_locked"] = ("sign_in.locked", Refused),
    };

    private static readonly string[] Refusals = [.. NotLetThrough.Values.Select(n => n.Action)];

    /// <summary>What replaces nothing: refusals, and streams of facts each of which is about a thing of its own.</summary>
    private static readonly string[] ReplacingNothing =
    [
        .. Refusals, "consent.given", "consent.withdrawn", "personal_data.read", "personal_data.exported", "hold_register.entered", "hold_register.lifted", "hold_register.erasure_admitted",
    ];

    /// <summary>Kinds of two words whose streams are named by a key, where no length tells the kind from the key.</summary>
    private static readonly string[] KeyedKinds = ["sign-in", "personal-data", "retention-policy"];

    public static IEnumerable<AuditRow> Project(Recorded e)
    {
        using var headers = Parsed(e.Headers);
        yield return new AuditRow(
            e.At, e.Id, PersonalHeader("ip"), e.Actor, ActionOf(e.Type, e.Stream), e.Stream, ReasonOf(e.Data) ?? Header("reason"), NotLetThrough.GetValueOrDefault(e.Type).Outcome ?? Succeeded,
            TraceId(Header("traceparent")), e.Version, e.CorrelationId, PersonalHeader("user_agent"));

        // Another writer's headers may be anything; what has not our form is not shown.
        JsonElement? Member(string name, JsonValueKind kind) =>
            headers is { RootElement: { ValueKind: JsonValueKind.Object } all } && all.TryGetProperty(name, out var value) && value.ValueKind == kind ? value : null;

        string? Header(string name) => Member(name, JsonValueKind.String)?.GetString();

        Personal? PersonalHeader(string name)
        {
            try
            {
                return Member(name, JsonValueKind.Object)?.Deserialize<Personal>(StoredJson.Options);
            }
            catch (JsonException)
            {
                return null;
            }
        }
    }

    /// <summary>
    /// <c>device_registered</c> on <c>device-0198…</c> is <c>device.registered</c>, <c>flag_enabled</c> on <c>flag-dark-mode</c> <c>flag.enabled</c>; another
    /// writer's alias stays as it is.
    /// </summary>
    public static string ActionOf(string alias, string stream)
    {
        // Named by an id, the stream's kind is all before it, hyphens included; named by a key, it is one word or one of a few.
        var keyed = KeyedKinds.FirstOrDefault(kind => stream.StartsWith(kind + "-", StringComparison.Ordinal));
        return Cut(stream.Length - 37) ?? Cut(keyed?.Length ?? stream.IndexOf('-', StringComparison.Ordinal)) ?? alias;

        string? Cut(int at) =>
            at > 0 && stream[at] == '-' && alias.Length > at + 1 && alias[at] == '_' && alias.StartsWith(stream[..at].Replace('-', '_'), StringComparison.Ordinal)
                ? $"{alias[..at]}.{alias[(at + 1)..]}"
                : null;
    }

    private static string? ReasonOf(object? data) => data switch
    {
        AttemptDenied denied => denied.Required,
        AttemptRefused refused => refused.Code,
        _ => null,
    };

    private static JsonDocument? Parsed(string? headers)
    {
        try
        {
            return headers is null ? null : JsonDocument.Parse(headers);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string? TraceId(string? traceParent) => traceParent?.Split('-') is [_, { Length: 32 } trace, ..] ? trace : null;
}
