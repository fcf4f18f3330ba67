using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>How the messages of a process are worked on.</summary>
public sealed record MessageOptions
{
    /// <summary>How this process is named to others and in the attempts of dead letters.</summary>
    public string Node { get; init; } = $"nubabel {Environment.MachineName}:{Environment.ProcessId}";

    /// <summary>How long a hint may be missing before a queue is looked at anyway.</summary>
    public TimeSpan Poll { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>How often it is looked for what has fallen due.</summary>
    public TimeSpan Tick { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>How often it is looked for workers that were lost.</summary>
    public TimeSpan Reap { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long a stop waits for what runs.</summary>
    public TimeSpan Drain { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How often it is looked for dead letters that their queue replays by itself.</summary>
    public TimeSpan Revive { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>After so many days a dead letter is deleted, whatever has become of it; null where somebody else sees to that.</summary>
    public int? DeadLetterDays { get; init; } = 90;
}

/// <summary>
/// Works on the queues: one for each process. Equal processes share a queue by its lanes. It also brings what falls due, and takes over what a lost
/// process left behind.
/// </summary>
public sealed class MessageDaemon : IAsyncDisposable
{
    private const int Most = 1_000;

    private readonly NpgsqlDataSource daemon;
    private readonly NpgsqlDataSource direct;
    private readonly Outbox outbox;
    private readonly MessageOptions options;
    private readonly QueueHints hints;
    private readonly QueueWorker[] workers;
    private readonly Schedules schedules;
    private readonly Queue<Schedule> declared;
    private readonly DeadLetters letters;
    private readonly ILogger log;
    private readonly Loop[] loops;
    private readonly Loop forgetting, reviving, expiring;

    /// <param name="daemon">The daemon login's data source.</param>
    /// <param name="connectionString">The same login's connection string, for the direct connections of hints.</param>
    /// <param name="journals">Makes a tenant's journal, with the <paramref name="outbox"/>.</param>
    /// <param name="report">Told how far a handler is.</param>
    /// <param name="recurring">Schedules of the product itself, made or changed when the process starts.</param>
    public MessageDaemon(NpgsqlDataSource daemon, string connectionString, MessageHandlers handlers, Outbox outbox, Func<string, Origin, Journal> journals,
        MessageOptions? options = null, ILogger? log = null, Func<Delivery, MessageProgress, ValueTask>? report = null, IReadOnlyList<Schedule>? recurring = null)
    {
        (this.daemon, this.outbox, this.options) = (daemon, outbox, options ?? new MessageOptions());
        this.log = log ??= NullLogger.Instance;
        letters = new DeadLetters(daemon, outbox);
        direct = DirectConnections.To(connectionString, this.options.Node);
        hints = new QueueHints(direct, outbox, log);
        var setup = new WorkerSetup(daemon, handlers, journals, outbox, this.options.Node, this.options.Poll, log, report ?? ((_, _) => ValueTask.CompletedTask));
        workers = [.. handlers.Queues.Select(q => new QueueWorker(setup, q))];
        schedules = new Schedules(daemon, outbox);
        declared = new Queue<Schedule>(recurring ?? []);
        loops = [new Loop("messages due", Ripen, log), new Loop("schedules", Tick, log), new Loop("lost workers", Reap, log), forgetting = new Loop("old message ids", Forget, log),
            reviving = new Loop("automatic replays", Revive, log), expiring = new Loop("old dead letters", Expire, log)];
    }

    /// <summary>What is in hand in this process, by queue.</summary>
    public IReadOnlyDictionary<string, (int Running, int Waiting)> InHand => workers.ToDictionary(w => w.Options.Name, w => w.InHand);

    /// <summary>What fails again and again in this process; empty when all is well.</summary>
    public IReadOnlyList<string> Errors => [.. loops.Concat(hints.Loops).Concat(workers.Select(w => w.Loop)).Where(l => l.LastError is not null).Select(l => $"{l.Name}: {l.LastError}")];

    /// <summary>How the queues stand, over all processes.</summary>
    public Task<IReadOnlyList<QueueStatus>> Status(CancellationToken ct) => QueueStatus.Read(daemon, outbox.Types, ct);

    /// <summary>Erases a person's messages wherever they stand. One whose handler runs is taken away from it.</summary>
    public Task<int> Erase(string tenant, string subject, CancellationToken ct) => MessageErasure.Of(daemon, outbox, tenant, subject, ct);

    public void Start()
    {
        hints.Start();
        foreach (var loop in loops) loop.Start();
        foreach (var worker in workers) worker.Start();
    }

    /// <summary>
    /// Takes nothing more, waits for what runs, and hands the rest back at once, so that another process goes on. What is handed back has lost no attempt.
    /// </summary>
    public async Task Stop()
    {
        await Task.WhenAll(workers.Select(w => w.Stop(options.Drain)));
        foreach (var loop in loops) await loop.Stop();
        await hints.Stop();
    }

    /// <summary>Ends the handler of a message that runs in this process, and the message with it. False when it does not run here.</summary>
    public bool Cancel(Guid message) => workers.Any(w => w.Cancel(message));

    public async ValueTask DisposeAsync()
    {
        await Stop();
        foreach (var worker in workers) await worker.DisposeAsync();
        foreach (var loop in loops) await loop.DisposeAsync();
        await hints.DisposeAsync();
        await direct.DisposeAsync();
    }

    private async Task Ripen(CancellationToken ct)
    {
        await using (var command = daemon.CreateCommand("select nubabel.ripen($1)"))
        {
            command.Add(Most);
            outbox.Enqueued(await Queues(command, ct));
        }
        await Task.Delay(options.Tick, ct);
    }

    private async Task Tick(CancellationToken ct)
    {
        while (declared.TryPeek(out var schedule))
        {
            await schedules.Set(schedule, ct);
            declared.Dequeue();
        }
        if (!await schedules.Tick(ct)) await Task.Delay(options.Tick, ct);
    }

    private async Task Reap(CancellationToken ct)
    {
        await using (var command = daemon.CreateCommand("select nubabel.reap()")) outbox.Enqueued(await Queues(command, ct));
        await Task.Delay(options.Reap, ct);
    }

    private async Task Forget(CancellationToken ct)
    {
        await using (var command = daemon.CreateCommand("""
            delete from nubabel.message_ids where ctid = any (array(select ctid from nubabel.message_ids where created < now() - make_interval(days => $1) limit 5000))
            """))
        {
            command.Add(outbox.Types.OnceDays);
            if (await command.ExecuteNonQueryAsync(ct) > 0) return;
        }
        if (await MessageRuns.Forget(daemon, ct)) return;
        // Before the pause, here and below: what had failed would be told of until the next round has ended.
        forgetting.Goes();
        await Task.Delay(TimeSpan.FromMinutes(10), ct);
    }

    private async Task Revive(CancellationToken ct)
    {
        foreach (var queue in outbox.Types.Queues.Where(q => q.Replays is not null))
            if (await letters.Revive(queue, ct) is > 0 and var revived) log.LogInformation("{Letters} dead letters of {Queue} are tried again.", revived, queue.Name);
        reviving.Goes();
        await Task.Delay(options.Revive, ct);
    }

    private async Task Expire(CancellationToken ct)
    {
        if (options.DeadLetterDays is { } days && await letters.Expire(days, log, ct) > 0) return;
        if (options.DeadLetterDays is null) await letters.ForgetSweeps(ct);
        expiring.Goes();
        await Task.Delay(TimeSpan.FromMinutes(10), ct);
    }

    private static async Task<List<string>> Queues(NpgsqlCommand command, CancellationToken ct)
    {
        await using var reader = await command.ExecuteReaderAsync(ct);
        var queues = new List<string>();
        while (await reader.ReadAsync(ct)) queues.Add(reader.GetString(0));
        return queues;
    }
}
