using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>How a queue stands, over all tenants and processes, as far as that can be said at a small cost.</summary>
/// <param name="Messages">That are not done: ready, in hand, waiting or parked. Beyond <see cref="MessageWatch.Bound"/> an estimate.</param>
/// <param name="Ready">Of these, how many anybody might take now.</param>
/// <param name="IsExact">Nothing of this was estimated.</param>
/// <param name="Deferred">For later.</param>
/// <param name="InHand">Lanes in some worker's hand.</param>
/// <param name="Waiting">Lanes that wait after a failure.</param>
/// <param name="Parked">Keys that wait behind a dead letter.</param>
/// <param name="Hanging">Lanes that have been in one hand for longer than the time limit.</param>
/// <param name="DeadLetters">That nobody has dealt with, counted up to <see cref="MessageWatch.Bound"/>.</param>
/// <param name="OldestSeconds">How long work has been ready that nobody has taken, or is overdue. Of many lanes some are looked at, others at the next look.</param>
/// <param name="Workers">Processes that work on it.</param>
/// <param name="IsKnown">Whether this build knows the queue.</param>
/// <param name="Stalled">Why it is taken for stalled; null when it is not.</param>
public sealed record QueueLook(
    string Queue, long Messages, long Ready, bool IsExact, long Deferred, long InHand, long Waiting, long Parked, long Hanging, long DeadLetters, double OldestSeconds, long Workers, bool IsKnown,
    string? Stalled);

/// <summary>
/// Looks at the queues every few seconds, tells meters what it saw, and raises the alarm once when work stalls: an error in the log with the event
/// <c>messages.stalled</c>. Each process watches for itself, also one that does not work on messages. A look costs the same whatever waits.
/// </summary>
public sealed partial class MessageWatch : IAsyncDisposable
{
    /// <summary>Nothing is counted further than this.</summary>
    public const int Bound = 10_000;

    /// <summary>So many lanes are looked at from the first one on, and as many from where the last look ended.</summary>
    private const int Lanes = 100;

    /// <summary>A sample may miss what another one has found: so many looks without a finding end an alarm.</summary>
    private const int CleanLooks = 3;

    private static readonly TimeSpan Every = TimeSpan.FromSeconds(5);

    /// <summary>A time limit may be overrun by what it takes to notice it.</summary>
    private static readonly TimeSpan Leeway = TimeSpan.FromSeconds(15);

    private readonly NpgsqlDataSource daemon;
    private readonly MessageTypes types;
    private readonly TimeSpan patience;
    private readonly TimeSpan every;
    private readonly ILogger log;
    private readonly Loop loop;
    private readonly System.Diagnostics.Metrics.Meter meter = new("Nubabel.Messages");
    private readonly SemaphoreSlim turn = new(1, 1);
    private readonly Dictionary<string, string> reached = [];
    private readonly Dictionary<string, int> alarms = [];
    private volatile IReadOnlyList<QueueLook> last = [];
    private long seen;

    /// <param name="patience">How long work may be ready without being taken.</param>
    public MessageWatch(NpgsqlDataSource daemon, MessageTypes types, TimeSpan patience, ILogger log, TimeSpan? every = null)
    {
        (this.daemon, this.types, this.patience, this.log, this.every) = (daemon, types, patience, log, every ?? Every);
        loop = new Loop("watch over messages", Round, log);
        Gauge("depth", "{message}", "Messages that are not done; an estimate where there are many.", q => q.Messages);
        Gauge("ready", "{message}", "Messages that might be taken now.", q => q.Ready);
        Gauge("deferred", "{message}", "Messages for later.", q => q.Deferred);
        Gauge("dead_letters", "{message}", "Dead letters that nobody has dealt with.", q => q.DeadLetters);
        Gauge("oldest", "s", "How long work has been ready that nobody has taken.", q => q.OldestSeconds);
        Gauge("workers", "{process}", "Processes that work on the queue.", q => q.Workers);
        Gauge("stalled", "1", "1 while work stalls.", q => q.Stalled is null ? 0 : 1);
    }

    public void Start() => loop.Start();

    public Task Stop() => loop.Stop();

    /// <summary>What was seen last, unless that is older than a moment: then what is seen now.</summary>
    public async Task<IReadOnlyList<QueueLook>> Look(TimeSpan moment, CancellationToken ct)
    {
        if (IsRecent(moment)) return last;
        await turn.WaitAsync(ct);
        try
        {
            if (IsRecent(moment)) return last;
            last = await Read(ct);
            Interlocked.Exchange(ref seen, Stopwatch.GetTimestamp());
            return last;
        }
        finally
        {
            turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await loop.DisposeAsync();
        meter.Dispose();
        turn.Dispose();
    }

    private bool IsRecent(TimeSpan moment) => Interlocked.Read(ref seen) is not 0 and var at && Stopwatch.GetElapsedTime(at) < moment;

    private void Gauge(string name, string unit, string description, Func<QueueLook, double> value) =>
        meter.CreateObservableGauge($"nubabel.messages.{name}", () => last.Select(q => new Measurement<double>(value(q), new KeyValuePair<string, object?>("queue", q.Queue))), unit, description);

    private async Task Round(CancellationToken ct)
    {
        var looks = await Look(TimeSpan.Zero, ct);
        foreach (var queue in looks.Where(q => q.Stalled is not null))
        {
            // The first time only; it goes on as long as looks find it.
            if (!alarms.ContainsKey(queue.Queue)) Stalls(log, LogLevel.Error, queue.Queue, queue.Stalled!, queue.Messages, queue.Workers);
            alarms[queue.Queue] = 0;
        }
        foreach (var name in alarms.Keys.Where(name => !looks.Any(q => q.Queue == name && q.Stalled is not null)).ToArray())
        {
            if (++alarms[name] < CleanLooks) continue;
            alarms.Remove(name);
            GoesOn(log, LogLevel.Information, name);
        }
        await Task.Delay(every, ct);
    }

    private async Task<IReadOnlyList<QueueLook>> Read(CancellationToken ct)
    {
        var command = new NpgsqlBatchCommand($"""
            with names as (select n.name, n.most, true as known from unnest($1::varchar[], $2::interval[]) n (name, most)
                           union all select u, interval '1 hour', false from nubabel.queues_used() u where u <> all ($1)),
            later as (select d.queue, count(*) as n, extract(epoch from clock_timestamp() - min(d.due)) as overdue
                        from (select x.queue, x.due from nubabel.deferred_messages x order by x.due, x.seq limit {Bound}) d group by d.queue),
            seen as (select r.name, r.after from unnest($3::varchar[], $4::varchar[]) r (name, after))
            select n.name, l.messages, l.ready, l.exact, coalesce(t.n, 0), l.in_hand, l.waiting, l.parked, l.stalled, l.dead, greatest(l.oldest, t.overdue, 0)::double precision, l.workers, n.known, l.reached
              from names n left join later t on t.queue = n.name left join seen s on s.name = n.name, lateral nubabel.queue_look(n.name, n.most, {Bound}, {Lanes}, coalesce(s.after, '')) l
             order by n.name
            """);
        var queues = types.Queues.ToArray();
        command.AddArray(queues.Select(q => q.Name).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(queues.Select(q => q.TimeLimit + q.Turn + Leeway).ToArray(), NpgsqlDbType.Interval);
        command.AddArray(reached.Keys.ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(reached.Values.ToArray(), NpgsqlDbType.Varchar);
        var looks = new List<QueueLook>();
        reached.Clear();
        await using var batch = daemon.CreateBatch();
        batch.BatchCommands.Add(Plans.Interpreted());
        batch.BatchCommands.Add(command);
        await using var row = await batch.ExecuteReaderAsync(ct);
        await row.NextResultAsync(ct);
        while (await row.ReadAsync(ct))
        {
            var look = new QueueLook(row.GetString(0), row.GetInt64(1), row.GetInt64(2), row.GetBoolean(3), row.GetInt64(4), row.GetInt64(5), row.GetInt64(6), row.GetInt64(7), row.GetInt64(8), row.GetInt64(9),
                Math.Round(row.GetDouble(10), 3), row.GetInt64(11), row.GetBoolean(12), null);
            looks.Add(look with { Stalled = Why(look) });
            if (!row.IsDBNull(13)) reached[look.Queue] = row.GetString(13);
        }
        return looks;
    }

    private string? Why(QueueLook q) =>
        q.OldestSeconds > patience.TotalSeconds ? q.Workers == 0 ? $"Nobody works on {q.Queue}, and work has been ready for {q.OldestSeconds:0} s." : $"Work of {q.Queue} has been ready for {q.OldestSeconds:0} s."
        : q.Hanging > 0 ? $"{q.Hanging} lanes of {q.Queue} have been in one hand for longer than the time limit."
        : null;

    // The levels are arguments: one that stands in the attribute needs its assembly to be read, which whoever measures the coverage of this one does not find.
    [LoggerMessage(EventId = 3101, Message = "Work stalls in {Queue}: {Why} {Messages} messages wait, {Workers} processes work on it.", EventName = "messages.stalled")]
    private static partial void Stalls(ILogger log, LogLevel level, string queue, string why, long messages, long workers);

    [LoggerMessage(EventId = 3102, Message = "Work goes on in {Queue}.", EventName = "messages.goes_on")]
    private static partial void GoesOn(ILogger log, LogLevel level, string queue);
}
