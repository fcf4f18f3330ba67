using Npgsql;

namespace Nubabel.Store.Tests;

/// <summary>Writes events of the tests' vocabulary as any writer of the log might, without the product's journal.</summary>
public sealed class TallyLog(NpgsqlDataSource daemon, Signal? signal = null)
{
    public const string Tenant = LogWriter.Tenant;

    public static string NewStream() => $"tally-{Guid.CreateVersion7()}";

    public Task<long> Append(string stream, params object[] events) => AppendAs(Tenant, stream, events);

    public Task<long> AppendAs(string tenant, string stream, params object[] events) =>
        Write(tenant, stream, events.Select(e => (Tallies.Types.Of(e).Alias, Tallies.Types.Write(e), $"{{\"$v\": {Tallies.Types.Of(e).Shape}}}")));

    /// <summary>An event as JSON under any alias, for foreign writers and older shapes.</summary>
    public Task<long> AppendRaw(string stream, string alias, string json, string headers = "null") => Write(Tenant, stream, [(alias, json, headers)]);

    /// <summary>An operator's order, as the product's domain writes it.</summary>
    public Task<long> Order(string projection, string alias, string json) => Write(Projection.PlatformTenant, $"projection-{projection}", [(alias, json, "null")]);

    private async Task<long> Write(string tenant, string stream, IEnumerable<(string Alias, string Json, string Headers)> events)
    {
        long position = 0;
        await using (var connection = await daemon.OpenConnectionAsync())
        await using (var batch = new NpgsqlBatch(connection))
        {
            foreach (var (alias, json, headers) in events)
            {
                var command = new NpgsqlBatchCommand("""
                    with s as (
                      insert into events.mt_streams as s (tenant_id, id, type, version) values ($1, $2, 'tally', 1)
                      on conflict (tenant_id, id) do update set version = s.version + 1 returning version)
                    insert into events.mt_events (seq_id, id, tenant_id, stream_id, version, type, data, headers, timestamp)
                    select nextval('events.mt_events_sequence'), $3, $1, $2, s.version, $4, $5::jsonb, nullif($6, 'null')::jsonb, now() from s returning seq_id
                    """);
                foreach (var value in new object[] { tenant, stream, Guid.CreateVersion7(), alias, json, headers })
                    command.Parameters.Add(new NpgsqlParameter { Value = value });
                batch.BatchCommands.Add(command);
            }
            await using var reader = await batch.ExecuteReaderAsync();
            do
            {
                while (await reader.ReadAsync()) position = reader.GetInt64(0);
            }
            while (await reader.NextResultAsync());
        }
        signal?.Set();
        return position;
    }
}
