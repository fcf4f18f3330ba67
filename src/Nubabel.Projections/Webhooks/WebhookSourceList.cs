using System.Globalization;
using Nubabel.Domain;
using Nubabel.Domain.Webhooks;
using Nubabel.Store;

namespace Nubabel.Projections.Webhooks;

/// <summary>A source of webhooks as those see it who look after it. The members stand in the order in which <c>jsonb</c> keeps them.</summary>
/// <param name="Path">Where its webhooks go; filled in when it is read.</param>
/// <param name="Secret">Where the server has made it: in the answer that adds or rotates it and nowhere else; never stored.</param>
/// <param name="Generation">How often the secret was replaced.</param>
/// <param name="PreviousValidUntil">Until when the secret before the last rotation counts too.</param>
public sealed record WebhookSourceRow(
    Id<WebhookSource> Id, SourceName? Name, string? Path, WebhookPreset Preset, string? Secret, DateTimeOffset AddedAt, string? AddedBy, ProviderName Provider, DateTimeOffset? RotatedAt,
    int Generation, DateTimeOffset? PreviousValidUntil)
{
    // A record prints its members; a secret must not be in a log.
    public override string ToString() => $"(webhook source {Id})";
}

/// <summary>The sources of webhooks, removed ones not.</summary>
public sealed class WebhookSourceList : IDocument<WebhookSourceRow>
{
    public static string Name => "webhook_sources";
    public static int Version => 1;
    public static IReadOnlyList<string> Types { get; } = ["webhook_source_added", "webhook_source_rotated", "webhook_source_removed"];

    public static Columns<WebhookSourceRow> Columns { get; } = new Columns<WebhookSourceRow>()
        .Add("added_at", row => row.AddedAt)
        .Index("The sources, newest first.", "added_at desc", "key desc");

    public static WebhookSourceRow? Evolve(WebhookSourceRow? row, Recorded e) => (row, e.Data) switch
    {
        (null, WebhookSourceAdded a) => new WebhookSourceRow(new Id<WebhookSource>(e.StreamGuid), a.Name, null, a.Preset, null, e.At, e.Actor, a.Provider, null, 0, null),
        (null, _) => null,
        (_, WebhookSourceRotated r) => row with { RotatedAt = e.At, Generation = r.Generation, PreviousValidUntil = r.OldValidUntil },
        (_, WebhookSourceRemoved) => null,
        _ => row,
    };

    /// <summary>The tenant's sources, newest first.</summary>
    /// <param name="show">Fills in what no event says.</param>
    /// <param name="after">The place of the last row of the page before: time and id.</param>
    public static async Task<Page> Of(Reader db, Func<WebhookSourceRow, WebhookSourceRow> show, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var rows = await db.Query($"""
            select doc, added_at, key from read.webhook_sources_v1
             where tenant_id = {db.Tenant} {After(after)}
             order by added_at desc, key desc limit {limit + 1}
            """, row => (Row: StoredJson.Read<WebhookSourceRow>(row.GetFieldValue<byte[]>(0)), At: row.GetDateTime(1), Key: row.GetString(2)), ct);
        return await Page.Open(db, rows, limit, row => show(row.Row), row => [row.At.ToString("O", CultureInfo.InvariantCulture), row.Key], ct);
    }

    private static Sql After(IReadOnlyList<string>? place) => place is [var at, var key]
        ? Sql.Of($"and (added_at, key) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {key})")
        : Sql.None;
}
