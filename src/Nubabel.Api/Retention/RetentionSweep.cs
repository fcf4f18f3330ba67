using Npgsql;
using Nubabel.Api.Host;
using Nubabel.Api.LegalHolds;
using Nubabel.Domain;
using Nubabel.Domain.LegalHolds;
using Nubabel.Domain.Retention;
using Nubabel.Projections;
using Nubabel.Projections.Retention;
using Nubabel.Store;

namespace Nubabel.Api.Retention;

/// <summary>
/// Goes through what is due in one organization, category by category and part by part: to remove it, or to say what would be removed. Both go through the same
/// parts of the same statement and ask the same register of holds.
/// </summary>
public sealed partial class RetentionSweep(Node node, RetentionPolicies policies, Holds holds, ILogger<RetentionSweep> log)
{
    /// <summary>So many names a dry run shows of a category.</summary>
    public const int Sample = 20;

    /// <summary>So often a part is decided anew because something stood in its way.</summary>
    private const int Attempts = 20;

    private const string Deadlock = "40P01";

    /// <summary>What a run would remove now.</summary>
    /// <param name="parts">Reads with the rights of who asks.</param>
    public async Task<IReadOnlyList<RetentionCategoryRow>> Preview(string tenant, DueParts parts, DateTimeOffset at, CancellationToken ct)
    {
        (at, var fence) = (Whole(at), await FenceOf(tenant, ct));
        var rows = new List<RetentionCategoryRow>();
        foreach (var policy in await policies.Of(tenant, ct))
        {
            if (policy.Category.Due is not { } statement) continue;
            var upTo = at.AddDays(-policy.Days);
            var (after, hash, removed, held, from, sample) = ("", ListHash.Empty, 0L, 0L, (DateTimeOffset?)null, new List<string>());
            for (var more = true; more;)
            {
                var part = await parts(statement, upTo, after, policy.Category.Part, ct);
                var goes = part.Where(item => !fence.IsHeld(item)).ToArray();
                if (goes.Length > 0) from = goes.Min(g => g.At) is var first && from < first ? from : first;
                (hash, removed, held) = (ListHash.Add(hash, goes.Select(g => g.Id)), removed + goes.Length, held + part.Count - goes.Length);
                sample.AddRange(goes.Take(Sample - sample.Count).Select(g => g.Id));
                more = part.Count == policy.Category.Part;
                if (part.Count > 0) after = part[^1].Id;
            }
            if (removed + held > 0) rows.Add(new RetentionCategoryRow(policy.Days, from, held, upTo, sample, Convert.ToHexStringLower(hash), null, removed, policy.Category.Name));
        }
        return rows;
    }

    /// <summary>Removes what is due, or goes on with it. A category that fails is named, and the others go on.</summary>
    /// <param name="at">The time from which periods are counted back; the same whenever the run goes on.</param>
    /// <param name="report">Told how many are removed, and where it is.</param>
    public async Task<IReadOnlyList<CategoryResult>> Run(string tenant, Guid run, DateTimeOffset at, Action<long, string> report, CancellationToken ct)
    {
        var removals = new Removals(node.Database, tenant, run);
        (at, var done) = (Whole(at), 0L);
        foreach (var policy in await policies.Of(tenant, ct))
        {
            if (policy.Category.Due is null) continue;
            report(done, policy.Category.Name);
            var progress = await removals.Begin(policy.Category.Name, policy.Days, at.AddDays(-policy.Days), ct);
            if (!progress.IsFinished)
            {
                var problem = await Tried(policy.Category, removals, progress, tenant, removed => report(done + removed, policy.Category.Name), ct);
                await removals.Finish(policy.Category.Name, problem, ct);
            }
            done += (await removals.All(ct)).First(p => p.Category == policy.Category.Name).Removed;
        }
        return await Results(removals, ct);
    }

    /// <summary>What a run has done so far, in the categories where there was something.</summary>
    public static async Task<IReadOnlyList<CategoryResult>> Results(Removals removals, CancellationToken ct) =>
    [
        .. from p in await removals.All(ct)
           where p.Removed + p.Held > 0 || p.Problem is not null
           select new CategoryResult(p.Category, p.Days, p.UpTo, p.Oldest, p.Removed, p.Held, Convert.ToHexStringLower(p.Hash), p.Problem),
    ];

    private async Task<string?> Tried(RetentionCategory category, Removals removals, RemovalProgress progress, string tenant, Action<long> report, CancellationToken ct)
    {
        // A category's statement and its act may be a product's: whatever they throw is theirs, and must not keep the others from going on.
#pragma warning disable CA1031
        try
        {
            return await CarryOut(category, removals, progress, tenant, report, ct);
        }
        catch (Exception failure) when (failure is not (OperationCanceledException or RunTakenOver or OutcomeUnknown) && !Failures.IsDatabaseUnavailable(failure) && !ct.IsCancellationRequested)
        {
            Failed(failure, category.Name, tenant);
            return failure is PostgresException e ? $"PostgreSQL {e.SqlState}" : failure.GetType().Name;
        }
#pragma warning restore CA1031
    }

    private async Task<string?> CarryOut(RetentionCategory category, Removals removals, RemovalProgress progress, string tenant, Action<long> report, CancellationToken ct)
    {
        var fence = await FenceOf(tenant, ct);
        for (var attempt = 1; ;)
        {
            ct.ThrowIfCancellationRequested();
            // Somebody may have said meanwhile that it is to be kept for longer.
            if (await policies.DaysOf(tenant, category.Name, ct) > progress.Days) return "The period was made longer meanwhile";
            try
            {
                progress = category.Act switch
                {
                    DeleteRows rows => await removals.Next(progress, category.Due!, rows.Statement, fence, category.Part, ct),
                    DestroyKeys => await removals.Next(progress, category.Due!, Removals.Keys, fence, category.Part, ct),
                    EachByItself each => await Each(each, category, removals, progress, fence, tenant, ct),
                    _ => throw new NotSupportedException(category.Act.GetType().Name),
                };
                (attempt, _) = (1, 0);
                report(progress.Removed);
                if (progress.IsFinished) return null;
            }
            catch (Exception stale) when (stale is FenceMoved or PostgresException { SqlState: Deadlock } && attempt++ < Attempts)
            {
                fence = await FenceOf(tenant, ct);
            }
        }
    }

    private static async Task<RemovalProgress> Each(EachByItself each, RetentionCategory category, Removals removals, RemovalProgress before, RemovalFence fence, string tenant, CancellationToken ct)
    {
        var (progress, taken, again) = await removals.Take(before, category.Due!, fence, category.Part, ct);
        if (taken.Count == 0) return progress;
        var (gone, held) = (new List<DueItem>(), 0);
        foreach (var item in taken)
        {
            var how = await each.Remove(tenant, item, ct);
            // What was noted by this run and is gone, an attempt of it that was cut off has removed.
            if (how == Removed.Gone || (how == Removed.Before && again)) gone.Add(item);
            if (how == Removed.Held) held++;
        }
        return await removals.Done(progress, gone, held, ct);
    }

    /// <summary>In whole microseconds, as PostgreSQL keeps it, so that a dry run counts from the same.</summary>
    private static DateTimeOffset Whole(DateTimeOffset at) => new(at.UtcTicks - at.UtcTicks % TimeSpan.TicksPerMicrosecond, TimeSpan.Zero);

    /// <summary>The register of holds as it stands now. Where there is none it is begun: what is not there cannot be locked.</summary>
    private async Task<RemovalFence> FenceOf(string tenant, CancellationToken ct)
    {
        // The platform's own data is nobody's to hold.
        if (tenant == Node.Platform) return new RemovalFence(null, 0, _ => false);
        var stream = Holds.RegisterOf(tenant);
        var register = await holds.Load(tenant, ct);
        if (register.Version == 0) register = await node.Journal(tenant, new Origin(Actor.System("retention").ToString())).Handle(stream, new OpenHoldRegister(), ct);
        var (all, persons) = (register.State.HoldsAll, register.State.Persons.Select(p => p.ToString()).ToHashSet());
        var reasons = register.State.Holds.Where(h => h.Value.Counts).Select(h => Streams.Of(h.Key)).ToHashSet();
        return new RemovalFence(stream.Value, register.Version, item => all || (item.Person is { } person && persons.Contains(person)) || reasons.Contains(item.Id));
    }

    [LoggerMessage(1, LogLevel.Error, "Retention of {Category} in {Organization} has failed; the next run tries again.")]
    private partial void Failed(Exception e, string category, string organization);
}
