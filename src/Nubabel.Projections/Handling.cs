using Nubabel.Domain;
using Nubabel.Store;

namespace Nubabel.Projections;

/// <summary>The stream is not at the version the caller had seen (<c>If-Match</c>).</summary>
public sealed class VersionMismatch(long actual) : Exception($"The resource is at version {actual}.")
{
    public long Actual => actual;
}

/// <summary>The one bridge between the domain and the engine: loads, decides, appends, and decides again when somebody was faster.</summary>
public static class Handling
{
    /// <summary>How often a command in its turn is decided before its caller is told that the stream is contended.</summary>
    private const int Attempts = 100;

    extension(Journal journal)
    {
        /// <summary>Handles a command on one stream.</summary>
        /// <param name="matches">The caller's precondition on the version (<c>If-Match</c>); null for none.</param>
        /// <exception cref="Refused">The decision, or a unique claim, refuses.</exception>
        /// <exception cref="VersionMismatch">The precondition does not hold.</exception>
        /// <exception cref="OutcomeUnknown">The commit may or may not have happened.</exception>
        public async Task<Outcome<T>> Handle<T>(StreamName<T> stream, Command<T> command, CancellationToken ct, Func<long, bool>? matches = null) where T : IAggregate<T>
        {
            var step = new Step<T>(stream, command, matches: matches);
            await journal.Commit([step], ct);
            return step.Outcome;
        }

        /// <summary>Handles the first command of a stream that is most likely new: nothing is loaded unless it turns out to exist.</summary>
        public async Task<Outcome<T>> Create<T>(StreamName<T> stream, Command<T> command, CancellationToken ct) where T : IAggregate<T>
        {
            var step = new Step<T>(stream, command, fresh: true);
            await journal.Commit([step], ct);
            return step.Outcome;
        }

        /// <summary>
        /// Handles commands that record each time, on a stream that none of them looks at: nothing is loaded and no version is asked for, so it costs the same
        /// however long the stream is. An idempotency key takes no part in it.
        /// </summary>
        public async Task Record<T>(StreamName<T> stream, IReadOnlyList<Command<T>> commands, CancellationToken ct) where T : IAggregate<T>
        {
            if (commands.Any(c => c is not IRecordsEachTime)) throw new ArgumentException("A decision that looks at the state needs the state.", nameof(commands));
            var at = journal.Now();
            var context = new Context(at, ParseActor(journal.Origin.Actor));
            var events = commands.SelectMany(c => T.Decide(T.Initial, c, context)).ToArray();
            // No version is asked for, so a conflict that is no archive is a deadlock that PostgreSQL has ended, with a foreign writer of this stream.
            for (var attempt = 1; await journal.Append(at, [new StreamAppend(stream.Value, T.Kind, StreamAppend.Any, events, [], [])], ct) is not Appended.Done and var refused; attempt++)
            {
                if (refused is not Appended.Conflict { Archived: false }) throw new Refused(RefusalKind.Conflict, "stream.archived", "This is archived.");
                if (attempt == Attempts) throw Contended();
            }
        }

        /// <summary>
        /// Handles several commands on several streams of the tenant, together or not at all. What this node remembers of a stream is decided on first: the append
        /// is refused if it was stale. A decision that appends nothing, or refuses, is taken again on what stands in the log before it is answered.
        /// </summary>
        public async Task Commit(IReadOnlyList<Step> steps, CancellationToken ct)
        {
            if (journal.Replay is { } replay)
            {
                await journal.Answer(steps, replay, ct);
                return;
            }
            Decision? refused = null;
            // Whoever meets nobody pays nothing for turns.
            if (!journal.IsMet(steps) && (refused = await journal.Try(steps, null, isOld: false, ct)) is null) return;
            using var turn = await journal.Turn(steps.Select(s => s.Stream), ct) ?? throw Contended();
            refused?.Show(journal);
            for (var attempt = 1; ; attempt++)
            {
                if ((refused = await journal.Try(steps, refused, turn.IsAmongNodes, ct)) is null) return;
                if (attempt == Attempts) throw Contended();
                // In its turn nobody of this node stands in the way, so it was another node. Both read on first from now on, so neither is faster; jitter, so that they do not meet again.
                turn.Meet();
                await Task.Delay(Random.Shared.Next(0, 2 << Math.Min(attempt, 4)), ct);
            }
        }

        private bool IsMet(IReadOnlyList<Step> steps)
        {
            for (var i = 0; i < steps.Count; i++)
                if (journal.TakesTurns(steps[i].Stream)) return true;
            return false;
        }

        /// <summary>Decides, and appends. Null when it is done; otherwise what was refused because somebody was faster, to be decided again.</summary>
        /// <param name="refused">What was refused before.</param>
        /// <param name="isOld">What is remembered is most likely old: it is read on from first.</param>
        private async Task<Decision?> Try(IReadOnlyList<Step> steps, Decision? refused, bool isOld, CancellationToken ct)
        {
            if (!isOld && journal.Remembered(steps, refused) is { } remembered && Decided(journal, steps, remembered, isStale: true) is { } quick) return await journal.Written(quick, ct) ? null : quick;
            var streams = steps.Where(s => refused is not null || !s.Fresh).Select(s => s.Sought).ToArray();
            var read = streams.Length == 0 ? new Dictionary<string, Seen>() : await journal.See(streams, ct);
            var decision = Decided(journal, steps, [.. steps.Select(s => read.GetValueOrDefault(s.Stream) ?? Seen.Nothing(s.Sought.Folds))], isStale: false)!;
            if (decision.Write.Length > 0) return await journal.Written(decision, ct) ? null : decision;
            // It may be so because the request that this one repeats has just made it so, on another node.
            if (!await journal.Keep(decision.Versions, ct)) throw new RepeatedCommand();
            decision.Finish(journal, null);
            return null;
        }

        /// <summary>True when it is written; false when it is to be decided again.</summary>
        private async Task<bool> Written(Decision decision, CancellationToken ct)
        {
            if (journal.Once is { } once) journal.Once = once with { Versions = decision.Versions };
            switch (await journal.Append(decision.At, decision.Write, ct))
            {
                case Appended.Done done:
                    decision.Finish(journal, done);
                    return true;
                case Appended.Taken taken:
                    var claim = decision.ClaimOf(taken.Claim);
                    throw new Refused(RefusalKind.Conflict, claim.Code, "Another one has this value.", claim.Field);
                case Appended.Repeated:
                    throw new RepeatedCommand();
                case Appended.Conflict { Archived: true }:
                    throw new Refused(RefusalKind.Conflict, "stream.archived", "This is archived.");
                case Appended.Conflict conflict:
                    decision.By = conflict;
                    // Where the log is not as far as what is remembered, it went back, and what is remembered is wrong. Otherwise it is only old: it is read on from there.
                    if (conflict.Actual < decision.Versions[conflict.Stream]) journal.Forget(conflict.Stream);
                    return false;
                case var unknown:
                    throw new InvalidOperationException($"No answer to a commit: {unknown}.");
            }
        }

        /// <summary>What to decide on without reading; null where one of the streams would have to be read.</summary>
        /// <param name="refused">What was refused: of the stream that it met somebody on, what is remembered must be newer by now.</param>
        private Seen[]? Remembered(IReadOnlyList<Step> steps, Decision? refused)
        {
            var all = new Seen[steps.Count];
            var any = false;
            for (var i = 0; i < all.Length; i++)
            {
                if (steps[i].Fresh && refused is null) all[i] = Seen.Nothing(steps[i].Sought.Folds);
                else if (journal.Remembered(steps[i].Sought) is { } seen && refused?.IsBehind(steps[i].Stream, seen.Version) != true) (all[i], any) = (seen, true);
                else return null;
            }
            return any ? all : null;
        }

        /// <summary>A stream as it is now; its version is 0 where there is none.</summary>
        public async Task<Outcome<T>> Load<T>(StreamName<T> stream, CancellationToken ct) where T : IAggregate<T> =>
            new(journal, stream, (await journal.See([Streams.Sought(stream)], ct))[stream.Value], []);

        /// <summary>The same of a stream that is named by an id, which tells the type.</summary>
        public Task<Outcome<T>> Load<T>(Id<T> id, CancellationToken ct) where T : IAggregate<T> => journal.Load((StreamName<T>)id, ct);

        /// <summary>Several streams as they are now, in one round trip and in the order in which they are asked for.</summary>
        public async Task<IReadOnlyList<Outcome<T>>> Load<T>(IReadOnlyList<StreamName<T>> streams, CancellationToken ct) where T : IAggregate<T>
        {
            var seen = await journal.See([.. streams.Select(Streams.Sought)], ct);
            return [.. streams.Select(s => new Outcome<T>(journal, s, seen[s.Value], []))];
        }

        private async Task Answer(IReadOnlyList<Step> steps, IdempotencyRecord replay, CancellationToken ct)
        {
            var loaded = await journal.Read([.. steps.Select(s => s.Stream)], s => new Until(Version: replay.Versions.GetValueOrDefault(s)), ct);
            foreach (var step in steps) step.Finish(journal, Seen.Nothing(step.Sought.Folds).On(loaded[step.Stream]), []);
        }
    }

    /// <summary>What the commands lead to on these streams as they were seen.</summary>
    /// <param name="isStale">That may be behind the log: null where the answer would be a refusal, or that it is so already.</param>
    private static Decision? Decided(Journal journal, IReadOnlyList<Step> steps, Seen[] seen, bool isStale)
    {
        var at = journal.Now();
        var context = new Context(at, ParseActor(journal.Origin.Actor));
        try
        {
            var appends = steps.Select((s, i) => s.Decide(seen[i], context)).ToArray();
            return isStale && appends.Contains(null) ? null : new Decision(at, steps, seen, appends);
        }
        catch (Exception e) when (isStale && e is Refused or VersionMismatch)
        {
            return null;
        }
    }

    /// <summary>What the commands of a commit led to on what they were decided on.</summary>
    private sealed class Decision(DateTimeOffset at, IReadOnlyList<Step> steps, Seen[] seen, StreamAppend?[] appends)
    {
        public DateTimeOffset At => at;
        public StreamAppend[] Write { get; } = [.. appends.OfType<StreamAppend>()];

        /// <summary>What is read without being changed keeps its version in the record, so that a repeated request is answered from it.</summary>
        public Dictionary<string, long> Versions { get; } = steps.Zip(seen).ToDictionary(p => p.First.Stream, p => p.Second.Version);

        public Claim ClaimOf(ClaimValue value) => steps.First((_, i) => appends[i] is { } a && a.Take.Contains(value)).ClaimOf(value);

        /// <summary>Who was faster, where it was refused.</summary>
        public Appended.Conflict? By { get; set; }

        /// <summary>Whether a stream at this version is as it was when this was refused for it.</summary>
        public bool IsBehind(string stream, long version) => By is { } by && by.Stream == stream && version <= Math.Max(Versions[stream], by.Actual - 1);

        /// <summary>What it was decided on is the beginning of what stands there now.</summary>
        public void Show(Journal journal)
        {
            for (var i = 0; i < steps.Count; i++)
                if (By is not { } by || by.Stream != steps[i].Stream || by.Actual >= Versions[by.Stream]) journal.Remember(steps[i].Stream, seen[i]);
        }

        public void Finish(Journal journal, Appended.Done? done)
        {
            var written = done?.Events.ToLookup(e => e.Stream);
            for (var i = 0; i < steps.Count; i++)
            {
                Recorded[] own = written is null ? [] : [.. written[steps[i].Stream]];
                var after = steps[i].Finish(journal, seen[i], own);
                if (own.Length > 0) journal.Remember(steps[i].Stream, after);
            }
        }
    }

    private static Refused Contended() => new(RefusalKind.Conflict, "stream.contended", "Too many changes at the same time; try again.");

    internal static Actor ParseActor(string actor)
    {
        var colon = actor.IndexOf(':', StringComparison.Ordinal);
        return new Actor(actor[..colon], actor[(colon + 1)..]);
    }

    private static TItem First<TItem>(this IReadOnlyList<TItem> items, Func<TItem, int, bool> predicate)
    {
        for (var i = 0; i < items.Count; i++)
            if (predicate(items[i], i)) return items[i];
        throw new InvalidOperationException("None matches.");
    }
}

/// <summary>Another request with this idempotency key has committed meanwhile; its record answers this one too.</summary>
public sealed class RepeatedCommand() : Exception("This command has been handled under the same idempotency key.");
