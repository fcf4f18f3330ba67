using Nubabel.Domain;
using Nubabel.Domain.Users;
using Nubabel.Projections.Members;
using Nubabel.Testing;

namespace Nubabel.Projections.Tests.Members;

public sealed class MemberListTests
{
    private static readonly Id<User> Id = Id<User>.Parse("0198aaaa-0000-7000-8000-000000000002");
    private static readonly Personal Email = new($"user-{Id}", "bWFpbA"), Ada = new($"user-{Id}", "QWRh"), Grace = new($"user-{Id}", "R3JhY2U");
    private static readonly UserRegistered Registered = new(Email, "key", Ada, "hash", Role.Member);
    private static readonly MemberRow Row = new(Id, Ada, Role.Member, Email, UserStatus.Active, Given.Noon);

    [Fact]
    public void Whoever_registers_is_a_member() => Shows(Row, Registered);

    [Fact]
    public void A_member_is_shown_with_the_latest_name_and_role() =>
        Shows(Row with { Name = Grace, Role = Role.Admin }, Registered, new UserRenamed(Grace), new UserRoleChanged(Role.Admin));

    [Fact]
    public void A_suspended_member_is_shown_as_that_and_comes_back()
    {
        Shows(Row with { Status = UserStatus.Suspended }, Registered, new UserSuspended(Named.Text("on leave")));
        Shows(Row, Registered, new UserSuspended(null), new UserReinstated());
    }

    [Fact]
    public void Who_has_left_or_was_removed_is_not_shown()
    {
        Shows(null, Registered, new UserLeft());
        Shows(null, Registered, new UserRemoved(null));
    }

    [Fact]
    public void Nothing_of_nobody_is_shown() => Shows(null, new UserRoleChanged(Role.Owner), new UserReinstated());

    private static void Shows(MemberRow? row, params Event<User>[] events) => Assert.Equal(row, Given.Fold<MemberRow>(MemberList.Evolve, Given.Stream(Id, events)));
}
