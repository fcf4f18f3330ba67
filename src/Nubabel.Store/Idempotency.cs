using Npgsql;

namespace Nubabel.Store;

/// <summary>The record of a command that was sent with an idempotency key, written in the command's own transaction.</summary>
/// <param name="Tenant">Whose record it is: the tenant's, or the platform's where the caller was nobody yet.</param>
/// <param name="Scope">Whose key, on what: actor, method and path.</param>
/// <param name="RequestHash">A keyed hash of the body; another body under the same key is a mismatch.</param>
/// <param name="Status">The status of the first answer.</param>
/// <param name="Answer">The sealed answer where it holds secrets; otherwise it is rendered again from the streams.</param>
public sealed record IdempotencyRecord(string Tenant, string Scope, string Key, byte[] RequestHash, int Status, byte[]? Answer = null)
{
    /// <summary>When the first request came, by the clock of its node: derived ids depend on it.</summary>
    public DateTimeOffset Created { get; init; } = TimeProvider.System.GetUtcNow();

    /// <summary>The streams that the command had touched and their versions then: what a repeated request is answered from.</summary>
    public IReadOnlyDictionary<string, long> Versions { get; init; } = new Dictionary<string, long>();

    /// <summary>With the versions that the appends will bring: streams that the command read without changing keep the version it saw.</summary>
    internal IdempotencyRecord With(IReadOnlyList<StreamAppend> appends)
    {
        var versions = new Dictionary<string, long>(Versions);
        foreach (var append in appends) versions[append.Stream] = Math.Max(append.Expected, 0) + append.Events.Count;
        return this with { Versions = versions };
    }

    private static NpgsqlBatchCommand Insert(IdempotencyRecord record) => Sql.Of($"""
        with i as (
          insert into nubabel.idempotency (tenant_id, scope, key, request_hash, status, streams, versions, answer, created)
          values ({record.Tenant}, {record.Scope}, {record.Key}, {record.RequestHash}, {record.Status}, {record.Versions.Keys.ToArray()}, {record.Versions.Values.ToArray()}, {record.Answer}, {record.Created.UtcDateTime})
          on conflict do nothing returning 1)
        select case when not exists (select from i) then nubabel.refuse('NB002', '') end
        """).ToBatchCommand();

    /// <summary>Keeps a record of a command that had nothing to append. False when another request was first: its record stands.</summary>
    public static async Task<bool> Keep(NpgsqlDataSource source, IdempotencyRecord record, CancellationToken ct)
    {
        await using var batch = source.CreateBatch();
        batch.BatchCommands.Add(Append.Tenant(record.Tenant));
        batch.BatchCommands.Add(Insert(record));
        try
        {
            await batch.ExecuteNonQueryAsync(ct);
            return true;
        }
        catch (PostgresException e) when (e.SqlState == "NB002")
        {
            return false;
        }
    }

    /// <summary>The record of a key that is younger than <paramref name="hours"/>, or null. An older one is forgotten on the way.</summary>
    public static Task<IdempotencyRecord?> Find(NpgsqlDataSource source, string tenant, string scope, string key, int hours, CancellationToken ct) => Again.Ask(async () =>
    {
        await using var batch = source.CreateBatch();
        batch.BatchCommands.Add(Append.Tenant(tenant));
        batch.BatchCommands.Add(Sql.Of($"""
            delete from nubabel.idempotency where tenant_id = {tenant} and scope = {scope} and key = {key} and created < now() - make_interval(hours => {hours})
            """).ToBatchCommand());
        batch.BatchCommands.Add(Sql.Of($"""
            select request_hash, status, streams, versions, answer, created from nubabel.idempotency where tenant_id = {tenant} and scope = {scope} and key = {key}
              and created >= now() - make_interval(hours => {hours})
            """).ToBatchCommand());
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        if (!await reader.ReadAsync(ct)) return (IdempotencyRecord?)null;
        var streams = reader.GetFieldValue<string[]>(2);
        var versions = reader.GetFieldValue<long[]>(3);
        return new IdempotencyRecord(tenant, scope, key, reader.GetFieldValue<byte[]>(0), reader.GetInt32(1), reader.IsDBNull(4) ? null : reader.GetFieldValue<byte[]>(4))
        {
            Created = new DateTimeOffset(reader.GetDateTime(5), TimeSpan.Zero),
            Versions = streams.Zip(versions).ToDictionary(p => p.First, p => p.Second),
        };
    });

    /// <summary>
    /// Deletes the records of what an actor did, and of what touched these streams, those of the platform for requests without a credential included. The keys are
    /// texts of clients, so they go before their time.
    /// </summary>
    public static Task<int> Erase(PlatformWriter db, string tenant, string platform, string actor, IReadOnlyCollection<string> streams, CancellationToken ct) => db.Run([Sql.Of($"""
        delete from nubabel.idempotency where tenant_id in ({tenant}, {platform}) and ((tenant_id = {tenant} and starts_with(scope, {actor + " "})) or streams && {streams.ToArray()}::varchar[])
        """)], ct);

    /// <summary>Deletes what is older than <paramref name="hours"/>, in bounded steps; for the daemon, across tenants.</summary>
    public static async Task<int> Expire(NpgsqlDataSource daemon, int hours, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("""
            delete from nubabel.idempotency where ctid = any (array(select ctid from nubabel.idempotency where created < now() - make_interval(hours => $1) limit 5000))
            """);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = hours });
        return await command.ExecuteNonQueryAsync(ct);
    }
}
