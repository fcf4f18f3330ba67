using System.Globalization;
using Nubabel.Domain;
using Nubabel.Domain.Sessions;
using Nubabel.Store;

namespace Nubabel.Projections.Sessions;

/// <summary>A sign-in as its holder sees it.</summary>
/// <param name="Current">Whether this very request belongs to it; filled in when it is read.</param>
public sealed record SessionRow(
    Id<Session> Id, Personal? Ip, DateTimeOffset EndsAt, string Holder, bool? Current, DateTimeOffset OpenedAt, DateTimeOffset ExpiresAt, DateTimeOffset? RevokedAt,
    Personal? UserAgent, DateTimeOffset RefreshedAt);

/// <summary>All sessions; a list shows those that live.</summary>
public sealed class SessionList : IDocument<SessionRow>
{
    public static string Name => "sessions";
    public static int Version => 1;
    public static IReadOnlyList<string> Types { get; } = ["session_opened", "session_refreshed", "session_revoked"];

    public static Columns<SessionRow> Columns { get; } = new Columns<SessionRow>()
        .Add("holder", row => row.Holder)
        .Add("opened_at", row => row.OpenedAt)
        .Add("expires_at", row => row.ExpiresAt)
        .Add("revoked_at", row => row.RevokedAt)
        .Index("A holder's sessions, newest first.", "holder", "opened_at desc", "key desc")
        .Index("The sessions revoked lately, which every node loads at its start.", "revoked_at");

    public static SessionRow? Evolve(SessionRow? row, Recorded e) => (row, e.Data) switch
    {
        (null, SessionOpened o) => new SessionRow(new Id<Session>(e.StreamGuid), o.Ip, o.EndsAt, o.Holder, null, e.At, o.ExpiresAt, null, o.UserAgent, e.At),
        (null, _) => null,
        (_, SessionRefreshed r) => row with { ExpiresAt = r.ExpiresAt, RefreshedAt = e.At },
        (_, SessionRevoked) => row with { RevokedAt = row.RevokedAt ?? e.At },
        _ => row,
    };

    /// <summary>The holder's live sessions, newest first.</summary>
    public static async Task<IReadOnlyList<SessionRow>> LiveOf(Reader db, Actor holder, DateTimeOffset now, IReadOnlyList<string>? after, int limit, CancellationToken ct) =>
        await db.Query($"""
            select doc from read.sessions_v1
             where tenant_id = {db.Tenant} and holder = {holder.ToString()} and revoked_at is null and expires_at > {now.UtcDateTime} {After(after)}
             order by opened_at desc, key desc limit {limit + 1}
            """, row => StoredJson.Read<SessionRow>(row.GetFieldValue<byte[]>(0)), ct);

    /// <summary>The place of a row in that order.</summary>
    public static IReadOnlyList<string> Place(SessionRow row) => [row.OpenedAt.UtcDateTime.ToString("O", CultureInfo.InvariantCulture), $"session-{row.Id}"];

    /// <summary>For the cache of revoked sessions that every node keeps: those of all tenants that were revoked since, and how far the list has read.</summary>
    public static async Task<(IReadOnlyList<Guid> Sessions, long Position)> RevokedSince(Npgsql.NpgsqlDataSource daemon, DateTimeOffset since, CancellationToken ct)
    {
        // The position is read first: what the list gains meanwhile is then seen twice, not missed.
        await using var batch = daemon.CreateBatch();
        batch.BatchCommands.Add(new("select coalesce((select last_seq_id from events.mt_event_progression where name = 'sessions:All'), 0)"));
        batch.BatchCommands.Add(new("select key from read.sessions_v1 where revoked_at > $1") { Parameters = { new Npgsql.NpgsqlParameter<DateTime> { TypedValue = since.UtcDateTime } } });
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.ReadAsync(ct);
        var position = reader.GetInt64(0);
        await reader.NextResultAsync(ct);
        var sessions = new List<Guid>();
        while (await reader.ReadAsync(ct)) sessions.Add(Guid.Parse(reader.GetString(0).AsSpan("session-".Length)));
        return (sessions, position);
    }

    private static Sql After(IReadOnlyList<string>? place) => place is [var at, var key]
        ? Sql.Of($"and (opened_at, key) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {key})")
        : Sql.None;
}
