using System.Globalization;
using Nubabel.Domain;
using Nubabel.Domain.Consumers;
using Nubabel.Store;

namespace Nubabel.Projections.Consumers;

/// <summary>A consumer as those see it who look after it. The members stand in the order in which <c>jsonb</c> keeps them.</summary>
/// <param name="Secret">What deliveries are signed with: in the answer that makes or rotates it and nowhere else; never stored here.</param>
/// <param name="Generation">How often the secret was rotated.</param>
/// <param name="FailingSince">Of a disabled one: since when no delivery had succeeded.</param>
/// <param name="PreviousSecretValidUntil">Until when deliveries are signed with the secret before the last rotation too.</param>
public sealed record ConsumerRow(
    Id<Consumer> Id, EndpointUrl Url, ConsumerName Name, IReadOnlyList<PublicType> Types, string? Secret, ConsumerStatus Status, bool Ordered, DateTimeOffset CreatedAt, string? CreatedBy,
    DateTimeOffset? DisabledAt, int Generation, ConsumerDescription? Description, DateTimeOffset? FailingSince, DisabledBecause? DisabledBecause, DateTimeOffset? SecretRotatedAt,
    DateTimeOffset? PreviousSecretValidUntil)
{
    // A record prints its members; a secret must not be in a log.
    public override string ToString() => $"(consumer {Id})";
}

/// <summary>An organization's consumers.</summary>
public sealed class ConsumerList : IDocument<ConsumerRow>
{
    public static string Name => "consumers";
    public static int Version => 1;

    public static IReadOnlyList<string> Types { get; } =
    [
        "consumer_created", "consumer_renamed", "consumer_described", "consumer_url_changed", "consumer_types_chosen", "consumer_order_changed", "consumer_paused", "consumer_activated",
        "consumer_disabled", "consumer_secret_rotated", "consumer_overlap_ended", "consumer_removed",
    ];

    public static Columns<ConsumerRow> Columns { get; } = new Columns<ConsumerRow>()
        .Add("created_at", row => row.CreatedAt)
        .Index("The consumers, newest first.", "created_at desc", "key desc");

    public static ConsumerRow? Evolve(ConsumerRow? row, Recorded e) => (row, e.Data) switch
    {
        (null, ConsumerCreated c) => new ConsumerRow(
            new Id<Consumer>(e.StreamGuid), c.Url, c.Name, c.Types, null, ConsumerStatus.Active, c.Ordered, e.At, e.Actor, null, 0, Shown(c.Description), null, null, null, null),
        (null, _) => null,
        (_, ConsumerRenamed r) => row with { Name = r.Name },
        (_, ConsumerDescribed d) => row with { Description = Shown(d.Description) },
        (_, ConsumerUrlChanged u) => row with { Url = u.Url },
        (_, ConsumerTypesChosen t) => row with { Types = t.Types },
        (_, ConsumerOrderChanged o) => row with { Ordered = o.Ordered },
        (_, ConsumerPaused) => row with { Status = ConsumerStatus.Paused },
        (_, ConsumerActivated) => row with { Status = ConsumerStatus.Active, DisabledAt = null, DisabledBecause = null, FailingSince = null },
        (_, ConsumerDisabled d) => row with { Status = ConsumerStatus.Disabled, DisabledAt = e.At, DisabledBecause = d.Because, FailingSince = d.FailingSince },
        (_, ConsumerSecretRotated r) => row with { Generation = r.Generation, SecretRotatedAt = e.At, PreviousSecretValidUntil = r.OldValidUntil },
        (_, ConsumerOverlapEnded) => row with { PreviousSecretValidUntil = null },
        (_, ConsumerRemoved) => null,
        _ => row,
    };

    /// <summary>The organization's consumers, newest first.</summary>
    /// <param name="after">The place of the last row of the page before: time and stream.</param>
    public static async Task<Page> Of(Reader db, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var rows = await db.Query(
            $"select doc, created_at, key from read.consumers_v1 where tenant_id = {db.Tenant} {After(after)} order by created_at desc, key desc limit {limit + 1}",
            row => (Doc: (ReadOnlyMemory<byte>)row.GetFieldValue<byte[]>(0), At: row.GetDateTime(1), Key: row.GetString(2)), ct);
        return Page.Cut(rows, limit, row => row.Doc, row => [row.At.ToString("O", CultureInfo.InvariantCulture), row.Key]);
    }

    private static Sql After(IReadOnlyList<string>? place) => place is [var at, var key]
        ? Sql.Of($"and (created_at, key) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {key})")
        : Sql.None;

    private static ConsumerDescription? Shown(ConsumerDescription? description) => description is { IsEmpty: false } ? description : null;
}
