using System.Globalization;
using System.Text.Json;
using Npgsql;
using Nubabel.Domain;
using Nubabel.Domain.Consumers;
using Nubabel.Store;

namespace Nubabel.Projections.Consumers;

/// <summary>One try to deliver an event.</summary>
/// <param name="Round">0, or the resend that it belongs to.</param>
/// <param name="Status">What the endpoint answered; null where there was no answer.</param>
/// <param name="Error">Why it failed, a word; null where it did not.</param>
/// <param name="Answer">The first bytes of the answer's body, as text.</param>
public sealed record DeliveryAttempt(DateTimeOffset At, int Round, long Milliseconds, int? Status, string? Error, string? Answer);

/// <summary>An event on its way to a consumer.</summary>
/// <param name="Source"><c>event</c>, <c>replay</c> or <c>test</c>.</param>
/// <param name="At">When the event happened.</param>
/// <param name="State"><c>waiting</c>, <c>delivered</c>, <c>failed</c> or <c>cancelled</c>.</param>
/// <param name="Round">How often it was resent.</param>
/// <param name="Tried">Attempts of this round.</param>
/// <param name="Since">The first of them.</param>
/// <param name="Next">When it is tried again.</param>
public sealed record LoggedDelivery(
    Guid Id, Guid Consumer, string Source, Guid EventId, long Position, string Stream, long Version, string Type, DateTimeOffset At, DateTimeOffset Created, string State, int Round, int Tried,
    DateTimeOffset? Since, DateTimeOffset? Next, DateTimeOffset? Ended, int? Status, string? Error, IReadOnlyList<DeliveryAttempt> Attempts);

/// <summary>What a delivery is of, before anybody has tried.</summary>
public sealed record NewDelivery(string Tenant, Guid Id, Guid Consumer, string Source, Guid EventId, long Position, string Stream, long Version, string Type, DateTimeOffset At);

/// <summary>
/// The deliveries in the database, with their attempts. They are kept beside the log of events, since an event for each attempt would be a log of little else;
/// so they cannot be rebuilt, and they are deleted when they are old.
/// </summary>
public static class DeliveryLog
{
    public const string Waiting = "waiting", Delivered = "delivered", Failed = "failed", Cancelled = "cancelled";

    public static IReadOnlyList<string> States { get; } = [Waiting, Delivered, Failed, Cancelled];

    private static readonly Sql Columns =
        Sql.Of($"id, consumer, source, event_id, position, stream, version, type, at, created, state, round, tried, since, next, ended, status, error");

    /// <summary>The statement that writes them; one that is there already stays as it is.</summary>
    public static Sql Note(IReadOnlyList<NewDelivery> all) => Sql.Of($"""
        insert into nubabel.deliveries (tenant_id, id, consumer, source, event_id, position, stream, version, type, at)
        select * from unnest({all.Select(d => d.Tenant).ToArray()}, {all.Select(d => d.Id).ToArray()}, {all.Select(d => d.Consumer).ToArray()}, {all.Select(d => d.Source).ToArray()},
          {all.Select(d => d.EventId).ToArray()}, {all.Select(d => d.Position).ToArray()}, {all.Select(d => d.Stream).ToArray()}, {all.Select(d => d.Version).ToArray()},
          {all.Select(d => d.Type).ToArray()}, {all.Select(d => d.At.UtcDateTime).ToArray()})
        on conflict do nothing
        """);

    public static async Task<LoggedDelivery?> Find(Reader db, Guid id, CancellationToken ct)
    {
        var rows = await db.Query($"select {Columns}, attempts from nubabel.deliveries where tenant_id = {db.Tenant} and id = {id}", row => Read(row, attempts: true), ct);
        return rows.Count == 0 ? null : rows[0];
    }

    /// <summary>Begins another round of attempts; nothing where it has begun already.</summary>
    public static Task Restart(TenantRows db, Guid id, int round, CancellationToken ct) => db.Write($"""
        update nubabel.deliveries set state = {Waiting}, round = {round}, tried = 0, since = null, next = null, ended = null, error = null
         where tenant_id = {db.Tenant} and id = {id} and round < {round}
        """, ct);

    /// <summary>An attempt has ended.</summary>
    /// <param name="was">As it stood when the attempt began: what has changed meanwhile stays.</param>
    /// <param name="state">What it led to.</param>
    /// <param name="next">When it is tried again, where it is.</param>
    public static Task Tried(TenantRows db, LoggedDelivery was, DeliveryAttempt attempt, string state, DateTimeOffset? next, CancellationToken ct)
    {
        var entry = JsonSerializer.Serialize(attempt, StoredJson.Options);
        return db.Write($"""
            update nubabel.deliveries
               set tried = tried + 1, since = coalesce(since, {attempt.At.UtcDateTime}), state = {state}, next = {next?.UtcDateTime}, status = {attempt.Status}, error = {attempt.Error},
                   ended = case when {state} <> {Waiting} then now() end, attempts = attempts || {entry}::jsonb
             where tenant_id = {db.Tenant} and id = {was.Id} and round = {was.Round} and tried = {was.Tried} and state = {Waiting}
            """, ct);
    }

    /// <summary>It ends without another attempt.</summary>
    public static Task End(TenantRows db, Guid id, string state, string reason, CancellationToken ct) => db.Write($"""
        update nubabel.deliveries set state = {state}, error = {reason}, next = null, ended = now() where tenant_id = {db.Tenant} and id = {id} and state = {Waiting}
        """, ct);

    /// <summary>A consumer's deliveries, newest first, one more than asked for where there are more.</summary>
    /// <param name="after">The place of the last row of the page before: time and id.</param>
    public static Task<IReadOnlyList<LoggedDelivery>> Of(Reader db, Id<Consumer> consumer, string? state, string? type, IReadOnlyList<string>? after, int limit, CancellationToken ct)
    {
        var ofState = state is null ? Sql.None : Sql.Of($"and state = {state}");
        var ofType = type is null ? Sql.None : Sql.Of($"and type = {type}");
        return db.Query($"""
            select {Columns} from nubabel.deliveries where tenant_id = {db.Tenant} and consumer = {consumer.Value} {ofState} {ofType} {After(after)}
             order by created desc, id desc limit {limit + 1}
            """, row => Read(row, attempts: false), ct);
    }

    public static IReadOnlyList<string> PlaceOf(LoggedDelivery delivery) => [delivery.Created.UtcDateTime.ToString("O", CultureInfo.InvariantCulture), delivery.Id.ToString("D")];

    /// <summary>Takes out what endpoints answered to what happened in these streams: an answer may repeat what it was told. Returns how many deliveries had one.</summary>
    public static Task<int> Forget(PlatformWriter db, string tenant, IReadOnlyCollection<string> streams, CancellationToken ct) => db.Run([Sql.Of($"""
        update nubabel.deliveries set attempts = (select jsonb_agg(a - 'answer' order by n) from jsonb_array_elements(attempts) with ordinality x (a, n))
         where tenant_id = {tenant} and stream = any ({streams.ToArray()}) and jsonb_path_exists(attempts, '$[*].answer')
        """)], ct);

    private static Sql After(IReadOnlyList<string>? place) => place is [var at, var id]
        ? Sql.Of($"and (created, id) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {Guid.Parse(id)})")
        : Sql.None;

    private static LoggedDelivery Read(NpgsqlDataReader row, bool attempts) => new(
        row.GetGuid(0), row.GetGuid(1), row.GetString(2), row.GetGuid(3), row.GetInt64(4), row.GetString(5), row.GetInt64(6), row.GetString(7), Time(row, 8)!.Value, Time(row, 9)!.Value,
        row.GetString(10), row.GetInt32(11), row.GetInt32(12), Time(row, 13), Time(row, 14), Time(row, 15), row.IsDBNull(16) ? null : row.GetInt32(16), row.IsDBNull(17) ? null : row.GetString(17),
        attempts ? StoredJson.Read<DeliveryAttempt[]>(row.GetFieldValue<byte[]>(18)) : []);

    private static DateTimeOffset? Time(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : new DateTimeOffset(row.GetDateTime(column), TimeSpan.Zero);
}
