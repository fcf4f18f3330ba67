using Npgsql;

namespace Nubabel.Store.Tests;

/// <summary>One transaction that writes to the log step by step, so that a test decides what happens between drawing a number and its commit.</summary>
public sealed class LogWriter : IAsyncDisposable
{
    public const string Tenant = "7b0e9f5e-0000-7000-8000-000000000001";
    private readonly NpgsqlConnection connection;
    private readonly string stream;
    private bool streamIsThere;
    private long version;

    private LogWriter(NpgsqlConnection connection, string stream) => (this.connection, this.stream) = (connection, stream);

    /// <summary>Opens a transaction on a new stream, which is committed before, so that it holds no number and no lock on the sequence.</summary>
    public static async Task<LogWriter> Begin(EngineDatabase database, string? applicationName = null)
    {
        var stream = $"probe-{Guid.NewGuid()}";
        await database.Execute(NewStream(stream));
        var connection = await database.Daemon.OpenConnectionAsync();
        var writer = new LogWriter(connection, stream) { streamIsThere = true };
        if (applicationName is not null) await writer.Run($"set application_name = '{applicationName}'");
        await writer.Run("begin");
        return writer;
    }

    /// <summary>The same, with the stream made by the first insert, so that the transaction has neither a lock nor an id before.</summary>
    public static async Task<LogWriter> BeginWithNothing(EngineDatabase database)
    {
        var writer = new LogWriter(await database.Daemon.OpenConnectionAsync(), $"probe-{Guid.NewGuid()}");
        await writer.Run("begin");
        return writer;
    }

    public async Task<long> Draw() => (long)(await Scalar("select nextval('events.mt_events_sequence')"))!;

    /// <summary>Makes sure that the transaction has a transaction id.</summary>
    public Task Identify() => Scalar("select pg_current_xact_id()::text");

    public async Task Insert(long position)
    {
        if (!streamIsThere) await Run(NewStream(stream));
        streamIsThere = true;
        await Run($"""
            insert into events.mt_events (seq_id, id, stream_id, version, data, type, tenant_id)
            values ({position}, '{Guid.CreateVersion7()}', '{stream}', {++version}, '{JsonOf(position)}', 'probe_written', '{Tenant}')
            """);
    }

    public async Task<long> Append()
    {
        var position = await Draw();
        await Insert(position);
        return position;
    }

    /// <summary>Many at once, each under its own number.</summary>
    public async Task AppendMany(int count)
    {
        await Run($"""
            insert into events.mt_events (seq_id, id, stream_id, version, data, type, tenant_id)
            select nextval('events.mt_events_sequence'), gen_random_uuid(), '{stream}', {version} + i, '{JsonOf(0)}', 'probe_written', '{Tenant}' from generate_series(1, {count}) i
            """);
        version += count;
    }

    public Task Commit() => Run("commit");
    public Task RollBack() => Run("rollback");
    public Task Prepare(string gid) => Run($"prepare transaction '{gid}'");

    public async Task Run(string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        // A transaction left open by a failed test must not hold the mark of the next one.
        try
        {
            await Run("rollback");
        }
        catch (NpgsqlException)
        {
            // The connection was taken away by the test.
        }
        await connection.DisposeAsync();
    }

    private static string NewStream(string stream) =>
        $"insert into events.mt_streams (tenant_id, id, type, version) values ('{Tenant}', '{stream}', 'probe', 0)";

    private static string JsonOf(long position) => $"{{\"n\": {position}}}";

    private async Task<object?> Scalar(string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync();
    }
}
