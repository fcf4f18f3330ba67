using Nubabel.Api.Breaches;
using Nubabel.Api.Consumers;
using Nubabel.Api.Erasures;
using Nubabel.Api.Host.Mail;
using Nubabel.Api.Jobs;
using Nubabel.Api.Messages;
using Nubabel.Api.Retention;
using Nubabel.Api.Users;
using Nubabel.Api.Webhooks;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Host;

/// <summary>Every queue, every type of message and every reaction of the product. Handlers are named in <see cref="Server"/>.</summary>
public static class MessageCatalog
{
    /// <summary>The alias of wishes for a new password, which wait as messages of the platform.</summary>
    public const string ResetWishes = "reset-wish";

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
            // A job whose process is lost goes on elsewhere within a minute, however long it may take. One that is given up holds up no other.
            QueueOptions.Orchestration("jobs") with { Lease = TimeSpan.FromSeconds(30), Concurrency = 8, ParksKey = false },
            // What reads or writes very much: a few at a time, and not forever.
            QueueOptions.Orchestration("long-jobs") with { Lease = TimeSpan.FromSeconds(30), Concurrency = 2, InHand = 8, TimeLimit = TimeSpan.FromHours(1), Attempts = 4, ParksKey = false },
            // Whatever a product does with them: each for itself, so that nothing waits behind one that takes long, and for a day before a person has to look.
            QueueOptions.Fast("webhooks") with
            {
                Lanes = 0,
                InHand = 32,
                ParksKey = false,
                TimeLimit = TimeSpan.FromMinutes(1),
                Attempts = 11,
                Backoff = new Backoff(default, default)
                {
                    Steps =
                    [
                        TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(2), TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(30),
                        TimeSpan.FromHours(1), TimeSpan.FromHours(2), TimeSpan.FromHours(4), TimeSpan.FromHours(8),
                    ],
                },
            },
            // What operators have ordered: few, each for itself, and never given up for a database that is away for a while.
            QueueOptions.Orchestration("operations") with { Concurrency = 4, Attempts = 20, ParksKey = false, Backoff = new Backoff(TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(10)) },
            // What fails at its endpoint has a schedule of its own; attempts of the queue are failures of this side. The key of a delivery is its consumer's or its
            // object's, and a delivery that is given up holds up nobody.
            QueueOptions.Fast("deliveries") with { Concurrency = 32, Lanes = 0, ParksKey = false, Attempts = 20 },
        ],
        [
            new MessageType("letter", typeof(Mailing), "mail"),
            new MessageType(ResetWishes, typeof(ResetWish), "mail"),
            new MessageType("breach-letter", typeof(BreachMail), "mail"),
            new MessageType("breach-letter-lost", typeof(BreachMailLost), "operations"),
            new MessageType("letter-order", typeof(LetterOrder), "operations"),
            new MessageType("sweep-order", typeof(SweepOrder), "operations"),
            new MessageType("erasure-order", typeof(ErasureOrder), "operations"),
            new MessageType("job", typeof(JobMessage), "jobs"),
            new MessageType("long-job", typeof(LongJobMessage), "long-jobs"),
            new MessageType("job-given-up", typeof(JobGivenUp), "jobs"),
            new MessageType("webhook", typeof(WaitingWebhook), "webhooks"),
            new MessageType("event-delivery", typeof(EventDelivery), "deliveries"),
            new MessageType("retention-tick", typeof(RetentionTick), "operations"),
        ],
        StoredJson.Options);

    /// <summary>What turns events into messages.</summary>
    public static IReadOnlyList<Projection> Reactions(Outbox outbox) => [FanOut.Of<ConsumerFanOut, ConsumerRoute>(outbox, StoredJson.Options)];
}
