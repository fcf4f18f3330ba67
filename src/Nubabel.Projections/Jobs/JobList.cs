using System.Globalization;
using Npgsql;
using Nubabel.Domain;
using Nubabel.Domain.Jobs;
using Nubabel.Store;

namespace Nubabel.Projections.Jobs;

/// <summary>A job as the log tells it. The members stand in the order in which <c>jsonb</c> keeps them.</summary>
public sealed record JobRow(Id<Job> Id, JobKind Kind, JobError? Error, JobState State, DateTimeOffset? EndedAt, JobResult? Outcome, string Starter, DateTimeOffset QueuedAt);

/// <summary>What is known of a job beside the log, now.</summary>
/// <param name="Run">How far it is; null before its first attempt.</param>
/// <param name="Replayed">Its dead letter was enqueued again.</param>
public sealed record JobStanding(MessageRun? Run, bool Replayed)
{
    /// <summary>The state that its stream and its message make together.</summary>
    public JobState Of(JobRow row) => IsOpen(row) ? Run is { Runs: true } ? JobState.Running : JobState.Queued : row.State;

    /// <summary>It was given up and is to be done after all, though its stream may not say so yet.</summary>
    public bool IsRequeued(JobRow row) => Replayed && row is { State: JobState.Failed, Error.IsGivenUp: true };

    private bool IsOpen(JobRow row) => row.State == JobState.Queued || IsRequeued(row);
}

/// <summary>
/// The jobs of a tenant, until <see cref="KeptDays"/> after their end. The row says what the log says; that a job runs, and how far it is, is looked up with
/// it. A job's id is that of its message.
/// </summary>
public sealed class JobList : IDocument<JobRow>
{
    /// <summary>How long a job that has ended is shown.</summary>
    public const int KeptDays = 30;

    public static string Name => "jobs";
    public static int Version => 1;
    public static IReadOnlyList<string> Types { get; } = ["job_started", "job_completed", "job_failed", "job_requeued", "job_cancelled"];

    public static Columns<JobRow> Columns { get; } = new Columns<JobRow>()
        .Add("message", row => row.Id.Value)
        .Add("starter", row => row.Starter)
        .Add("kind", row => row.Kind.Value)
        .Add("state", row => Word(row.State))
        .Add("queued_at", row => row.QueuedAt)
        .Add("ended_at", row => row.EndedAt)
        .Add("given_up", row => row.Error is { IsGivenUp: true })
        .Index("The tenant's jobs, newest first.", "queued_at desc", "key desc")
        .Index("Somebody's jobs, newest first.", "starter", "queued_at desc", "key desc")
        .Index("The jobs of a kind.", "kind", "queued_at desc", "key desc")
        .Index("The jobs in a state, the few open ones above all.", "state", "queued_at desc", "key desc");

    public static JobRow? Evolve(JobRow? row, Recorded e) => (row, e.Data) switch
    {
        (null, JobStarted s) => new JobRow(new Id<Job>(e.StreamGuid), s.Kind, null, JobState.Queued, null, null, s.Starter, e.At),
        (null, _) => null,
        (_, JobCompleted c) => row with { State = JobState.Completed, Outcome = c.Outcome, Error = null, EndedAt = e.At },
        (_, JobFailed f) => row with { State = JobState.Failed, Error = f.Error, EndedAt = e.At },
        (_, JobRequeued) => row with { State = JobState.Queued, Error = null, EndedAt = null },
        (_, JobCancelled) => row with { State = JobState.Cancelled, EndedAt = e.At },
        _ => row,
    };

    /// <summary>What is asked for; null means any.</summary>
    public sealed record Filter(string? Starter = null, string? Kind = null, JobState? State = null);

    /// <summary>A row of a page with what is known beside it.</summary>
    public sealed record Entry(JobRow Row, JobStanding Standing, IReadOnlyList<string> Place);

    /// <summary>A page of jobs, newest first, one more than <paramref name="limit"/> where there are more.</summary>
    /// <param name="now">Jobs that had ended <see cref="KeptDays"/> before are left out.</param>
    public static Task<IReadOnlyList<Entry>> Search(Reader db, Filter filter, DateTimeOffset now, IReadOnlyList<string>? after, int limit, CancellationToken ct) => db.Query($"""
        select j.doc, j.queued_at, j.key, {Standing} from read.jobs_v1 j {Joined}
         where j.tenant_id = {db.Tenant} and (j.ended_at is null or j.ended_at > {now.AddDays(-KeptDays).UtcDateTime}) {Where(filter)} {After(after)}
         order by j.queued_at desc, j.key desc limit {limit + 1}
        """, row => new Entry(StoredJson.Read<JobRow>(row.GetFieldValue<byte[]>(0)), StandingAt(row, 3), [row.GetDateTime(1).ToString("O", CultureInfo.InvariantCulture), row.GetString(2)]), ct);

    /// <summary>What is known of a job beside the log.</summary>
    public static async Task<JobStanding> Beside(Reader db, Id<Job> job, CancellationToken ct) => (await db.Query($"""
        select {Standing} from (select {db.Tenant}::varchar as tenant_id, {job.Value} as message) j {Joined}
        """, row => StandingAt(row, 0), ct))[0];

    /// <summary>
    /// For the processes that jobs run in: from which position on to follow the log for cancels. Everything up to there is settled, and seen by who reads a job's stream; no
    /// table has to be whole for it.
    /// </summary>
    public static async Task<long> SettledUpTo(PlatformReader db, CancellationToken ct) =>
        (await db.Query<long>([$"select coalesce(max(last_seq_id), 0) from events.mt_event_progression where name = 'HighWaterMark'"], row => row.GetInt64(0), ct))[0][0];

    /// <summary>Whether a job that ended then is shown no more.</summary>
    public static bool IsGone(DateTimeOffset? endedAt, DateTimeOffset now) => endedAt <= now.AddDays(-KeptDays);

    internal static Sql Standing => Sql.Of($"r.attempt, w.id is not null, r.begun, r.done, r.total, r.note, coalesce(d.state = 'replayed', false)");

    internal static Sql Joined => Sql.Of($"""
        left join nubabel.message_runs r on r.tenant_id = j.tenant_id and r.message = j.message
        left join nubabel.workers w on w.id = r.worker
        left join nubabel.dead_letters d on d.tenant_id = j.tenant_id and d.id = j.message
        """);

    internal static JobStanding StandingAt(NpgsqlDataReader row, int at) => new(
        row.IsDBNull(at) ? null : new MessageRun(row.GetInt32(at), row.GetBoolean(at + 1), new DateTimeOffset(row.GetDateTime(at + 2), TimeSpan.Zero),
            Number(row, at + 3), Number(row, at + 4), row.IsDBNull(at + 5) ? null : row.GetString(at + 5)),
        row.GetBoolean(at + 6));

    private static long? Number(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetInt64(column);

    internal static Sql Where(Filter filter)
    {
        var starter = filter.Starter is { } s ? Sql.Of($"and j.starter = {s}") : Sql.None;
        var kind = filter.Kind is { } k ? Sql.Of($"and j.kind = {k}") : Sql.None;
        var state = filter.State switch
        {
            null => Sql.None,
            JobState.Queued => Sql.Of($"and j.state in ('queued', 'failed') and (j.state = 'queued' or j.given_up and d.state = 'replayed') and w.id is null"),
            JobState.Running => Sql.Of($"and j.state in ('queued', 'failed') and (j.state = 'queued' or j.given_up and d.state = 'replayed') and w.id is not null"),
            JobState.Failed => Sql.Of($"and j.state = 'failed' and not (j.given_up and d.state is not distinct from 'replayed')"),
            { } other => Sql.Of($"and j.state = {Word(other)}"),
        };
        return Sql.Of($"{starter} {kind} {state}");
    }

    internal static Sql After(IReadOnlyList<string>? place) => place is [var at, var key]
        ? Sql.Of($"and (j.queued_at, j.key) < ({DateTime.Parse(at, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)}, {key})")
        : Sql.None;

    internal static string Word(JobState state) => state.ToString().ToLowerInvariant();
}
