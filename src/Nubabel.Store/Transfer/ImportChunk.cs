using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>An event and the line of the file where it stands.</summary>
internal readonly record struct FileEvent(long Line, LoggedEvent Event);

/// <summary>
/// Writes some events of a file in one transaction: their streams, the claims that follow from them, the events. What stands there already is passed over, where it
/// is the same event; so a chunk may be written again after it was committed without anybody having heard of it. Streams are locked in the order in which appends
/// lock them, so a chunk and an append wait for each other and do not lock up.
/// </summary>
/// <param name="contested">Told of each value that another stream holds, where that is no reason to refuse; null where it is.</param>
internal sealed class ImportChunk(
    NpgsqlConnection connection, EventTypes types, IConsequences consequences, bool keepPositions, IReadOnlyList<FileEvent> chunk, Action<string>? contested = null)
{
    private readonly Dictionary<(string Tenant, string Stream), Standing> streams = [];

    private sealed class Standing
    {
        public long Version { get; set; }
        public bool Archived { get; set; }

        /// <summary>A stray row of version 0 is a stream too.</summary>
        public bool IsThere { get; set; }
        public List<FileEvent> New { get; } = [];
        public List<Recorded> History { get; } = [];
    }

    /// <summary>A stream has been changed since it was looked at; nothing was written.</summary>
    internal sealed class Raced : Exception;

    /// <summary>Writes it, and says how many of its events are new.</summary>
    /// <exception cref="ImportRefused">Another event stands there, or another stream holds a value.</exception>
    public async Task<int> Write(CancellationToken ct)
    {
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await Lock(ct);
        await Compare(ct);
        foreach (var e in chunk) Sort(e);
        var fresh = chunk.Where(e => streams[NameOf(e.Event)].New.Count > 0 && e.Event.Version > streams[NameOf(e.Event)].Version).ToArray();
        if (fresh.Length == 0) return 0;
        if (keepPositions) await NobodyElseWrites(fresh[0], ct);
        await Claims(ct);
        await Streams(ct);
        await Events(fresh, ct);
        await transaction.CommitAsync(ct);
        return fresh.Length;
    }

    private static (string, string) NameOf(LoggedEvent e) => (e.Tenant, e.Stream);

    private async Task Lock(CancellationToken ct)
    {
        foreach (var e in chunk) streams.TryAdd(NameOf(e.Event), new Standing());
        await using var command = new NpgsqlCommand("""
            select s.tenant_id, s.id, coalesce(s.version, 0), coalesce(s.is_archived, false)
              from events.mt_streams s join unnest($1, $2) k (tenant, stream) on s.tenant_id = k.tenant and s.id = k.stream
             order by s.tenant_id collate "C", s.id collate "C" for update of s
            """, connection);
        AddNames(command, streams.Keys);
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            var standing = streams[(reader.GetString(0), reader.GetString(1))];
            (standing.Version, standing.Archived, standing.IsThere) = (reader.GetInt64(2), reader.GetBoolean(3), true);
        }
    }

    /// <summary>What stands where events of the file belong must be these events.</summary>
    private async Task Compare(CancellationToken ct)
    {
        var there = chunk.Where(e => e.Event.Version <= streams[NameOf(e.Event)].Version).ToArray();
        if (there.Length == 0) return;
        await using var command = new NpgsqlCommand("""
            select u.n, e.id, e.seq_id from unnest($1, $2, $3) with ordinality u (tenant, stream, version, n)
              left join events.mt_events e on e.tenant_id = u.tenant and e.stream_id = u.stream and e.version = u.version order by u.n
            """, connection);
        AddNames(command, there.Select(e => NameOf(e.Event)).ToArray());
        command.AddArray(there.Select(e => e.Event.Version).ToArray(), NpgsqlDbType.Bigint);
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            var (line, e) = there[reader.GetInt64(0) - 1];
            Guid? id = reader.IsDBNull(1) ? null : reader.GetGuid(1);
            if (id != e.Id)
                throw new ImportRefused(line, $"the stream {e.Stream} of {e.Tenant} has another event at version {e.Version} here ({(id is null ? "none, though it is longer" : id)}, and the file has {e.Id}). It has gone its own way.");
            if (keepPositions && reader.GetInt64(2) != e.Position)
                throw new ImportRefused(line, $"the event {e.Id} stands at position {reader.GetInt64(2)} here and not at {e.Position}.");
        }
    }

    private void Sort(FileEvent e)
    {
        var standing = streams[NameOf(e.Event)];
        var next = standing.Version + standing.New.Count + 1;
        if (e.Event.Version < next) return;
        if (e.Event.Version > next) throw new ImportRefused(e.Line, $"the stream {e.Event.Stream} of {e.Event.Tenant} ends at version {next - 1} here, and the file goes on at {e.Event.Version}: what is between is missing.");
        if (standing.Archived && !e.Event.Archived) throw new ImportRefused(e.Line, $"the stream {e.Event.Stream} of {e.Event.Tenant} is archived here.");
        standing.New.Add(e);
    }

    /// <summary>
    /// Positions are kept only in a log that nobody else appends to: a number below one that somebody has seen already would be passed over by all who read in order.
    /// </summary>
    private async Task NobodyElseWrites(FileEvent first, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("""
            select coalesce(max(seq_id), 0),
                   (select string_agg(distinct application_name, ', ') from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and application_name ~ '^nubabel(-api| )')
              from events.mt_events
            """, connection);
        await using var reader = await command.ExecuteReaderAsync(ct);
        await reader.ReadAsync(ct);
        if (reader.GetInt64(0) >= first.Event.Position)
            throw new ImportRefused(first.Line, $"the log here is at position {reader.GetInt64(0)} already. Positions can be kept only in an empty log.");
        if (!reader.IsDBNull(1)) throw new ImportRefused(first.Line, $"somebody serves this database ({reader.GetString(1)}). Positions can be kept only where nobody does.");
    }

    /// <summary>What a stream no longer holds after the chunk is released before anything is taken: who takes it may stand in the same chunk.</summary>
    private async Task Claims(CancellationToken ct)
    {
        var holders = streams.Where(s => s.Value.New.Count > 0 && consequences.HoldsClaims(s.Key.Stream)).ToArray();
        if (holders.Length == 0) return;
        await Histories(holders.Where(h => h.Value.Version > 0).Select(h => h.Key).ToArray(), ct);
        List<Claimed> taken = [], released = [];
        foreach (var ((tenant, stream), standing) in holders)
        {
            var held = consequences.ClaimsOf(stream, standing.History);
            var holds = consequences.ClaimsOf(stream, [.. standing.History, .. standing.New.Select(e => Recorded(e.Event))]);
            taken.AddRange(holds.Except(held).Select(c => new Claimed(tenant, stream, c)));
            released.AddRange(held.Except(holds).Select(c => new Claimed(tenant, stream, c)));
        }
        await ClaimTable.Release(connection, released, ct);
        foreach (var (wanted, holder) in await ClaimTable.TakeFree(connection, taken, ct))
        {
            var what = $"the stream {wanted.Stream} of {wanted.Tenant} needs a value of {wanted.Claim.Scope} that {holder} holds here.";
            if (contested is null) throw new ImportRefused(streams[(wanted.Tenant, wanted.Stream)].New[^1].Line, what);
            contested(what);
        }
    }

    private async Task Histories((string, string)[] names, CancellationToken ct)
    {
        if (names.Length == 0) return;
        await using var command = new NpgsqlCommand($"""
            select {EventRow.Columns} from events.mt_events e join unnest($1, $2) k (tenant, stream) on e.tenant_id = k.tenant and e.stream_id = k.stream order by e.tenant_id, e.stream_id, e.version
            """, connection);
        AddNames(command, names);
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            // What cannot be read changes no state; the read models name it.
            var e = EventRow.Read(reader, types, out _).Event;
            streams[(e.Tenant, e.Stream)].History.Add(e);
        }
    }

    private Recorded Recorded(LoggedEvent e) => new()
    {
        Position = e.Position,
        Tenant = e.Tenant,
        Stream = e.Stream,
        Version = e.Version,
        Type = e.Type,
        Data = Decoded(e),
        At = new DateTimeOffset(e.At, TimeSpan.Zero),
        Id = e.Id,
        Actor = e.Actor,
        Headers = e.Headers,
    };

    private object? Decoded(LoggedEvent e)
    {
        // A converter or an upcast may throw anything; the event is then as poisonous here as where it comes from, and no reason to leave it out.
#pragma warning disable CA1031
        try
        {
            return types.Read(e.Type, System.Text.Encoding.UTF8.GetBytes(e.Data), EventRow.Shape(e.Headers));
        }
        catch (Exception)
        {
            return null;
        }
#pragma warning restore CA1031
    }

    /// <summary>Those that are there are locked already; one that is new may have been made by somebody else since it was looked for.</summary>
    private async Task Streams(CancellationToken ct)
    {
        var changed = streams.Where(s => s.Value.New.Count > 0).OrderBy(s => s.Key.Tenant, StringComparer.Ordinal).ThenBy(s => s.Key.Stream, StringComparer.Ordinal).ToLookup(s => s.Value.IsThere);
        await Run(changed[true].ToArray(), """
            update events.mt_streams m set version = u.version, timestamp = u.last, is_archived = u.archived
              from unnest($1, $2, $3, $4, $5, $6, $7) u (tenant, stream, type, version, first, last, archived) where m.tenant_id = u.tenant and m.id = u.stream
            """, ct);
        await Run(changed[false].ToArray(), """
            insert into events.mt_streams (tenant_id, id, type, version, created, timestamp, is_archived)
            select u.tenant, u.stream, u.type, u.version, u.first, u.last, u.archived
              from unnest($1, $2, $3, $4, $5, $6, $7) with ordinality u (tenant, stream, type, version, first, last, archived, n) order by u.n
            on conflict do nothing
            """, ct);
    }

    private async Task Run(KeyValuePair<(string Tenant, string Stream), Standing>[] changed, string sql, CancellationToken ct)
    {
        if (changed.Length == 0) return;
        await using var command = new NpgsqlCommand(sql, connection);
        AddNames(command, changed.Select(s => s.Key).ToArray());
        command.AddArray(changed.Select(s => s.Value.New[0].Event.Kind).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(changed.Select(s => s.Value.Version + s.Value.New.Count).ToArray(), NpgsqlDbType.Bigint);
        command.AddArray(changed.Select(s => s.Value.New[0].Event.At).ToArray(), NpgsqlDbType.TimestampTz);
        command.AddArray(changed.Select(s => s.Value.New[^1].Event.At).ToArray(), NpgsqlDbType.TimestampTz);
        command.AddArray(changed.Select(s => s.Value.New[^1].Event.Archived).ToArray(), NpgsqlDbType.Boolean);
        if (await command.ExecuteNonQueryAsync(ct) != changed.Length) throw new Raced();
    }

    private async Task Events(FileEvent[] fresh, CancellationToken ct)
    {
        // Numbers are drawn last of all, and in the order of the file: a number holds the mark until this transaction ends.
        await using var command = new NpgsqlCommand($"""
            insert into events.mt_events (seq_id, id, stream_id, version, data, bdata, type, timestamp, tenant_id, mt_dotnet_type, correlation_id, causation_id, headers, user_name, is_archived)
            select {(keepPositions ? "x.seq" : "nextval('events.mt_events_sequence')")}, x.id, x.stream, x.version, x.data, x.bdata, x.type, x.at, x.tenant, x.dotnet, x.correlation, x.causation, x.headers, x.actor, x.archived
              from (select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) with ordinality
                      u (tenant, stream, seq, id, version, data, bdata, type, at, dotnet, correlation, causation, headers, actor, archived, n) order by n) x
            """, connection);
        AddNames(command, fresh.Select(e => NameOf(e.Event)).ToArray());
        Add(e => e.Position, NpgsqlDbType.Bigint);
        Add(e => e.Id, NpgsqlDbType.Uuid);
        Add(e => e.Version, NpgsqlDbType.Bigint);
        Add(e => e.Data, NpgsqlDbType.Jsonb);
        Add(e => e.Binary, NpgsqlDbType.Bytea);
        Add(e => e.Type, NpgsqlDbType.Varchar);
        Add(e => e.At, NpgsqlDbType.TimestampTz);
        Add(e => e.DotNetType, NpgsqlDbType.Varchar);
        Add(e => e.CorrelationId, NpgsqlDbType.Varchar);
        Add(e => e.CausationId, NpgsqlDbType.Varchar);
        Add(e => e.Headers, NpgsqlDbType.Jsonb);
        Add(e => e.Actor, NpgsqlDbType.Varchar);
        Add(e => e.Archived, NpgsqlDbType.Boolean);
        await command.ExecuteNonQueryAsync(ct);

        void Add<T>(Func<LoggedEvent, T> column, NpgsqlDbType type) => command.AddArray(Array.ConvertAll(fresh, e => column(e.Event)), type);
    }

    private static void AddNames(NpgsqlCommand command, IReadOnlyCollection<(string Tenant, string Stream)> names)
    {
        command.AddArray(names.Select(n => n.Tenant).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(names.Select(n => n.Stream).ToArray(), NpgsqlDbType.Varchar);
    }
}
