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

    private sealed record Sent(string Tenant, long Position, IReadOnlyList<Outgoing> Messages) : FromEvent(Tenant, Position);

    private sealed class Work(ReactionProjection<TReaction> reaction, EventPage page, IReadOnlySet<long> skips) : OrderedFold<Sent>(reaction, page, skips, e => e.Tenant)
    {
        private readonly Outbox outbox = reaction.outbox;

        protected override Sent? Make(PageEvent e)
        {
            if (e.Unreadable is not null) throw e.Unreadable;
            var origin = new Origin(e.Event.Actor ?? "system:reaction", null, e.Event.CorrelationId, e.Event.Id.ToString());
            var messages = TReaction.React(e.Event).Select(m => outbox.Draft(e.Event.Tenant, m, origin, e.Event.At)).ToArray();
            return messages.Length > 0 ? new Sent(e.Event.Tenant, e.Event.Position, messages) : null;
        }

        public override void AddWrites(NpgsqlBatch batch, IReadOnlyList<object> units)
        {
            var messages = units.Cast<Sent>().SelectMany(s => s.Messages).ToArray();
            if (messages.Length > 0) batch.BatchCommands.Add(outbox.Command(messages));
        }

        public override void Committed() => outbox.Enqueued(All.SelectMany(s => s.Messages).Select(m => m.Type.Queue).Distinct());
    }
}
