using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Messages;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Messages;

/// <summary>The effect of an order on one letter.</summary>
/// <param name="Replays">It is replayed; else discarded.</param>
/// <param name="Body">What it says from now on, as JSON; null for what it said when it died.</param>
public sealed record LetterOrder(Guid Letter, bool Replays, int Round, string? Body = null);

/// <summary>The effect of an order on many letters, or what is left of it.</summary>
public sealed record SweepOrder(Guid Sweep);

/// <summary>
/// What operators do about dead letters, over HTTP or at the machine: first the event, then its effect. With the event a message is enqueued that carries the
/// effect out, in the same commit. Whoever has ordered does not wait for it and begins at once; who comes second finds it done. So a process that is killed
/// between the event and its effect delays the effect, and no effect happens twice.
/// </summary>
public sealed class LetterActs(Node node)
{
    /// <summary>How long a request waits for an act on many letters.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(10);

    /// <summary>The message comes when the effect is most likely there.</summary>
    private static readonly TimeSpan Behind = TimeSpan.FromSeconds(2);

    /// <summary>How long a handler works on an act before it makes room and goes on in another message.</summary>
    private static readonly TimeSpan Turn = TimeSpan.FromSeconds(60);

    public DeadLetters Letters { get; } = new(node.Database.Daemon, node.Outbox);

    /// <exception cref="Problem">There is none.</exception>
    public async Task<DeadLetter> Find(Guid letter, CancellationToken ct) => await Letters.Find(letter, ct) ?? throw Missing();

    /// <summary>Looks into a letter, and records that somebody did.</summary>
    public async Task<DeadLetter> Read(Guid id, bool opened, Journal journal, CancellationToken ct)
    {
        var letter = await Find(id, ct);
        await journal.Record(StreamOf(id), [new ReadDeadLetter(letter.Tenant, letter.Queue, letter.Type, opened)], ct);
        return letter;
    }

    /// <summary>Has a letter handled once more.</summary>
    /// <param name="edited">Another body than it died with; null for the same.</param>
    /// <exception cref="Problem">There is none, it is closed, or the body does not fit its type.</exception>
    public async Task<(DeadLetter Letter, long Position)> Replay(Guid id, JsonElement? edited, Reason? reason, Journal journal, CancellationToken ct)
    {
        var letter = await Open(id, journal, ct);
        var order = new LetterOrder(id, true, letter.Replays, edited is { } body ? Fitting(letter, body) : null);
        return await Carry(order, new ReplayDeadLetter(letter.Tenant, letter.Queue, letter.Type, letter.Replays, order.Body is not null, reason), journal, ct);
    }

    /// <summary>Leaves a letter unhandled for good.</summary>
    /// <exception cref="Problem">There is none, or it is closed.</exception>
    public async Task<(DeadLetter Letter, long Position)> Discard(Guid id, Reason reason, Journal journal, CancellationToken ct)
    {
        var letter = await Open(id, journal, ct);
        return await Carry(new LetterOrder(id, false, letter.Replays), new DiscardDeadLetter(letter.Tenant, letter.Queue, letter.Type, letter.Replays, reason), journal, ct);
    }

    /// <summary>Orders an act on many letters. Those are meant that are dead now.</summary>
    public async Task<Outcome<LetterSweep>> Order(Id<LetterSweep> id, SweepKind kind, LetterSelection selection, Reason? reason, Journal journal, CancellationToken ct)
    {
        var (expected, at) = await Letters.Count(FilterOf(selection), ct);
        journal.Enqueue(new Message(new SweepOrder(id.Value)) { After = Behind });
        return await journal.Create(id, new StartSweep(kind, selection, expected, at, reason), ct);
    }

    /// <summary>Records that letters are given out; its end is recorded by who has written them.</summary>
    public async Task Export(Id<LetterSweep> id, DeadLetterFilter filter, bool opened, Journal journal, CancellationToken ct)
    {
        var (expected, at) = await Letters.Count(filter, ct);
        var selection = new LetterSelection(null, filter.Tenant, filter.Queue, filter.Type, filter.Cause, filter.From, filter.To, filter.State is { } s ? JsonNamingPolicy.CamelCase.ConvertName(s.ToString()) : null);
        await journal.Create(id, new StartSweep(SweepKind.Export, selection, expected, at, null, opened), ct);
    }

    /// <summary>Does what is left of an act on many letters.</summary>
    /// <param name="show">Told after each piece.</param>
    /// <param name="journal">Whose event says that it has ended.</param>
    public async Task<Outcome<LetterSweep>> Do(Id<LetterSweep> id, Action<SweepProgress> show, Journal journal, CancellationToken ct)
    {
        while (true)
        {
            var sweep = await journal.Load(id, ct);
            if (sweep.State is not { Started: { } started, Done: null }) return sweep;
            var progress = await Letters.Sweep(id.Value, started.Kind == SweepKind.Replay, await WhoOf(sweep, ct), started.Until, FilterOf(started.Selection) with { State = null }, ct);
            show(progress);
            if (progress.Finished) return await journal.Handle(id, new EndSweep(progress.Done), ct);
        }
    }

    /// <summary>The same, for as long as a request waits. What is not done then is done behind it.</summary>
    public async Task Begin(Id<LetterSweep> id, Origin origin, CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(LongestWait);
        try
        {
            await Do(id, _ => { }, node.Journal(Node.Platform, origin), limit.Token);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            // The message goes on with it.
        }
    }

    /// <summary>Handles the message of an order on one letter.</summary>
    public async Task Handle(LetterOrder order, MessageContext context) => await Effect(order, context.Actor, context.Cancellation);

    /// <summary>Handles the message of an order on many letters.</summary>
    public async Task Handle(SweepOrder order, MessageContext context)
    {
        var id = new Id<LetterSweep>(order.Sweep);
        var began = TimeProvider.System.GetTimestamp();
        var sweep = await context.Journal.Load(id, context.Cancellation);
        while (sweep.State is { Started: { } started, Done: null })
        {
            var progress = await Letters.Sweep(order.Sweep, started.Kind == SweepKind.Replay, await WhoOf(sweep, context.Cancellation), started.Until, FilterOf(started.Selection) with { State = null }, context.Cancellation);
            await context.Report(new MessageProgress(started.Expected == 0 ? 1 : Math.Min(1, (double)progress.Done / started.Expected)));
            if (progress.Finished)
            {
                await context.Journal.Handle(id, new EndSweep(progress.Done), context.Cancellation);
                return;
            }
            if (TimeProvider.System.GetElapsedTime(began) < Turn) continue;
            context.Journal.Enqueue(new Message(order));
            return;
        }
    }

    public static DeadLetterFilter FilterOf(LetterSelection s) =>
        new(s.Ids is { } ids ? [.. ids.Select(i => i.Value)] : null, s.Tenant, s.Queue, s.Type, s.Cause, s.From, s.To, DeadLetterState.Dead);

    private static StreamName<DeadLetterControl> StreamOf(Guid letter) => new Id<DeadLetterControl>(letter);

    private static async Task<string> WhoOf(Outcome<LetterSweep> sweep, CancellationToken ct) => (await sweep.Events(ct))[0].Actor ?? "system:unknown";

    private static Problem Missing() => new("dead_letter.missing", "There is no such dead letter.");

    private static Problem Closed() => new("dead_letter.closed", "The letter is replayed or discarded already.");

    private async Task<DeadLetter> Open(Guid id, Journal journal, CancellationToken ct)
    {
        var letter = await Find(id, ct);
        return letter.State == DeadLetterState.Dead || journal.Replay is not null ? letter : throw Closed();
    }

    private string Fitting(DeadLetter letter, JsonElement body)
    {
        try
        {
            return node.Outbox.Types.Checked(letter.Type, JsonSerializer.SerializeToUtf8Bytes(body));
        }
        catch (Exception e) when (e is JsonException or Refused)
        {
            throw Problem.At("body", "dead_letter.body_invalid", node.Outbox.Types.Find(letter.Type) is null
                ? $"This build does not know messages of type {letter.Type}."
                : $"It does not fit messages of type {letter.Type}{(e is JsonException { Path: { Length: > 1 } path } ? $", at {path}" : "")}.");
        }
    }

    private async Task<(DeadLetter Letter, long Position)> Carry(LetterOrder order, Command<DeadLetterControl> command, Journal journal, CancellationToken ct)
    {
        journal.Enqueue(new Message(order) { After = Behind });
        var ordered = await journal.Handle(StreamOf(order.Letter), command, ct);
        if (journal.Replay is not null) return (await Find(order.Letter, ct), ordered.Position);
        // Another one was first.
        if (ordered.Appended == 0) throw Closed();
        var done = await Effect(order, journal.Origin.Actor, ct);
        var after = await Find(order.Letter, ct);
        // Where it was not done here, its message or an act on many letters was faster, which may have done the opposite.
        if (!done && after.Replays == order.Round && after.State == DeadLetterState.Discarded == order.Replays) throw Closed();
        return (after, ordered.Position);
    }

    private Task<bool> Effect(LetterOrder order, string who, CancellationToken ct) =>
        order.Replays ? Letters.Replay(order.Letter, order.Round, who, order.Body, ct) : Letters.Discard(order.Letter, order.Round, who, ct);
}
