using Nubabel.Domain;
using Nubabel.Store;

namespace Nubabel.Projections;

/// <summary>Facts that are written down once, under an id that follows from what they say.</summary>
public static class Facts
{
    /// <summary>How often it is tried again when others' locks were in the way.</summary>
    private const int Attempts = 12;

    extension(Journal journal)
    {
        /// <summary>
        /// Handles the only command that a stream ever gets, and says which stream has the fact: this one, or another one that holds a claim of it. Nothing is
        /// loaded, and nothing is remembered in this process, however large the fact is. What the journal has enqueued goes with the first one's commit alone.
        /// </summary>
        /// <exception cref="OutcomeUnknown">The commit may or may not have happened.</exception>
        public async Task<string> WriteDown<T>(StreamName<T> stream, Command<T> command, CancellationToken ct) where T : IAggregate<T>
        {
            var at = journal.Now();
            var events = T.Decide(T.Initial, command, new Context(at, Handling.ParseActor(journal.Origin.Actor)));
            var claims = T.Claims(events.Aggregate(T.Initial, T.Evolve)).Select(c => new ClaimValue(c.Scope, c.Value)).ToArray();
            for (var attempt = 1; ; attempt++)
            {
                switch (await journal.Append(at, [new StreamAppend(stream.Value, T.Kind, StreamAppend.None, events, claims, [])], ct))
                {
                    case Appended.Done or Appended.Conflict { Actual: > 0 }:
                        return stream.Value;
                    case Appended.Taken taken:
                        return taken.Holder;
                    default:
                        // A deadlock that PostgreSQL has ended: nobody has the stream for certain.
                        if (attempt == Attempts) throw new Refused(RefusalKind.Conflict, "stream.contended", "Too many changes at the same time; try again.");
                        await Task.Delay(Random.Shared.Next(1, 20), ct);
                        break;
                }
            }
        }
    }
}
