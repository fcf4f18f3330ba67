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

    /// <summary>The sessions that the holder opened and this list has not read yet.</summary>
    public static async Task<IReadOnlyList<Id<Session>>> OpenedLately(Reader db, Actor holder, CancellationToken ct)
    {
        // A statement of its own: with the number in hand PostgreSQL knows how short the end of the log is, and reads only that.
        var read = await db.Query($"select coalesce(max(last_seq_id), 0) from events.mt_event_progression where name = 'sessions:All'", row => row.GetInt64(0), ct);
        return await db.Query($"""
            select stream_id from events.mt_events
             where tenant_id = {db.Tenant} and seq_id > {read[0]} and type = 'session_opened' and user_name = {holder.ToString()}
            """, row => Named(row.GetString(0)), ct);
    }

    /// <summary>The ids in the names of session streams.</summary>
    public static IReadOnlySet<Id<Session>> Named(IEnumerable<string> streams) => streams.Select(Named).ToHashSet();

    private static Id<Session> Named(string stream) => new(Guid.Parse(stream.AsSpan("session-".Length)));

    /// <summary>The place of a row in that order.</summary>
    public static IReadOnlyList<string> Place(SessionRow row) => [row.OpenedAt.UtcDateTime.ToString("O", CultureInfo.InvariantCulture), $"session-{row.Id}"];

    /// <summary>
    /// For the cache of revoked sessions that every node keeps: those of all tenants that were revoked since then, as far as this list has read, and the
    /// position from which on to follow the log.
    /// </summary>
    public static async Task<(IReadOnlyList<Guid> Sessions, long Position)> RevokedSince(PlatformReader db, DateTimeOffset since, CancellationToken ct)
    {
        // The position is read first: what the list gains meanwhile is then seen twice, not missed.
        var position = (await db.Query<long>([$"select nubabel.checkpoint('sessions:All')"], row => row.GetInt64(0), ct))[0][0];
        var keys = await db.Query([$"select key from read.sessions_v1 where revoked_at > {since.UtcDateTime}"], row => Named(row.GetString(0)), ct);
        return ([.. keys[0].Select(id => id.Value)], position);
    }

    private static Sql After(IReadOnlyList<string>? place) => place is [var at, var key]
        ? Sql.Of($"and (opened_at, key) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {key})")
        : Sql.None;
}
