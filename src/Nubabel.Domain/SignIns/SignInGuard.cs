using System.Collections.Immutable;

namespace Nubabel.Domain.SignIns;

/// <summary>A sign-in with this address was refused.</summary>
/// <param name="Number">How many count with this one.</param>
/// <param name="CountsUntil">Until when it counts towards the lock-out. It stands in the event because a fold sees no envelope.</param>
/// <param name="Account">The stream of the account that has the address; absent where none has.</param>
public sealed record SignInFailed(int Number, DateTimeOffset CountsUntil, string? Account = null) : Event<SignInGuard>;

/// <summary>So many have failed that nobody signs in with this address for a while, not even with the right password.</summary>
public sealed record SignInLocked(DateTimeOffset Until) : Event<SignInGuard>;

/// <summary>The failures no longer count: somebody has proved to be the holder.</summary>
public sealed record SignInCleared : Event<SignInGuard>;

/// <param name="Most">Failures within the window that lock.</param>
/// <param name="WindowSeconds">How long a failure counts, and how long the lock lasts.</param>
/// <param name="Earlier">Failures that still count and stand in the guard's stream of the period before.</param>
public sealed record FailSignIn(int Most, int WindowSeconds, int Earlier = 0, string? Account = null) : Command<SignInGuard>, IRecordsEachTime;
public sealed record ClearSignIns : Command<SignInGuard>;

/// <summary>
/// What stands between a password and somebody who guesses it: the failed sign-ins of one organization and address, whether there is such an account or
/// not. Its stream is named by a keyed hash of both and of a period of some hours. While it is locked nothing is recorded, so a stream grows by no more than
/// <see cref="FailSignIn.Most"/> + 1 events in each window, and no further than its period: it stays cheap to load under an attack without an end.
/// </summary>
/// <param name="Failures">Until when each counts, oldest first; no more than what locks.</param>
public sealed record SignInGuard(ImmutableList<DateTimeOffset> Failures, DateTimeOffset? LockedUntil) : IAggregate<SignInGuard>
{
    public static string Kind => "sign-in";
    public static SignInGuard Initial { get; } = new([], null);

    /// <summary>Whether there is anything that <see cref="ClearSignIns"/> would clear.</summary>
    public bool IsClear => Failures.IsEmpty && LockedUntil is null;

    /// <summary>How many failures count now.</summary>
    public int Counting(DateTimeOffset now) => Failures.Count(until => until > now);

    public bool IsLocked(DateTimeOffset now) => LockedUntil > now;

    public static SignInGuard Evolve(SignInGuard state, Event<SignInGuard> e) => e switch
    {
        // Those that count are the latest; so the list is no longer than what locks.
        SignInFailed f => state with { Failures = state.Failures.RemoveRange(0, Math.Max(0, state.Failures.Count - (f.Number - 1))).Add(f.CountsUntil) },
        SignInLocked l => new SignInGuard([], l.Until),
        SignInCleared => Initial,
        _ => state,
    };

    public static IReadOnlyList<Event<SignInGuard>> Decide(SignInGuard state, Command<SignInGuard> command, Context at) => command switch
    {
        FailSignIn c => state.Fail(c, at.Now),
        ClearSignIns => state.IsClear ? [] : [new SignInCleared()],
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    private Event<SignInGuard>[] Fail(FailSignIn c, DateTimeOffset now)
    {
        if (IsLocked(now)) return [];
        var until = now.AddSeconds(c.WindowSeconds);
        var number = c.Earlier + Counting(now) + 1;
        var failed = new SignInFailed(number, until, c.Account);
        return number >= c.Most ? [failed, new SignInLocked(until)] : [failed];
    }
}
