using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>
/// The table beside the live one: made, indexed, and put into its place. The statements that change tables run as functions with their owner's rights, because the
/// daemon's login owns no table.
/// </summary>
internal sealed class Beside(Projection live)
{
    private readonly Projection beside = live.Beside();
    private readonly string table = live.Table.Value.Split('.')[1];

    public Projection Projection => beside;

    /// <summary>Empty, with nothing left of an earlier try.</summary>
    public async Task Create(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var batch = new NpgsqlBatch(connection);
        Add(batch, "select nubabel.beside_create($1)", table);
        AddForget(batch);
        await batch.ExecuteNonQueryAsync(ct);
    }

    public async Task Drop(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var batch = new NpgsqlBatch(connection);
        Add(batch, "select nubabel.beside_drop($1)", table);
        AddForget(batch);
        await batch.ExecuteNonQueryAsync(ct);
    }

    /// <summary>Makes an index that it lacks; false when it lacks none.</summary>
    public async Task<bool> Index(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("select nubabel.beside_index($1)", connection);
        command.Add(table);
        return await command.ExecuteScalarAsync(ct) is string;
    }

    /// <summary>Its checkpoint begins: everything up to here is in it.</summary>
    public async Task Checkpoint(NpgsqlConnection connection, long position, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("""
            insert into events.mt_event_progression (name, last_seq_id) values ($1, $2) on conflict (name) do update set last_seq_id = excluded.last_seq_id, last_updated = transaction_timestamp()
            """, connection);
        command.Add(beside.ProgressionName);
        command.Add(position);
        await command.ExecuteNonQueryAsync(ct);
    }

    /// <summary>
    /// Stops whoever feeds the live table, and every other version of the read model, until the end of the transaction, and says how far readers have seen. The
    /// daemon's batches begin with the checkpoint as well, so that nobody waits for the other in a circle.
    /// </summary>
    public async Task<long> StopLive(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand($"""
            select coalesce(max(c.last_seq_id), 0) from (select p.last_seq_id from events.mt_event_progression p where {Checkpoints.IsVersionOf("p.name", "$1")} order by p.name for update) c
            """, connection);
        command.Add(live.ReadModel);
        return (long)(await command.ExecuteScalarAsync(ct))!;
    }

    /// <summary>
    /// How many keys are parked in it, and how many of them are not in what readers see: this version, or for the first time the one before it. Where there is
    /// none, nobody has seen anything else.
    /// </summary>
    public async Task<(long All, long New)> ParkedKeys(NpgsqlConnection connection, long position, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand($"""
            with seen as (
              select coalesce(substring(p.name from ':V([0-9]+):')::integer, 1) as version from events.mt_event_progression p where {Checkpoints.IsVersionOf("p.name", "$1")}
              order by p.name = $2 desc, 1 desc limit 1),
            built as (select distinct b.tenant_id, b.key from nubabel.parked b where b.name = $3 and b.version = $4 and (b.key <> '{Parking.WholeKey}' or b.seq_id > $5))
            select count(*), count(*) filter (where exists (select from seen) and not exists (
              select from nubabel.parked p join seen s on p.version = s.version where p.name = $1 and p.tenant_id = built.tenant_id and p.key = built.key)) from built
            """, connection);
        command.Add(live.ReadModel);
        command.Add(live.ProgressionName);
        command.Add(beside.Name);
        command.Add(live.Version);
        command.Add(position);
        await using var row = await command.ExecuteReaderAsync(ct);
        await row.ReadAsync(ct);
        return (row.GetInt64(0), row.GetInt64(1));
    }

    /// <summary>
    /// Sessions whose snapshot is older than what was loaded: one of them that comes to the table only after the exchange would find it empty. Null where there is
    /// none.
    /// </summary>
    public async Task<string?> OldSnapshots(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("""
            select string_agg(format('pid %s (%s)', a.pid, a.application_name), ', ') from nubabel.rebuilds r, pg_stat_activity a
            where r.progression = $1 and a.datname = current_database() and a.backend_type = 'client backend' and a.pid <> pg_backend_pid()
              and age(a.backend_xmin) >= age(r.loaded::xid)
            """, connection);
        command.Add(live.ProgressionName);
        return await command.ExecuteScalarAsync(ct) as string;
    }

    /// <summary>Exchanges table, checkpoint and parked keys within the caller's transaction; false when the live table has an index more.</summary>
    public async Task<bool> Swap(NpgsqlConnection connection, long position, CancellationToken ct)
    {
        await using var swap = new NpgsqlCommand("select nubabel.beside_swap($1)", connection);
        swap.Add(table);
        if (await swap.ExecuteScalarAsync(ct) is not true) return false;
        await using var batch = new NpgsqlBatch(connection);
        Add(batch, """
            insert into events.mt_event_progression as p (name, last_seq_id) values ($1, $2)
            on conflict (name) do update set last_seq_id = greatest(p.last_seq_id, excluded.last_seq_id), last_updated = transaction_timestamp()
            """, live.ProgressionName, position);
        Add(batch, "delete from events.mt_event_progression where name = $1", beside.ProgressionName);
        Add(batch, "delete from nubabel.parked where name = $1 and version = $2", live.Name, live.Version);
        Add(batch, "update nubabel.parked set name = $1 where name = $2 and version = $3", live.Name, beside.Name, live.Version);
        await batch.ExecuteNonQueryAsync(ct);
        return true;
    }

    private void AddForget(NpgsqlBatch batch)
    {
        Add(batch, "delete from events.mt_event_progression where name = $1", beside.ProgressionName);
        Add(batch, "delete from nubabel.parked where name = $1 and version = $2", beside.Name, live.Version);
    }

    private static void Add(NpgsqlBatch batch, string sql, params object[] values)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var value in values) command.Parameters.Add(new NpgsqlParameter { Value = value });
        batch.BatchCommands.Add(command);
    }
}
