namespace Nubabel.Store;

/// <summary>The part of the unit of work that reads streams, and remembers them.</summary>
public sealed partial class Journal
{
    /// <summary>So many are told apart; whoever goes through more streams than this has no other use for them.</summary>
    private const int MostUsed = 64;

    /// <summary>What this unit of work sees is of the log of this age.</summary>
    private readonly int age = database.Age;

    /// <summary>The streams that this unit of work has used, so that what is read and then appended to is used once.</summary>
    private readonly HashSet<string> used = new(1);

    /// <summary>A stream's events in order; empty where there is none, or it is another tenant's.</summary>
    /// <exception cref="UnreadableEvent">One of them cannot be read.</exception>
    public async Task<IReadOnlyList<Recorded>> Read(string stream, Until until, CancellationToken ct) => (await Read([stream], _ => until, ct))[stream];

    /// <summary>The events of several streams in one round trip. Nothing of them is remembered.</summary>
    public Task<IReadOnlyDictionary<string, IReadOnlyList<Recorded>>> Read(IReadOnlyCollection<string> streams, Func<string, Until> until, CancellationToken ct) =>
        ReadStream.Read(database, types, tenant, streams, until, ct);

    /// <summary>
    /// What is folded of several streams as they are now, in one round trip. Of a stream that this node remembers, or reads for somebody else at this moment, only
    /// what has come since is read.
    /// </summary>
    /// <exception cref="UnreadableEvent">One of their events cannot be read.</exception>
    public async Task<IReadOnlyDictionary<string, Seen>> See(IReadOnlyCollection<Sought> streams, CancellationToken ct)
    {
        IReadOnlyCollection<Sought> left = streams.Count == 1 ? streams : [.. streams.DistinctBy(s => s.Stream)];
        var known = new Dictionary<string, Seen>(streams.Count);
        foreach (var sought in streams)
            if (Remembered(sought) is { } seen) known[sought.Stream] = seen;
        var read = new Dictionary<string, Seen>(streams.Count);
        for (var isFirst = true; left.Count > 0; isFirst = false)
        {
            using var share = database.FirstReaders.Begin(tenant, left.Where(s => !(isFirst && known.ContainsKey(s.Stream))).Select(s => s.Stream));
            try
            {
                await SeeOn([.. left.Where(s => !share.Others.ContainsKey(s.Stream))], known, read, ct);
            }
            catch (Exception fault)
            {
                share.Fail(fault);
                throw;
            }
            share.Give(read);
            foreach (var (stream, reading) in share.Others)
            {
                if (await reading.WaitAsync(ct) is not { } seen) continue;
                // What was under way when this question came may be older than it, and is read on; what was begun behind that is not.
                (isFirst ? known : read)[stream] = seen;
            }
            left = [.. left.Where(s => !read.ContainsKey(s.Stream))];
        }
        foreach (var (stream, seen) in read) Remember(stream, seen);
        return read;
    }

    /// <summary>A stream as this node saw it last; null when it remembers none. To be decided on only under its version.</summary>
    public Seen? Remembered(Sought sought)
    {
        var kept = database.Remembered.Find(tenant, sought.Stream);
        var seen = database.Turns.Find(tenant, sought.Stream) is { } shown && shown.Version > (kept?.Version ?? 0) ? shown : kept;
        return seen?.Folds == sought.Folds ? seen : null;
    }

    /// <summary>Remembers a stream that was read, or committed under its version.</summary>
    public void Remember(string stream, Seen seen)
    {
        ArgumentNullException.ThrowIfNull(seen);
        database.Remembered.Keep(tenant, stream, seen, isUse: seen.Version > 0 && used.Count < MostUsed && used.Add(stream));
        database.Turns.Show(tenant, stream, seen);
        if (database.Age != age) Forget(stream);
    }

    /// <summary>Forgets what this node remembers of a stream.</summary>
    public void Forget(string stream)
    {
        database.Remembered.Forget(tenant, stream);
        database.Turns.Forget(tenant, stream);
    }

    /// <summary>Whether commands on this node have met on the stream and take turns.</summary>
    public bool TakesTurns(string stream) => database.Turns.IsTaken(tenant, stream);

    /// <summary>Waits for the turn on all these streams. Null where too many wait already.</summary>
    public ValueTask<StreamTurn?> Turn(IEnumerable<string> streams, CancellationToken ct) => database.Turns.Enter(tenant, streams, ct);

    private async Task SeeOn(IReadOnlyCollection<Sought> streams, Dictionary<string, Seen> known, Dictionary<string, Seen> read, CancellationToken ct)
    {
        if (streams.Count == 0) return;
        var from = new Dictionary<string, Seen>(streams.Count);
        foreach (var (stream, folds) in streams) from[stream] = known.GetValueOrDefault(stream) is { } seen && seen.Folds == folds ? seen : Seen.Nothing(folds);
        var contradicted = new Dictionary<string, Seen>();
        foreach (var (stream, seen) in await ReadStream.See(database, types, tenant, from, ct))
        {
            if (seen is not null) read[stream] = seen;
            else contradicted[stream] = Seen.Nothing(from[stream].Folds);
        }
        if (contradicted.Count == 0) return;
        foreach (var stream in contradicted.Keys) Forget(stream);
        foreach (var (stream, seen) in await ReadStream.See(database, types, tenant, contradicted, ct)) read[stream] = seen!;
    }
}
