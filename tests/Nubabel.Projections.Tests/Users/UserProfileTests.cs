using Nubabel.Domain;
using Nubabel.Domain.Users;
using Nubabel.Projections.Users;

namespace Nubabel.Projections.Tests.Users;

public sealed class UserProfileTests
{
    private static readonly Id<User> Id = Id<User>.Parse("0198aaaa-0000-7000-8000-000000000002");
    private static readonly Personal Email = Sealed("bWFpbA"), Ada = Sealed("QWRh"), Grace = Sealed("R3JhY2U");

    [Fact]
    public void A_profile_shows_the_latest_name()
    {
        var events = Given.Stream<User>(Id, new UserRegistered(Email, "key", Ada, "hash", Role.Owner), new UserRenamed(Grace));
        Assert.Equal(new UserProfile(Id, Ada, Role.Owner, Email, UserStatus.Active, Given.Noon), Given.Fold<UserProfile>(UserProfile.Evolve, events.Take(1)));
        Assert.Equal(new UserProfile(Id, Grace, Role.Owner, Email, UserStatus.Active, Given.Noon), Given.Fold<UserProfile>(UserProfile.Evolve, events));
    }

    [Fact]
    public void A_profile_shows_the_role_and_status_of_now()
    {
        var events = Given.Stream<User>(Id, new UserRegistered(Email, "key", Ada, "hash", Role.Owner), new UserRoleChanged(Role.Viewer), new UserSuspended(null), new UserReinstated(), new UserLeft());
        var shown = Enumerable.Range(1, 5).Select(count => Given.Fold<UserProfile>(UserProfile.Evolve, events.Take(count))!);
        Assert.Equal(
            [(Role.Owner, UserStatus.Active), (Role.Viewer, UserStatus.Active), (Role.Viewer, UserStatus.Suspended), (Role.Viewer, UserStatus.Active), (Role.Viewer, UserStatus.Removed)],
            shown.Select(profile => (profile.Role, profile.Status)));
    }

    [Fact]
    public void Nobody_has_no_profile() => Assert.Null(Given.Fold<UserProfile>(UserProfile.Evolve, Given.Stream<User>(Id, new UserRenamed(Grace))));

    private static Personal Sealed(string cipher) => new($"user-{Id}", cipher);
}
