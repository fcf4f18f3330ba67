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

    private static RegisterUser Register() => new(Email, "key", Name, "hash", Role.Member);
    private static UserRegistered Registered() => new(Email, "key", Name, "hash", Role.Member);
}
