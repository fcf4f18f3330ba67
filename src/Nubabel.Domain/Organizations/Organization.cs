using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Nubabel.Domain.Users;

namespace Nubabel.Domain.Organizations;

public sealed record OrganizationFounded(OrganizationName Name, Slug Slug, Id<User> Owner) : Event<Organization>;
public sealed record OrganizationRenamed(OrganizationName Name) : Event<Organization>;

/// <summary>An account has become one of the organization's owners. Appended together with the user's own change of role.</summary>
public sealed record OrganizationOwnerAdded(Id<User> Owner) : Event<Organization>;

/// <summary>An owner has been demoted, has left or was removed. Appended together with what happened to the user.</summary>
public sealed record OrganizationOwnerRemoved(Id<User> Owner) : Event<Organization>;

/// <summary>An operator has stopped the organization: nobody of it gets in, and nothing is lost.</summary>
public sealed record OrganizationSuspended(Reason? Reason) : Event<Organization>;
public sealed record OrganizationReactivated : Event<Organization>;

/// <summary>The organization will be closed for good at that time, and works on until then.</summary>
/// <param name="ByOperator">Wanted by the platform; then its owners cannot take it back.</param>
public sealed record OrganizationClosureScheduled(DateTimeOffset ClosesAt, Reason? Reason, bool ByOperator = false) : Event<Organization>;
public sealed record OrganizationClosureCancelled : Event<Organization>;
public sealed record OrganizationClosed : Event<Organization>;
public sealed record OrganizationPlanChanged(Plan Plan) : Event<Organization>;

/// <summary>The bounds that an operator has set for this organization alone, all of them.</summary>
public sealed record OrganizationLimitsSet(OrganizationLimits Limits) : Event<Organization>;

public sealed record FoundOrganization(OrganizationName Name, Slug Slug, Id<User> Owner) : Command<Organization>;
public sealed record RenameOrganization(OrganizationName Name) : Command<Organization>;
public sealed record AddOwner(Id<User> Owner) : Command<Organization>;

/// <summary>Refused for the last one: an organization is never without an owner.</summary>
public sealed record RemoveOwner(Id<User> Owner) : Command<Organization>;
public sealed record SuspendOrganization(Reason? Reason = null) : Command<Organization>;
public sealed record ReactivateOrganization : Command<Organization>;

/// <summary>Of an owner the first wish counts: who asks again does not move the day. An operator may move it.</summary>
public sealed record ScheduleClosure(DateTimeOffset ClosesAt, Reason? Reason = null, bool ByOperator = false) : Command<Organization>;

/// <summary>Refused to an owner where an operator wanted the closure.</summary>
public sealed record CancelClosure(bool ByOperator = false) : Command<Organization>;

/// <summary>Carries out a closure whose time has come; before that, and where none is wanted any more, it changes nothing.</summary>
public sealed record CloseOrganization : Command<Organization>;

/// <summary>What an operator sets for an organization; what is null stays as it is.</summary>
/// <param name="Limits">All of them: those that are null become the platform's.</param>
public sealed record ChangeTerms(Plan? Plan = null, OrganizationLimits? Limits = null) : Command<Organization>;

/// <summary>Where a tenant is in its life.</summary>
[JsonConverter(typeof(OrganizationStatusConverter))]
public enum OrganizationStatus { None, Active, Suspended, Closed }

internal sealed class OrganizationStatusConverter() : WordConverter<OrganizationStatus>("organization.status_invalid");

/// <summary>
/// A tenant. Its owners are a set here, beside the role on each user, because "never without an owner" is a rule over all of them: a
/// change of role that touches an owner appends to this stream and the user's together.
/// </summary>
public sealed record Organization(
    OrganizationStatus Status, OrganizationName? Name, Slug? Slug, ImmutableHashSet<Id<User>> Owners, DateTimeOffset? ClosesAt = null, Plan? Plan = null, OrganizationLimits? Limits = null,
    bool ClosesByOperator = false) : IAggregate<Organization>
{
    public static string Kind => "organization";
    public static Organization Initial { get; } = new(OrganizationStatus.None, null, null, []);

    public static Organization Evolve(Organization state, Event<Organization> e) => e switch
    {
        OrganizationFounded f => new Organization(OrganizationStatus.Active, f.Name, f.Slug, [f.Owner]),
        OrganizationRenamed r => state with { Name = r.Name },
        OrganizationOwnerAdded a => state with { Owners = state.Owners.Add(a.Owner) },
        OrganizationOwnerRemoved r => state with { Owners = state.Owners.Remove(r.Owner) },
        OrganizationSuspended => state with { Status = OrganizationStatus.Suspended },
        OrganizationReactivated => state with { Status = OrganizationStatus.Active },
        OrganizationClosureScheduled c => state with { ClosesAt = c.ClosesAt, ClosesByOperator = c.ByOperator },
        OrganizationClosureCancelled => state with { ClosesAt = null, ClosesByOperator = false },
        OrganizationClosed => state with { Status = OrganizationStatus.Closed },
        OrganizationPlanChanged c => state with { Plan = c.Plan },
        OrganizationLimitsSet s => state with { Limits = s.Limits },
        _ => state,
    };

    public static IReadOnlyList<Event<Organization>> Decide(Organization state, Command<Organization> command, Context at) => command switch
    {
        FoundOrganization c => state.Found(c),
        RenameOrganization c => state.Exists(at).Name == c.Name ? [] : [new OrganizationRenamed(c.Name)],
        AddOwner c => state.Exists(at).Owners.Contains(c.Owner) ? [] : [new OrganizationOwnerAdded(c.Owner)],
        RemoveOwner c => state.Exists(at).Remove(c),
        SuspendOrganization c => state.Exists(at).Status == OrganizationStatus.Suspended ? [] : [new OrganizationSuspended(c.Reason)],
        ReactivateOrganization => state.Exists(at).Status == OrganizationStatus.Active ? [] : [new OrganizationReactivated()],
        ScheduleClosure c => state.Exists(at).Schedule(c, at),
        CancelClosure c => state.Exists(at).Cancel(c),
        CloseOrganization => state.Close(at),
        ChangeTerms c => state.Exists(at).Change(c),
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    /// <summary>Whether its people and keys get in at that time. A closure counts from its time on, whether or not it has been carried out.</summary>
    public bool IsOpen(DateTimeOffset now) => Status == OrganizationStatus.Active && !(ClosesAt <= now);

    // That a slug is free on the whole platform is the directory's business, not a claim: claims are unique within one tenant.
    private Event<Organization>[] Found(FoundOrganization c)
    {
        if (Status == OrganizationStatus.None) return [new OrganizationFounded(c.Name, c.Slug, c.Owner)];
        return Name == c.Name && Slug == c.Slug && Owners.SetEquals([c.Owner])
            ? []
            : throw new Refused(RefusalKind.Conflict, "organization.exists", "Another organization has this id.");
    }

    private Event<Organization>[] Remove(RemoveOwner c) =>
        !Owners.Contains(c.Owner) ? []
        : Owners.Count > 1 ? [new OrganizationOwnerRemoved(c.Owner)]
        : throw new Refused(RefusalKind.Conflict, "organization.last_owner", "An organization is never without an owner: make another one first, or close the organization.");

    private Event<Organization>[] Schedule(ScheduleClosure c, Context at)
    {
        if (ClosesAt is not null && (!c.ByOperator || (ClosesAt == c.ClosesAt && ClosesByOperator))) return [];
        return c.ClosesAt >= at.Now
            ? [new OrganizationClosureScheduled(c.ClosesAt, c.Reason, c.ByOperator)]
            : throw new Refused(RefusalKind.Invalid, "organization.closure_past", "A closure lies ahead.", "closesAt");
    }

    private Event<Organization>[] Cancel(CancelClosure c) =>
        ClosesAt is null ? []
        : c.ByOperator || !ClosesByOperator ? [new OrganizationClosureCancelled()]
        : throw new Refused(RefusalKind.Denied, "organization.closure_by_operator", "An operator closes the organization, so only an operator takes that back.");

    private List<Event<Organization>> Change(ChangeTerms c)
    {
        var events = new List<Event<Organization>>();
        if (c.Plan is { } plan && plan != Plan) events.Add(new OrganizationPlanChanged(plan));
        if (c.Limits?.Checked() is { } limits && limits != (Limits ?? OrganizationLimits.None)) events.Add(new OrganizationLimitsSet(limits));
        return events;
    }

    private Event<Organization>[] Close(Context at) =>
        Status is OrganizationStatus.Active or OrganizationStatus.Suspended && ClosesAt <= at.Now ? [new OrganizationClosed()] : [];

    // Whom nobody gets into any more is closed, also in the minute until that is recorded: nothing brings it back.
    private Organization Exists(Context at) => Status switch
    {
        OrganizationStatus.None => throw new Refused(RefusalKind.Missing, "organization.missing", "There is no such organization."),
        _ when Status == OrganizationStatus.Closed || ClosesAt <= at.Now => throw new Refused(RefusalKind.Denied, "organization.closed", "The organization is closed."),
        _ => this,
    };
}
