using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Jobs;
using Nubabel.Projections;
using Nubabel.Projections.Jobs;
using Nubabel.Store;

namespace Nubabel.Api.Jobs;

/// <summary>How far a job is.</summary>
/// <param name="Percent">0 to 100; where the total is known.</param>
public sealed record JobProgressView(long Done, long? Total, int? Percent, string? Text);

/// <summary>A job as it is answered.</summary>
/// <param name="OrganizationId">Whose it is; for operators.</param>
/// <param name="Starter">The actor who started it.</param>
/// <param name="Attempts">How often it was begun; more than once after a failure or a lost process.</param>
/// <param name="StartedAt">When the last attempt began.</param>
/// <param name="Progress">What the last attempt has said.</param>
public sealed record JobView(
    Id<Job> Id, string? OrganizationId, JobKind Kind, JobState State, string Starter, int Attempts, DateTimeOffset QueuedAt, DateTimeOffset? StartedAt, DateTimeOffset? EndedAt,
    JobProgressView? Progress, JobResult? Result, JobError? Error)
{
    /// <summary>How long somebody who waits for the end waits before asking again.</summary>
    public const int RetryAfterSeconds = 1;

    public static JobView Of(JobRow row, JobStanding standing, string? organization = null) => new(
        row.Id, organization, row.Kind, standing.Of(row), row.Starter, standing.Run?.Attempt ?? 0, row.QueuedAt, standing.Run?.Begun, standing.IsRequeued(row) ? null : row.EndedAt,
        ProgressOf(standing.Run), row.Outcome, standing.IsRequeued(row) ? null : row.Error);

    internal const string Example = """
        {"id":"01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55","kind":"data-export","state":"running","starter":"user:01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50","attempts":1,
        "queuedAt":"2026-11-21T08:15:30.123456Z","startedAt":"2026-11-21T08:15:30.201733Z","progress":{"done":1200,"total":4800,"percent":25,"text":"reading the log"}}
        """;

    [JsonIgnore]
    public bool IsOpen => State is JobState.Queued or JobState.Running;

    private static JobProgressView? ProgressOf(MessageRun? run) =>
        run is { Done: { } done } ? new JobProgressView(done, run.Total, run.Total is > 0 and var total ? (int)(Math.Min(done, total) * 100.0 / total) : null, run.Note) : null;
}

/// <summary>
/// The answer with one job: its <c>ETag</c> is that of the text, so it changes with the progress and with whatever else is shown, and <c>Retry-After</c> says
/// when to ask again while the job is open.
/// </summary>
public sealed class JobAnswer(int status, JobView job, string? location = null, string? position = null) : IResult
{
    /// <summary>The job's <c>ETag</c> as it is now.</summary>
    public static string TagOf(JobView job) => TagOf(JsonSerializer.SerializeToUtf8Bytes(job, Json.Options));

    private static string TagOf(byte[] body) => $"\"{Convert.ToHexStringLower(SHA256.HashData(body).AsSpan(0, 16))}\"";

    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var body = JsonSerializer.SerializeToUtf8Bytes(job, Json.Options);
        var response = httpContext.Response;
        if (job.IsOpen) response.Headers.RetryAfter = JobView.RetryAfterSeconds.ToString(CultureInfo.InvariantCulture);
        if (location is not null) response.Headers.Location = location;
        if (position is not null) response.Headers[Host.Positions.Header] = position;
        var known = ETags.IsKnown(httpContext, TagOf(body));
        if (status == StatusCodes.Status200OK && known)
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }
        response.StatusCode = status;
        response.ContentType = "application/json";
        response.ContentLength = body.Length;
        await response.Body.WriteAsync(body, httpContext.RequestAborted);
    }
}
