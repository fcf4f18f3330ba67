using Npgsql;

namespace Nubabel.Store;

/// <summary>How far a stream is read: to its end, a version, a position or a time.</summary>
/// <param name="Version">The last version wanted.</param>
/// <param name="Position">The last position wanted.</param>
/// <param name="At">
/// The last time wanted. The stream is read in order up to the first event that is younger: clocks of two nodes may differ, and an event without those before it
/// would be no history.
/// </param>
public readonly record struct Until(long? Version = null, long? Position = null, DateTimeOffset? At = null)
{
    public static Until End => default;

    /// <summary>Whether the event is still wanted; behind the first that is not, none is.</summary>
    public bool Reaches(Recorded e) =>
        e.Version <= (Version ?? long.MaxValue) && e.Position <= (Position ?? long.MaxValue) && e.At <= (At ?? DateTimeOffset.MaxValue);
}

/// <summary>Reads streams.</summary>
internal static class ReadStream
{
    /// <summary>Reads several streams of one tenant in one round trip, each in order. A stream without events has an empty list.</summary>
    /// <param name="from">The first version wanted of each; all where it is left out.</param>
    /// <exception cref="UnreadableEvent">One of the events wanted cannot be read.</exception>
    /// <exception cref="TooMuchHistory">They are long, and so are others that are being read.</exception>
    public static Task<IReadOnlyDictionary<string, IReadOnlyList<Recorded>>> Read(
        Database database, EventTypes types, string tenant, IReadOnlyCollection<string> streams, Func<string, Until> until, CancellationToken ct,
        Func<string, long>? from = null) => Again.Ask<IReadOnlyDictionary<string, IReadOnlyList<Recorded>>>(async () =>
    {
        using var room = database.Reads.Begin();
        var result = streams.ToDictionary(s => s, _ => (IReadOnlyList<Recorded>)new List<Recorded>());
        await Each(database, types, tenant, streams, until, from, (stream, e) =>
        {
            room.Add(e.Weight.Bytes);
            ((List<Recorded>)result[stream]).Add(e);
        }, ct);
        return result;
    });

    /// <summary>
    /// Folds several streams of one tenant in one round trip, from where each was seen last, in the memory of one event however many there are. Null comes for a stream
    /// whose last event that was seen does not stand there any more.
    /// </summary>
    /// <exception cref="UnreadableEvent">One of the events cannot be read.</exception>
    public static Task<IReadOnlyDictionary<string, Seen?>> See(Database database, EventTypes types, string tenant, IReadOnlyDictionary<string, Seen> streams, CancellationToken ct) =>
        Again.Ask<IReadOnlyDictionary<string, Seen?>>(async () =>
    {
        var growing = streams.ToDictionary(s => s.Key, s => (From: new Seen.Growing(s.Value), Stands: s.Value.Version == 0));
        // The last event that was seen is read again: what comes behind it continues what was folded only if it still stands there.
        await Each(database, types, tenant, [.. streams.Keys], _ => Until.End, s => streams[s].Version, (stream, e) =>
        {
            var (at, seen) = (growing[stream], streams[stream]);
            if (at.Stands) at.From.Add(e);
            else if (e.Version == seen.Version && e.Id == seen.Id && e.Position == seen.Position) growing[stream] = (at.From, true);
        }, ct);
        return growing.ToDictionary(g => g.Key, g => g.Value.Stands ? g.Value.From.Done() : null);
    });

    private static async Task Each(
        Database database, EventTypes types, string tenant, IReadOnlyCollection<string> streams, Func<string, Until> until, Func<string, long>? from, Action<string, Recorded> each, CancellationToken ct)
    {
        await using var batch = database.Api.CreateBatch();
        batch.BatchCommands.Add(Append.Tenant(tenant));
        foreach (var stream in streams)
        {
            var u = until(stream);
            var command = new NpgsqlBatchCommand($"select {EventRow.ColumnsOfStream} from events.mt_events e where e.tenant_id = $1 and e.stream_id = $2 and e.version <= $3 and e.version >= $4 order by e.version");
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = stream });
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = u.Version ?? long.MaxValue });
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = from?.Invoke(stream) ?? 0 });
            batch.BatchCommands.Add(command);
        }
        await using var reader = await batch.ExecuteReaderAsync(ct);
        foreach (var stream in streams)
        {
            await reader.NextResultAsync(ct);
            var u = until(stream);
            while (await reader.ReadAsync(ct))
            {
                var (e, unreadable) = EventRow.Read(reader, types, tenant, stream);
                if (!u.Reaches(e)) break;
                if (unreadable is not null) throw new UnreadableEvent(e, unreadable);
                each(stream, e);
            }
        }
    }

    /// <summary>Some events of a stream from a version on; one that cannot be read comes without its data.</summary>
    public static async Task<IReadOnlyList<Recorded>> Page(NpgsqlDataSource source, EventTypes types, string tenant, string stream, long from, int limit, CancellationToken ct)
    {
        await using var batch = source.CreateBatch();
        batch.BatchCommands.Add(Append.Tenant(tenant));
        var command = new NpgsqlBatchCommand($"select {EventRow.ColumnsOfStream} from events.mt_events e where e.tenant_id = $1 and e.stream_id = $2 and e.version >= $3 order by e.version limit $4");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = stream });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = from });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        batch.BatchCommands.Add(command);
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        var events = new List<Recorded>();
        while (await reader.ReadAsync(ct)) events.Add(EventRow.Read(reader, types, tenant, stream).Event);
        return events;
    }
}
