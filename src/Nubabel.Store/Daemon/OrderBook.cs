using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Carries out the operators' orders. An order is an event, appended before anything happens; what it does to tables is done here, once, in the order of the
/// events, whoever does it: the process that took the request does it at once, and the daemon that runs the projection does what was left over. So a process
/// that is killed between the event and its effect delays the effect and loses nothing.
/// </summary>
public sealed class OrderBook(NpgsqlDataSource daemon, ProjectionSet projections)
{
    /// <summary>SQLSTATE of <c>nubabel.order_applied</c>: another process has just carried it out.</summary>
    private const string AppliedState = "NB005";

    private readonly Retry retry = new(daemon, projections.Types);

    /// <summary>Carries out what is ordered of the projection (in this build's version) and not done yet.</summary>
    public Task Apply(string projectionName, CancellationToken ct) =>
        Apply(projections.Find(projectionName) ?? throw new ArgumentException($"No projection is named {projectionName}.", nameof(projectionName)), ct);

    internal async Task Apply(Projection projection, CancellationToken ct)
    {
        while (await Orders.Pending(daemon, projection, ct) is { Count: > 0 } pending)
        {
            try
            {
                foreach (var order in pending) await Apply(projection, order, ct);
            }
            catch (PostgresException applied) when (applied.SqlState == AppliedState)
            {
                // Somebody does the same at the same time; what is left is looked up again.
            }
        }
    }

    private async Task Apply(Projection projection, Order order, CancellationToken ct)
    {
        // Of other versions, and orders that are none for the tables (a rebuild): only their turn is taken.
        if (order.Version != projection.Version) await Settle(projection, order, null, ct);
        else if (order.Type == Orders.Paused) await Settle(projection, order, Pause(projection, order), ct);
        else if (order.Type == Orders.Resumed) await Settle(projection, order, Resume(projection), ct);
        else if (order.Type == Orders.Retried) await Again(projection, order, null, ct);
        else if (order.Type == Orders.Skipped) await Again(projection, order, PassOver(projection, order), ct);
        else await Settle(projection, order, null, ct);
    }

    /// <summary>Parked keys are folded once more. A projection that stopped as a whole begins anew when its runner sees that the order has taken effect.</summary>
    private async Task Again(Projection projection, Order order, NpgsqlBatchCommand? last, CancellationToken ct)
    {
        if (!projection.StopsAsAWhole) await retry.Run(projection, order, ct);
        await Settle(projection, order, last, ct);
    }

    private async Task Settle(Projection projection, Order order, NpgsqlBatchCommand? effect, CancellationToken ct)
    {
        await using var connection = await daemon.OpenConnectionAsync(ct);
        await using var batch = new NpgsqlBatch(connection);
        // First, so that of two processes one waits here and then finds it done.
        var turn = new NpgsqlBatchCommand("select nubabel.order_applied($1, $2)");
        turn.Add(projection.ProgressionName);
        turn.Add(order.Place);
        batch.BatchCommands.Add(turn);
        if (effect is not null) batch.BatchCommands.Add(effect);
        await batch.ExecuteNonQueryAsync(ct);
    }

    private static NpgsqlBatchCommand Pause(Projection projection, Order order)
    {
        var command = new NpgsqlBatchCommand("insert into nubabel.paused (progression, since, by, reason) values ($1, $2, $3, $4) on conflict do nothing");
        command.Add(projection.ProgressionName);
        command.Add(order.At.UtcDateTime);
        command.Add(order.By);
        command.Add(order.Reason);
        return command;
    }

    private static NpgsqlBatchCommand Resume(Projection projection)
    {
        var command = new NpgsqlBatchCommand("delete from nubabel.paused where progression = $1");
        command.Add(projection.ProgressionName);
        return command;
    }

    /// <summary>
    /// What is skipped is gone from the park, also where its key still waits for another event. Rows that a projection has made of it meanwhile (it began anew
    /// and got over it as the order was given) go: the log says that it is passed over.
    /// </summary>
    private static NpgsqlBatchCommand? PassOver(Projection projection, Order order)
    {
        // What a reaction has sent is sent.
        if (projection.StartsNow) return null;
        var command = new NpgsqlBatchCommand(projection.StopsAsAWhole
            ? $"delete from {projection.Table.Quoted} where tenant_id = $1 and position = $2"
            : "delete from nubabel.parked where tenant_id = $1 and seq_id = $2 and name = $3 and version = $4");
        command.Add(order.Tenant ?? "");
        command.Add(order.Subject ?? 0);
        if (projection.StopsAsAWhole) return command;
        command.Add(projection.Name);
        command.Add(projection.Version);
        return command;
    }
}
