using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Organizations;

public sealed class OrganizationSpecs : Spec<Organization>
{
    private static readonly Id<User> Ann = Id<User>.Parse("019a0000-0000-7000-8000-00000000000a");
    private static readonly Id<User> Bob = Id<User>.Parse("019a0000-0000-7000-8000-00000000000b");

    [Fact]
    public void An_organization_is_founded_with_its_first_owner()
    {
        Given().When(Found()).Then(Founded());
        Assert.Equal([Ann], Given(Founded()).State.Owners);
    }

    [Fact]
    public void Founding_it_once_more_changes_nothing() => Given(Founded()).When(Found()).Nothing();

    [Fact]
    public void An_id_is_not_used_for_another_slug() =>
        Given(Founded()).When(Found() with { Slug = Slug.Parse("globex") }).Refused("organization.exists", RefusalKind.Conflict);

    [Fact]
    public void An_id_is_not_used_for_another_owner() => Given(Founded()).When(Found() with { Owner = Bob }).Refused("organization.exists", RefusalKind.Conflict);

    [Fact]
    public void An_id_is_not_used_for_another_name() => Given(Founded()).When(Found() with { Name = Name("Globex") }).Refused("organization.exists", RefusalKind.Conflict);

    [Fact]
    public void An_organization_is_renamed() => Given(Founded()).When(new RenameOrganization(Name("Globex"))).Then(new OrganizationRenamed(Name("Globex")));

    [Fact]
    public void A_new_name_leaves_slug_and_owners_alone()
    {
        var state = Given(Founded(), new OrganizationRenamed(Name("Globex"))).State;
        Assert.Equal(("Globex", "acme", 1), (state.Name?.Value, state.Slug?.Value, state.Owners.Count));
    }

    [Fact]
    public void The_same_name_is_no_change() => Given(Founded()).When(new RenameOrganization(Name("Acme"))).Nothing();

    [Fact]
    public void An_organization_that_never_was_is_missing() =>
        Given().When(new RenameOrganization(Name("Acme"))).Refused("organization.missing", RefusalKind.Missing);

    [Fact]
    public void A_slug_is_the_directorys_and_no_claim() => Given(Founded()).Holds();

    private static FoundOrganization Found() => new(Name("Acme"), Slug.Parse("acme"), Ann);
    private static OrganizationFounded Founded() => new(Name("Acme"), Slug.Parse("acme"), Ann);
    private static OrganizationName Name(string name) => OrganizationName.Parse(name);
}
