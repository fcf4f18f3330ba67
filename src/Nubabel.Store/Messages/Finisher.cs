using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Writes the ends of messages whose handlers committed nothing themselves, many in one transaction: while one is on its way, the next gather. The
/// messages that the handlers enqueued go with it.
/// </summary>
internal sealed class Finisher(Shift shift, NpgsqlDataSource daemon, Outbox outbox, ILogger log)
{
    private const int Most = 500;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    private readonly Channel<Item> channel = Channel.CreateUnbounded<Item>(new UnboundedChannelOptions { SingleReader = true });
    private Task? loop;

    public void Start() => loop ??= Task.Run(Work);

    /// <summary>The message is done; under no lock.</summary>
    public void Done(Running one, IReadOnlyList<Outgoing> enqueued)
    {
        shift.ToBeWritten(one);
        channel.Writer.TryWrite(new Item(one.Lane, one.Delivery, enqueued, null));
    }

    /// <summary>Nobody handles anything of this lane here any more.</summary>
    public void LetGo(HeldLane lane) => channel.Writer.TryWrite(new Item(lane, null, [], null));

    /// <summary>Waits until what was given before is written.</summary>
    public async Task Flushed(CancellationToken ct)
    {
        var flushed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        if (!channel.Writer.TryWrite(new Item(null, null, [], flushed))) return;
        await flushed.Task.WaitAsync(ct);
    }

    /// <summary>Writes what is left and ends.</summary>
    public async Task Stop(TimeSpan within)
    {
        channel.Writer.TryComplete();
        if (loop is not null) await loop.WaitAsync(within).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task Work()
    {
        var items = new List<Item>();
        while (await channel.Reader.WaitToReadAsync())
        {
            items.Clear();
            while (items.Count < Most && channel.Reader.TryRead(out var item)) items.Add(item);
            // This loop must not end, or nothing would ever be written again; what it cannot write it hands to whoever has the lease next.
#pragma warning disable CA1031
            try
            {
                await Write(items);
            }
            catch (Exception failure)
            {
                if (!shift.IsLost) log.LogError(failure, "The ends of {Count} messages of {Queue} could not be written.", items.Count, shift.Queue);
                shift.Lose("the ends of messages could not be written");
            }
#pragma warning restore CA1031
            foreach (var item in items) item.Flushed?.TrySetResult();
        }
    }

    private async Task Write(List<Item> items)
    {
        var done = items.Where(i => i.Delivery is not null).ToArray();
        var free = items.Where(i => i is { Lane: not null, Delivery: null }).Select(i => i.Lane!).Concat(shift.LastWritten(done.Select(d => d.Lane!))).ToArray();
        if (done.Length + free.Length == 0) return;
        while (!shift.IsLost)
        {
            try
            {
                await Write(done, free);
                break;
            }
            catch (Exception unknown) when (LaneSql.IsUnknown(unknown))
            {
                // It may have happened, and a lane that was let go may be this worker's again by now.
                shift.Lose("the outcome of a statement is not known");
            }
            catch (PostgresException refused) when (refused.SqlState == LaneSql.Lost && LaneSql.IsWhole(refused))
            {
                shift.Lose("another process gave it up");
            }
            catch (PostgresException refused) when (refused.IsTransient)
            {
                await Task.Delay(Pause, shift.Lost).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (PostgresException)
            {
                await OneByOne(done, free);
                break;
            }
        }
        shift.Written(done.Select(d => d.Lane!), free.Length > 0);
    }

    private async Task Write(IReadOnlyList<Item> done, IReadOnlyList<HeldLane> free)
    {
        var enqueued = done.SelectMany(d => d.Enqueued).ToArray();
        await using var connection = await daemon.OpenConnectionAsync(shift.Lost);
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(LaneSql.Complete(shift.Id, shift.Queue,
            [.. done.Select(d => (d.Delivery!.Tenant, d.Lane!.Name, d.Delivery.Seq, d.Delivery.Attempt - 1))], [.. free.Select(l => (l.Tenant, l.Name, l.HasMore))]));
        if (enqueued.Length > 0) batch.BatchCommands.Add(outbox.Command(enqueued));
        await batch.ExecuteNonQueryAsync(shift.Lost);
        if (enqueued.Length > 0) outbox.Enqueued(enqueued.Select(m => m.Type.Queue).Distinct());
    }

    /// <summary>Something of many was refused: a message or a lane that is gone, or a message that PostgreSQL does not take. Each goes alone.</summary>
    private async Task OneByOne(IReadOnlyList<Item> done, IReadOnlyList<HeldLane> free)
    {
        foreach (var item in done) await Alone([item], [], item.Delivery!.Id);
        foreach (var lane in free) await Alone([], [lane], null);
    }

    private async Task Alone(IReadOnlyList<Item> done, IReadOnlyList<HeldLane> free, Guid? message)
    {
        try
        {
            await Write(done, free);
        }
        catch (PostgresException refused) when (refused.SqlState == LaneSql.Lost && !LaneSql.IsWhole(refused))
        {
            if (message is not null) log.LogInformation("Message {Id} of {Queue} was gone when its handler had ended.", message, shift.Queue);
        }
        catch (PostgresException refused) when (!refused.IsTransient && refused.SqlState != LaneSql.Lost && message is not null)
        {
            // What it enqueued cannot be stored. It would be so again: let it be looked at.
            var entry = $$"""{"ms":0,"node":"","cause":"PostgresException","error":"What it enqueued was refused: {{refused.SqlState}}"}""";
            var last = shift.LastWord(done[0].Delivery!, nameof(PostgresException));
            await LaneSql.Fail(daemon, shift.Id, done[0].Delivery!, done[0].Lane!.Name, entry, TimeSpan.Zero, true, false, last is null ? null : outbox.Command([last]), shift.Lost);
            if (last is not null) outbox.Enqueued([last.Type.Queue]);
        }
    }

    private sealed record Item(HeldLane? Lane, Delivery? Delivery, IReadOnlyList<Outgoing> Enqueued, TaskCompletionSource? Flushed);
}
