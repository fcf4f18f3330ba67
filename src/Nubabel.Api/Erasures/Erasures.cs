using Nubabel.Api.Host;
using Nubabel.Api.LegalHolds;
using Nubabel.Domain;
using Nubabel.Domain.Erasures;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.Erasures;
using Nubabel.Store;

namespace Nubabel.Api.Erasures;

/// <summary>What was begun is to be carried to its end; its message needs no subject, or it would go with the person.</summary>
/// <param name="Again">It is done, and what came in while it was is looked for.</param>
public sealed record ErasureOrder(Guid Person, bool Again = false);

/// <summary>
/// The one place that erases a person, whoever wants it: the person, an operator, a policy, or the ledger after a backup was restored. <see cref="Begin"/> is one
/// commit, after which nobody gets in with the account; <see cref="Run"/> is everything else, in steps that may each be cut off and done again. Whoever begins
/// runs it; a message carries it on where that process dies.
/// </summary>
public sealed class Erasures(Node node, Settings settings, Ledger ledger, ErasureSweep sweep, Holds holds, LockOut lockOut, Receipts receipts)
{
    public const string System = "system:erasure";

    /// <summary>How often a decision is taken anew because the account has changed meanwhile.</summary>
    private const int Attempts = 12;

    /// <summary>When the message looks after what the one who began has not ended.</summary>
    private static readonly TimeSpan LookAfter = TimeSpan.FromSeconds(10);

    /// <summary>How long the message waits where the ledger cannot be written.</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromMinutes(1);

    /// <summary>Closes the account and writes down that the person is to be erased, and by which message, together or not at all.</summary>
    /// <param name="journal">Of the tenant, and of whoever wants it.</param>
    /// <exception cref="Refused">There is no such account, it is the last owner's, or there is a legal hold on it.</exception>
    public async Task<Outcome<Erasure>> Begin(Journal journal, Id<User> person, ErasureWish wish, CancellationToken ct)
    {
        for (var attempt = 1; ; attempt++)
        {
            var known = await journal.Load(Of(person), ct);
            if (known.State.Status != ErasureStatus.None) return known;
            var account = await journal.Load(person, ct);
            if (account.State.Status == UserStatus.None) throw new Refused(RefusalKind.Missing, "user.missing", "There is no such user.");
            var request = new Step<Erasure>(Of(person), new RequestErasure(person, wish, receipts.CodeOf(journal.Tenant, person).Hash, account.State.Status != UserStatus.Removed));
            journal.TakeBack();
            journal.Enqueue(new Message(new ErasureOrder(person.Value)) { After = LookAfter });
            try
            {
                // What the ledger has was done when nothing held it; a hold of the time of the backup is no hold any more.
                IReadOnlyList<Step> admitted = wish == ErasureWish.Ledger ? [] : [Holds.Admission(journal.Tenant, person)];
                await journal.Commit([.. admitted, .. await Closing(journal, person, account, wish, ct), request], ct);
                return request.Outcome;
            }
            catch (VersionMismatch) when (attempt < Attempts)
            {
                // The account has changed since it was loaded: look again.
            }
        }
    }

    /// <summary>Carries out what was begun, up to its end. Any number may do so at once.</summary>
    /// <param name="also">Subjects beside those that are found: what the ledger has of a time that this database does not know.</param>
    /// <exception cref="Refused">Nothing was begun.</exception>
    /// <exception cref="LedgerFault">The ledger cannot be written; no key was destroyed.</exception>
    public async Task<Outcome<Erasure>> Run(string tenant, Id<User> person, CancellationToken ct, IReadOnlyList<string>? also = null)
    {
        var journal = node.Journal(tenant, new Origin(System));
        var begun = await journal.Load(Of(person), ct);
        if (begun.State.Status == ErasureStatus.None) throw Erasure.Missing();
        if (begun.State.Status == ErasureStatus.Completed)
        {
            await ErasureRows.Done(node.EveryonesWriter, tenant, person.Value, ct);
            return begun;
        }
        var account = (await journal.Load(person, ct)).State;
        var all = await All(tenant, person, account, ct);
        string[] subjects = [.. all.Subjects.Union(also ?? [])];
        // On disk before a key is destroyed: a backup from before this moment must not bring back what is about to go.
        await ledger.Enter(tenant, person.Value, subjects, ct);
        await node.Subjects.Destroy(tenant, subjects, ct);
        var counts = await sweep.Run(tenant, person, account, all, ct) with { Keys = subjects.Length };
        var statement = await receipts.Sign(tenant, person, await receipts.RequestedAt(tenant, begun, ct), journal.Now(), counts, ct);
        // Whoever was let in before the account was closed may write a last time; nobody is at it for longer than a request may take.
        journal.Enqueue(new Message(new ErasureOrder(person.Value, Again: true)) { After = TimeSpan.FromSeconds(settings.Limits.RequestSeconds + 30) });
        var done = await journal.Handle(Of(person), new CompleteErasure(counts, statement), ct);
        await ErasureRows.Done(node.EveryonesWriter, tenant, person.Value, ct);
        return done;
    }

    /// <summary>Handles the message.</summary>
    public async Task Handle(ErasureOrder order, MessageContext context)
    {
        var (tenant, person, ct) = (context.Tenant, new Id<User>(order.Person), context.Cancellation);
        try
        {
            if (order.Again) await Again(tenant, person, ct);
            else await Run(tenant, person, ct);
        }
        catch (LedgerFault)
        {
            // An operator has to see to it, and health says so: no attempt of the message is lost by it.
            throw new NotYet(LookAgain);
        }
    }

    /// <summary>Carries out what the ledger has and this database does not know, or not to its end.</summary>
    /// <returns>False where the organization is without an owner by it.</returns>
    public async Task<bool> Replay(LedgerEntry entry, CancellationToken ct)
    {
        var (tenant, person) = (entry.Tenant, new Id<User>(entry.Person));
        var journal = node.Journal(tenant, new Origin(System));
        // Whatever the log says: a backup of the keys alone may be older than it.
        await ErasureRows.Entered(node.EveryonesWriter, entry, ct);
        await node.Subjects.Destroy(tenant, entry.Subjects, ct);
        if ((await journal.Load(person, ct)).State.Status == UserStatus.None)
        {
            // The backup is older than the account.
            await ErasureRows.Done(node.EveryonesWriter, tenant, person.Value, ct);
            return true;
        }
        await Begin(journal, person, ErasureWish.Ledger, ct);
        await Run(tenant, person, ct, entry.Subjects);
        var organization = (await journal.Load(Id<Organization>.Parse(tenant), ct)).State;
        return organization.Status is OrganizationStatus.None or OrganizationStatus.Closed || !organization.Owners.SetEquals([person]);
    }

    internal static Id<Erasure> Of(Id<User> person) => new(person.Value);

    private async Task Again(string tenant, Id<User> person, CancellationToken ct)
    {
        var account = (await node.Journal(tenant, new Origin(System)).Load(person, ct)).State;
        var all = await All(tenant, person, account, ct);
        await ledger.Enter(tenant, person.Value, all.Subjects, ct);
        await node.Subjects.Destroy(tenant, all.Subjects, ct);
        await sweep.Run(tenant, person, account, all, ct);
    }

    /// <summary>What is the person's. Holds that count no more have reasons about the person, and go with the person.</summary>
    private async Task<Belongings> All(string tenant, Id<User> person, User account, CancellationToken ct)
    {
        var past = (await holds.Of(tenant, ct)).Past(person).Select(Streams.Of).ToArray();
        // From where somebody failed to sign in with the address while no account had it is sealed for the stream of the failures, which its name alone leads to.
        var founded = await node.Journal(tenant, new Origin(System)).ReadOne(Streams.Of(Id<Organization>.Parse(tenant)), 1, ct);
        var guards = account.EmailKey.Length == 0 || founded is null ? [] : lockOut.Since(account.EmailKey, founded.At).ToArray();
        return await Belongings.Of(node.Everyones, tenant, person, account.EmailKey, past, guards, ct);
    }

    /// <summary>What closes the account, on exactly the version that it was loaded in.</summary>
    private static async Task<IReadOnlyList<Step>> Closing(Journal journal, Id<User> person, Outcome<User> account, ErasureWish wish, CancellationToken ct)
    {
        if (account.State.Status == UserStatus.Removed) return [];
        var close = new Step<User>(person, wish == ErasureWish.Person ? new LeaveOrganization() : new RemoveUser(), matches: version => version == account.Version);
        if (account.State.Role != Role.Owner) return [close];
        var id = Id<Organization>.Parse(journal.Tenant);
        var organization = (await journal.Load(id, ct)).State;
        // Into a closed organization nobody gets anyway. After a restore the person goes although no other owner is there: this was so, and is not to be undone.
        var isOver = organization.Status is OrganizationStatus.None or OrganizationStatus.Closed || organization.ClosesAt <= journal.Now();
        return isOver || (wish == ErasureWish.Ledger && organization.Owners.SetEquals([person])) ? [close] : [new Step<Organization>(id, new RemoveOwner(person)), close];
    }
}
