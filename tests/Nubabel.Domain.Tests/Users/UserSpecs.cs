using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Users;

public sealed class UserSpecs : Spec<User>
{
    private static readonly Personal Email = new("user-1", "ZW1haWw");
    private static readonly Personal Name = new("user-1", "bmFtZQ");

    [Fact]
    public void A_user_registers() => Given().When(Register()).Then(Registered());

    [Fact]
    public void Registering_once_more_with_another_salt_changes_nothing() => Given(Registered()).When(Register() with { PasswordHash = "other salt" }).Nothing();

    [Fact]
    public void An_id_is_not_used_for_another_address() =>
        Given(Registered()).When(Register() with { EmailKey = "another" }).Refused("user.exists", RefusalKind.Conflict);

    [Fact]
    public void An_id_is_not_used_for_another_role() =>
        Given(Registered()).When(Register() with { Role = Role.Owner }).Refused("user.exists", RefusalKind.Conflict);

    [Fact]
    public void An_id_is_not_used_for_another_name() =>
        Given(Registered()).When(Register() with { Name = new Personal("user-1", "b3RoZXI") }).Refused("user.exists", RefusalKind.Conflict);

    [Fact]
    public void A_user_is_renamed() =>
        Given(Registered()).When(new RenameUser(new Personal("user-1", "b3RoZXI"))).Then(new UserRenamed(new Personal("user-1", "b3RoZXI")));

    [Fact]
    public void The_same_sealed_name_is_no_change() => Given(Registered()).When(new RenameUser(Name)).Nothing();

    [Fact]
    public void A_user_that_never_was_is_missing() => Given().When(new RenameUser(Name)).Refused("user.missing", RefusalKind.Missing);

    [Fact]
    public void A_user_holds_the_key_of_the_address_and_not_the_address() => Given(Registered()).Holds("email=key");

    [Fact]
    public void No_user_holds_nothing() => Given().Holds();

    [Fact]
    public void A_role_is_changed() => Given(Registered()).When(new ChangeRole(Role.Admin)).Then(new UserRoleChanged(Role.Admin));

    [Fact]
    public void The_same_role_is_no_change() => Given(Registered()).When(new ChangeRole(Role.Member)).Nothing();

    [Fact]
    public void A_user_is_suspended_and_reinstated()
    {
        Given(Registered()).When(new SuspendUser()).Then(new UserSuspended(null));
        Given(Registered(), new UserSuspended(null)).When(new SuspendUser()).Nothing();
        Given(Registered(), new UserSuspended(null)).When(new ReinstateUser()).Then(new UserReinstated());
        Given(Registered()).When(new ReinstateUser()).Nothing();
    }

    [Fact]
    public void A_suspended_user_keeps_the_address() => Given(Registered(), new UserSuspended(null)).Holds("email=key");

    [Fact]
    public void A_suspended_user_changes_nothing_of_the_own_account() => Given(Registered(), new UserSuspended(null)).When(new RenameUser(Name)).Refused("user.missing", RefusalKind.Missing);

    [Fact]
    public void A_user_leaves_once()
    {
        Given(Registered()).When(new LeaveOrganization()).Then(new UserLeft());
        Given(Registered(), new UserLeft()).When(new LeaveOrganization()).Nothing();
    }

    [Fact]
    public void A_user_is_removed_and_frees_the_address()
    {
        Given(Registered()).When(new RemoveUser(Named.Text("gone"))).Then(new UserRemoved(Named.Text("gone")));
        Given(Registered(), new UserRemoved(null)).Holds();
    }

    [Fact]
    public void A_removed_user_has_no_role_to_change() => Given(Registered(), new UserLeft()).When(new ChangeRole(Role.Admin)).Refused("user.missing", RefusalKind.Missing);

    [Fact]
    public void A_password_is_changed() => Given(Registered()).When(new ChangePassword("hash", "new")).Then(new UserPasswordChanged("new"));

    [Fact]
    public void Of_two_changes_of_the_password_at_once_one_is_refused() =>
        Given(Registered(), new UserPasswordChanged("faster")).When(new ChangePassword("hash", "new")).Refused("user.password_changed", RefusalKind.Conflict);

    [Fact]
    public void A_hash_is_renewed_while_the_password_stays()
    {
        Given(Registered()).When(new RehashPassword("hash", "new")).Then(new UserPasswordRehashed("new"));
        Given(Registered(), new UserPasswordChanged("other")).When(new RehashPassword("hash", "new")).Nothing();
    }

    [Fact]
    public void A_reset_is_requested_and_the_last_link_counts_once()
    {
        Given(Registered()).When(new RequestPasswordReset("t1", Noon.AddMinutes(30))).Then(Requested("t1"));
        Given(Registered(), Requested("t1"), Requested("t2")).When(new ResetPassword("t1", "new")).Refused("password_reset.token_invalid", RefusalKind.Invalid);
        Given(Registered(), Requested("t1")).When(new ResetPassword("t1", "new")).Then(new UserPasswordReset("t1", "new"));
        Given(Registered(), Requested("t1"), new UserPasswordReset("t1", "new")).When(new ResetPassword("t1", "newer")).Refused("password_reset.token_invalid", RefusalKind.Invalid);
    }

    [Fact]
    public void A_link_runs_out() => Given(Registered(), Requested("t1")).At(Noon.AddMinutes(30)).When(new ResetPassword("t1", "new")).Refused("password_reset.token_invalid", RefusalKind.Invalid);

    [Fact]
    public void A_changed_password_ends_the_link() =>
        Given(Registered(), Requested("t1"), new UserPasswordChanged("new")).When(new ResetPassword("t1", "newer")).Refused("password_reset.token_invalid", RefusalKind.Invalid);

    [Fact]
    public void Only_sessions_of_the_password_of_now_are_admitted_and_the_one_that_changed_it()
    {
        var (kept, other) = (new Id<Domain.Sessions.Session>(Guid.Parse("01936d5e-5a11-7d55-9a1f-7c2e3d4b5a60")), new Id<Domain.Sessions.Session>(Guid.Parse("01936d5e-5a11-7d55-9a1f-7c2e3d4b5a61")));
        Assert.True(Given(Registered()).State.Admits(other, 0));
        Given(Registered()).When(new ChangePassword("hash", "new", kept)).Then(new UserPasswordChanged("new", kept));
        var changed = Given(Registered(), new UserPasswordChanged("new", kept)).State;
        Assert.Equal((true, false, true), (changed.Admits(kept, 0), changed.Admits(other, 0), changed.Admits(other, 1)));
        var reset = Given(Registered(), new UserPasswordChanged("new", kept), Requested("t1"), new UserPasswordReset("t1", "newer")).State;
        Assert.Equal((false, false, true), (reset.Admits(kept, 0), reset.Admits(other, 1), reset.Admits(other, 2)));
        Assert.True(Given(Registered(), new UserPasswordRehashed("stronger")).State.Admits(other, 0));
        Assert.False(Given(Registered(), new UserSuspended(null)).State.Admits(other, 0));
    }

    private static UserPasswordResetRequested Requested(string token) => new(token, Noon.AddMinutes(30));
    private static RegisterUser Register() => new(Email, "key", Name, "hash", Role.Member);
    private static UserRegistered Registered() => new(Email, "key", Name, "hash", Role.Member);
}
