namespace Nubabel.Domain.Organizations;

/// <summary>Bounds of one organization where they differ from the platform's; null where they do not.</summary>
/// <param name="RequestsPerMinute">Of all its users and keys together.</param>
/// <param name="UserRequestsPerMinute">Of each user and each key.</param>
/// <param name="Members">Accounts that are not removed, open invitations included.</param>
/// <param name="ApiKeys">Keys that count.</param>
public sealed record OrganizationLimits(int? RequestsPerMinute = null, int? UserRequestsPerMinute = null, int? Members = null, int? ApiKeys = null);
