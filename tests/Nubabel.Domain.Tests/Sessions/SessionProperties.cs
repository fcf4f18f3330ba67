using FsCheck;
using FsCheck.Fluent;
using Nubabel.Domain.Sessions;

namespace Nubabel.Domain.Tests.Sessions;

/// <summary>Whatever is done to a session in whatever order and at whatever time: what must never happen does not.</summary>
public sealed class SessionProperties
{
    private static readonly DateTimeOffset Start = new(2026, 1, 5, 12, 0, 0, TimeSpan.Zero);
    private static readonly Actor Holder = Actor.User(Guid.Empty);

    /// <summary>One thing somebody does, some seconds after the one before (or before it: clocks differ).</summary>
    public sealed record Act(int Kind, int Generation, bool Forged, int Seconds);

    private static Gen<List<Act>> Acts() =>
        from acts in Gen.ListOf(
            from kind in Gen.Frequency((8, Gen.Constant(0)), (1, Gen.Constant(1)), (1, Gen.Constant(2)))
            from generation in Gen.Choose(-1, 6)
            from forged in Gen.Frequency((6, Gen.Constant(false)), (1, Gen.Constant(true)))
            from seconds in Gen.Elements(-3, 0, 1, 20, 31, 4000)
            select new Act(kind, generation, forged, seconds))
        select acts.ToList();

    [Fact]
    public void A_revoked_session_never_lives_again_and_no_token_has_two_successors() => Check.Holds(Acts(), acts =>
    {
        var history = new List<Event<Session>>();
        var state = Session.Initial;
        var now = Start;
        foreach (var act in acts)
        {
            now = now.AddSeconds(act.Seconds);
            var wasRevoked = state.Status == SessionStatus.Revoked;
            var (command, events) = Take(state, act, now);
            state = events.Aggregate(state, Session.Evolve);
            history.AddRange(events);
            if (wasRevoked && (events.Count > 0 || state.Status != SessionStatus.Revoked)) return false;
            if (state.TokenHashes.Count > 0 && state.ExpiresAt > state.EndsAt) return false;
            // Law 2: taken again it records nothing.
            if (command is not null && Try(() => Session.Decide(state, command, new Context(now, Holder))).Count > 0) return false;
        }
        var refreshed = history.OfType<SessionRefreshed>().Select(r => r.Generation).ToArray();
        return refreshed.SequenceEqual(Enumerable.Range(1, refreshed.Length))
            && history.OfType<SessionOpened>().Count() <= 1
            && history.OfType<SessionRevoked>().Count() <= 1
            && history.FindIndex(e => e is SessionRevoked) is var end && (end < 0 || end == history.Count - 1);
    });

    private static (Command<Session>? Command, IReadOnlyList<Event<Session>> Events) Take(Session state, Act act, DateTimeOffset now)
    {
        Command<Session> command = act.Kind switch
        {
            0 when state.Status == SessionStatus.None => new OpenSession("h0", now.AddHours(2), now.AddHours(3)),
            0 => new RefreshSession(act.Generation, act.Forged ? "forged" : $"h{act.Generation}", $"h{act.Generation + 1}", now.AddHours(2)),
            1 => new RevokeSession(SessionEnd.SignedOut),
            _ => new OpenSession(act.Forged ? "forged" : "h0", now.AddHours(2), now.AddHours(3)),
        };
        return (command, Try(() => Session.Decide(state, command, new Context(now, Holder))));
    }

    private static IReadOnlyList<Event<Session>> Try(Func<IReadOnlyList<Event<Session>>> decide)
    {
        try
        {
            return decide();
        }
        catch (Refused)
        {
            return [];
        }
    }

    [Fact]
    public void Who_never_held_a_token_cannot_end_a_session() => Check.Holds(Acts(), acts =>
    {
        Event<Session>[] opened = [new SessionOpened(Holder.ToString(), "h0", Start.AddHours(2), Start.AddHours(3)), new SessionRefreshed(1, "h1", Start.AddHours(2), Start)];
        var state = opened.Aggregate(Session.Initial, Session.Evolve);
        return acts.TrueForAll(a => Try(() => Session.Decide(state, new RefreshSession(a.Generation, "forged", "x", Start), new Context(Start.AddSeconds(a.Seconds), Holder))).Count == 0);
    });
}
