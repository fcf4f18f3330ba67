using System.Diagnostics;
using System.Runtime.InteropServices;
using Npgsql;

namespace Nubabel.Store;

/// <summary>The bounds of a <see cref="Coalescer"/>.</summary>
/// <param name="Statements">Statements at once that may be shared, a connection each. The fewer, the more commits share one.</param>
/// <param name="MostStatements">The same where commits take long: the disk takes several at once, so those that wait do not wait for the one before.</param>
/// <param name="Loners">Commits at once that run by themselves, a connection each; one tenant may have half of them.</param>
/// <param name="Items">Commits in one statement.</param>
/// <param name="Bytes">JSON of the events in one statement, in characters, unless one commit alone has more.</param>
/// <param name="Live">Commits that this node takes on, running ones included; one tenant may have a quarter of them.</param>
/// <param name="LiveBytes">The JSON of their events.</param>
internal sealed record CoalescerBounds(int Statements = 2, int MostStatements = 8, int Loners = 12, int Items = 64, long Bytes = 1 << 20, int Live = 8192, long LiveBytes = 128 << 20)
{
    /// <summary>Nobody in a statement that may be shared waits longer for a lock: the others would wait with it.</summary>
    public TimeSpan LongestWait { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>When this long no statement has begun and all <c>Statements</c> are under way, one more may begin.</summary>
    public TimeSpan Slow { get; init; } = TimeSpan.FromMilliseconds(2);

    /// <summary>How long a tenant is kept apart from others whose commit was in their way, so that it is not so again and again.</summary>
    public TimeSpan Apart { get; init; } = TimeSpan.FromSeconds(1);
}

/// <summary>
/// Gathers the commits of all tenants that wait on this node into shared statements, one transaction each. While a statement is under way the next one fills;
/// who comes alone goes alone, at once. A commit over several streams always goes alone. An error that is not a refusal halves the statement until whoever
/// caused it stands alone and hears of it.
/// </summary>
internal sealed partial class Coalescer(NpgsqlDataSource source, CoalescerBounds bounds) : IAsyncDisposable
{
    /// <summary>Where both wait, for each statement that looks so many go straight as straight commits come to one of those that look, and no more than this.</summary>
    private const int MostInRow = 4;

    private readonly object gate = new();
    private readonly Turns turns = new();

    /// <summary>Those that go straight, and those of tenants of whom one was just refused: they share statements with each other, which look before they write.</summary>
    private readonly FairQueue sharing = new(), watched = new();

    private readonly FairQueue alone = new();
    private readonly List<AppendEntry> refused = [];
    private readonly Dictionary<string, int> live = [];
    private readonly Dictionary<string, int> lonersOf = [];

    /// <summary>Tenants whose commit made a shared statement fail: they go alone.</summary>
    private readonly Remembered apart = new(bounds.Apart);

    /// <summary>Tenants whose commit was refused.</summary>
    private readonly Remembered refusing = new(bounds.Apart);

    private readonly TaskCompletionSource drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int statements, loners, admitted;
    private long admittedBytes, begun;
    private bool diagnosing, closed;

    /// <summary>Statements that went straight since the last one that looked; no more are counted than matter.</summary>
    private int inRow;

    /// <summary>Commits, and answers when it is certain. A commit of one stream may be written together with others'; it succeeds or fails for itself.</summary>
    /// <exception cref="OperationCanceledException">Cancelled before anything was sent: nothing was written.</exception>
    /// <exception cref="OutcomeUnknown">The commit may or may not have happened; also when it was cancelled while under way.</exception>
    /// <exception cref="TooManyCommits">Nothing was written.</exception>
    public async Task<Appended> Commit(AppendItem item, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        var entry = new AppendEntry(item, ct);
        Slot? slot;
        lock (gate)
        {
            Admit(entry);
            slot = turns.Enter(entry) ? Enqueue(entry, startsNow: true) : null;
        }
        // Whoever meets nobody goes on its own thread: one caller pays nothing for the others who are not there.
        if (slot is { } own) await RunAlone(entry, own);
        if (entry.Task.IsCompleted || !ct.CanBeCanceled) return await entry.Task;
        await using var registration = ct.UnsafeRegister(static state => (((Coalescer, AppendEntry))state!).Item1.Cancel((((Coalescer, AppendEntry))state!).Item2), (this, entry));
        return await entry.Task;
    }

    /// <summary>Takes nothing more and waits for what it has taken.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (gate)
        {
            closed = true;
            if (admitted == 0) drained.TrySetResult();
        }
        await drained.Task;
    }

    private void Admit(AppendEntry entry)
    {
        ObjectDisposedException.ThrowIf(closed, this);
        ref var own = ref CollectionsMarshal.GetValueRefOrAddDefault(live, entry.Tenant, out _);
        if (admitted >= bounds.Live || own >= bounds.Live / 4 || admittedBytes + entry.Item.Bytes > bounds.LiveBytes)
        {
            if (own == 0) live.Remove(entry.Tenant);
            throw new TooManyCommits();
        }
        own++;
        admitted++;
        admittedBytes += entry.Item.Bytes;
    }

    private void Dismiss(AppendEntry entry)
    {
        entry.Phase = EntryPhase.Ended;
        Less(live, entry.Tenant);
        admitted--;
        admittedBytes -= entry.Item.Bytes;
        if (closed && admitted == 0) drained.TrySetResult();
    }

    /// <summary>An entry that has its keys goes to its queue, or into a free slot that nobody waits for.</summary>
    private Slot? Enqueue(AppendEntry entry, bool startsNow = false)
    {
        var shares = entry.Item.CanShare && !entry.Suspect && !entry.Waits && !apart.Has(entry.Tenant);
        entry.LooksFirst = refusing.Has(entry.Tenant);
        if (startsNow && shares && sharing.Count + watched.Count == 0 && HasRoom()) return Start(entry, Slot.Statement);
        if (startsNow && !shares && alone.Count == 0 && MayGoAlone(entry)) return Start(entry, Slot.Loner);
        if (!shares) alone.Add(entry);
        else (AppendStraight.Fits(entry.Item) && !entry.LooksFirst ? sharing : watched).Add(entry);
        return null;
    }

    private Slot Start(AppendEntry entry, Slot slot)
    {
        entry.Phase = EntryPhase.Alone;
        if (slot == Slot.Statement)
        {
            Begin();
            return slot;
        }
        loners++;
        CollectionsMarshal.GetValueRefOrAddDefault(lonersOf, entry.Tenant, out _)++;
        return slot;
    }

    private bool HasRoom() =>
        statements < bounds.Statements || statements < bounds.MostStatements && Stopwatch.GetElapsedTime(begun) >= bounds.Slow;

    private void Begin()
    {
        statements++;
        begun = Stopwatch.GetTimestamp();
    }

    private bool MayGoAlone(AppendEntry entry) => loners < bounds.Loners && lonersOf.GetValueOrDefault(entry.Tenant) < Math.Max(1, bounds.Loners / 2);

    private void Release(Slot slot, string tenant)
    {
        if (slot == Slot.Statement) statements--;
        if (slot != Slot.Loner) return;
        loners--;
        Less(lonersOf, tenant);
    }

    /// <summary>Starts whatever has room.</summary>
    private void Pump()
    {
        while (sharing.Count + watched.Count > 0 && HasRoom())
        {
            var straight = watched.Count == 0 || sharing.Count > 0 && inRow < Math.Clamp(sharing.Count / watched.Count, 1, MostInRow);
            inRow = straight ? Math.Min(inRow + 1, MostInRow) : 0;
            var batch = NextBatch(straight ? sharing : watched, straight);
            if (batch.Count == 0) continue;
            if (batch.Count == 1)
            {
                ThreadPool.UnsafeQueueUserWorkItem(static s => _ = s.Item1.RunAlone(s.Item2, s.Item3), (this, batch[0], Start(batch[0], Slot.Statement)), preferLocal: false);
                continue;
            }
            Begin();
            foreach (var entry in batch) entry.Phase = EntryPhase.Shared;
            ThreadPool.UnsafeQueueUserWorkItem(static s => _ = s.Item1.RunShared(s.batch, s.straight), (this, batch, straight), preferLocal: false);
        }
        while (loners < bounds.Loners && alone.Take(MayGoAlone) is { } loner)
            ThreadPool.UnsafeQueueUserWorkItem(static s => _ = s.Item1.RunAlone(s.loner, s.Item3), (this, loner, Start(loner, Slot.Loner)), preferLocal: false);
        if (diagnosing || refused.Count == 0) return;
        diagnosing = true;
        List<AppendEntry> those = [.. refused.Take(bounds.Items)];
        refused.RemoveRange(0, those.Count);
        ThreadPool.UnsafeQueueUserWorkItem(static s => _ = s.Item1.RunDiagnosis(s.those), (this, those), preferLocal: false);
    }

    private List<AppendEntry> NextBatch(FairQueue queue, bool straight)
    {
        var batch = new List<AppendEntry>(Math.Min(queue.Count, bounds.Items));
        long bytes = 0;
        while (batch.Count < bounds.Items && queue.Take(e => batch.Count == 0 || bytes + Of(e) <= (straight ? AppendStraight.MostBytes : bounds.Bytes)) is { } next)
        {
            batch.Add(next);
            bytes += Of(next);
        }
        return batch;

        long Of(AppendEntry entry) => straight ? AppendStraight.BytesOf(entry.Item) : entry.Item.Bytes;
    }

    /// <summary>The caller has given up.</summary>
    private void Cancel(AppendEntry entry)
    {
        lock (gate)
        {
            // What runs by itself is ended by its own cancellation, which knows best.
            if (entry.Phase is EntryPhase.Alone or EntryPhase.Ended) return;
            if (entry.Phase == EntryPhase.Shared) entry.TrySetException(new OutcomeUnknown(new OperationCanceledException(entry.Token)));
            else entry.TrySetCanceled(entry.Token);
            // Under the same lock, so that it cannot be taken into a statement in between.
            if (entry.Phase != EntryPhase.Waiting) return;
            Settle([new Settled(entry)], Slot.None);
            entry.LetGo();
        }
    }

    private static void Less(Dictionary<string, int> counts, string name)
    {
        ref var count = ref CollectionsMarshal.GetValueRefOrNullRef(counts, name);
        if (--count == 0) counts.Remove(name);
    }

    /// <summary>Names of tenants, each for a while; beyond a thousand, no more are taken in before the time of some is over. Guarded by the coalescer's lock.</summary>
    private sealed class Remembered(TimeSpan span)
    {
        private const int Most = 1_000;
        private readonly Dictionary<string, long> until = [];

        public bool Has(string tenant) => until.Count > 0 && until.TryGetValue(tenant, out var end) && Stopwatch.GetTimestamp() < end;

        public void Add(string tenant)
        {
            var now = Stopwatch.GetTimestamp();
            if (until.Count >= Most)
                foreach (var (name, end) in until)
                    if (end < now) until.Remove(name);
            if (until.Count < Most) until[tenant] = now + (long)(span.TotalSeconds * Stopwatch.Frequency);
        }
    }

    /// <summary>What a run holds while it lasts.</summary>
    private enum Slot { None, Statement, Loner }
}
