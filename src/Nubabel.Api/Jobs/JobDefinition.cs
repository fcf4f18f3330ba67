using System.Text.Json;
using Nubabel.Domain.Jobs;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Jobs;

/// <summary>
/// A kind of job. It is declared once, in the slice that owns it; an endpoint starts it (<see cref="JobStarts.Start"/>), and <see cref="JobHandlers"/> says what
/// is done.
/// </summary>
/// <typeparam name="TBody">What it is told. It is stored as JSON until the job has ended, so personal values in it are sealed (<c>Personal</c>).</typeparam>
/// <param name="Name">Shown to people and stored: never renamed while jobs of it are open.</param>
/// <param name="Permission">What somebody needs to start it.</param>
public sealed record JobDefinition<TBody>(string Name, string Permission) where TBody : notnull
{
    public JobKind Kind { get; } = JobKind.Parse(Name);

    /// <summary>It may take up to an hour instead of five minutes; few of these run at the same time.</summary>
    public bool IsLong { get; init; }

    internal object Message(TBody body)
    {
        var json = JsonSerializer.SerializeToElement(body, StoredJson.Options);
        return IsLong ? new LongJobMessage(Kind, json) : new JobMessage(Kind, json);
    }
}

/// <summary>The message of a job; its id is the job's.</summary>
public sealed record JobMessage(JobKind Kind, JsonElement Body);

/// <summary>The message of a job that takes long.</summary>
public sealed record LongJobMessage(JobKind Kind, JsonElement Body);

/// <summary>A job's message has become a dead letter.</summary>
public sealed record JobGivenUp(Guid Job);

/// <summary>How a job has ended well.</summary>
/// <param name="Outcome">What there is to show; null for nothing.</param>
public sealed record JobEnd(JobResult? Outcome = null)
{
    /// <summary>Commands that are committed with the end of the job, together or not at all: not when it was cancelled.</summary>
    public IReadOnlyList<Step> Steps { get; init; } = [];

    /// <summary>The result is at a path of this API, until it expires.</summary>
    public static JobEnd At(string path, DateTimeOffset? expires = null) => new(new JobResult(path, expires));

    /// <summary>A small result that is shown with the job: counts, not contents.</summary>
    public static JobEnd With<T>(T data) => new(new JobResult(Data: JobData.Of(JsonSerializer.SerializeToElement(data, StoredJson.Options))));
}

/// <summary>
/// Does a job. It may be called again with the same job after a crash or a failure, so what it does beside what it returns must be safe to do twice. It throws
/// <see cref="Domain.Refused"/> for what cannot be done and never will be, whose code and sentence the starter sees; anything else is tried again.
/// </summary>
public delegate Task<JobEnd> JobHandler<in TBody>(TBody body, JobContext context);

/// <summary>The handlers of all kinds of jobs, named one by one.</summary>
public sealed class JobHandlers
{
    private readonly Dictionary<JobKind, Func<JsonElement, JobContext, Task<JobEnd>>> byKind = [];

    public IEnumerable<JobKind> Kinds => byKind.Keys;

    public JobHandlers On<TBody>(JobDefinition<TBody> definition, JobHandler<TBody> handler) where TBody : notnull
    {
        var added = byKind.TryAdd(definition.Kind, (body, context) => handler(body.Deserialize<TBody>(StoredJson.Options) ?? throw new JsonException("The body is null."), context));
        return added ? this : throw new InvalidOperationException($"{definition.Name} has a handler already.");
    }

    internal Func<JsonElement, JobContext, Task<JobEnd>>? Of(JobKind kind) => byKind.GetValueOrDefault(kind);
}
