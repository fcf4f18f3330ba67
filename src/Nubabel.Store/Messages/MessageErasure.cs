using Npgsql;

namespace Nubabel.Store;

/// <summary>Takes messages away wherever they stand: those that wait, those for later, and dead letters. One whose handler runs is taken away from it.</summary>
public static class MessageErasure
{
    /// <summary>All messages that carry a person's data. Returns how many there were.</summary>
    public static Task<int> Of(Database database, Outbox outbox, string tenant, string subject, CancellationToken ct) => Of(database.Daemon, outbox, tenant, subject, ct);

    internal static async Task<int> Of(NpgsqlDataSource daemon, Outbox outbox, string tenant, string subject, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("select nubabel.erase_messages($1, $2)");
        command.Add(tenant);
        command.Add(subject);
        return await Run(command, outbox, ct);
    }

    /// <summary>These messages.</summary>
    public static async Task<int> Of(Database database, Outbox outbox, string tenant, IReadOnlyCollection<Guid> messages, CancellationToken ct)
    {
        if (messages.Count == 0) return 0;
        await using var command = database.Daemon.CreateCommand("select nubabel.erase_messages_named($1, $2)");
        command.Add(tenant);
        command.Add(messages.ToArray());
        return await Run(command, outbox, ct);
    }

    /// <summary>What handlers have said about these messages.</summary>
    public static Task Runs(PlatformWriter db, string tenant, IReadOnlyCollection<Guid> messages, CancellationToken ct) =>
        db.Run([Sql.Of($"delete from nubabel.message_runs where tenant_id = {tenant} and message = any ({messages.ToArray()})")], ct);

    private static async Task<int> Run(NpgsqlCommand command, Outbox outbox, CancellationToken ct)
    {
        var erased = (int)(await command.ExecuteScalarAsync(ct))!;
        // Keys that a dead letter held go on.
        if (erased > 0) outbox.Enqueued(outbox.Types.Queues.Select(q => q.Name));
        return erased;
    }
}
