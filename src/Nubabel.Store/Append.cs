using Npgsql;

namespace Nubabel.Store;

/// <summary>What one stream gains in a commit.</summary>
/// <param name="Stream">The stream id.</param>
/// <param name="Kind">What <c>mt_streams.type</c> says.</param>
/// <param name="Expected">The version the decision was taken on: <see cref="None"/>, <see cref="Any"/> or exactly this one.</param>
/// <param name="Events">At least one.</param>
/// <param name="Take">Claims the stream must hold afterwards.</param>
/// <param name="Release">Claims it gives up.</param>
public sealed record StreamAppend(
    string Stream, string Kind, long Expected, IReadOnlyList<object> Events, IReadOnlyList<ClaimValue> Take, IReadOnlyList<ClaimValue> Release)
{
    /// <summary>The stream must not exist yet.</summary>
    public const long None = 0;

    /// <summary>Whatever the version is; the decision did not depend on it.</summary>
    public const long Any = -1;
}

/// <summary>A unique value within a tenant.</summary>
public readonly record struct ClaimValue(string Scope, string Value);

/// <summary>The envelope that all events of one commit share.</summary>
/// <param name="At">The time of the decision, UTC, whole microseconds.</param>
/// <param name="Headers">JSON object text; null for none.</param>
public sealed record Envelope(string Tenant, string Actor, string? CorrelationId, string? CausationId, string? Headers, DateTimeOffset At);

/// <summary>How an append ended.</summary>
public abstract record Appended
{
    private Appended() { }

    /// <summary>Committed.</summary>
    /// <param name="Events">All events written, in the order of the appends, as a reader of the log will see them.</param>
    public sealed record Done(IReadOnlyList<Recorded> Events) : Appended;

    /// <summary>A stream was not at the expected version, or is archived. Nothing was written.</summary>
    public sealed record Conflict(string Stream, long Actual, bool Archived) : Appended;

    /// <summary>Another stream holds a claim. Nothing was written.</summary>
    public sealed record Taken(ClaimValue Claim, string Holder) : Appended;

    /// <summary>The idempotency key has been used. Nothing was written.</summary>
    public sealed record Repeated : Appended;
}

/// <summary>
/// The connection was lost, timed out or was cancelled while a commit was under way: it may or may not have happened. The caller says so
/// ("unknown", not "failed") and may try again under the same idempotency key.
/// </summary>
public sealed class OutcomeUnknown(Exception inner) : Exception("The outcome of the commit is not known.", inner);

/// <summary>
/// Writes commits: one round trip, one implicit transaction (a batch without BEGIN), whatever the number of streams.
/// A refusal is a row that does not come back. Where something was written by then, the batch raises <c>NB001</c> and takes itself back.
/// </summary>
internal static class Append
{
    private const string InsertEvents = """
        e as (
          insert into events.mt_events (seq_id, id, stream_id, version, data, type, timestamp, tenant_id, mt_dotnet_type, correlation_id, causation_id, headers, user_name)
          select nextval('events.mt_events_sequence'), x.id, $2, (select version from s) - $4 + x.n, x.data, x.type, $5, $1, x.dotnet, $10, $11, x.headers, $13
            from (select * from unnest($6, $7, $8, $9, $12) with ordinality u (id, data, type, dotnet, headers, n) order by n) x
           where exists (select from s)
          returning seq_id)
        """;

    // Numbers are drawn in the order of the events: `order by` before nextval. $3 kind or expected version, $4 count of events.
    // A stream row that stands there without an event (Marten leaves such rows) is as good as none; one that has events or is archived returns no row.
    private const string New = """
        with s as (
          insert into events.mt_streams as m (tenant_id, id, type, version, timestamp, created) values ($1, $2, $3, $4, $5, $5)
          on conflict (tenant_id, id) do update set type = coalesce(m.type, excluded.type), version = excluded.version, timestamp = excluded.timestamp
            where coalesce(m.version, 0) = 0 and m.is_archived is not true returning version),
        """ + InsertEvents + """
        select (select version from s), (select array_agg(seq_id order by seq_id) from e), case when not exists (select from s) and $14 then nubabel.refuse('NB001', $2) end
        """;

    private const string Exact = """
        with s as (
          update events.mt_streams set version = $3 + $4, timestamp = $5
           where tenant_id = $1 and id = $2 and version = $3 and is_archived is not true returning version),
        """ + InsertEvents + """
        select (select version from s), (select array_agg(seq_id order by seq_id) from e), case when not exists (select from s) and $14 then nubabel.refuse('NB001', $2) end
        """;

    private const string AnyVersion = """
        with s as (
          insert into events.mt_streams as m (tenant_id, id, type, version, timestamp, created) values ($1, $2, $3, $4, $5, $5)
          on conflict (tenant_id, id) do update set version = coalesce(m.version, 0) + $4, timestamp = $5 where m.is_archived is not true returning version),
        """ + InsertEvents + """
        select (select version from s), (select array_agg(seq_id order by seq_id) from e), case when not exists (select from s) and $14 then nubabel.refuse('NB001', $2) end
        """;

    // Claims come before the stream, so that a taken claim leaves the stream alone and the refusal stays a missing row. The stream is
    // looked at (and, where it exists, locked) before the claims, so that a stale version leaves the claims alone. A claim that this very
    // stream holds already counts as taken by it: a repeated append meets its own claims. What is released goes last, so that two streams
    // swapping values both find them taken instead of waiting for each other.
    // Where nothing is released the delete is not begun: on a table without statistics its plan reads all claims (measured: a quarter of the rate).
    private const string Claims = """
        c as (
          insert into nubabel.claims as h (tenant_id, scope, value, stream_id)
          select $1, u.scope, u.value, $2 from unnest($15, $16) u (scope, value) where (select ok from l) order by u.scope, u.value
          on conflict (tenant_id, scope, value) do update set stream_id = excluded.stream_id where h.stream_id = excluded.stream_id
          returning 1),
        """;

    private const string ReleaseAndAnswer = """
        , d as (
          delete from nubabel.claims h using unnest($17, $18) u (scope, value)
           where cardinality($17) > 0 and h.tenant_id = $1 and h.scope = u.scope and h.value = u.value and h.stream_id = $2 and exists (select from s))
        select (select version from s), (select array_agg(seq_id order by seq_id) from e),
               case when not exists (select from s) and ($14 or (select count(*) from c) > 0) then nubabel.refuse('NB001', $2) end
        """;

    private const string NewWithClaims = """
        with l as (select not exists (select from events.mt_streams where tenant_id = $1 and id = $2 and (version > 0 or is_archived)) as ok),
        """ + Claims + """
        s as (
          insert into events.mt_streams as m (tenant_id, id, type, version, timestamp, created)
          select $1, $2, $3, $4, $5, $5 where (select count(*) from c) = cardinality($15)
          on conflict (tenant_id, id) do update set type = coalesce(m.type, excluded.type), version = excluded.version, timestamp = excluded.timestamp
            where coalesce(m.version, 0) = 0 and m.is_archived is not true returning version),
        """ + InsertEvents + ReleaseAndAnswer;

    private const string ExactWithClaims = """
        with l as (select true as ok from events.mt_streams where tenant_id = $1 and id = $2 and version = $3 and is_archived is not true for update),
        """ + Claims + """
        s as (
          update events.mt_streams set version = $3 + $4, timestamp = $5
           where tenant_id = $1 and id = $2 and version = $3 and is_archived is not true and (select count(*) from c) = cardinality($15) returning version),
        """ + InsertEvents + ReleaseAndAnswer;

    /// <summary>Commits the appends together or not at all.</summary>
    /// <param name="carried">What else goes into the transaction, before all else; one result each.</param>
    /// <exception cref="OutcomeUnknown">The commit may or may not have happened.</exception>
    /// <exception cref="MessageLost">What is carried says that a message is done, and it is another worker's now.</exception>
    public static async Task<Appended> Commit(
        NpgsqlDataSource source, EventTypes types, Envelope envelope, IReadOnlyList<StreamAppend> appends, IdempotencyRecord? once, CancellationToken ct, IReadOnlyList<NpgsqlBatchCommand>? carried = null)
    {
        carried ??= [];
        // One lock order for all: by stream id. Every statement refuses by raising when it is not alone.
        var ordered = appends.Count == 1 ? appends : [.. appends.OrderBy(a => a.Stream, StringComparer.Ordinal)];
        var strict = ordered.Count > 1 || once is not null || carried.Count > 0;
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var batch = new NpgsqlBatch(connection);
        // The record of a caller who was nobody yet is the platform's, so both tenants are set.
        batch.BatchCommands.Add(Tenant(once is null || once.Tenant == envelope.Tenant ? envelope.Tenant : $"{envelope.Tenant},{once.Tenant}"));
        foreach (var command in carried) batch.BatchCommands.Add(command);
        if (once is not null) batch.BatchCommands.Add(once.ToBatchCommand(ordered));
        var drafts = ordered.Select(a => a.Events.Select(e => new Draft(Guid.CreateVersion7(envelope.At), types.Of(e), e, types.Write(e))).ToArray()).ToArray();
        for (var i = 0; i < ordered.Count; i++) batch.BatchCommands.Add(Statement(envelope, ordered[i], drafts[i], strict));
        var written = new (long Version, long[] Positions)[ordered.Count];
        var refused = false;
        try
        {
            await using var reader = await batch.ExecuteReaderAsync(ct);
            for (var skip = carried.Count + (once is null ? 1 : 2); skip > 0; skip--) await reader.NextResultAsync(ct);
            for (var i = 0; i < ordered.Count; i++)
            {
                await reader.ReadAsync(ct);
                if (reader.IsDBNull(0)) refused = true;
                else written[i] = (reader.GetInt64(0), reader.GetFieldValue<long[]>(1));
                await reader.NextResultAsync(ct);
            }
        }
        catch (PostgresException e) when (e.SqlState == "NB002") { return new Appended.Repeated(); }
        catch (PostgresException e) when (e.SqlState == "NB006") { throw new MessageLost(e); }
        catch (PostgresException e) when (e.SqlState is "NB001" or PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure) { refused = true; }
        catch (PostgresException e) when (!e.SqlState.StartsWith("57P", StringComparison.Ordinal)) { throw; }
        catch (Exception e) when (e is NpgsqlException or OperationCanceledException or IOException or TimeoutException) { throw new OutcomeUnknown(e); }
        if (refused) return await Diagnose(connection, envelope.Tenant, ordered, ct);
        return new Appended.Done([.. ordered.SelectMany((a, i) => drafts[i].Select((draft, n) =>
            draft.Recorded(envelope, a.Stream, written[i].Version - drafts[i].Length + n + 1, written[i].Positions[n])))]);
    }

    internal static NpgsqlBatchCommand Tenant(string tenant) => new("select set_config('app.current_organization_id', $1, true)")
    {
        Parameters = { new NpgsqlParameter<string> { TypedValue = tenant } },
    };

    private static NpgsqlBatchCommand Statement(Envelope envelope, StreamAppend append, Draft[] events, bool strict)
    {
        var claims = append.Take.Count + append.Release.Count > 0;
        var command = new NpgsqlBatchCommand(append.Expected switch
        {
            StreamAppend.None => claims ? NewWithClaims : New,
            StreamAppend.Any => claims ? throw new InvalidOperationException("Claims need the state, so they need a version.") : AnyVersion,
            _ => claims ? ExactWithClaims : Exact,
        });
        var p = command.Parameters;
        Add(envelope.Tenant);
        Add(append.Stream);
        if (append.Expected > 0) Add(append.Expected);
        else Add(append.Kind);
        Add((long)events.Length);
        Add(envelope.At.UtcDateTime);
        Add(Array.ConvertAll(events, e => e.Id));
        p.Add(new NpgsqlParameter { Value = Array.ConvertAll(events, e => e.Json), NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Array | NpgsqlTypes.NpgsqlDbType.Jsonb });
        Add(Array.ConvertAll(events, e => e.Type.Alias));
        Add(Array.ConvertAll(events, e => e.Type.DotNetName));
        Add(envelope.CorrelationId);
        Add(envelope.CausationId);
        p.Add(new NpgsqlParameter { Value = Array.ConvertAll(events, e => Headers(envelope.Headers, e.Type.Shape)), NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Array | NpgsqlTypes.NpgsqlDbType.Jsonb });
        Add(envelope.Actor);
        Add(strict);
        if (!claims) return command;
        Add(append.Take.Select(c => c.Scope).ToArray());
        Add(append.Take.Select(c => c.Value).ToArray());
        Add(append.Release.Select(c => c.Scope).ToArray());
        Add(append.Release.Select(c => c.Value).ToArray());
        return command;

        void Add<T>(T value) => p.Add(new NpgsqlParameter<T> { TypedValue = value });
    }

    // The shape of an evolved event stands in its headers; the first shape is not written.
    private static string? Headers(string? headers, int shape) => (headers, shape) switch
    {
        (_, 1) => headers,
        (null, _) => $$"""{"$v":{{shape}}}""",
        _ => $$"""{"$v":{{shape}},{{headers.AsSpan(1)}}""",
    };

    /// <summary>Says why a commit was refused, from what stands there now.</summary>
    private static async Task<Appended> Diagnose(NpgsqlConnection connection, string tenant, IReadOnlyList<StreamAppend> appends, CancellationToken ct)
    {
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(Tenant(tenant));
        var streams = appends.Select(a => a.Stream).ToArray();
        var claims = appends.SelectMany(a => a.Take.Select(c => (a.Stream, Claim: c))).ToArray();
        batch.BatchCommands.Add(Sql.Of($"""
            select h.scope, h.value, h.stream_id from unnest({claims.Select(c => c.Claim.Scope).ToArray()}, {claims.Select(c => c.Claim.Value).ToArray()}, {claims.Select(c => c.Stream).ToArray()}) u (scope, value, stream)
              join nubabel.claims h on h.tenant_id = {tenant} and h.scope = u.scope and h.value = u.value and h.stream_id <> u.stream limit 1
            """).ToBatchCommand());
        batch.BatchCommands.Add(Sql.Of($"select id, version, is_archived from events.mt_streams where tenant_id = {tenant} and id = any({streams})").ToBatchCommand());
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        if (await reader.ReadAsync(ct)) return new Appended.Taken(new ClaimValue(reader.GetString(0), reader.GetString(1)), reader.GetString(2));
        await reader.NextResultAsync(ct);
        var actual = new Dictionary<string, (long Version, bool Archived)>();
        while (await reader.ReadAsync(ct)) actual[reader.GetString(0)] = (reader.IsDBNull(1) ? 0 : reader.GetInt64(1), !reader.IsDBNull(2) && reader.GetBoolean(2));
        var at = appends.FirstOrDefault(a => a.Expected >= 0 && actual.GetValueOrDefault(a.Stream) is var (v, archived) && (archived || v != a.Expected)) ?? appends[0];
        var (version, isArchived) = actual.GetValueOrDefault(at.Stream);
        return new Appended.Conflict(at.Stream, version, isArchived);
    }

    private sealed record Draft(Guid Id, EventType Type, object Data, string Json)
    {
        public Recorded Recorded(Envelope envelope, string stream, long version, long position) => new()
        {
            Position = position,
            Tenant = envelope.Tenant,
            Stream = stream,
            Version = version,
            Type = Type.Alias,
            Data = Data,
            At = envelope.At,
            Id = Id,
            Actor = envelope.Actor,
            CorrelationId = envelope.CorrelationId,
            CausationId = envelope.CausationId,
            Headers = envelope.Headers,
        };
    }
}
