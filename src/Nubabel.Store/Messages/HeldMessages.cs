namespace Nubabel.Store;

/// <summary>That a message waits, without what it says: its contents may be secrets (a link that sets a password) even for whom it is for.</summary>
/// <param name="State"><c>waiting</c>, <c>deferred</c>, <c>given_up</c>, <c>replayed</c> or <c>discarded</c>.</param>
public sealed record HeldMessage(Guid Id, string Queue, string Type, string State, DateTimeOffset EnqueuedAt);

/// <summary>What messages are held: those that wait, those for later, and dead letters.</summary>
public static class HeldMessages
{
    /// <summary>A page in the order of their ids.</summary>
    /// <param name="subject">Whose personal data they carry, or</param>
    /// <param name="actor">who caused them; both null for all of the tenant.</param>
    /// <param name="after">The id of the last one of the page before.</param>
    public static Task<IReadOnlyList<HeldMessage>> Of(Reader db, string? subject, string? actor, Guid after, int limit, CancellationToken ct)
    {
        var whose = subject is null ? Sql.None : Sql.Of($"and (subject = {subject} or actor = {actor})");
        return db.Query($"""
            select id, queue, type, state, enqueued from (
              select id, queue, type, 'waiting' as state, enqueued from nubabel.messages where tenant_id = {db.Tenant} and id > {after} {whose}
              union all
              select id, queue, type, 'deferred', enqueued from nubabel.deferred_messages where tenant_id = {db.Tenant} and id > {after} {whose}
              union all
              select id, queue, type, case state when 'dead' then 'given_up' else state end, enqueued from nubabel.dead_letters where tenant_id = {db.Tenant} and id > {after} {whose}) m
             order by id, state limit {limit}
            """, row => new HeldMessage(row.GetGuid(0), row.GetString(1), row.GetString(2), row.GetString(3), new DateTimeOffset(row.GetDateTime(4), TimeSpan.Zero)), ct);
    }

    /// <summary>The bodies of all messages of a type, whatever has become of them; for what nobody's name stands on.</summary>
    public static async Task<IReadOnlyList<(Guid Id, byte[] Body)>> Bodies(PlatformReader db, string tenant, string type, CancellationToken ct) => (await db.Query([Sql.Of($"""
        select id, body from nubabel.messages where tenant_id = {tenant} and type = {type}
        union all
        select id, body from nubabel.deferred_messages where tenant_id = {tenant} and type = {type}
        union all
        select id, body from nubabel.dead_letters where tenant_id = {tenant} and type = {type}
        """)], row => (row.GetGuid(0), row.GetFieldValue<byte[]>(1)), ct))[0];
}
