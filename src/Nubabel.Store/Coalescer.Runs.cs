using Npgsql;

namespace Nubabel.Store;

internal sealed partial class Coalescer
{
    /// <summary>Statements that several commits shared, and how many commits stood in them.</summary>
    internal (long Statements, long Items) Shared { get; private set; }

    /// <summary>Shared statements that failed and were halved.</summary>
    internal long Halved { get; private set; }

    /// <summary>Shared statements that went straight and met something in the way.</summary>
    internal long Broken { get; private set; }

    /// <summary>What a run has found out about an entry.</summary>
    /// <param name="Answer">Its answer; null together with <paramref name="Fault"/> when its caller has gone.</param>
    /// <param name="Next">Where it goes on instead of being answered.</param>
    private readonly record struct Settled(AppendEntry Entry, Appended? Answer = null, Exception? Fault = null, EntryPhase Next = EntryPhase.Ended);

    /// <summary>One commit by itself. In a statement's slot it waits for locks no longer than a shared statement would.</summary>
    private async Task RunAlone(AppendEntry entry, Slot slot)
    {
        Settled settled;
        try
        {
            var answer = await AppendRun.Alone(source, entry.Item, slot == Slot.Statement ? bounds.LongestWait : null, !entry.LooksFirst, entry.Token);
            settled = answer is null ? new Settled(entry, Next: EntryPhase.Refused) : new Settled(entry, answer);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.LockNotAvailable && slot == Slot.Statement)
        {
            entry.Waits = true;
            settled = new Settled(entry, Next: EntryPhase.Waiting);
        }
        catch (Exception e)
        {
            settled = new Settled(entry, Fault: e);
        }
        Settle([settled], slot);
    }

    private async Task RunShared(List<AppendEntry> batch, bool straight)
    {
        await Share(batch, straight);
        Settle([], Slot.Statement);
    }

    /// <summary>Several commits in one transaction; halved where something in it fails.</summary>
    /// <param name="straight">Without looking first. Who was in the way is found by looking, in a second run.</param>
    private async Task Share(List<AppendEntry> batch, bool straight)
    {
        List<Settled> settled;
        try
        {
            var answers = await AppendRun.Shared(source, batch.ConvertAll(e => e.Item), bounds.LongestWait, straight);
            settled = [.. batch.Select((entry, i) => answers[i] is { } answer ? new Settled(entry, answer) : new Settled(entry, Next: EntryPhase.Refused))];
        }
        catch (PostgresException e) when (straight && (AppendRun.IsRefusal(e) || e.SqlState == PostgresErrorCodes.LockNotAvailable))
        {
            lock (gate) Broken++;
            await Share(batch, straight: false);
            return;
        }
        catch (PostgresException e)
        {
            // The transaction is taken back, so all of it may be tried again.
            await Halve(batch, e, straight);
            return;
        }
        catch (Exception e)
        {
            settled = batch.ConvertAll(entry => new Settled(entry, Fault: e is OutcomeUnknown unknown ? new OutcomeUnknown(unknown.InnerException!) : e));
        }
        lock (gate) Shared = (Shared.Statements + 1, Shared.Items + batch.Count);
        Settle(settled, Slot.None);
    }

    private async Task Halve(List<AppendEntry> batch, PostgresException e, bool straight)
    {
        lock (gate) Halved++;
        // Who has gone meanwhile is not tried again.
        Settle([.. batch.Where(b => b.Task.IsCompleted).Select(b => new Settled(b))], Slot.None);
        batch = batch.FindAll(b => b.Phase != EntryPhase.Ended);
        var middle = batch.Count / 2;
        foreach (var half in new[] { batch[..middle], batch[middle..] })
        {
            if (half.Count > 1)
            {
                await Share(half, straight);
                continue;
            }
            foreach (var entry in half)
            {
                entry.Suspect = true;
                entry.Waits = e.SqlState == PostgresErrorCodes.LockNotAvailable;
            }
            Settle(half.ConvertAll(entry => new Settled(entry, Next: EntryPhase.Waiting)), Slot.None);
        }
    }

    private async Task RunDiagnosis(List<AppendEntry> those)
    {
        List<Settled> settled;
        try
        {
            var answers = await AppendRun.Diagnose(source, those.ConvertAll(e => e.Item), CancellationToken.None);
            settled = [.. those.Select((entry, i) => new Settled(entry, answers[i] ?? (entry.Waits ? AppendRun.Crossed(entry.Item) : null), Next: answers[i] is null && !entry.Waits ? EntryPhase.Waiting : EntryPhase.Ended))];
            // Nothing stands in the way but, perhaps, somebody's lock: it goes where it can wait for that.
            foreach (var s in settled) s.Entry.Waits = true;
        }
        catch (Exception e)
        {
            settled = those.ConvertAll(entry => new Settled(entry, Fault: e));
        }
        lock (gate) diagnosing = false;
        Settle(settled, Slot.None);
    }

    /// <summary>Takes down what runs have found out, gives slot and keys on, starts what has room by that, and then answers.</summary>
    private void Settle(List<Settled> settled, Slot slot)
    {
        List<AppendEntry> ready = [];
        List<(AppendEntry Entry, Appended Answer)> stale = [];
        lock (gate)
        {
            Release(slot, settled.Count == 0 ? "" : settled[0].Entry.Tenant);
            foreach (var s in settled)
            {
                if (s.Entry.Phase == EntryPhase.Ended) continue;
                if (s.Next != EntryPhase.Ended && !s.Entry.Task.IsCompleted)
                {
                    Forward(s.Entry, s.Next);
                    continue;
                }
                if (s.Entry.Suspect && s.Answer is not Appended.Done) apart.Add(s.Entry.Tenant);
                Dismiss(s.Entry);
                turns.Leave(s.Entry, s.Answer is Appended.Done { Events: [.., var last] } && s.Entry.Item.CanShare ? last.Version : 0, ready, stale);
            }
            foreach (var (entry, _) in stale) Dismiss(entry);
            foreach (var entry in ready) Enqueue(entry);
            Pump();
        }
        foreach (var s in settled)
        {
            if (s.Answer is { } answer) s.Entry.TrySetResult(answer);
            else if (s.Fault is OperationCanceledException) s.Entry.TrySetCanceled(s.Entry.Token);
            else if (s.Fault is { } fault) s.Entry.TrySetException(fault);
        }
        foreach (var (entry, answer) in stale) entry.TrySetResult(answer);
    }

    private void Forward(AppendEntry entry, EntryPhase next)
    {
        entry.Phase = next;
        if (next == EntryPhase.Refused)
        {
            refusing.Add(entry.Tenant);
            refused.Add(entry);
        }
        else Enqueue(entry);
    }
}
