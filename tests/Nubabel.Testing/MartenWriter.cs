using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Testing;

/// <summary>An event as another program hands it to its Marten.</summary>
/// <param name="Json">Its body: whatever its serializer makes of it.</param>
/// <param name="Headers">Marten writes an empty object where nobody set any.</param>
/// <param name="At">Set by the program where it overrides the time; else its own clock's.</param>
public sealed record MartenEvent(
    string Alias, string Json = "{}", string Headers = "{}", string? CorrelationId = null, string? CausationId = null, string? UserName = null, DateTimeOffset? At = null)
{
    /// <summary>Marten gives ids without an order of ours; these are random ones.</summary>
    public Guid Id { get; } = Guid.NewGuid();
}

/// <summary>
/// One transaction of a stock Marten 9 with quick append, conjoined tenancy, string streams and all metadata, statement by statement in Marten's order, so that
/// a test decides what happens between them. Marten itself is not to be had here: what stands here are the facts of what it writes.
/// </summary>
public sealed class MartenWriter : IAsyncDisposable
{
    private readonly NpgsqlConnection connection;
    private readonly NpgsqlTransaction transaction;

    private MartenWriter(NpgsqlConnection connection, NpgsqlTransaction transaction) => (this.connection, this.transaction) = (connection, transaction);

    public static async Task<MartenWriter> Begin(NpgsqlDataSource login)
    {
        var connection = await login.OpenConnectionAsync();
        return new MartenWriter(connection, await connection.BeginTransactionAsync());
    }

    /// <summary>A session that starts a stream: its row first, with the version that it will have, then the events.</summary>
    public static Task<long> Start(NpgsqlDataSource login, string tenant, string stream, string? type, params MartenEvent[] events) => Once(login, async session =>
    {
        await session.InsertStream(tenant, stream, type, events.Length);
        return await session.Insert(tenant, stream, 0, events);
    });

    /// <summary>A session that appends without a version: what its database function does, on a stream that may be new.</summary>
    public static Task<long> Append(NpgsqlDataSource login, string tenant, string stream, params MartenEvent[] events) => Once(login, session => session.Append(tenant, stream, events));

    /// <summary>A session that appends at the version it has read. Returns 0 where the stream is elsewhere, for which Marten throws.</summary>
    public static Task<long> AppendAt(NpgsqlDataSource login, string tenant, string stream, long expected, params MartenEvent[] events) => Once(login, async session =>
    {
        if (!await session.Move(tenant, stream, expected, expected + events.Length)) return 0;
        return await session.Insert(tenant, stream, expected, events);
    });

    /// <summary>Archives a stream: the row and all its events.</summary>
    public static Task Archive(NpgsqlDataSource login, string tenant, string stream) => Once(login, async session =>
    {
        await session.Run("update events.mt_streams set is_archived = true where id = $1 and tenant_id = $2", stream, tenant);
        await session.Run("update events.mt_events set is_archived = true where stream_id = $1 and tenant_id = $2", stream, tenant);
        return 0;
    });

    /// <summary>The placeholder that Marten writes when a transaction has failed, under the number that was drawn in it.</summary>
    public static Task Tombstone(NpgsqlDataSource login, string tenant, long position) => Once(login, async session =>
    {
        await session.Run("insert into events.mt_streams (id, tenant_id, version, is_archived) values ('mt_tombstone', $1, 0, false) on conflict (tenant_id, id) do nothing", tenant);
        await session.Run("""
            insert into events.mt_events (seq_id, id, stream_id, version, data, type, tenant_id, timestamp, mt_dotnet_type, headers, is_archived)
            values ($1, $2, 'mt_tombstone', $1, '{}', 'tombstone', $3, now(), 'JasperFx.Events.Tombstone, JasperFx.Events', '{}', false)
            """, position, Guid.NewGuid(), tenant);
        return position;
    });

    /// <summary>The version of a stream as the append sees it; null where there is no row.</summary>
    public async Task<long?> Version(string tenant, string stream) =>
        await Scalar("select coalesce(version, 0) from events.mt_streams where id = $1 and tenant_id = $2", stream, tenant) as long?;

    public Task InsertStream(string tenant, string stream, string? type, long version) =>
        Run("insert into events.mt_streams (id, type, version, timestamp, tenant_id) values ($1, $2, $3, now(), $4)", stream, type, version, tenant);

    /// <summary>Inserts events behind a version, each with a number of its own.</summary>
    public async Task<long> Insert(string tenant, string stream, long behind, IReadOnlyList<MartenEvent> events)
    {
        long last = 0;
        foreach (var e in events)
        {
            last = (long)(await Scalar("""
                insert into events.mt_events (seq_id, id, stream_id, version, data, bdata, type, tenant_id, timestamp, mt_dotnet_type, is_archived, causation_id, correlation_id, headers, user_name)
                values (nextval('events.mt_events_sequence'), $1, $2, $3, $4::jsonb, null, $5, $6, $7, $8, false, $9, $10, $11::jsonb, $12) returning seq_id
                """, e.Id, stream, ++behind, e.Json, e.Alias, tenant, e.At ?? TimeProvider.System.GetUtcNow(), "Elsewhere.Contracts." + e.Alias + ", Elsewhere", e.CausationId, e.CorrelationId, e.Headers, e.UserName))!;
        }
        return last;
    }

    /// <summary>Moves a stream from exactly one version to another; false where it is elsewhere.</summary>
    public async Task<bool> Move(string tenant, string stream, long from, long to) =>
        await Scalar("update events.mt_streams set version = $4, timestamp = now() where id = $1 and tenant_id = $2 and version = $3 returning version", stream, tenant, from, to) is not null;

    public Task Settle(string tenant, string stream, long version) =>
        Run("update events.mt_streams set version = $3, timestamp = now() where id = $1 and tenant_id = $2", stream, tenant, version);

    public Task Commit() => transaction.CommitAsync();

    public async ValueTask DisposeAsync()
    {
        await transaction.DisposeAsync();
        await connection.DisposeAsync();
    }

    private async Task<long> Append(string tenant, string stream, MartenEvent[] events)
    {
        var version = await Version(tenant, stream);
        if (version is null) await InsertStream(tenant, stream, null, 0);
        var last = await Insert(tenant, stream, version ?? 0, events);
        await Settle(tenant, stream, (version ?? 0) + events.Length);
        return last;
    }

    private static async Task<long> Once(NpgsqlDataSource login, Func<MartenWriter, Task<long>> work)
    {
        await using var session = await Begin(login);
        var position = await work(session);
        await session.Commit();
        return position;
    }

    private async Task Run(string sql, params object?[] values)
    {
        await using var command = Command(sql, values);
        await command.ExecuteNonQueryAsync();
    }

    private async Task<object?> Scalar(string sql, params object?[] values)
    {
        await using var command = Command(sql, values);
        return await command.ExecuteScalarAsync();
    }

    private NpgsqlCommand Command(string sql, object?[] values)
    {
        var command = new NpgsqlCommand(sql, connection, transaction);
        foreach (var value in values)
        {
            command.Parameters.Add(value switch
            {
                null => new NpgsqlParameter { Value = DBNull.Value, NpgsqlDbType = NpgsqlDbType.Varchar },
                DateTimeOffset at => new NpgsqlParameter { Value = at.UtcDateTime, NpgsqlDbType = NpgsqlDbType.TimestampTz },
                _ => new NpgsqlParameter { Value = value },
            });
        }
        return command;
    }
}
