using Npgsql;

namespace Nubabel.Store;

/// <summary>How far the handler of a message is.</summary>
/// <param name="Attempt">Which one runs, or ran last.</param>
/// <param name="Runs">A worker has it in hand that nobody has given up.</param>
/// <param name="Begun">When the attempt began, by the database's clock.</param>
public sealed record MessageRun(int Attempt, bool Runs, DateTimeOffset Begun, long? Done, long? Total, string? Note);

/// <summary>
/// What handlers of long work say about it: a row for each message, beside the log. It is written with the api login, for the message's own tenant.
/// </summary>
public static class MessageRuns
{
    /// <summary>How long after its last attempt began a row is kept.</summary>
    public const int Days = 35;

    /// <summary>An attempt begins; what an earlier one had said is forgotten.</summary>
    public static Task Begin(MessageContext context, CancellationToken ct)
    {
        var (tenant, message, attempt, worker) = (context.Tenant, context.Delivery.Id, context.Delivery.Attempt + context.Delivery.Losses, context.Worker);
        return Write(context, Sql.Of($"""
            insert into nubabel.message_runs as r (tenant_id, message, attempt, worker) values ({tenant}, {message}, {attempt}, {worker})
            on conflict (tenant_id, message) do update set attempt = excluded.attempt, worker = excluded.worker, begun = now(), said = now(), done = null, total = null, note = null
            """), ct);
    }

    /// <summary>How far it is. Of an attempt that another worker has taken over meanwhile nothing is written.</summary>
    public static Task Say(MessageContext context, long done, long? total, string? note, CancellationToken ct) => Write(context, Sql.Of($"""
        update nubabel.message_runs set done = {done}, total = {total}, note = {note}, said = now()
         where tenant_id = {context.Tenant} and message = {context.Delivery.Id} and worker = {context.Worker}
        """), ct);

    /// <summary>The attempt has ended, in whatever way.</summary>
    public static Task End(MessageContext context, CancellationToken ct) => Write(context, Sql.Of($"""
        update nubabel.message_runs set worker = null where tenant_id = {context.Tenant} and message = {context.Delivery.Id} and worker = {context.Worker}
        """), ct);

    private static async Task Write(MessageContext context, Sql sql, CancellationToken ct)
    {
        await using var batch = context.Journal.Database.Api.CreateBatch();
        batch.BatchCommands.Add(Append.Tenant(context.Tenant));
        batch.BatchCommands.Add(sql.ToBatchCommand());
        await batch.ExecuteNonQueryAsync(ct);
    }

    /// <summary>Deletes what is old. True when there may be more.</summary>
    internal static async Task<bool> Forget(NpgsqlDataSource daemon, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("""
            delete from nubabel.message_runs where ctid = any (array(select ctid from nubabel.message_runs where begun < now() - make_interval(days => $1) limit 5000))
            """);
        command.Add(Days);
        return await command.ExecuteNonQueryAsync(ct) > 0;
    }
}
