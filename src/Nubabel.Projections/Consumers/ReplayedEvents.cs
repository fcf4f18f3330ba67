using Nubabel.Projections.Audit;
using Nubabel.Store;

namespace Nubabel.Projections.Consumers;

/// <summary>An event of the past, as a replay finds it.</summary>
public sealed record PastEvent(long Position, Guid Id, string Stream, long Version, string Type, DateTimeOffset At);

/// <summary>The past of one tenant in order. The audit trail is its index into the log: nobody else's events are looked at.</summary>
public static class ReplayedEvents
{
    /// <summary>The position before the first event of that time; the end where there is none.</summary>
    public static async Task<long> Before(Reader db, DateTimeOffset time, long end, CancellationToken ct)
    {
        var first = await db.Query($"select min(position) from {new Name($"read.{AuditTrail.Name}_v{AuditTrail.Version}")} where tenant_id = {db.Tenant} and at >= {time.UtcDateTime}",
            row => row.IsDBNull(0) ? (long?)null : row.GetInt64(0), ct);
        return first[0] is { } position ? position - 1 : end;
    }

    /// <summary>The next events behind a position, up to another one, whatever their types.</summary>
    public static Task<IReadOnlyList<PastEvent>> Next(Reader db, long after, long to, int limit, CancellationToken ct) => db.Query($"""
        select a.position, e.id, e.stream_id, e.version, e.type, e.timestamp
          from (select position, object, version from {new Name($"read.{AuditTrail.Name}_v{AuditTrail.Version}")}
                 where tenant_id = {db.Tenant} and position > {after} and position <= {to} order by position limit {limit}) a
          join events.mt_events e on e.tenant_id = {db.Tenant} and e.stream_id = a.object and e.version = a.version
         order by a.position
        """, row => new PastEvent(row.GetInt64(0), row.GetGuid(1), row.GetString(2), row.GetInt64(3), row.GetString(4), new DateTimeOffset(row.GetDateTime(5), TimeSpan.Zero)), ct);
}
