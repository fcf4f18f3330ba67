namespace Nubabel.Domain.Organizations;

/// <summary>Bounds of one organization where they differ from the platform's; null where they do not.</summary>
/// <param name="RequestsPerMinute">Of all its users and keys together.</param>
/// <param name="UserRequestsPerMinute">Of each user and each key.</param>
/// <param name="Members">Accounts that are not removed, open invitations included.</param>
/// <param name="ApiKeys">Keys that count.</param>
public sealed record OrganizationLimits(int? RequestsPerMinute = null, int? UserRequestsPerMinute = null, int? Members = null, int? ApiKeys = null)
{
    public const int MostRequests = 1_000_000;
    public const int MostMembers = 1_000_000;
    public const int MostApiKeys = 10_000;

    /// <summary>The platform's bounds in everything.</summary>
    public static OrganizationLimits None { get; } = new();

    /// <summary>These limits, where each is one that can be kept.</summary>
    /// <exception cref="Refused"><c>organization.limits_invalid</c>.</exception>
    internal OrganizationLimits Checked()
    {
        Check(RequestsPerMinute, 1, MostRequests, "requestsPerMinute");
        Check(UserRequestsPerMinute, 1, MostRequests, "userRequestsPerMinute");
        Check(Members, 1, MostMembers, "members");
        // None at all is a plan of its own.
        Check(ApiKeys, 0, MostApiKeys, "apiKeys");
        return this;
    }

    private static void Check(int? value, int least, int most, string member)
    {
        if (value < least || value > most) throw new Refused(RefusalKind.Invalid, "organization.limits_invalid", $"The limit is {least} to {most}.", $"limits.{member}");
    }
}
