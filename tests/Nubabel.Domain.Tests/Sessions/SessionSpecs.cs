using Nubabel.Domain.Sessions;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Sessions;

public sealed class SessionSpecs : Spec<Session>
{
    private static readonly Actor Ann = Actor.User(Guid.Parse("019a0000-0000-7000-8000-00000000000a"));
    private static readonly Actor Bob = Actor.User(Guid.Parse("019a0000-0000-7000-8000-00000000000b"));
    private static readonly DateTimeOffset Expires = Noon.AddDays(1);
    private static readonly DateTimeOffset Ends = Noon.AddDays(30);
    private static readonly DateTimeOffset Replayable = Noon.AddSeconds(30);

    protected override Actor Actor => Ann;

    [Fact]
    public void Who_signs_in_holds_the_session() => Given().When(Open()).Then(Opened());

    [Fact]
    public void An_operator_signs_in_too()
    {
        var op = Actor.Operator(Guid.Empty);
        Given().By(op).When(Open()).Then(Opened() with { Holder = op.ToString() });
    }

    [Theory]
    [InlineData("system")]
    [InlineData("key")]
    public void Nobody_else_signs_in(string kind) => Given().By(new Actor(kind, "x")).When(Open()).Refused("session.holder_required", RefusalKind.Denied);

    [Fact]
    public void Address_and_agent_are_kept_sealed()
    {
        var (ip, agent) = (new Personal("user-1", "aXA"), new Personal("user-1", "dWE"));
        Given().When(Open() with { Ip = ip, UserAgent = agent }).Then(Opened() with { Ip = ip, UserAgent = agent });
    }

    [Fact]
    public void No_expiry_lies_behind_the_end() => Given().When(Open() with { ExpiresAt = Ends.AddDays(1) }).Then(Opened() with { ExpiresAt = Ends });

    [Fact]
    public void Opening_it_once_more_changes_nothing() => Given(Opened()).When(Open()).Nothing();

    [Fact]
    public void Opening_it_once_more_after_a_refresh_changes_nothing() => Given(Opened(), Refreshed(1)).When(Open()).Nothing();

    [Fact]
    public void An_id_is_not_used_for_another_token() => Given(Opened()).When(Open() with { TokenHash = "h9" }).Refused("session.exists", RefusalKind.Conflict);

    [Fact]
    public void An_id_is_not_used_by_another_holder() => Given(Opened()).By(Bob).When(Open()).Refused("session.exists", RefusalKind.Conflict);

    [Fact]
    public void The_current_token_gets_its_successor() => Given(Opened()).When(Refresh(0)).Then(Refreshed(1));

    [Fact]
    public void The_successor_gets_a_successor() => Given(Opened(), Refreshed(1)).When(Refresh(1)).Then(Refreshed(2));

    [Fact]
    public void A_refresh_never_lasts_longer_than_the_session() =>
        Given(Opened()).When(Refresh(0) with { NextExpiresAt = Ends.AddDays(1) }).Then(Refreshed(1) with { ExpiresAt = Ends });

    [Theory]
    [InlineData(-5)] // The clock of the node that refreshed was ahead of this one's.
    [InlineData(0)]
    [InlineData(29)]
    [InlineData(30)]
    public void A_repetition_within_thirty_seconds_is_the_same_refresh(int seconds) =>
        Given(Opened(), Refreshed(1)).At(Noon.AddSeconds(seconds)).When(Refresh(0)).Nothing();

    [Fact]
    public void A_repetition_after_thirty_seconds_ends_the_family() =>
        Given(Opened(), Refreshed(1)).At(Replayable.AddTicks(1)).When(Refresh(0)).ThenRefusedAgain("session.invalid_grant", Reused(0), Ended());

    [Fact]
    public void A_token_two_generations_old_still_gets_its_successor_within_its_own_thirty_seconds() =>
        Given(Opened(), Refreshed(1), Refreshed(2, Noon.AddSeconds(20))).At(Noon.AddSeconds(25)).When(Refresh(0)).Nothing();

    [Fact]
    public void A_token_two_generations_old_ends_the_family_after_its_own_thirty_seconds() =>
        Given(Opened(), Refreshed(1), Refreshed(2, Noon.AddSeconds(20))).At(Noon.AddSeconds(31)).When(Refresh(0)).ThenRefusedAgain("session.invalid_grant", Reused(0), Ended());

    [Fact]
    public void The_thirty_seconds_count_from_the_last_refresh() =>
        Given(Opened(), Refreshed(1), Refreshed(2, Noon.AddHours(1))).At(Noon.AddHours(1)).When(Refresh(1)).Nothing();

    [Theory]
    [InlineData(0, "h1")]
    [InlineData(1, "h0")]
    [InlineData(1, "forged")]
    [InlineData(0, "forged")]
    [InlineData(2, "h2")]
    [InlineData(int.MaxValue, "h1")]
    [InlineData(-1, "h0")]
    [InlineData(int.MinValue, "h0")]
    public void A_token_that_was_never_given_out_is_refused_and_ends_nothing(int generation, string hash) =>
        Given(Opened(), Refreshed(1)).At(Noon.AddHours(1)).When(new RefreshSession(generation, hash, "next", Expires)).Refused("session.invalid_grant", RefusalKind.Denied);

    [Fact]
    public void A_session_that_never_was_is_not_refreshed() => Given().When(Refresh(0)).Refused("session.invalid_grant", RefusalKind.Denied);

    [Fact]
    public void An_expired_session_is_not_refreshed() => Given(Opened()).At(Expires).When(Refresh(0)).Refused("session.invalid_grant", RefusalKind.Denied);

    [Fact]
    public void A_refresh_moves_the_expiry() =>
        Given(Opened(), Refreshed(1) with { ExpiresAt = Expires.AddDays(1) }).At(Expires).When(Refresh(1) with { NextExpiresAt = Expires.AddDays(2) })
            .Then(Refreshed(2, Expires) with { ExpiresAt = Expires.AddDays(2) });

    [Fact]
    public void A_session_ends_however_often_it_was_refreshed() =>
        Given(Opened(), Refreshed(1) with { ExpiresAt = Ends }).At(Ends).When(Refresh(1)).Refused("session.invalid_grant", RefusalKind.Denied);

    [Fact]
    public void An_old_token_of_an_expired_session_is_refused_and_records_nothing() =>
        Given(Opened(), Refreshed(1)).At(Expires).When(Refresh(0)).Refused("session.invalid_grant", RefusalKind.Denied);

    [Fact]
    public void A_revoked_session_is_not_refreshed() =>
        Given(Opened(), new SessionRevoked(SessionEnd.SignedOut)).When(Refresh(0)).Refused("session.invalid_grant", RefusalKind.Denied);

    [Theory]
    [InlineData(SessionEnd.SignedOut)]
    [InlineData(SessionEnd.Revoked)]
    public void Its_holder_ends_it(SessionEnd reason) => Given(Opened()).When(new RevokeSession(reason)).Then(new SessionRevoked(reason));

    [Fact]
    public void The_system_ends_it_when_the_password_is_reset() =>
        Given(Opened()).By(Actor.System("password-reset")).When(new RevokeSession(SessionEnd.PasswordReset)).Then(new SessionRevoked(SessionEnd.PasswordReset));

    [Fact]
    public void A_revoked_session_stays_revoked_for_its_first_reason() =>
        Given(Opened(), new SessionRevoked(SessionEnd.Reused)).When(new RevokeSession(SessionEnd.SignedOut)).Nothing();

    [Fact]
    public void An_expired_session_may_still_be_ended() =>
        Given(Opened()).At(Ends).When(new RevokeSession(SessionEnd.SignedOut)).Then(new SessionRevoked(SessionEnd.SignedOut));

    [Fact]
    public void Another_users_session_is_missing() =>
        Given(Opened()).By(Bob).When(new RevokeSession(SessionEnd.Revoked)).Refused("session.missing", RefusalKind.Missing);

    [Fact]
    public void Another_users_revoked_session_is_missing_too() =>
        Given(Opened(), new SessionRevoked(SessionEnd.SignedOut)).By(Bob).When(new RevokeSession(SessionEnd.Revoked)).Refused("session.missing", RefusalKind.Missing);

    [Fact]
    public void A_session_that_never_was_is_missing() => Given().When(new RevokeSession(SessionEnd.Revoked)).Refused("session.missing", RefusalKind.Missing);

    [Fact]
    public void A_session_is_live_until_it_expires_ends_or_is_revoked()
    {
        Assert.False(Session.Initial.IsLive(Noon));
        Assert.True(Given(Opened()).State.IsLive(Expires.AddTicks(-1)));
        Assert.False(Given(Opened()).State.IsLive(Expires));
        Assert.False(Given(Opened() with { ExpiresAt = Ends.AddDays(1) }).State.IsLive(Ends));
        Assert.False(Given(Opened(), new SessionRevoked(SessionEnd.Revoked)).State.IsLive(Noon));
    }

    private static OpenSession Open() => new("h0", Expires, Ends);
    private static SessionOpened Opened() => new(Ann.ToString(), "h0", Expires, Ends);
    private static RefreshSession Refresh(int generation) => new(generation, $"h{generation}", $"h{generation + 1}", Expires);
    private static SessionRefreshed Refreshed(int generation, DateTimeOffset? at = null) =>
        new(generation, $"h{generation}", Expires, (at ?? Noon).AddSeconds(Session.ReplaySeconds));
    private static SessionRefreshReused Reused(int generation) => new(generation);
    private static SessionRevoked Ended() => new(SessionEnd.Reused);
}
