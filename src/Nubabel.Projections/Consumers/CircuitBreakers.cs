using Nubabel.Store;

namespace Nubabel.Projections.Consumers;

/// <summary>What a circuit breaker says to somebody who wants through.</summary>
/// <param name="Wait">How long to stay away; null lets through.</param>
/// <param name="HasFailed">There is something to take back when it goes well.</param>
public readonly record struct Passage(TimeSpan? Wait, bool HasFailed);

/// <summary>A circuit breaker as operators see it.</summary>
/// <param name="Name">What it guards.</param>
/// <param name="State"><c>closed</c>, <c>open</c> or <c>half_open</c>.</param>
/// <param name="Failures">In a row.</param>
/// <param name="Since">The first of them.</param>
/// <param name="Until">When somebody is let through again.</param>
public sealed record CircuitBreakerRow(string Organization, string Name, string State, int Failures, DateTimeOffset Since, DateTimeOffset Last, DateTimeOffset? Until, string? Error);

/// <summary>
/// Circuit breakers that all nodes share, each a row. After five failures in a row one opens and nobody gets through; when its time is over it lets one through,
/// and closes or opens again, for twice as long, by how that goes. The clock is the database's.
/// </summary>
public static class CircuitBreakers
{
    public const int FailuresToOpen = 5;
    public static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(30);
    public static readonly TimeSpan LongestPause = TimeSpan.FromHours(1);

    /// <summary>How long the one who was let through may take before another one is.</summary>
    private static readonly TimeSpan ProbeTime = TimeSpan.FromSeconds(30);

    /// <summary>Asks to be let through.</summary>
    public static async Task<Passage> Enter(TenantRows db, string name, CancellationToken ct)
    {
        // Of several at the same time one finds the row as it was, the others wait for its lock and find a probe under way.
        var row = await db.Write($"""
            with probe as (
              update nubabel.circuit_breakers set state = 'half_open', until = clock_timestamp() + {ProbeTime}
               where tenant_id = {db.Tenant} and name = {name} and state <> 'closed' and until <= clock_timestamp() returning name)
            select exists (select from probe), c.state, greatest(c.until - clock_timestamp(), interval '100 milliseconds')
              from nubabel.circuit_breakers c where c.tenant_id = {db.Tenant} and c.name = {name}
            """, r => (Probe: r.GetBoolean(0), State: r.GetString(1), Left: r.IsDBNull(2) ? (TimeSpan?)null : r.GetTimeSpan(2)), ct);
        if (row.Count == 0) return new Passage(null, false);
        return new Passage(row[0].Probe || row[0].State == "closed" ? null : row[0].Left, true);
    }

    /// <summary>It went well: nothing is left to tell.</summary>
    public static Task Succeeded(TenantRows db, string name, CancellationToken ct) => db.Write($"delete from nubabel.circuit_breakers where tenant_id = {db.Tenant} and name = {name}", ct);

    /// <summary>It failed. Returns how often in a row it has, and since when.</summary>
    public static async Task<(int Failures, TimeSpan For, DateTimeOffset Since)> Failed(TenantRows db, string name, string error, CancellationToken ct)
    {
        var opens = Sql.Of($"(c.state = 'half_open' or c.state = 'closed' and c.failures + 1 >= {FailuresToOpen})");
        var row = await db.Write($"""
            insert into nubabel.circuit_breakers as c (tenant_id, name, state, failures, since, last, error) values ({db.Tenant}, {name}, 'closed', 1, clock_timestamp(), clock_timestamp(), {error})
            on conflict (tenant_id, name) do update
               set failures = c.failures + 1, last = clock_timestamp(), error = excluded.error, state = case when {opens} then 'open' else c.state end,
                   openings = c.openings + case when {opens} then 1 else 0 end,
                   until = case when {opens} then clock_timestamp() + least({FirstPause} * power(2, least(c.openings, 20)), {LongestPause}) * (0.75 + random() * 0.5) else c.until end
            returning failures, clock_timestamp() - since, since
            """, r => (r.GetInt32(0), r.GetTimeSpan(1), new DateTimeOffset(r.GetDateTime(2), TimeSpan.Zero)), ct);
        return row[0];
    }

    /// <summary>All that have failed last, of all organizations: open ones first, then those that failed last.</summary>
    public static async Task<IReadOnlyList<CircuitBreakerRow>> All(PlatformReader db, int limit, CancellationToken ct) => (await db.Query([Sql.Of($"""
        select tenant_id, name, state, failures, since, last, until, error from nubabel.circuit_breakers order by state = 'closed', last desc, tenant_id, name limit {limit}
        """)], r => new CircuitBreakerRow(
            r.GetString(0), r.GetString(1), r.GetString(2), r.GetInt32(3), new DateTimeOffset(r.GetDateTime(4), TimeSpan.Zero), new DateTimeOffset(r.GetDateTime(5), TimeSpan.Zero),
            r.IsDBNull(6) ? null : new DateTimeOffset(r.GetDateTime(6), TimeSpan.Zero), r.IsDBNull(7) ? null : r.GetString(7)), ct))[0];
}
