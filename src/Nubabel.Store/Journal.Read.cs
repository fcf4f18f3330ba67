namespace Nubabel.Store;

/// <summary>The part of the unit of work that reads whole histories, and remembers them.</summary>
public sealed partial class Journal
{
    /// <summary>So many are told apart; whoever goes through more streams than this has no other use for them.</summary>
    private const int MostUsed = 64;

    /// <summary>The streams that this unit of work has used, so that what is read and then appended to is used once.</summary>
    private readonly HashSet<string> used = new(1);

    /// <summary>A stream's events in order; empty where there is none, or it is another tenant's.</summary>
    /// <exception cref="UnreadableEvent">One of them cannot be read.</exception>
    public async Task<IReadOnlyList<Recorded>> Read(string stream, Until until, CancellationToken ct) => (await Read([stream], _ => until, ct))[stream];

    /// <summary>
    /// Several streams in one round trip, as they are now. Of a stream that this node remembers, or reads for somebody else at this moment, and that is wanted whole, only
    /// what has come since is read.
    /// </summary>
    public async Task<IReadOnlyDictionary<string, IReadOnlyList<Recorded>>> Read(IReadOnlyCollection<string> streams, Func<string, Until> until, CancellationToken ct)
    {
        var whole = streams.Where(s => until(s) == Until.End).ToHashSet();
        var known = new Dictionary<string, IReadOnlyList<Recorded>>();
        foreach (var stream in whole)
            if (Remembered(stream) is { } history) known.Add(stream, history);
        var read = new Dictionary<string, IReadOnlyList<Recorded>>(streams.Count);
        IReadOnlyCollection<string> left = streams;
        for (var isFirst = true; left.Count > 0; isFirst = false)
        {
            using var share = database.FirstReaders.Begin(tenant, left.Where(s => whole.Contains(s) && !(isFirst && known.ContainsKey(s))));
            try
            {
                await ReadOn([.. left.Where(s => !share.Others.ContainsKey(s))], until, known, read, ct);
            }
            catch (Exception fault)
            {
                share.Fail(fault);
                throw;
            }
            share.Give(read);
            foreach (var (stream, reading) in share.Others)
            {
                if (await reading.WaitAsync(ct) is not { } history) continue;
                // What was under way when this question came may be older than it, and is read on; what was begun behind that is not.
                (isFirst ? known : read)[stream] = history;
            }
            left = [.. share.Others.Keys.Where(s => !read.ContainsKey(s))];
        }
        foreach (var stream in whole) Remember(stream, read[stream]);
        return read;
    }

    /// <summary>A stream's events as this node saw them last; null when it remembers none. To be decided on only under their version.</summary>
    public IReadOnlyList<Recorded>? Remembered(string stream)
    {
        var kept = database.Histories.Find(tenant, stream);
        return database.Turns.Find(tenant, stream) is { } shown && shown.Count > (kept?.Count ?? 0) ? shown : kept;
    }

    /// <summary>Remembers a whole history that was read, or committed under its version.</summary>
    public void Remember(string stream, IReadOnlyList<Recorded> history)
    {
        database.Histories.Keep(tenant, stream, history, isUse: history.Count > 0 && used.Count < MostUsed && used.Add(stream));
        database.Turns.Show(tenant, stream, history);
    }

    /// <summary>Forgets what this node remembers of a stream.</summary>
    public void Forget(string stream)
    {
        database.Histories.Forget(tenant, stream);
        database.Turns.Forget(tenant, stream);
    }

    /// <summary>Whether commands on this node have met on the stream and take turns.</summary>
    public bool TakesTurns(string stream) => database.Turns.IsTaken(tenant, stream);

    /// <summary>Waits for the turn on all these streams. Null where too many wait already.</summary>
    public ValueTask<StreamTurn?> Turn(IEnumerable<string> streams, CancellationToken ct) => database.Turns.Enter(tenant, streams, ct);

    private async Task ReadOn(
        IReadOnlyCollection<string> streams, Func<string, Until> until, Dictionary<string, IReadOnlyList<Recorded>> known, Dictionary<string, IReadOnlyList<Recorded>> read, CancellationToken ct)
    {
        if (streams.Count == 0) return;
        var rows = await ReadStream.Read(database, types, tenant, streams, until, ct, s => known.GetValueOrDefault(s) is { Count: > 0 } h ? h[^1].Version : 0);
        List<string> contradicted = [];
        foreach (var stream in streams)
        {
            // The last event that is remembered is read again: what comes behind it continues what is remembered only if it still stands there.
            if (known.GetValueOrDefault(stream) is not { Count: > 0 } history) read[stream] = rows[stream];
            else if (rows[stream] is [var last, ..] && last.Id == history[^1].Id && last.Position == history[^1].Position) read[stream] = rows[stream].Count == 1 ? history : [.. history, .. rows[stream].Skip(1)];
            else contradicted.Add(stream);
        }
        if (contradicted.Count == 0) return;
        foreach (var stream in contradicted) Forget(stream);
        foreach (var (stream, history) in await ReadStream.Read(database, types, tenant, contradicted, _ => Until.End, ct)) read[stream] = history;
    }
}
