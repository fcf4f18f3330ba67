using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace Nubabel.Domain.Sessions;

/// <summary>Somebody signed in.</summary>
/// <param name="Holder">The actor who signed in, <c>user:&lt;id&gt;</c> or <c>operator:&lt;id&gt;</c>.</param>
/// <param name="TokenHash">Of the refresh token of generation 0; the token itself is nowhere.</param>
/// <param name="ExpiresAt">The end unless it is refreshed before; never later than <paramref name="EndsAt"/>.</param>
/// <param name="EndsAt">The end in any case.</param>
/// <param name="Password">Which of the holder's passwords it was, the first being 0, which is left out.</param>
public sealed record SessionOpened(
    string Holder, string TokenHash, DateTimeOffset ExpiresAt, DateTimeOffset EndsAt, Personal? Ip = null, Personal? UserAgent = null, int? Password = null) : Event<Session>;

/// <summary>The refresh token was exchanged for its successor.</summary>
/// <param name="Generation">Of the successor; the first token is generation 0.</param>
/// <param name="ReplayableUntil">
/// Until when the token before this one still gets this same successor. It stands in the event because a fold sees no envelope.
/// </param>
public sealed record SessionRefreshed(int Generation, string TokenHash, DateTimeOffset ExpiresAt, DateTimeOffset ReplayableUntil) : Event<Session>;

/// <summary>A token that has long had a successor came again: one of the two holders is a thief.</summary>
public sealed record SessionRefreshReused(int Generation) : Event<Session>;
public sealed record SessionRevoked(SessionEnd Reason) : Event<Session>;

/// <summary>The holder is the actor: the edge has checked the password and acts for whom it belongs to.</summary>
public sealed record OpenSession(
    string TokenHash, DateTimeOffset ExpiresAt, DateTimeOffset EndsAt, Personal? Ip = null, Personal? UserAgent = null, int? Password = null) : Command<Session>;

/// <summary>
/// Exchanges the token of a generation for the next one. The edge derives the successor from family and generation, so all who present
/// the same token bring the same <paramref name="NextTokenHash"/> and get the same answer: the token of generation + 1.
/// </summary>
/// <param name="Generation">As the presented token says.</param>
/// <param name="TokenHash">Of the presented token.</param>
public sealed record RefreshSession(int Generation, string TokenHash, string NextTokenHash, DateTimeOffset NextExpiresAt) : Command<Session>;
public sealed record RevokeSession(SessionEnd Reason) : Command<Session>;

/// <summary>Why a session was revoked.</summary>
[JsonConverter(typeof(SessionEndConverter))]
public enum SessionEnd { SignedOut, Revoked, Reused, PasswordReset, PasswordChanged, Erased }

internal sealed class SessionEndConverter() : WordConverter<SessionEnd>("session.reason_invalid");

/// <summary>Where a session is in its life. One that ran out is still <see cref="Live"/> here: no event says that time has passed.</summary>
[JsonConverter(typeof(SessionStatusConverter))]
public enum SessionStatus { None, Live, Revoked }

internal sealed class SessionStatusConverter() : WordConverter<SessionStatus>("session.status_invalid");

/// <summary>
/// A sign-in and the family of its refresh tokens. A token is good once; for <see cref="ReplaySeconds"/> a repetition (a lost answer, a
/// second tab) gets the same successor; after that it is taken for theft and ends the family. Once revoked it never lives again.
/// </summary>
/// <param name="TokenHashes">
/// Of every generation so far, by generation. All are kept, because only somebody who held a token may end the family by showing it:
/// a session's id and a guessed generation are no secret.
/// </param>
/// <param name="ReplayableUntil">Of every used generation: until when its token still gets the successor it got.</param>
/// <param name="Password">Which of the holder's passwords opened it.</param>
public sealed record Session(
    SessionStatus Status, string Holder, ImmutableList<string> TokenHashes, ImmutableList<DateTimeOffset> ReplayableUntil, DateTimeOffset ExpiresAt, DateTimeOffset EndsAt,
    int Password = 0)
    : IAggregate<Session>
{
    /// <summary>How long a used refresh token may come again and get the same successor.</summary>
    public const int ReplaySeconds = 30;

    public static string Kind => "session";
    public static Session Initial { get; } = new(SessionStatus.None, "", [], [], default, default);

    /// <summary>The generation of the one token that is good now.</summary>
    public int Generation => TokenHashes.Count - 1;

    /// <summary>Whether it may be used at this time: neither revoked nor run out.</summary>
    public bool IsLive(DateTimeOffset now) => Status == SessionStatus.Live && now < ExpiresAt && now < EndsAt;

    public static Session Evolve(Session state, Event<Session> e) => e switch
    {
        SessionOpened o => new Session(SessionStatus.Live, o.Holder, [o.TokenHash], [], o.ExpiresAt, o.EndsAt, o.Password ?? 0),
        SessionRefreshed r => state with { TokenHashes = state.TokenHashes.Add(r.TokenHash), ExpiresAt = r.ExpiresAt, ReplayableUntil = state.ReplayableUntil.Add(r.ReplayableUntil) },
        SessionRefreshReused => state, // What it means for the session is said by the revocation that comes with it.
        SessionRevoked => state with { Status = SessionStatus.Revoked },
        _ => state,
    };

    public static IReadOnlyList<Event<Session>> Decide(Session state, Command<Session> command, Context at) => command switch
    {
        OpenSession c => state.Open(c, at.Actor),
        RefreshSession c => state.Refresh(c, at.Now),
        RevokeSession c => state.Revoke(c, at.Actor),
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    private Event<Session>[] Open(OpenSession c, Actor actor)
    {
        if (actor.Kind is not ("user" or "operator")) throw new Refused(RefusalKind.Denied, "session.holder_required", "A person signs in.");
        if (Status == SessionStatus.None)
            return [new SessionOpened(actor.ToString(), c.TokenHash, Earlier(c.ExpiresAt, c.EndsAt), c.EndsAt, c.Ip, c.UserAgent, c.Password)];
        return Holder == actor.ToString() && TokenHashes[0] == c.TokenHash
            ? []
            : throw new Refused(RefusalKind.Conflict, "session.exists", "Another session has this id.");
    }

    private Event<Session>[] Refresh(RefreshSession c, DateTimeOffset now)
    {
        if (!IsLive(now) || c.Generation < 0 || c.Generation > Generation || TokenHashes[c.Generation] != c.TokenHash) throw InvalidGrant();
        if (c.Generation == Generation)
            return [new SessionRefreshed(Generation + 1, c.NextTokenHash, Earlier(c.NextExpiresAt, EndsAt), now.AddSeconds(ReplaySeconds))];
        // No lower bound: where this node's clock is behind the one that refreshed, the refresh lies in the future, and that is no theft.
        if (now <= ReplayableUntil[c.Generation]) return [];
        return [new SessionRefreshReused(c.Generation), new SessionRevoked(SessionEnd.Reused)];
    }

    // Somebody else's session does not exist for the caller. The system ends sessions when a password is reset.
    private Event<Session>[] Revoke(RevokeSession c, Actor actor) => Status switch
    {
        SessionStatus.None => throw Missing(),
        _ when actor.ToString() != Holder && actor.Kind != "system" => throw Missing(),
        SessionStatus.Live => [new SessionRevoked(c.Reason)],
        _ => [],
    };

    private static DateTimeOffset Earlier(DateTimeOffset a, DateTimeOffset b) => a < b ? a : b;

    /// <summary>
    /// One refusal for unknown, forged, run out and revoked, so that an answer tells nothing about the token. Its kind is Denied; the edge
    /// answers refreshes with RFC 6749's 400 <c>invalid_grant</c> instead, by the code. The reuse itself is not refused here but recorded:
    /// the edge must look at the state after the decision and answer the same when it is not live.
    /// </summary>
    private static Refused InvalidGrant() => new(RefusalKind.Denied, "session.invalid_grant", "The refresh token is not valid.");
    private static Refused Missing() => new(RefusalKind.Missing, "session.missing", "There is no such session.");
}
