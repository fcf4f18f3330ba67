namespace Nubabel.Store;

/// <summary>What of the ledger this database has seen.</summary>
/// <param name="Entered">When the ledger got it, for the first time: a restored backup is told so by the ledger.</param>
/// <param name="Done">Since when nothing of it is left to do in this database.</param>
public sealed record EnteredErasure(string Tenant, Guid Person, DateTimeOffset Entered, IReadOnlyList<string> Subjects, DateTimeOffset? Done)
{
    public bool IsDone => Done is not null;
}

/// <summary>The database's own notes on the ledger of erasures, read and written across tenants.</summary>
public static class ErasureRows
{
    /// <summary>The name under which the database keeps which ledger it belongs to.</summary>
    private const string Stamp = "erasure-ledger";

    /// <summary>Which ledger the database belongs to; null for none yet.</summary>
    public static async Task<string?> Ledger(PlatformReader db, CancellationToken ct) =>
        (await db.Query([Sql.Of($"select value from nubabel.stamps where name = {Stamp}")], row => row.GetString(0), ct))[0] is [var ledger] ? ledger : null;

    /// <summary>From now on the database belongs to this ledger; the first one that is said stands.</summary>
    public static Task Belongs(PlatformWriter db, string ledger, CancellationToken ct) =>
        db.Run([Sql.Of($"insert into nubabel.stamps (name, value) values ({Stamp}, {ledger}) on conflict do nothing")], ct);

    /// <summary>The database belongs to another ledger from now on: an operator says that the one before is lost.</summary>
    public static Task BelongsAnew(PlatformWriter db, string ledger, CancellationToken ct) =>
        db.Run([Sql.Of($"insert into nubabel.stamps (name, value) values ({Stamp}, {ledger}) on conflict (name) do update set value = excluded.value")], ct);

    /// <summary>All of them.</summary>
    public static async Task<IReadOnlyList<EnteredErasure>> All(PlatformReader db, CancellationToken ct) =>
        (await db.Query([Sql.Of($"select tenant_id, person, entered, subjects, done from nubabel.erasures order by entered, tenant_id, person")], Read, ct))[0];

    public static async Task<EnteredErasure?> Find(PlatformReader db, string tenant, Guid person, CancellationToken ct) =>
        (await db.Query([Sql.Of($"select tenant_id, person, entered, subjects, done from nubabel.erasures where tenant_id = {tenant} and person = {person}")], Read, ct))[0] is [var row] ? row : null;

    /// <summary>The ledger says so, on disk.</summary>
    public static Task Entered(PlatformWriter db, LedgerEntry entry, CancellationToken ct) => db.Run([Sql.Of($"""
        insert into nubabel.erasures as e (tenant_id, person, entered, subjects) values ({entry.Tenant}, {entry.Person}, {entry.At.UtcDateTime}, {entry.Subjects.ToArray()})
        on conflict (tenant_id, person) do update set subjects = array(select distinct s from unnest(e.subjects || excluded.subjects) s order by s)
        """)], ct);

    /// <summary>Nothing of it is left to do.</summary>
    public static Task Done(PlatformWriter db, string tenant, Guid person, CancellationToken ct) =>
        db.Run([Sql.Of($"update nubabel.erasures set done = coalesce(done, now()) where tenant_id = {tenant} and person = {person}")], ct);

    /// <summary>Which of these subjects have a key after all, or no row that keeps one from being made.</summary>
    public static async Task<IReadOnlyList<(string Tenant, string Subject)>> Alive(PlatformReader db, IReadOnlyList<(string Tenant, string Subject)> subjects, CancellationToken ct) => (await db.Query([Sql.Of($"""
        select u.tenant, u.subject from unnest({subjects.Select(s => s.Tenant).ToArray()}, {subjects.Select(s => s.Subject).ToArray()}) u (tenant, subject)
         where not exists (select from nubabel.subject_keys k where k.tenant_id = u.tenant and k.subject = u.subject and k.wrapped is null)
        """)], row => (row.GetString(0), row.GetString(1)), ct))[0];

    private static EnteredErasure Read(Npgsql.NpgsqlDataReader row) =>
        new(row.GetString(0), row.GetGuid(1), new DateTimeOffset(row.GetDateTime(2), TimeSpan.Zero), row.GetFieldValue<string[]>(3),
            row.IsDBNull(4) ? null : new DateTimeOffset(row.GetDateTime(4), TimeSpan.Zero));
}
