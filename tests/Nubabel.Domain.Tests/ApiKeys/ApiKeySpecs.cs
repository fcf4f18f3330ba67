using Nubabel.Domain.ApiKeys;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.ApiKeys;

public sealed class ApiKeySpecs : Spec<ApiKey>
{
    private static readonly Actor Ann = Actor.User(Guid.Parse("019a0000-0000-7000-8000-00000000000a"));
    private static readonly IReadOnlyList<Scope> Scopes = [Scope.Parse("members:read"), Scope.Parse("audit:read")];
    private static readonly DateTimeOffset Expires = Noon.AddDays(30);

    protected override Actor Actor => Ann;

    [Fact]
    public void A_key_remembers_its_maker() => Given().When(Make()).Then(Made());

    [Fact]
    public void An_operator_makes_keys_too()
    {
        var op = Actor.Operator(Guid.Empty);
        Given().By(op).When(Make()).Then(Made() with { Maker = op.ToString() });
    }

    [Theory]
    [InlineData("system")]
    [InlineData("key")]
    public void Nobody_else_makes_keys(string kind) => Given().By(new Actor(kind, "x")).When(Make()).Refused("api_key.maker_required", RefusalKind.Denied);

    [Fact]
    public void Making_it_once_more_changes_nothing_whatever_place_is_free_then() => Given(Made()).When(Make() with { Slot = 9 }).Nothing();

    [Fact]
    public void An_id_is_not_used_for_another_key() => Given(Made()).When(Make() with { SecretHash = "h9" }).Refused("api_key.exists", RefusalKind.Conflict);

    [Fact]
    public void A_key_expires_within_five_years()
    {
        Given().When(Make() with { ExpiresAt = Noon.AddYears(5) }).Then(Made() with { ExpiresAt = Noon.AddYears(5) });
        Given().When(Make() with { ExpiresAt = null }).Then(Made() with { ExpiresAt = null });
        Given().When(Make() with { ExpiresAt = Noon.AddYears(5).AddTicks(1) }).Refused("api_key.expiry_invalid", RefusalKind.Invalid);
        Given().When(Make() with { ExpiresAt = Noon }).Refused("api_key.expiry_invalid", RefusalKind.Invalid);
    }

    [Fact]
    public void A_key_has_one_to_fifty_scopes_each_once()
    {
        IReadOnlyList<Scope> fifty = [.. Enumerable.Range(0, 50).Select(Numbered)];
        Given().When(Make() with { Scopes = fifty }).Then(Made() with { Scopes = fifty });
        foreach (var wrong in new IReadOnlyList<Scope>[] { [], [.. fifty, Numbered(50)], [Scopes[0], Scopes[1], Scopes[0]] })
            Given().When(Make() with { Scopes = wrong }).Refused("api_key.scopes_invalid", RefusalKind.Invalid);

        static Scope Numbered(int i) => Scope.Parse($"members:{(char)('a' + i / 26)}{(char)('a' + i % 26)}");
    }

    [Fact]
    public void A_living_key_holds_its_name_and_its_place_and_a_revoked_one_neither()
    {
        Given(Made()).Holds("api-key-name=nightly", "api-key-slot=3");
        Given(Made(), Rotated(1, 60)).Holds("api-key-name=nightly", "api-key-slot=3");
        Given(Made(), new ApiKeyRevoked()).Holds();
        Given().Holds();
    }

    [Fact]
    public void A_rotation_gives_the_next_generation_and_lets_the_old_one_work_for_a_while() => Given(Made()).When(Rotate(0, 3600)).Then(Rotated(1, 3600));

    [Fact]
    public void Without_an_overlap_the_old_one_ends_at_once() => Given(Made()).When(Rotate(0, 0)).Then(Rotated(1, 0));

    [Theory]
    [InlineData(-1)]
    [InlineData(604_801)]
    public void An_overlap_is_no_longer_than_a_week(int seconds)
    {
        Given(Made()).When(Rotate(0, 604_800)).Then(Rotated(1, 604_800));
        Given(Made()).When(Rotate(0, seconds)).Refused("api_key.overlap_invalid", RefusalKind.Invalid);
    }

    [Fact]
    public void All_who_rotate_one_generation_get_one_successor() => Given(Made(), Rotated(1, 60)).When(Rotate(0, 0)).Nothing();

    [Fact]
    public void A_rotation_that_is_repeated_within_half_a_minute_is_the_same_one()
    {
        Given(Made(), Rotated(1, 60)).At(Noon.AddSeconds(29)).When(Rotate(1, 60)).Nothing();
        Given(Made(), Rotated(1, 0)).At(Noon.AddSeconds(29)).When(Rotate(1, 0)).Nothing();
        Given(Made(), Rotated(1, 60)).At(Noon.AddSeconds(30)).When(Rotate(1, 60)).Then(Rotated(2, 60, Noon.AddSeconds(30)));
    }

    [Fact]
    public void A_rotation_that_wants_another_overlap_is_another_one() => Given(Made(), Rotated(1, 3600)).When(Rotate(1, 0)).Then(Rotated(2, 0));

    [Fact]
    public void A_generation_that_is_gone_is_not_rotated() => Given(Made(), Rotated(1, 60), Rotated(2, 60)).When(Rotate(0, 5)).Refused("api_key.rotated", RefusalKind.Conflict);

    [Fact]
    public void Only_the_secret_before_the_last_rotation_overlaps()
    {
        var state = Given(Made(), Rotated(1, 3600), Rotated(2, 0)).State;
        Assert.Equal((2, "h2", new ReplacedSecret("h1", Noon, 0)), (state.Generation, state.SecretHash, state.Replaced));
    }

    [Fact]
    public void A_revoked_or_expired_key_is_not_rotated()
    {
        Given(Made(), new ApiKeyRevoked()).When(Rotate(0, 0)).Refused("api_key.revoked", RefusalKind.Conflict);
        Given(Made()).At(Expires).When(Rotate(0, 0)).Refused("api_key.expired", RefusalKind.Conflict);
        Given(Made()).At(Expires.AddTicks(-1)).When(Rotate(0, 0)).Then(Rotated(1, 0, Expires.AddTicks(-1)));
    }

    [Fact]
    public void A_revocation_is_one_fact()
    {
        Given(Made()).When(new RevokeApiKey()).Then(new ApiKeyRevoked());
        Given(Made(), new ApiKeyRevoked()).When(new RevokeApiKey()).Nothing();
        Given(Made()).At(Expires.AddDays(1)).When(new RevokeApiKey()).Then(new ApiKeyRevoked());
    }

    [Fact]
    public void What_was_never_made_is_missing()
    {
        Given().When(Rotate(0, 0)).Refused("api_key.missing", RefusalKind.Missing);
        Given().When(new RevokeApiKey()).Refused("api_key.missing", RefusalKind.Missing);
    }

    [Theory]
    [InlineData("members:read", true)]
    [InlineData("platform:tenants-read", true)]
    [InlineData("members", false)]
    [InlineData("members:", false)]
    [InlineData("Members:read", false)]
    [InlineData("members:read\n", false)]
    [InlineData("members:*", false)]
    [InlineData("", false)]
    public void A_scope_is_written_like_a_permission(string text, bool valid) => Assert.Equal(valid, Scope.TryParse(text, out _));

    private static MakeApiKey Make() => new(ApiKeyName.Parse("Nightly"), Scopes, "h0", 3, Expires);
    private static ApiKeyMade Made() => new(ApiKeyName.Parse("Nightly"), Scopes, "h0", Ann.ToString(), 3, Expires);
    private static RotateApiKey Rotate(int generation, int overlap) => new(generation, $"h{generation + 1}", overlap);
    private static ApiKeyRotated Rotated(int generation, int overlap, DateTimeOffset? at = null) => new(generation, $"h{generation}", (at ?? Noon).AddSeconds(overlap), overlap);
}
