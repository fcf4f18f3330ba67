using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Nubabel.Domain.Users;

namespace Nubabel.Domain.Organizations;

public sealed record OrganizationFounded(OrganizationName Name, Slug Slug, Id<User> Owner) : Event<Organization>;
public sealed record OrganizationRenamed(OrganizationName Name) : Event<Organization>;

public sealed record FoundOrganization(OrganizationName Name, Slug Slug, Id<User> Owner) : Command<Organization>;
public sealed record RenameOrganization(OrganizationName Name) : Command<Organization>;

/// <summary>Where a tenant is in its life.</summary>
[JsonConverter(typeof(OrganizationStatusConverter))]
public enum OrganizationStatus { None, Active }

internal sealed class OrganizationStatusConverter() : WordConverter<OrganizationStatus>("organization.status_invalid");

/// <summary>
/// A tenant. Its owners are a set here, beside the role on each user, because "never without an owner" is a rule over all of them: a
/// change of role that touches an owner appends to this stream and the user's together.
/// </summary>
public sealed record Organization(OrganizationStatus Status, OrganizationName? Name, Slug? Slug, ImmutableHashSet<Id<User>> Owners) : IAggregate<Organization>
{
    public static string Kind => "organization";
    public static Organization Initial { get; } = new(OrganizationStatus.None, null, null, []);

    public static Organization Evolve(Organization state, Event<Organization> e) => e switch
    {
        OrganizationFounded f => new Organization(OrganizationStatus.Active, f.Name, f.Slug, [f.Owner]),
        OrganizationRenamed r => state with { Name = r.Name },
        _ => state,
    };

    public static IReadOnlyList<Event<Organization>> Decide(Organization state, Command<Organization> command, Context at) => command switch
    {
        FoundOrganization c => state.Found(c),
        RenameOrganization c => state.Rename(c),
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    // That a slug is free on the whole platform is the directory's business, not a claim: claims are unique within one tenant.
    private Event<Organization>[] Found(FoundOrganization c)
    {
        if (Status == OrganizationStatus.None) return [new OrganizationFounded(c.Name, c.Slug, c.Owner)];
        return Name == c.Name && Slug == c.Slug && Owners.SetEquals([c.Owner])
            ? []
            : throw new Refused(RefusalKind.Conflict, "organization.exists", "Another organization has this id.");
    }

    private Event<Organization>[] Rename(RenameOrganization c) => Status switch
    {
        OrganizationStatus.Active when Name == c.Name => [],
        OrganizationStatus.Active => [new OrganizationRenamed(c.Name)],
        _ => throw new Refused(RefusalKind.Missing, "organization.missing", "There is no such organization."),
    };
}
