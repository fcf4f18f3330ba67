using System.Collections.Concurrent;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>
/// Waits until a read model has seen a position, so that a client reads its own write. The process that runs the projection knows at once;
/// the others ask the database, all waiters with one question.
/// </summary>
public sealed class Positions(NpgsqlDataSource daemon, ProjectionSet projections)
{
    /// <summary>How often a process that does not run the projection asks while somebody waits.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    private readonly ConcurrentDictionary<string, long> own = new();
    private readonly ConcurrentDictionary<string, bool> whole = new();
    private readonly Signal moved = new();
    private readonly Lock asking = new();
    private Task<IReadOnlyDictionary<string, long>>? question;

    /// <summary>Waits until the projection has reached the position, but no longer than the time.</summary>
    /// <returns>Whether it has, and how far it is.</returns>
    public async Task<(bool Reached, long Have)> Reached(string projectionName, long position, TimeSpan timeout, CancellationToken ct)
    {
        var name = Named(projectionName).ProgressionName;
        using var time = CancellationTokenSource.CreateLinkedTokenSource(ct);
        time.CancelAfter(timeout);
        var have = 0L;
        while (true)
        {
            var change = moved.Next;
            var isOwn = own.TryGetValue(name, out var at);
            if (!isOwn) at = await Ask(have, name, time.Token);
            have = at;
            if (have >= position) return (true, have);
            await change.WaitAsync(isOwn ? timeout : Pause, time.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            ct.ThrowIfCancellationRequested();
            if (time.IsCancellationRequested) return (false, have);
        }
    }

    /// <summary>
    /// Whether readers may see the table of this build's version: a new version is built first, and nobody sees half of it. What is whole once stays so.
    /// </summary>
    public async Task<bool> IsWhole(string projectionName, CancellationToken ct)
    {
        var name = Named(projectionName).ProgressionName;
        if (whole.ContainsKey(name)) return true;
        if (!await Again.Ask(() => Asked(name, ct))) return false;
        // Of a projection that begins with the log it may still be decided otherwise: by the checkpoint alone it is known for good.
        if ((await All(ct)).ContainsKey(name)) whole[name] = true;
        return true;
    }

    /// <summary>This process has brought the projection to here.</summary>
    internal void Moved(string progressionName, long position)
    {
        own[progressionName] = position;
        moved.Heard();
    }

    /// <summary>This process no longer runs the projection: what it knew grows old.</summary>
    internal void Disown(string progressionName)
    {
        if (own.TryRemove(progressionName, out _)) moved.Heard();
    }

    private Projection Named(string name) => projections.Find(name) ?? throw new ArgumentException($"No projection is named {name}.", nameof(name));

    private async Task<long> Ask(long known, string name, CancellationToken ct)
    {
        Task<IReadOnlyDictionary<string, long>> current;
        lock (asking)
        {
            // An answer that is under way may be a little old, which a waiter that asks again can bear.
            if (question is null or { IsCompleted: true }) question = Task.Run(() => All(CancellationToken.None), CancellationToken.None);
            current = question;
        }
        try
        {
            return (await current.WaitAsync(ct)).GetValueOrDefault(name);
        }
        catch (OperationCanceledException)
        {
            return known;
        }
    }

    private async Task<bool> Asked(string name, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("select nubabel.is_whole($1)");
        command.Add(name);
        return await command.ExecuteScalarAsync(ct) is true;
    }

    private Task<IReadOnlyDictionary<string, long>> All(CancellationToken ct) => Again.Ask<IReadOnlyDictionary<string, long>>(async () =>
    {
        await using var command = daemon.CreateCommand("select name, coalesce(last_seq_id, 0) from events.mt_event_progression where name = any($1)");
        command.AddArray(projections.All.Select(p => p.ProgressionName).ToArray(), NpgsqlDbType.Varchar);
        await using var reader = await command.ExecuteReaderAsync(ct);
        var all = new Dictionary<string, long>();
        while (await reader.ReadAsync(ct)) all[reader.GetString(0)] = reader.GetInt64(1);
        return all;
    });
}
