using Nubabel.Domain;
using Nubabel.Domain.Users;

namespace Nubabel.Api.Erasures;

/// <summary>Whether somebody's data must be kept for a legal reason, whatever the person wishes.</summary>
public sealed class LegalHolds
{
    /// <summary>Whether there is a hold on a person, or on the whole organization.</summary>
    public Task<bool> IsOn(string tenant, Id<User> person, CancellationToken ct) => Task.FromResult(false);
}
