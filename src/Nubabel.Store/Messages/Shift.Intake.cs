using Microsoft.Extensions.Logging;
using Npgsql;

namespace Nubabel.Store;

/// <summary>The part of a shift that takes lanes, and gives back those whose turn is over.</summary>
internal sealed partial class Shift
{
    /// <summary>So many messages of one lane at once, at most.</summary>
    private const int MostOfLane = 16;

    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    /// <summary>What a handler takes, in milliseconds: a moving average. Short ones are taken in hand in greater numbers.</summary>
    private double averageTime = 1;

    /// <summary>
    /// Only this loop makes lanes this worker's. So after a statement with an unknown outcome it can tell which are this worker's without it knowing.
    /// </summary>
    private async Task Intake(CancellationToken ct)
    {
        var after = "";
        var unsure = false;
        var failures = 0;
        while (!ct.IsCancellationRequested)
        {
            try
            {
                if (unsure) await LetGoUnknown(ct);
                unsure = false;
                await EndTurns(ct);
                (after, failures) = (await Round(after, ct), 0);
            }
            catch (PostgresException refused) when (refused.SqlState == LaneSql.Lost && LaneSql.IsWhole(refused))
            {
                Lose("another process gave it up");
            }
            catch (Exception failure) when (failure is NpgsqlException or TimeoutException or OperationCanceledException && !ct.IsCancellationRequested)
            {
                unsure = true;
                if (failures++ == 0) setup.Log.LogWarning(failure, "The worker of {Queue} could not take messages and tries again.", Queue);
                await Task.Delay(TimeSpan.FromMilliseconds(Math.Min(50 * Math.Pow(2, Math.Min(failures, 10)), LongestPause.TotalMilliseconds)), ct);
            }
        }
    }

    private async Task<string> Round(string after, CancellationToken ct)
    {
        // Taken before looking, or a hint in between would be lost.
        var (hint, room) = (setup.Outbox.Of(Queue).Next, freed.Next);
        var (free, full, target) = Room();
        if (free < Math.Max(1, target / 4))
        {
            await Loop.Wait(room, options.Turn, ct);
            return after;
        }
        var (messages, passed) = await LaneSql.Take(setup.Daemon, Id, Queue, after, free, Math.Max(1, target / 4), full, MostOfLane, ct);
        if (messages.Count > 0)
        {
            Accept(messages);
            return messages[^1].Tenant;
        }
        var pause = InHand is (0, 0) || setup.Poll < options.Turn ? setup.Poll : options.Turn;
        await Loop.Wait(passed ? Task.WhenAny(hint, room) : hint, pause, ct);
        return after;
    }

    /// <summary>How many more messages there is room for, who has his share already, and for how many there is room at all.</summary>
    private (int Free, string[] Full, int Target) Room()
    {
        lock (gate)
        {
            // As many as can be run within a turn: what is in hand is kept from other processes and, of one tenant, from others.
            var target = (int)Math.Clamp(options.Concurrency * (1 + options.Turn.TotalMilliseconds / Math.Max(averageTime, 0.01)), options.Concurrency, Math.Max(options.Concurrency, options.InHand));
            var inHand = busy + waiting;
            if (held.Count == 0) return (target - inHand, [], target);
            var full = held.GroupBy(l => l.Tenant).Where(g => g.Sum(l => l.Waiting.Count + l.Running.Count) >= Math.Max(1, target / 2)).Select(g => g.Key).ToArray();
            return (target - inHand, full, target);
        }
    }

    private void Accept(List<Delivery> messages)
    {
        lock (gate)
        {
            HeldLane? lane = null;
            foreach (var message in messages)
            {
                if (lane is null || lane.Tenant != message.Tenant || lane.Name != message.Lane)
                {
                    held.Add(lane = new HeldLane(message.Tenant, message.Lane));
                    ready.Add(lane.Tenant, lane);
                }
                else if (!lane.IsOrdered)
                {
                    ready.Add(lane.Tenant, lane);
                }
                lane.Waiting.Enqueue(message);
                waiting++;
            }
        }
        Pump();
    }

    /// <summary>Lanes that were long in hand: what has not begun goes back, and long handlers of a shared lane keep only their own message.</summary>
    private async Task EndTurns(CancellationToken ct)
    {
        List<(HeldLane Lane, Running[] Running)> moves = [];
        lock (gate)
        {
            // Handlers that have been running for long say something before they end.
            if (busy >= options.Concurrency) averageTime = Math.Max(averageTime, running.Values.Average(r => r.Age.TotalMilliseconds));
            var before = waiting;
            foreach (var lane in held.Where(l => l.IsOverdue(options.Turn)).ToArray())
            {
                waiting -= lane.HandBack();
                LetGoIfEmpty(lane);
                if (lane.IsGone || lane.IsOrdered || lane.Unwritten > 0 || lane.Running.Exists(r => r.IsEnding)) continue;
                lane.Move = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                moves.Add((lane, [.. lane.Running]));
            }
            if (waiting < before) ready.Keep(l => !l.IsGone && l.Waiting.Count > 0);
        }
        foreach (var (lane, moved) in moves) await Detach(lane, moved, ct);
    }

    private async Task Detach(HeldLane lane, Running[] moved, CancellationToken ct)
    {
        try
        {
            await LaneSql.Detach(setup.Daemon, Id, Queue, lane.Tenant, lane.Name, [.. moved.Select(r => r.Delivery.Seq)], ct);
            lock (gate)
            {
                lane.IsGone = true;
                held.Remove(lane);
                lane.Running.Clear();
                foreach (var one in moved)
                {
                    one.Lane = new HeldLane(lane.Tenant, $"!{one.Delivery.Seq}");
                    one.Lane.Running.Add(one);
                    held.Add(one.Lane);
                }
            }
        }
        catch (PostgresException refused) when (refused.SqlState == LaneSql.Lost && !LaneSql.IsWhole(refused))
        {
            // Somebody took a message away while it ran. The lane ends like any other.
        }
        catch (Exception unknown) when (LaneSql.IsUnknown(unknown))
        {
            // Whether the messages have moved decides under which name they end, and nobody can say.
            Lose("the outcome of a statement is not known");
        }
        finally
        {
            lock (gate)
            {
                lane.Move?.TrySetResult();
                lane.Move = null;
            }
        }
    }

    /// <summary>Lanes that are this worker's in the database and not in hand: the statement that took them did commit, but nobody heard of it.</summary>
    private async Task LetGoUnknown(CancellationToken ct)
    {
        // What is on the way out is none of them.
        await finisher.Flushed(ct);
        await using var command = setup.Daemon.CreateCommand("select tenant_id, lane from nubabel.lanes where worker = $1");
        command.Add(Id);
        var stored = new List<(string Tenant, string Lane)>();
        await using (var reader = await command.ExecuteReaderAsync(ct))
            while (await reader.ReadAsync(ct)) stored.Add((reader.GetString(0), reader.GetString(1)));
        lock (gate)
        {
            foreach (var (tenant, name) in stored.Where(s => !held.Any(l => l.Tenant == s.Tenant && l.Name == s.Lane)))
                finisher.LetGo(new HeldLane(tenant, name) { IsGone = true, HasMore = true });
        }
        // Before anything is taken: a lane that is let go late could be this worker's again.
        await finisher.Flushed(ct);
    }
}
