using Nubabel.Api.Host;
using Nubabel.Api.Sessions;
using Nubabel.Api.Users;
using Nubabel.Domain;
using Nubabel.Domain.Devices;
using Nubabel.Domain.Erasures;
using Nubabel.Domain.Jobs;
using Nubabel.Domain.Sessions;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.Consumers;
using Nubabel.Projections.Erasures;
using Nubabel.Store;

namespace Nubabel.Api.Erasures;

/// <summary>
/// What an erasure does beside destroying keys: ends what goes on for the person, and deletes what is kept beside the log. It may be cut off anywhere and done
/// again, and by several at once.
/// </summary>
public sealed class ErasureSweep(Node node, LiveSessions live, PasswordResets resets)
{
    /// <summary>How many streams one commit changes.</summary>
    private const int MostAtOnce = 200;

    /// <summary>Does all of it, and says how much there was.</summary>
    public async Task<Erased> Run(string tenant, Id<User> person, User account, Belongings all, CancellationToken ct)
    {
        var journal = node.Journal(tenant, new Origin(Erasures.System));
        await End(journal, all.Sessions.Select(id => new Step<Session>(id, new RevokeSession(SessionEnd.Erased))), ct);
        await live.EndRest(journal, Actor.User(person.Value), except: null, SessionEnd.Erased, ct);
        await EndDevices(tenant, person, all.Devices, ct);
        await EndJobs(journal, all.Jobs, ct);

        var messages = 0;
        foreach (var subject in all.Subjects) messages += await MessageErasure.Of(node.Database, node.Outbox, tenant, subject, ct);
        if (account.EmailKey.Length > 0) messages += await MessageErasure.Of(node.Database, node.Outbox, Node.Platform, await resets.Of(tenant, account.EmailKey, ct), ct);
        await MessageErasure.Runs(node.EveryonesWriter, tenant, [.. all.Jobs.Select(j => j.Value)], ct);
        var files = await SealedFiles.Erase(node.Everyones, node.EveryonesWriter, tenant, all.Account, ct);
        var records = await IdempotencyRecord.Erase(node.EveryonesWriter, tenant, Node.Platform, Actor.User(person.Value).ToString(), all.Everything, ct);
        var answers = await DeliveryLog.Forget(node.EveryonesWriter, tenant, all.Everything, ct);
        foreach (var stream in all.Everything) journal.Forget(stream);
        return new Erased(0, files, answers, all.Devices.Count, records, messages, all.Sessions.Count);
    }

    /// <summary>A device is revoked first, so that whoever watches it hears so, and then deleted, so that its name is nowhere claimed any more.</summary>
    private async Task EndDevices(string tenant, Id<User> person, IReadOnlyList<Id<Device>> devices, CancellationToken ct)
    {
        // Only its owner changes a device.
        var journal = node.Journal(tenant, new Origin(Actor.User(person.Value).ToString(), CausationId: $"erasure-{person}"));
        foreach (var some in devices.Chunk(MostAtOnce))
        {
            var there = (await journal.Load<Device>([.. some.Select(id => (StreamName<Device>)id)], ct)).Where(d => d.State.Status is DeviceStatus.Active or DeviceStatus.Revoked).ToArray();
            await Gone(journal, [.. there.Where(d => d.State.Status == DeviceStatus.Active).Select(d => new Step<Device>(d.Stream, new RevokeDevice()))], ct);
            await Gone(journal, [.. there.Select(d => new Step<Device>(d.Stream, new DeleteDevice()))], ct);
        }
    }

    /// <summary>Whoever does the same at the same time may have been faster.</summary>
    private static async Task Gone(Journal journal, IReadOnlyList<Step> steps, CancellationToken ct)
    {
        if (steps.Count == 0) return;
        try
        {
            await journal.Commit(steps, ct);
        }
        catch (Refused missing) when (missing.Kind == RefusalKind.Missing)
        {
            // One of several is deleted already; of one alone there is nothing left to do.
            if (steps.Count == 1) return;
            foreach (var step in steps) await Gone(journal, [step], ct);
        }
    }

    /// <summary>What cannot be made without the person's key is not begun any more. What else the person started is the organization's work and goes on.</summary>
    private static async Task EndJobs(Journal journal, IReadOnlyList<Id<Job>> jobs, CancellationToken ct)
    {
        foreach (var id in jobs)
        {
            var job = (await journal.Load(id, ct)).State;
            if (job.State != JobState.Queued || (job.OfKind != DataExports.ExportBundles.OfUser.Kind && job.OfKind != DataExports.ExportBundles.OfOrganization.Kind)) continue;
            try
            {
                await journal.Handle(id, new CancelJob(), ct);
            }
            catch (Refused finished) when (finished.Code == "job.finished")
            {
                // It has ended meanwhile.
            }
        }
    }

    private static async Task End(Journal journal, IEnumerable<Step<Session>> steps, CancellationToken ct)
    {
        foreach (var some in steps.Chunk(MostAtOnce)) await journal.Commit(some, ct);
    }
}
