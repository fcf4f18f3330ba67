using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Turns facts into messages. It is told of each event once, in order, from the moment on at which it first runs; also of events that foreign writers have
/// appended. Its messages commit with its checkpoint. A rebuild knows no reactions.
/// </summary>
public interface IReaction
{
    /// <summary>The name of its checkpoint. A reaction under another name is a new one, and begins with what comes then.</summary>
    static abstract string Name { get; }

    /// <summary>The event aliases that it reacts to.</summary>
    static abstract IReadOnlyList<string> Types { get; }

    /// <summary>What is to be done because of the event. Pure; nothing for most.</summary>
    static abstract IEnumerable<Message> React(Recorded e);
}

/// <summary>Makes reactions for the daemon; see <see cref="ProjectionSet.With"/>.</summary>
public static class Reaction
{
    /// <param name="outbox">Where its messages go.</param>
    public static Projection Of<TReaction>(Outbox outbox) where TReaction : IReaction => new ReactionProjection<TReaction>(outbox);
}

/// <summary>
/// A reaction as the daemon sees it: a projection whose rows are messages. One that fails stops before the event: what it should have sent must not be passed
/// over, and the order of messages is that of events.
/// </summary>
internal sealed class ReactionProjection<TReaction>(Outbox outbox) : Projection(TReaction.Name, 1, false, TReaction.Types, [], []) where TReaction : IReaction
{
    private readonly Outbox outbox = outbox;

    internal override (IReadOnlyList<(string Name, string Type)> Columns, int Key) Fixed => throw new NotSupportedException($"{Name} is a reaction and has no table.");

    internal override bool StopsAsAWhole => true;
    internal override bool StartsNow => true;

    internal override Fold Begin(EventPage page, IReadOnlySet<long> skips) => new Work(this, page, skips);

    private sealed record Sent(string Tenant, long Position, IReadOnlyList<Outgoing> Messages);

    private sealed class Work : Fold
    {
        private readonly ReactionProjection<TReaction> reaction;
        private readonly EventPage page;
        private readonly IReadOnlySet<long> skips;
        private readonly List<Sent> sent = [];
        private string stoppedTenant = "";

        public Work(ReactionProjection<TReaction> reaction, EventPage page, IReadOnlySet<long> skips)
        {
            (this.reaction, this.page, this.skips) = (reaction, page, skips);
            UpTo = page.To;
        }

        public override IReadOnlyList<object> Units => sent;

        public override void AddLoads(NpgsqlBatch batch)
        {
        }

        public override Task ReadLoads(NpgsqlDataReader reader, CancellationToken ct) => Task.CompletedTask;

        public override void Apply()
        {
            foreach (var e in page.Events)
            {
                if (!reaction.Wants(e.Event.Type) || skips.Contains(e.Event.Position)) continue;
                // The reaction is foreign code: whatever it throws stops it and nothing else.
#pragma warning disable CA1031
                try
                {
                    if (e.Unreadable is not null) throw e.Unreadable;
                    var origin = new Origin(e.Event.Actor ?? "system:reaction", null, e.Event.CorrelationId, e.Event.Id.ToString());
                    var messages = TReaction.React(e.Event).Select(m => reaction.outbox.Draft(e.Event.Tenant, m, origin, e.Event.At)).ToArray();
                    if (messages.Length > 0) sent.Add(new Sent(e.Event.Tenant, e.Event.Position, messages));
                }
                catch (Exception poison)
                {
                    StopBefore(e.Event.Tenant, e.Event.Position, $"{poison.GetType().Name}: {poison.Message}");
                    return;
                }
#pragma warning restore CA1031
            }
        }

        public override void AddWrites(NpgsqlBatch batch, IReadOnlyList<object> units)
        {
            var messages = units.Cast<Sent>().SelectMany(s => s.Messages).ToArray();
            if (messages.Length > 0) batch.BatchCommands.Add(reaction.outbox.Command(messages));
        }

        public override void AddStop(NpgsqlBatch batch)
        {
            if (StoppedBy is not { } reason) return;
            foreach (var command in Parking.Stop(reaction, stoppedTenant, UpTo + 1, reason)) batch.BatchCommands.Add(command);
        }

        public override void Take(object unit, int steps, string? error)
        {
            var refused = (Sent)unit;
            if (error is not null) StopBefore(refused.Tenant, refused.Position, error);
        }

        public override void Committed() => reaction.outbox.Enqueued(sent.SelectMany(s => s.Messages).Select(m => m.Type.Queue).Distinct());

        private void StopBefore(string tenant, long position, string error)
        {
            stoppedTenant = tenant;
            UpTo = position - 1;
            StoppedBy = $"event {position}: {error}";
        }
    }
}
