using Npgsql;

namespace Nubabel.Store;

/// <summary>A key that waits for an operator.</summary>
/// <param name="Key">The document's key; <c>*</c> for a projection that stopped as a whole.</param>
/// <param name="Position">The event that failed.</param>
/// <param name="Events">How many events wait with it, itself included; no more than <see cref="ParkedKeys.MostCounted"/> are counted.</param>
/// <param name="Since">When it was parked.</param>
/// <param name="Attempts">How often the event was tried.</param>
public sealed record ParkedKey(string Tenant, string Key, long Position, long Events, string Error, DateTimeOffset Since, int Attempts);

/// <summary>Looks into the park of a projection.</summary>
public static class ParkedKeys
{
    /// <summary>A key's waiting events are counted up to here.</summary>
    public const int MostCounted = 10_000;

    /// <summary>The keys that wait, in the order of the events that failed.</summary>
    /// <param name="after">The <see cref="ParkedKey.Position"/> that the page begins behind; an event belongs to one key only.</param>
    public static Task<IReadOnlyList<ParkedKey>> Of(NpgsqlDataSource daemon, Projection projection, long after, int limit, CancellationToken ct) =>
        Read(daemon, projection, command =>
        {
            command.Add(after);
            command.Add(limit);
            return "and p.seq_id > $4 order by p.seq_id limit $5";
        }, ct);

    /// <summary>One key; null when it does not wait.</summary>
    public static async Task<ParkedKey?> Find(NpgsqlDataSource daemon, Projection projection, string tenant, string key, CancellationToken ct) =>
        await Read(daemon, projection, command =>
        {
            command.Add(tenant);
            command.Add(key);
            return "and p.tenant_id = $4 and p.key = $5 order by p.seq_id desc limit 1";
        }, ct) is [var found, ..] ? found : null;

    /// <summary>Whether the event waits under this key.</summary>
    public static Task<bool> Contains(NpgsqlDataSource daemon, Projection projection, string tenant, string key, long position, CancellationToken ct) => Again.Ask(async () =>
    {
        await using var command = daemon.CreateCommand($"""
            select exists (select from nubabel.parked p where p.name = $1 and p.version = $2 and p.tenant_id = $3 and p.key = $4 and p.seq_id = $5
              and {Parking.Counts(Checkpoint("$6"))})
            """);
        command.Add(projection.Name);
        command.Add(projection.Version);
        command.Add(tenant);
        command.Add(key);
        command.Add(position);
        command.Add(projection.ProgressionName);
        return await command.ExecuteScalarAsync(ct) is true;
    });

    private static Task<IReadOnlyList<ParkedKey>> Read(NpgsqlDataSource daemon, Projection projection, Func<NpgsqlCommand, string> rest, CancellationToken ct) => Again.Ask<IReadOnlyList<ParkedKey>>(async () =>
    {
        await using var command = daemon.CreateCommand();
        command.Add(projection.Name);
        command.Add(projection.Version);
        command.Add(projection.ProgressionName);
        command.CommandText = $"""
            select p.tenant_id, p.key, p.seq_id, (select count(*) from (select from nubabel.parked w
              where w.name = p.name and w.version = p.version and w.tenant_id = p.tenant_id and w.key = p.key limit {MostCounted}) c), p.error, p.created, p.attempts
            from nubabel.parked p
            where p.name = $1 and p.version = $2 and {Parking.IsFailed} and {Parking.Counts(Checkpoint("$3"))} {rest(command)}
            """;
        await using var reader = await command.ExecuteReaderAsync(ct);
        var keys = new List<ParkedKey>();
        while (await reader.ReadAsync(ct))
        {
            keys.Add(new ParkedKey(reader.GetString(0), reader.GetString(1), reader.GetInt64(2), reader.GetInt64(3), reader.GetString(4),
                new DateTimeOffset(reader.GetDateTime(5), TimeSpan.Zero), reader.GetInt32(6)));
        }
        return keys;
    });

    private static string Checkpoint(string progression) => $"coalesce((select g.last_seq_id from events.mt_event_progression g where g.name = {progression}), 0)";
}
