using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Nubabel.Store;

/// <summary>The part of a shift that runs handlers and decides what becomes of their messages.</summary>
internal sealed partial class Shift
{
    /// <summary>Begins as many handlers as there is room for, in turns of the tenants.</summary>
    private void Pump()
    {
        lock (gate)
        {
            while (busy < options.Concurrency && !intakeEnds.IsCancellationRequested && !IsLost && ready.TryNext(out var lane))
            {
                if (lane.IsGone || lane.Waiting.Count == 0) continue;
                var message = lane.Waiting.Dequeue();
                var one = new Running(lane, message, CancellationTokenSource.CreateLinkedTokenSource(lost.Token, stopping.Token));
                lane.Running.Add(one);
                running[message.Id] = one;
                busy++;
                waiting--;
                _ = Task.Run(() => Handle(one), CancellationToken.None);
            }
        }
    }

    private async Task Handle(Running one)
    {
        var clock = Stopwatch.StartNew();
        // Whatever a handler throws is a failed attempt and nothing else, and nobody awaits this task.
#pragma warning disable CA1031
        try
        {
            var journal = setup.Journals(one.Delivery.Tenant, OriginOf(one.Delivery));
            var commit = new Commit(this, one, journal.Database.Api);
            journal.Handler = commit;
            Exception? failure = null;
            try
            {
                await Call(one, journal);
            }
            catch (Exception thrown)
            {
                failure = thrown;
            }
            if (!IsLost) await Settle(one, journal, commit, failure, clock.Elapsed);
        }
        catch (Exception fault)
        {
            setup.Log.LogError(fault, "The end of message {Id} of {Queue} could not be written.", one.Delivery.Id, Queue);
            Lose("the end of a message could not be written");
        }
        finally
        {
            Ended(one, clock.Elapsed);
        }
#pragma warning restore CA1031
    }

    private async Task Call(Running one, Journal journal)
    {
        var message = one.Delivery;
        if (message.Losses >= options.Losses) throw new Hopeless($"Its worker was lost {message.Losses} times while it was first in hand.");
        var handler = setup.Handlers.Of(message.Type) ?? throw new InvalidOperationException($"This process has no handler of {message.Type}.");
        var context = new MessageContext(message, journal, progress => setup.Report(message, progress), one.Cancellation.Token) { Worker = Id };
        one.Cancellation.CancelAfter(options.TimeLimit);
        // A handler that does not notice is left alone; what it still commits is refused, as the attempt is over.
        await handler(message.Read(setup.Handlers.Types), context).WaitAsync(options.TimeLimit + Grace);
    }

    private async Task Settle(Running one, Journal journal, Commit commit, Exception? failure, TimeSpan took)
    {
        var message = one.Delivery;
        if (commit.IsOver)
        {
            if (failure is not null) setup.Log.LogError(failure, "The handler of message {Id} of {Queue} failed behind its commit, which stands.", message.Id, Queue);
            return;
        }
        if (failure is null || one.IsCancelled)
        {
            await commit.Settled();
            finisher.Done(one, failure is null ? [.. journal.Pending] : []);
            return;
        }
        // Somebody discarded it, or an attempt given up before has come through after all: there is nothing left to write.
        if (failure is MessageLost) return;
        if (stopping.IsCancellationRequested && failure is OperationCanceledException)
        {
            lock (gate) one.Lane.HasMore = true;
            return;
        }
        if (failure is NotYet later)
        {
            await PutOff(one, commit, later.After);
            return;
        }
        await Fail(one, commit, one.Cancellation.IsCancellationRequested && failure is OperationCanceledException or TimeoutException
            ? new TimeoutException($"It took longer than {options.TimeLimit.TotalSeconds:0.###} s.", failure)
            : failure, took);
    }

    private async Task Fail(Running one, Commit commit, Exception failure, TimeSpan took)
    {
        var message = one.Delivery;
        await commit.Settled();
        var dead = failure is Hopeless || message.Attempt >= options.Attempts;
        var park = options.ParksKey && message.Key is not null;
        var pause = failure is TryAgain again ? again.After : options.Backoff.After(message.Attempt, Random.Shared.NextDouble());
        if (one.Lane.IsOrdered) await finisher.Flushed(lost.Token);
        var entry = JsonSerializer.Serialize(new Entry((long)took.TotalMilliseconds, setup.Node, failure.GetType().Name, Text(failure)), JsonSerializerOptions.Web);
        var last = dead ? LastWord(message, failure.GetType().Name) : null;
        if (!await Written(() => LaneSql.Fail(setup.Daemon, Id, message, one.Lane.Name, entry, pause, dead, park, last is null ? null : setup.Outbox.Command([last]), lost.Token)))
        {
            // A commit of unknown outcome that did happen has let the lane go, and it may be this worker's again: nothing can be said of it any more.
            if (one.LetsGo) Lose("the outcome of a commit was not known");
            return;
        }
        if (last is not null) setup.Outbox.Enqueued([last.Type.Queue]);
        setup.Log.LogWarning(failure, "Attempt {Attempt} of message {Id} of {Queue} failed{End}.", message.Attempt, message.Id, Queue, dead ? ", the last one" : "");
        // A message of a shared lane has left it; an ordered lane waits, or is parked, and is nobody's.
        if (one.Lane.IsOrdered && (!dead || park)) Rests(one.Lane);
    }

    /// <summary>Writes it again until it is known to be there. False when there was nothing to write to any more.</summary>
    private async Task<bool> Written(Func<Task> write)
    {
        for (var failures = 0; ; failures++)
        {
            try
            {
                await write();
                return true;
            }
            catch (PostgresException refused) when (refused.SqlState == LaneSql.Lost)
            {
                if (LaneSql.IsWhole(refused)) Lose("another process gave it up");
                return false;
            }
            catch (Exception unknown) when (LaneSql.IsUnknown(unknown))
            {
                Lose("the outcome of a statement is not known");
                return false;
            }
            catch (PostgresException refused) when (!IsLost && refused.IsTransient)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(Math.Min(50 * Math.Pow(2, Math.Min(failures, 10)), LongestPause.TotalMilliseconds)), lost.Token);
            }
        }
    }

    /// <summary>The handler has returned, and what becomes of its message is decided.</summary>
    private void Ended(Running one, TimeSpan took)
    {
        lock (gate)
        {
            var lane = one.Lane;
            lane.Running.Remove(one);
            running.Remove(one.Delivery.Id);
            busy--;
            averageTime += (took.TotalMilliseconds - averageTime) * 0.1;
            if (lane.IsOrdered && lane.Waiting.Count > 0 && !lane.IsGone) ready.Add(lane.Tenant, lane);
            LetGoIfEmpty(lane);
        }
        one.Cancellation.Dispose();
        Pump();
        freed.Heard();
    }

    /// <summary>The handler has ended, and its message goes to the database with others.</summary>
    internal void ToBeWritten(Running one)
    {
        lock (gate)
        {
            one.Lane.Running.Remove(one);
            one.Lane.Unwritten++;
        }
    }

    /// <summary>The lanes that are empty when these ends are written, and are let go with them.</summary>
    internal IReadOnlyList<HeldLane> LastWritten(IEnumerable<HeldLane> lanes)
    {
        lock (gate)
        {
            var last = lanes.GroupBy(l => l).Where(g => g.Key is { IsGone: false, Waiting.Count: 0, Running.Count: 0 } && g.Key.Unwritten == g.Count()).Select(g => g.Key).ToArray();
            foreach (var lane in last)
            {
                lane.IsGone = true;
                held.Remove(lane);
            }
            return last;
        }
    }

    internal void Written(IEnumerable<HeldLane> lanes, bool letGo)
    {
        lock (gate)
        {
            foreach (var lane in lanes)
            {
                lane.Unwritten--;
                LetGoIfEmpty(lane);
            }
        }
        if (letGo) freed.Heard();
    }

    /// <summary>Under the gate.</summary>
    private void LetGoIfEmpty(HeldLane lane)
    {
        if (lane.IsGone || !lane.IsEmpty) return;
        lane.IsGone = true;
        held.Remove(lane);
        finisher.LetGo(lane);
    }

    /// <summary>Waits until it is known in which lane the message is, and keeps it there.</summary>
    private async ValueTask KeepInPlace(Running one)
    {
        while (true)
        {
            Task move;
            lock (gate)
            {
                if (one.Lane.Move is not { } moving)
                {
                    one.IsEnding = true;
                    return;
                }
                move = moving.Task;
            }
            await move;
        }
    }

    /// <summary>What is enqueued because a message was given up. Its id's time is that message's: it follows from it, and no clock is asked.</summary>
    internal Outgoing? LastWord(Delivery message, string cause) =>
        setup.Handlers.LastWordOf(message, cause) is { } word ? setup.Outbox.Draft(message.Tenant, word, OriginOf(message), message.Enqueued) : null;

    private static Origin OriginOf(Delivery message) =>
        new(message.Actor, null, message.CorrelationId, message.Id.ToString(), message.Headers.GetValueOrDefault("traceparent"));

    // What PostgreSQL does not take is left out.
    private static string Text(Exception failure)
    {
        var text = failure.Message.Replace("\0", "", StringComparison.Ordinal);
        return text.Length <= FailedAttempt.LongestError ? text : text[..FailedAttempt.LongestError];
    }

    private sealed record Entry(long Ms, string Node, string Cause, string Error);

    /// <summary>The statement that ends these messages, and lets go the lanes that are empty by that.</summary>
    internal NpgsqlBatchCommand Complete(IReadOnlyList<Running> done)
    {
        lock (gate)
        {
            var free = done.Select(r => r.Lane).Distinct().Where(l => l is { IsGone: false, Unwritten: 0, Waiting.Count: 0 } && l.Running.TrueForAll(done.Contains)).ToArray();
            foreach (var one in done) one.LetsGo = free.Contains(one.Lane);
            return LaneSql.Complete(Id, Queue, [.. done.Select(r => (r.Delivery.Tenant, r.Lane.Name, r.Delivery.Seq, r.Delivery.Attempt - 1))], [.. free.Select(l => (l.Tenant, l.Name, l.HasMore))]);
        }
    }

    /// <summary>What <see cref="Complete"/> says is true now.</summary>
    internal void Committed(IReadOnlyList<Running> done)
    {
        lock (gate)
        {
            foreach (var one in done.Where(r => r.LetsGo))
            {
                one.Lane.IsGone = true;
                held.Remove(one.Lane);
            }
        }
    }

    /// <summary>The commit of one handler, on its way to be written with others'.</summary>
    private sealed class Commit(Shift shift, Running one, NpgsqlDataSource source) : HandlerCommit
    {
        public ValueTask Settled() => shift.KeepInPlace(one);

        protected override async Task<Appended> Write(AppendItem item, IReadOnlyList<Outgoing> enqueued, CancellationToken ct)
        {
            await shift.KeepInPlace(one);
            if (shift.IsLost) throw new MessageLost();
            return await shift.commits.Commit(source, one, item, enqueued, ct);
        }
    }
}
