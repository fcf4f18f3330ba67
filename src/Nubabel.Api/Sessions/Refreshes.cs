using Nubabel.Api.Host;
using Nubabel.Api.Host.Tokens;
using Nubabel.Domain;
using Nubabel.Domain.Operators;
using Nubabel.Domain.Sessions;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Sessions;

/// <summary>
/// Exchanges refresh tokens, in either realm. Any number of uses of one token at the same time get the same successor, because it is derived from
/// family and generation; a token that comes again after its grace ends the family.
/// </summary>
public sealed class Refreshes(Node node, Settings settings, SignIns signIns, Standings standings, AccessTokens access, RefreshTokens refreshTokens)
{
    public async Task<IResult> Handle(string text, Realm realm, RequestScope scope, CancellationToken ct)
    {
        if (RefreshTokens.Parse(text) is not { } token || token.Tenant == Node.Platform != (realm == Realm.Platform)) throw InvalidGrant();
        var reader = node.Journal(token.Tenant, new Origin("system:refresh"));
        var before = (await reader.Load(token.Session, ct)).State;
        if (before.Status == SessionStatus.None) throw InvalidGrant();
        var holder = HolderOf(before);
        var next = refreshTokens.Of(token.Tenant, token.Session, token.Generation + 1);
        var journal = scope.JournalFor(token.Tenant, holder);
        var caller = new Caller(realm, token.Tenant, Guid.Parse(holder.Name), token.Session, await RoleOf(reader, token.Session, before, holder, ct));
        var answer = await access.Issue(caller, next, ct);
        var refresh = new RefreshSession(token.Generation, token.Hash, next.Hash, journal.Now() + settings.RefreshLife);
        Outcome<Session> session;
        try
        {
            // A reuse is answered with a refusal, so that no tokens are kept for whoever repeats it.
            if (!Session.Decide(before, refresh, new Context(journal.Now(), holder)).OfType<SessionRefreshReused>().Any())
            {
                if (realm == Realm.Organization) await RefuseStopped(token.Tenant);
                signIns.Keep(journal, answer);
            }
            session = await journal.Handle(token.Session, refresh, ct);
        }
        catch (Refused refused) when (refused.Code == "session.invalid_grant")
        {
            throw InvalidGrant();
        }
        // Reuse is not refused but recorded, and has ended the family.
        if (session.State.Status != SessionStatus.Live) throw InvalidGrant();
        return signIns.Answer(StatusCodes.Status200OK, answer, session.Position);
    }

    // The session of a suspended organization lives on, so its client is not told to forget the token.
    private async Task RefuseStopped(string tenant)
    {
        if (await standings.Organization(tenant) is { } stopped) throw SessionsApi.Stopped(stopped) ?? InvalidGrant();
    }

    // The role is taken from the account now, not from the token of then.
    private static async Task<string> RoleOf(Journal journal, Id<Session> id, Session session, Actor holder, CancellationToken ct)
    {
        if (holder.Kind == "operator")
            return (await journal.Load(Id<Operator>.Parse(holder.Name), ct)).State.Status == OperatorStatus.Active ? "operator" : throw InvalidGrant();
        var user = (await journal.Load(Id<User>.Parse(holder.Name), ct)).State;
        // A session of an older password should have been ended with it; where a crash came between, it ends here.
        return user.Admits(id, session.Password) ? Permissions.Name(user.Role) : throw InvalidGrant();
    }

    private static Actor HolderOf(Session session)
    {
        var colon = session.Holder.IndexOf(':', StringComparison.Ordinal);
        return new Actor(session.Holder[..colon], session.Holder[(colon + 1)..]);
    }

    private static Problem InvalidGrant() => new("session.invalid_grant", "The refresh token is not valid.")
    {
        Members = new Dictionary<string, object?> { ["error"] = "invalid_grant" },
    };
}
