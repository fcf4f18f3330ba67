using Nubabel.Domain;
using Nubabel.Domain.Breaches;
using Nubabel.Projections;
using Nubabel.Projections.Breaches;

namespace Nubabel.Api.Breaches;

/// <summary>A breach as operators see it.</summary>
/// <param name="Description">Null once its key is destroyed.</param>
/// <param name="Clock">The 72 hours of Art. 33(1), by this server's clock.</param>
/// <param name="Wordings">What each audience is told, and whether it was sent.</param>
/// <param name="Undone">What has still to be done before it can be closed without a reason.</param>
public sealed record BreachView(
    Id<Breach> Id, BreachStatus Status, Phrase Title, Personal? Description, DateTimeOffset AwareAt, IReadOnlyList<BreachKind> Kinds, DateTimeOffset? OccurredFrom, DateTimeOffset? OccurredTo, Phrase? Source,
    BreachClock Clock, BreachAssessment? Assessment, BreachScope? Affected, IReadOnlyList<BreachReport> Reports, IReadOnlyList<BreachWording> Wordings, BreachExemption? Exemption, Prose? ExemptionReason,
    IReadOnlyList<string> Undone, DateTimeOffset RecordedAt, string? RecordedBy, DateTimeOffset ChangedAt, DateTimeOffset? ClosedAt, Prose? ClosureReason)
{
    internal const string Example = """
        {"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","status":"open","title":"A backup was readable by anybody","description":"The bucket of the nightly backups was open from Monday on.",
        "awareAt":"2026-11-21T08:15:00Z","kinds":["confidentiality"],"occurredFrom":"2026-11-16T22:00:00Z","occurredTo":"2026-11-21T08:20:00Z","source":"monitoring",
        "clock":{"deadline":"2026-11-24T08:15:00Z","state":"running","remainingSeconds":255600,"wasLate":false},
        "assessment":{"risk":"high","reason":"Addresses and names could be read.","dataCategories":["names","e-mail addresses"],"peopleCategories":["users"],"approximatePeople":1200},
        "affected":{"allUsersOf":["01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081"]},"reports":[],"wordings":[],"undone":["authority","tenants","people"],
        "recordedAt":"2026-11-21T08:30:00Z","recordedBy":"operator:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","changedAt":"2026-11-21T09:02:11Z"}
        """;

    internal static BreachView Of(BreachRow row, DateTimeOffset now)
    {
        var (state, facts) = (row.State, row.State.Facts!);
        return new BreachView(
            row.Id, state.Status, facts.Title, facts.Description, facts.AwareAt, facts.Kinds, facts.OccurredFrom, facts.OccurredTo, facts.Source, BreachClock.Of(state, now), state.Assessment, state.Scope,
            state.Reports, state.Wordings, state.Exemption, state.ExemptionReason, state.Undone(), row.RecordedAt, row.RecordedBy, row.ChangedAt, row.ClosedAt, state.ClosureReason);
    }

    internal static BreachView? Of(Outcome<Breach> breach, DateTimeOffset now) => breach.Row<BreachRow>() is { } row ? Of(row, now) : null;
}
