using Nubabel.Domain;
using Nubabel.Domain.Sessions;
using Nubabel.Projections.Sessions;

namespace Nubabel.Projections.Tests.Sessions;

public sealed class SessionListTests
{
    private const string Holder = "user:0198aaaa-0000-7000-8000-000000000002";
    private static readonly Id<Session> Id = Id<Session>.Parse("0198aaaa-0000-7000-8000-0000000000a1");
    private static readonly Personal Ip = new("user-0198aaaa-0000-7000-8000-000000000002", "aXA");
    private static readonly DateTimeOffset Expires = Given.Noon.AddDays(14), Later = Given.Noon.AddDays(15), Ends = Given.Noon.AddDays(90);
    private static readonly SessionOpened Opened = new(Holder, "hash", Expires, Ends, Ip);
    private static readonly SessionRow Fresh = new(Id, Ip, Ends, Holder, null, Given.Noon, Expires, null, null, Given.Noon);

    [Fact]
    public void An_opened_session_is_shown() => Shows(Fresh, Opened);

    [Fact]
    public void A_refresh_moves_the_end() => Shows(
        Fresh with { ExpiresAt = Later, RefreshedAt = Given.Noon.AddMinutes(1) }, Opened, new SessionRefreshed(1, "next", Later, Given.Noon.AddSeconds(90)));

    [Fact]
    public void A_revoked_session_keeps_the_time_of_its_end() => Shows(
        Fresh with { RevokedAt = Given.Noon.AddMinutes(2) },
        Opened, new SessionRefreshReused(0), new SessionRevoked(SessionEnd.Reused), new SessionRevoked(SessionEnd.SignedOut));

    [Fact]
    public void What_never_opened_is_not_shown() => Shows(null, new SessionRevoked(SessionEnd.Revoked));

    private static void Shows(SessionRow? row, params Event<Session>[] events) => Assert.Equal(row, Given.Fold<SessionRow>(SessionList.Evolve, Given.Stream(Id, events)));
}
