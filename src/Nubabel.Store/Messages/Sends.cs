using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Gathers messages that are enqueued without a commit of events: while a statement is under way, the next ones gather, of all tenants. Who comes alone goes alone, at once.
/// </summary>
internal sealed class Sends(NpgsqlDataSource source, Outbox outbox)
{
    private const int Most = 64;

    /// <summary>Statements at once: while one waits for the disk, another is written.</summary>
    private const int AtOnce = 3;

    private readonly Lock gate = new();
    private readonly Queue<Sending> waiting = new();
    private int running;

    /// <summary>Writes the messages. Returns the ids of those that were written.</summary>
    public Task<IReadOnlyList<Guid>> Send(string tenant, IReadOnlyList<Outgoing> messages)
    {
        var own = new Sending(tenant, [.. messages]);
        lock (gate)
        {
            waiting.Enqueue(own);
            if (running >= AtOnce) return own.Task;
            running++;
        }
        _ = Run();
        return own.Task;
    }

    private async Task Run()
    {
        while (Next() is { Count: > 0 } group) await Write(group);
    }

    private List<Sending> Next()
    {
        var group = new List<Sending>();
        lock (gate)
        {
            while (group.Count < Most && waiting.TryDequeue(out var next)) group.Add(next);
            if (group.Count == 0) running--;
        }
        return group;
    }

    private async Task Write(IReadOnlyList<Sending> group)
    {
        // What fails fails for those who wait for it, and the others go on.
#pragma warning disable CA1031
        try
        {
            await using var connection = await source.OpenConnectionAsync();
            await using var batch = new NpgsqlBatch(connection);
            batch.BatchCommands.Add(Append.Tenant(string.Join(',', group.Select(g => g.Tenant).Distinct())));
            batch.BatchCommands.Add(outbox.Command([.. group.SelectMany(g => g.Messages)]));
            HashSet<Guid> written;
            await using (var reader = await batch.ExecuteReaderAsync())
            {
                await reader.NextResultAsync();
                await reader.ReadAsync();
                written = reader.IsDBNull(0) ? [] : [.. reader.GetFieldValue<Guid[]>(0)];
            }
            outbox.Enqueued(group.SelectMany(g => g.Messages).Select(m => m.Type.Queue).Distinct());
            foreach (var one in group) one.TrySetResult([.. one.Messages.Select(m => m.Id).Where(written.Contains)]);
        }
        catch (PostgresException e) when (group.Count > 1 && AppendRun.IsAnswer(e))
        {
            foreach (var one in group) await Write([one]);
        }
        catch (Exception failure)
        {
            foreach (var one in group) one.TrySetException(failure);
        }
#pragma warning restore CA1031
    }

    private sealed class Sending(string tenant, IReadOnlyList<Outgoing> messages) : TaskCompletionSource<IReadOnlyList<Guid>>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public string Tenant => tenant;
        public IReadOnlyList<Outgoing> Messages => messages;
    }
}
