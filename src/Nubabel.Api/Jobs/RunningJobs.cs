using System.Collections.Concurrent;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Jobs;
using Nubabel.Projections;
using Nubabel.Projections.Jobs;
using Nubabel.Store;

namespace Nubabel.Api.Jobs;

/// <summary>
/// The jobs that run in this process. It follows the live tail, so that a job that is cancelled on any node is told so within a second or two, wherever it
/// runs. Telling is a courtesy: whether a job was cancelled is decided by its stream, when its handler commits.
/// </summary>
public sealed class RunningJobs(Node node) : ITailSubscriber
{
    private readonly ConcurrentDictionary<Guid, (string Tenant, CancellationTokenSource Source)> running = new();

    public IReadOnlyCollection<string> Aliases { get; } = ["job_cancelled"];

    // A newer build may have written what this one cannot read, and the job is cancelled all the same.
    public bool NeedsData => false;

    public async Task<long> Load(CancellationToken ct)
    {
        // The position is read first: what the log gains meanwhile is then heard twice, not missed. At a start nothing runs yet.
        var position = await JobList.SettledUpTo(node.Everyones, ct);
        foreach (var (job, (tenant, _)) in running)
            if ((await node.Journal(tenant, new Origin("system:jobs")).Load(new Id<Job>(job), ct)).State.State == JobState.Cancelled) Cancel(job);
        return position;
    }

    public void OnEvent(Recorded e) => Cancel(e.StreamGuid);

    /// <summary>From here on a cancel of the job is heard. To be called before the job's stream is read, or one in between is missed.</summary>
    /// <param name="also">What else ends the job.</param>
    public Stay Enter(string tenant, Guid job, CancellationToken also)
    {
        var source = CancellationTokenSource.CreateLinkedTokenSource(also);
        running[job] = (tenant, source);
        return new Stay(this, job, source, also);
    }

    private void Cancel(Guid job)
    {
        if (!running.TryGetValue(job, out var found)) return;
        try
        {
            // Not here: what handlers have registered with it is theirs, and may take its time.
            _ = found.Source.CancelAsync();
        }
        catch (ObjectDisposedException)
        {
            // It has just ended.
        }
    }

    /// <summary>A job's time in this process.</summary>
    public sealed class Stay(RunningJobs jobs, Guid job, CancellationTokenSource source, CancellationToken also) : IDisposable
    {
        public CancellationToken Token => source.Token;

        /// <summary>Somebody cancelled the job, and nothing else has ended it.</summary>
        public bool IsCancelled => source.IsCancellationRequested && !also.IsCancellationRequested;

        public void Dispose()
        {
            // Another attempt of the job may have come meanwhile.
            if (jobs.running.TryGetValue(job, out var own) && own.Source == source) jobs.running.TryRemove(KeyValuePair.Create(job, own));
            source.Dispose();
        }
    }
}
