using System.Threading.Channels;
using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Gathers what the handlers of a shift commit: events, messages, and the ends of their own messages. While a transaction is under way, the next ones gather. Each
/// commit succeeds or is refused for itself; an error that is not a refusal leaves each to go alone.
/// </summary>
internal sealed class HandlerCommits(Shift shift, Outbox outbox)
{
    private const int Most = 64;

    /// <summary>Transactions at once: while one waits for the disk, another is written.</summary>
    private const int AtOnce = 3;

    private readonly Channel<Entry> channel = Channel.CreateUnbounded<Entry>();
    private Task loops = Task.CompletedTask;

    public void Start() => loops = Task.WhenAll(Enumerable.Range(0, AtOnce).Select(_ => Task.Run(Work)));

    /// <summary>Ends when all are answered.</summary>
    public async Task Stop(TimeSpan within)
    {
        channel.Writer.TryComplete();
        await loops.WaitAsync(within).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public async Task<Appended> Commit(NpgsqlDataSource source, Running one, AppendItem item, IReadOnlyList<Outgoing> enqueued, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        var entry = new Entry(source, one, item, enqueued);
        if (!channel.Writer.TryWrite(entry)) throw new MessageLost();
        return await entry.Task;
    }

    private async Task Work()
    {
        var entries = new List<Entry>();
        while (await channel.Reader.WaitToReadAsync())
        {
            entries.Clear();
            while (entries.Count < Most && channel.Reader.TryRead(out var entry)) entries.Add(entry);
            foreach (var group in Groups(entries)) await Write(group);
        }
    }

    /// <summary>Those that may stand in one statement: single streams, no key twice, one database.</summary>
    private static List<List<Entry>> Groups(List<Entry> entries)
    {
        var groups = new List<List<Entry>>();
        var keys = new List<HashSet<AppendKey>>();
        foreach (var entry in entries)
        {
            var own = entry.Item.Keys().ToArray();
            var at = entry.Item.CanShare ? groups.FindIndex(g => g[0].Item.CanShare && g[0].Source == entry.Source && !own.Any(keys[groups.IndexOf(g)].Contains)) : -1;
            if (at < 0)
            {
                groups.Add([entry]);
                keys.Add([.. own]);
                continue;
            }
            groups[at].Add(entry);
            keys[at].UnionWith(own);
        }
        return groups;
    }

    private async Task Write(IReadOnlyList<Entry> entries)
    {
        // What fails here fails for those who wait for it, and the loop goes on.
#pragma warning disable CA1031
        try
        {
            var results = await CarriedCommit.Run(entries[0].Source, [.. entries.Select(e => e.Item)], LaneSql.Hold(shift.Id, shift.Lease), results => Behind(entries, results), CancellationToken.None);
            shift.Committed([.. entries.Where((_, i) => results[i] is not null).Select(e => e.One)]);
            await Answer(entries, results);
        }
        catch (PostgresException refused) when (refused.SqlState == LaneSql.Lost && (entries.Count == 1 || LaneSql.IsWhole(refused)))
        {
            if (LaneSql.IsWhole(refused)) shift.Lose("another process gave it up");
            foreach (var entry in entries) entry.TrySetException(new MessageLost(refused));
        }
        catch (PostgresException) when (entries.Count > 1)
        {
            foreach (var entry in entries) await Write([entry]);
        }
        catch (Exception failure)
        {
            foreach (var entry in entries) entry.TrySetException(failure);
        }
#pragma warning restore CA1031
    }

    private List<NpgsqlBatchCommand> Behind(IReadOnlyList<Entry> entries, Appended?[] results)
    {
        var done = entries.Where((_, i) => results[i] is not null).ToArray();
        var commands = new List<NpgsqlBatchCommand> { shift.Complete([.. done.Select(e => e.One)]) };
        if (done.SelectMany(e => e.Enqueued).ToArray() is { Length: > 0 } enqueued) commands.Add(outbox.Command(enqueued));
        return commands;
    }

    private async Task Answer(IReadOnlyList<Entry> entries, Appended?[] results)
    {
        var refused = new List<Entry>();
        for (var i = 0; i < entries.Count; i++)
        {
            if (results[i] is { } done) entries[i].TrySetResult(done);
            else refused.Add(entries[i]);
        }
        if (refused.Count == 0) return;
        var answers = await AppendRun.Diagnose(refused[0].Source, [.. refused.Select(e => e.Item)], CancellationToken.None);
        for (var i = 0; i < refused.Count; i++)
        {
            if (answers[i] is { } answer) refused[i].TrySetResult(answer);
            // Only somebody's lock was in the way: alone it waits for that. One that was alone met somebody who was faster.
            else if (entries.Count > 1) await Write([refused[i]]);
            else refused[i].TrySetResult(AppendRun.Crossed(refused[i].Item));
        }
    }

    private sealed class Entry(NpgsqlDataSource source, Running one, AppendItem item, IReadOnlyList<Outgoing> enqueued)
        : TaskCompletionSource<Appended>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public NpgsqlDataSource Source => source;
        public Running One => one;
        public AppendItem Item => item;

        // As it was when the handler committed.
        public IReadOnlyList<Outgoing> Enqueued { get; } = [.. enqueued];
    }
}
