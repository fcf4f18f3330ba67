using System.Collections.Frozen;
using Nubabel.Domain.Users;

namespace Nubabel.Api.Host;

/// <summary>One permission: what endpoints ask for and roles and keys hold.</summary>
/// <param name="Name"><c>resource:action</c>; those of the operators' realm begin with <c>platform:</c>.</param>
/// <param name="Allows">What its holder may do, for people.</param>
/// <param name="Roles">The roles that hold it.</param>
/// <param name="ForKeys">Whether an API key can hold it. What belongs to a person, or would let a key make others, it cannot.</param>
public sealed record Permission(string Name, string Allows, IReadOnlyList<string> Roles, bool ForKeys);

/// <summary>The one table of roles and permissions. Endpoints name permissions, never roles.</summary>
public static class Permissions
{
    /// <summary>The role of everybody in the operators' realm.</summary>
    public const string Operator = "operator";

    private static readonly string[] Everyone = ["owner", "admin", "member", "viewer"];
    private static readonly string[] Members = ["owner", "admin", "member"];
    private static readonly string[] Admins = ["owner", "admin"];
    private static readonly string[] Owners = ["owner"];
    private static readonly string[] Operators = [Operator];

    public static IReadOnlyList<Permission> All { get; } =
    [
        new("user:read", "see the own account", Everyone, ForKeys: false),
        new("user:write", "change the own account, its password included, and leave", Everyone, ForKeys: false),
        new("user:erase", "have the own account and all that is held on oneself erased", Everyone, ForKeys: false),
        new("user:export", "take away everything that is held on oneself", Everyone, ForKeys: false),
        new("user:consents", "see, give and withdraw the own consents", Everyone, ForKeys: false),
        new("organization:export", "take away everything that is held in the organization", Owners, ForKeys: false),
        new("sessions:read", "see the own sessions", Everyone, ForKeys: false),
        new("sessions:write", "end the own sessions", Everyone, ForKeys: false),
        new("organization:read", "see the organization", Everyone, ForKeys: true),
        new("organization:write", "rename the organization", Admins, ForKeys: true),
        new("organization:close", "close the organization, and take that back", Owners, ForKeys: false),
        new("members:read", "see the organization's members", Everyone, ForKeys: true),
        new("members:write", "change roles, suspend and remove members who are no owners", Admins, ForKeys: true),
        new("admins:write", "make admins: no key can, or it would soon hold more than its scopes", Admins, ForKeys: false),
        new("owners:write", "make owners, and demote, suspend or remove them", Owners, ForKeys: false),
        new("invitations:read", "see open invitations", Admins, ForKeys: true),
        new("invitations:write", "invite, and withdraw invitations", Admins, ForKeys: true),
        new("api-keys:read", "see the organization's API keys", Admins, ForKeys: true),
        new("api-keys:write", "make, rotate and revoke API keys, with no more than the own permissions", Admins, ForKeys: false),
        new("devices:read", "see the own devices", Everyone, ForKeys: false),
        new("devices:write", "register and change the own devices", Members, ForKeys: false),
        new("flags:read", "evaluate feature flags", Everyone, ForKeys: true),
        new("jobs:read", "see the jobs that one has started", Everyone, ForKeys: true),
        new("jobs:write", "cancel the jobs that one has started", Everyone, ForKeys: true),
        new("jobs:read-all", "see the organization's jobs", Admins, ForKeys: true),
        new("jobs:write-all", "cancel the organization's jobs", Admins, ForKeys: true),
        new("webhooks:read", "see the sources of webhooks, with their addresses", Admins, ForKeys: true),
        new("webhooks:write", "add and remove sources of webhooks, replace their secrets", Admins, ForKeys: true),
        new("consumers:read", "see the organization's consumers and their deliveries", Admins, ForKeys: true),
        // An endpoint is told names and addresses that a key's other scopes may not reach.
        new("consumers:write", "make, change, test and remove consumers, and have events sent again", Admins, ForKeys: false),
        new("consents:read", "see what personal data are used for, and who has agreed", Admins, ForKeys: true),
        new("consents:write", "declare, change and retire what personal data are used for", Admins, ForKeys: true),
        new("processing-records:read", "read the record of processing activities", Admins, ForKeys: true),
        new("processing-records:write", "keep the record of processing activities", Admins, ForKeys: true),
        new("breaches:read", "see the breaches of personal data that the organization was told of", Owners, ForKeys: true),
        new("legal-holds:read", "see the organization's legal holds", Owners, ForKeys: false),
        new("legal-holds:write", "place legal holds, and release those that no operator has placed", Owners, ForKeys: false),
        new("retention:read", "see how long what is kept, and the runs of retention", Admins, ForKeys: true),
        new("retention:write", "change how long what is kept, and run retention now", Owners, ForKeys: false),
        new("audit:read", "read the organization's audit trail", Admins, ForKeys: true),
        new("audit:read-own", "read what one did oneself", Everyone, ForKeys: true),

        new("platform:sessions", "end the own session", Operators, ForKeys: false),
        new("platform:api-keys", "make, rotate and revoke operators' API keys", Operators, ForKeys: false),
        new("platform:tenants-read", "see organizations", Operators, ForKeys: true),
        new("platform:tenants-write", "suspend, reactivate and close organizations, set their plan and limits", Operators, ForKeys: true),
        new("platform:erasures", "see erasures", Operators, ForKeys: true),
        new("platform:erasures-write", "erase a person who asked by other means", Operators, ForKeys: false),
        new("platform:legal-holds", "see the legal holds of all organizations", Operators, ForKeys: false),
        new("platform:legal-holds-write", "place and release legal holds in any organization", Operators, ForKeys: false),
        new("platform:retention", "see how long what is kept, and the runs of retention of all organizations", Operators, ForKeys: true),
        new("platform:retention-write", "change how long what is kept, and run retention in any organization", Operators, ForKeys: false),
        new("platform:flags-read", "see feature flags", Operators, ForKeys: true),
        new("platform:flags-write", "change feature flags", Operators, ForKeys: true),
        new("platform:audit", "read the audit trail of the platform and of any organization", Operators, ForKeys: true),
        new("platform:processing-records", "read the platform's record of processing activities", Operators, ForKeys: true),
        new("platform:processing-records-write", "keep the platform's record of processing activities", Operators, ForKeys: true),
        new("platform:breaches", "read the register of breaches: for people, since it may name some", Operators, ForKeys: false),
        new("platform:breaches-write", "keep the register of breaches, and tell who is affected", Operators, ForKeys: false),
        new("platform:jobs", "see the jobs of all organizations and of the platform", Operators, ForKeys: true),
        new("platform:jobs-write", "cancel jobs of any organization and of the platform", Operators, ForKeys: true),
        new("platform:migrations", "see schema migrations", Operators, ForKeys: true),
        new("platform:circuit-breakers", "see circuit breakers", Operators, ForKeys: true),
        new("platform:projections", "see projections", Operators, ForKeys: true),
        new("platform:projections-write", "pause, resume and rebuild projections, retry and skip parked events", Operators, ForKeys: true),
        new("platform:messages", "see queues and dead letters, their bodies with personal values sealed", Operators, ForKeys: true),
        new("platform:messages-write", "replay and discard dead letters", Operators, ForKeys: true),
        new("platform:messages-personal", "open the personal values of dead letters: for people, and each time is recorded", Operators, ForKeys: false),
    ];

    private static readonly FrozenDictionary<string, FrozenSet<string>> ByRole = Everyone.Append(Operator)
        .ToFrozenDictionary(role => role, role => All.Where(p => p.Roles.Contains(role)).Select(p => p.Name).ToFrozenSet());

    private static readonly FrozenDictionary<string, Permission> ByName = All.ToFrozenDictionary(p => p.Name);

    public static IEnumerable<string> Roles => Everyone.Append(Operator);

    public static Permission? Find(string name) => ByName.GetValueOrDefault(name);

    /// <summary>A role as tokens and the table name it.</summary>
    public static string Name(Role role) => System.Text.Json.JsonNamingPolicy.CamelCase.ConvertName(role.ToString());

    public static FrozenSet<string> Of(string role) => ByRole.GetValueOrDefault(role, FrozenSet<string>.Empty);
}
