using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>
/// Rebuilds of read models: ordered by an operator, or by a version that comes to a log without a table of its own. An order is a row; whichever process has the
/// lease of the rebuild works on it, and when that process dies another one goes on where it was.
/// </summary>
public sealed partial class Rebuilds : IAsyncDisposable
{
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ShowEvery = TimeSpan.FromMilliseconds(500);

    private readonly NpgsqlDataSource daemon;
    private readonly NpgsqlDataSource direct;
    private readonly NpgsqlDataSource bulk;
    private readonly ProjectionSet projections;
    private readonly string node;
    private readonly RebuildOptions options;
    private readonly ILogger log;
    private readonly OldVersions old;
    private readonly Signal ordered = new();

    /// <summary>What this process has told of, by progression.</summary>
    private readonly Dictionary<string, (DateTimeOffset Started, string State)> told = [];

    /// <param name="daemon">The daemon login's data source (BYPASSRLS).</param>
    /// <param name="connectionString">The same login's connection string.</param>
    /// <param name="node">How this process is named to others.</param>
    public Rebuilds(NpgsqlDataSource daemon, string connectionString, ProjectionSet projections, string? node = null, RebuildOptions? options = null, ILogger? log = null)
    {
        (this.daemon, this.projections, this.node, this.options, this.log) = (daemon, projections, node ?? Nodes.NewName(), options ?? new RebuildOptions(), log ?? NullLogger.Instance);
        direct = DirectConnections.To(connectionString, this.node);
        bulk = Bulk(connectionString, this.node);
        old = new OldVersions(daemon, projections, this.options.KeepsOldVersions, this.log);
    }

    /// <summary>The rebuild of a read model that is under way, or the last one; null when there was none.</summary>
    public Task<RebuildStatus?> Status(string name, CancellationToken ct) => Again.Ask(() => StatusOf(Find(name), ct));

    private async Task<RebuildStatus?> StatusOf(Projection projection, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("""
            select r.name, r.version, r.kind, r.state, r.phase, r.forced, r.done, r.events, r.rate, r.seconds_left, greatest(r.position, coalesce(p.last_seq_id, 0)), r.mark, r.slots, r.parked,
              r.started, r.started_by, r.node, r.ended, r.error
            from nubabel.rebuilds r left join events.mt_event_progression p on p.name = $2 where r.progression = $1
            """);
        command.Add(projection.ProgressionName);
        command.Add(projection.Beside().ProgressionName);
        await using var row = await command.ExecuteReaderAsync(ct);
        if (!await row.ReadAsync(ct)) return null;
        return new RebuildStatus(
            row.GetString(0), row.GetInt32(1), row.GetString(2), Enum.Parse<RebuildState>(row.GetString(3), ignoreCase: true), row.GetString(4), row.GetBoolean(5), row.GetDouble(6), row.GetInt64(7),
            row.GetDouble(8), row.IsDBNull(9) ? null : row.GetDouble(9), row.GetInt64(10), row.GetInt64(11), projection.StopsAsAWhole ? 0 : DocumentSlots.Count, row.GetInt32(12), row.GetInt64(13),
            row.GetFieldValue<DateTimeOffset>(14), Text(15), Text(16), row.IsDBNull(17) ? null : row.GetFieldValue<DateTimeOffset>(17), Text(18));

        string? Text(int column) => row.IsDBNull(column) ? null : row.GetString(column);
    }

    /// <summary>Works on a rebuild until it has ended, or watches while another process does.</summary>
    public async Task<RebuildStatus> Follow(string name, Action<RebuildStatus> progress, CancellationToken ct)
    {
        var projection = Find(name);
        var work = Task.CompletedTask;
        while (true)
        {
            if (work.IsCompleted)
            {
                await work;
                work = Work(projection, ct);
            }
            await Loop.Wait(work, ShowEvery / 2, ct);
            var status = await Status(name, ct) ?? throw new RebuildRefused($"There is no rebuild of {name}.");
            progress(status);
            if (!status.HasEnded) continue;
            await work;
            return status;
        }
    }

    /// <summary>A round of the process's loop: orders what this build needs, works on what nobody works on, takes away what nobody knows any more.</summary>
    internal async Task Round(CancellationToken ct)
    {
        var next = ordered.Next;
        await Checkpoints.OrderMissing(daemon, projections.All, $"system:{node}", ct);
        foreach (var projection in options.Works ? await UnderWay(ct) : []) await Work(projection, ct);
        await old.Drop(ct);
        await Tell(ct);
        await Loop.Wait(next, Look, ct);
    }

    /// <summary>Tells of rebuilds that have begun or ended a while ago: who was nearer to it has had the first word.</summary>
    private async Task Tell(CancellationToken ct)
    {
        var seen = new List<(Projection Projection, DateTimeOffset Started, string State)>();
        await using (var command = daemon.CreateCommand("""
            select progression, started, state from nubabel.rebuilds where progression = any($1) and coalesce(ended, started) < clock_timestamp() - interval '2 seconds'
            """))
        {
            command.AddArray(projections.All.Select(p => p.ProgressionName).ToArray(), NpgsqlDbType.Varchar);
            await using var row = await command.ExecuteReaderAsync(ct);
            while (await row.ReadAsync(ct)) seen.Add((projections.All.First(p => p.ProgressionName == row.GetString(0)), row.GetFieldValue<DateTimeOffset>(1), row.GetString(2)));
        }
        foreach (var (projection, started, state) in seen)
        {
            if (told.GetValueOrDefault(projection.ProgressionName) == (started, state)) continue;
            if (await Status(projection.Name, ct) is { } status && status.StartedAt == started) await options.Told(status);
            told[projection.ProgressionName] = (started, state);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await direct.DisposeAsync();
        await bulk.DisposeAsync();
    }

    private Projection Find(string name) => projections.Find(name) is { StartsNow: false } found ? found : throw new RebuildRefused($"There is no read model named {name}.");

    private async Task<IReadOnlyList<Projection>> UnderWay(CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("select progression from nubabel.rebuilds where state = 'running' and progression = any($1) order by started");
        command.AddArray(projections.All.Select(p => p.ProgressionName).ToArray(), NpgsqlDbType.Varchar);
        await using var row = await command.ExecuteReaderAsync(ct);
        var found = new List<Projection>();
        while (await row.ReadAsync(ct)) found.Add(projections.All.First(p => p.ProgressionName == row.GetString(0)));
        return found;
    }

    /// <summary>Takes the lease of the rebuild and works on it to its end; returns at once when somebody else has the lease or there is nothing to do.</summary>
    private async Task Work(Projection projection, CancellationToken ct)
    {
        await using var lease = await direct.OpenConnectionAsync(ct);
        if (!await HasLease(lease, projection, ct)) return;
        if (await RebuildRecord.Take(lease, projection, node, ct) is not { } record) return;
        log.LogInformation("The rebuild of {Projection} goes on here: {Phase}.", projection.Name, record.Phase);
        var meter = new Meter();
        meter.Add(record.Events);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var showing = Show(record, meter, ending);
        try
        {
            var run = new RebuildRun(record, projection, projections.Types, daemon, bulk, options, meter);
            var ended = await run.Run(ending.Token);
            log.LogInformation("The rebuild of {Projection} has ended: {State}.", projection.Name, ended);
        }
        catch (Exception e) when (e is RebuildTakenOver || (e is OperationCanceledException && !ct.IsCancellationRequested))
        {
            log.LogInformation("The rebuild of {Projection} is no longer this process's.", projection.Name);
            return;
        }
        catch (Exception e) when (e is not OperationCanceledException && !IsPassing(e))
        {
            log.LogError(e, "The rebuild of {Projection} failed.", projection.Name);
            if (!await Fail(record, e, ct)) return;
        }
        finally
        {
            await ending.CancelAsync();
            await showing;
        }
        await options.Told((await Status(projection.Name, ct))!);
    }

    /// <summary>Takes the lease of the rebuild for as long as the session lasts; false when another one has it.</summary>
    private static async Task<bool> HasLease(NpgsqlConnection session, Projection projection, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("select pg_try_advisory_lock(hashtextextended('nubabel:rebuild:' || $1, 0))", session);
        command.Add(projection.ProgressionName);
        return await command.ExecuteScalarAsync(ct) is true;
    }

    /// <summary>The database or the way to it: whoever comes next tries again.</summary>
    private static bool IsPassing(Exception e) => e switch
    {
        PostgresException refused => refused.IsTransient || refused.SqlState.StartsWith("57", StringComparison.Ordinal) || refused.SqlState is PostgresErrorCodes.LockNotAvailable,
        NpgsqlException or IOException or TimeoutException => true,
        _ => false,
    };

    /// <summary>False when it is no longer this process's.</summary>
    private async Task<bool> Fail(RebuildRecord record, Exception e, CancellationToken ct)
    {
        try
        {
            await using var connection = await daemon.OpenConnectionAsync(ct);
            await record.End(connection, RebuildState.Failed, $"{e.GetType().Name}: {e.Message}", ct);
            return true;
        }
        catch (RebuildTakenOver)
        {
            return false;
        }
    }

    /// <summary>Writes down how far it is, and ends the work when it is no longer this process's.</summary>
    private async Task Show(RebuildRecord record, Meter meter, CancellationTokenSource ending)
    {
        var samples = new Queue<(long At, long Events, double Done)>();
        while (true)
        {
            samples.Enqueue((Stopwatch.GetTimestamp(), meter.Events, meter.Share));
            if (samples.Count > 20) samples.Dequeue();
            var (first, last) = (samples.Peek(), samples.Last());
            var seconds = Stopwatch.GetElapsedTime(first.At, last.At).TotalSeconds;
            var rate = seconds > 0 ? (last.Events - first.Events) / seconds : 0;
            double? left = seconds > 0 && last.Done > first.Done ? (1 - last.Done) / ((last.Done - first.Done) / seconds) : null;
            await Task.Delay(ShowEvery, ending.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (ending.IsCancellationRequested) return;
            try
            {
                if (!await record.Show(daemon, meter.Events, rate, meter.Share, left, ending.Token)) await ending.CancelAsync();
            }
            catch (Exception e) when (e is NpgsqlException or OperationCanceledException or TimeoutException)
            {
                // Not shown this time.
            }
        }
    }

    /// <summary>
    /// Connections for the load: no time-out, since a COPY takes as long as it takes, and a planner that reads the log by its index, in order and without sorting
    /// it first. PostgreSQL looks for the client now and then, so that what a killed process began ends soon.
    /// </summary>
    private static NpgsqlDataSource Bulk(string connectionString, string application) => NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(connectionString)
    {
        ApplicationName = application,
        MaxPoolSize = 10,
        CommandTimeout = 0,
        Options = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c client_connection_check_interval=500 -c jit=off -c max_parallel_workers_per_gather=0 -c enable_sort=off"
            + " -c tcp_keepalives_idle=2 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3",
    }.ConnectionString);
}
