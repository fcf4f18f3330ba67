using Nubabel.Api.Host.Mail;
using Nubabel.Api.Messages;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Host;

/// <summary>Every queue, every type of message and every reaction of the product. Handlers are named in <see cref="Server"/>.</summary>
public static class MessageCatalog
{
    public static MessageTypes Types { get; } = new(
        [
            // A receiver that is away for an hour still gets its letters; a letter is nobody's order, so none waits for another.
            QueueOptions.Fast("mail") with
            {
                Concurrency = 4,
                TimeLimit = TimeSpan.FromMinutes(1),
                ParksKey = false,
                Attempts = 7,
                Backoff = new Backoff(default, default)
                {
                    Steps = [TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(20), TimeSpan.FromMinutes(2), TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(30), TimeSpan.FromHours(1)],
                },
                // A mail server that was away for longer than that.
                Replays = new AutomaticReplay(TimeSpan.FromHours(4), 2, [nameof(NotCarried), nameof(TimeoutException)]),
            },
            // What operators have ordered: few, each for itself, and never given up for a database that is away for a while.
            QueueOptions.Orchestration("operations") with { Concurrency = 4, Attempts = 20, ParksKey = false, Backoff = new Backoff(TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(10)) },
        ],
        [
            new MessageType("letter", typeof(Mailing), "mail"),
            new MessageType("letter-order", typeof(LetterOrder), "operations"),
            new MessageType("sweep-order", typeof(SweepOrder), "operations"),
        ],
        StoredJson.Options);

    /// <summary>What turns events into messages; none yet.</summary>
    public static IReadOnlyList<Projection> Reactions(Outbox outbox) => [];
}
