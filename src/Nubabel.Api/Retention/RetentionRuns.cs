using System.Security.Cryptography;
using System.Text;
using Nubabel.Api.Host;
using Nubabel.Api.Jobs;
using Nubabel.Domain;
using Nubabel.Domain.Jobs;
using Nubabel.Domain.Retention;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Retention;

/// <summary>What the job of a run is told.</summary>
public sealed record RetentionOrder(RetentionTrigger Trigger);

/// <summary>All organizations are to be looked through.</summary>
public sealed record RetentionTick;

/// <summary>How a run has ended.</summary>
public sealed record RetentionSummary(long Removed, long Held, int Failed);

/// <summary>
/// Runs of retention as jobs: one for each organization in which something is due, each day. A run begins with an event that holds its time, and ends with what it
/// has done in each category; one that is cut off goes on where it was and counts nothing twice.
/// </summary>
public sealed class RetentionRuns(Node node, RetentionSweep sweep, RetentionCategories categories, RetentionPolicies policies)
{
    public static JobDefinition<RetentionOrder> Kind { get; } = new("retention-run", "retention:write") { IsLong = true };

    /// <summary>By night in most places, and not on the hour.</summary>
    public static Schedule Schedule { get; } = new(Node.Platform, "retention", "40 2 * * *", new RetentionTick());

    private static Origin System => new(Actor.System("retention").ToString());

    /// <summary>Does the job of a run.</summary>
    public async Task<JobEnd> Run(RetentionOrder order, JobContext context)
    {
        var (tenant, id, ct) = (context.Tenant, new Id<RetentionRun>(context.Job.Value), context.Cancellation);
        var run = await context.Beside().Handle(id, new BeginRetentionRun(context.Beside().Now(), order.Trigger), ct);
        var removals = new Removals(node.Database, tenant, id.Value);
        await EndOthers(tenant, removals, ct);
        try
        {
            var results = await sweep.Run(tenant, id.Value, run.State.At, (removed, category) => context.Report(removed, null, category), ct);
            return JobEnd.With(new RetentionSummary(results.Sum(r => r.Removed), results.Sum(r => r.Held), results.Count(r => r.Problem is not null)))
                with
            { Steps = [new Step<RetentionRun>(id, new EndRetentionRun(RetentionEnd.Completed, results))] };
        }
        catch (Exception cut) when (cut is OperationCanceledException or TimeoutException or Npgsql.NpgsqlException && ct.IsCancellationRequested)
        {
            // What was removed is removed: the evidence says so, also of a run that somebody has cancelled. One that a stop of the process cuts off goes on elsewhere.
            if ((await node.Journal(tenant, System).Load(new Id<Job>(context.Job.Value), CancellationToken.None)).State.State == JobState.Cancelled)
                await End(tenant, removals, id, RetentionEnd.Cancelled, CancellationToken.None);
            throw;
        }
    }

    /// <summary>Looks through all organizations, with a query for each category, and starts the runs. Done again it starts none twice.</summary>
    public async Task Look(RetentionTick tick, MessageContext context)
    {
        var (at, ct) = (context.Journal.Now(), context.Cancellation);
        var upTo = await policies.Everywhere(at, ct);
        var (tenants, failed) = (new SortedSet<string>(StringComparer.Ordinal), new List<string>());
        foreach (var category in categories.All)
        {
            if (category.Due is not { } statement) continue;
            try
            {
                tenants.UnionWith(await DueItems.Tenants(node.Everyones, statement, upTo(category), ct));
            }
            catch (Npgsql.PostgresException)
            {
                // A run that is made for another category meets it again, and says more.
                failed.Add(category.Name);
            }
        }
        foreach (var tenant in tenants) await Start(node.Journal(tenant, System), JobOf(context.Delivery.Id, tenant), RetentionTrigger.Schedule, ct);
        await context.Journal.Handle(new Id<RetentionRound>(context.Delivery.Id), new MakeRetentionRound(at, tenants.Count, failed.Count == 0 ? null : string.Join(',', failed)), ct);
    }

    /// <summary>Starts the job of a run in the journal's tenant; the same job once.</summary>
    public static async Task<Outcome<Job>> Start(Journal journal, Id<Job> id, RetentionTrigger trigger, CancellationToken ct)
    {
        journal.Enqueue(new Message(Kind.Message(new RetentionOrder(trigger))) { Id = id.Value });
        return await journal.Create(id, new StartJob(Kind.Kind), ct);
    }

    /// <summary>Runs of the tenant that nobody goes on with: given up, or cancelled while their process died.</summary>
    private async Task EndOthers(string tenant, Removals own, CancellationToken ct)
    {
        foreach (var left in await own.Left(ct))
        {
            var removals = new Removals(node.Database, tenant, left);
            await End(tenant, removals, new Id<RetentionRun>(left), RetentionEnd.Interrupted, ct);
            await removals.Forget(ct);
        }
    }

    private async Task End(string tenant, Removals removals, Id<RetentionRun> id, RetentionEnd how, CancellationToken ct) =>
        await node.Journal(tenant, System).Handle(id, new EndRetentionRun(how, await RetentionSweep.Results(removals, ct)), ct);

    /// <summary>A UUID of version 8 from the look and the tenant.</summary>
    private static Id<Job> JobOf(Guid look, string tenant)
    {
        var bytes = SHA256.HashData(Encoding.UTF8.GetBytes($"{look:D} {tenant}")).AsSpan(0, 16);
        bytes[6] = (byte)(0x80 | (bytes[6] & 0x0F));
        bytes[8] = (byte)(0x80 | (bytes[8] & 0x3F));
        return new Id<Job>(new Guid(bytes, bigEndian: true));
    }
}
