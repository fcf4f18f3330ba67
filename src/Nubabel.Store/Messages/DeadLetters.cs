using System.Runtime.CompilerServices;
using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>Which dead letters: those that all given members hold for.</summary>
/// <param name="Type">The alias of the message's type.</param>
/// <param name="From">Died at this time or later.</param>
/// <param name="To">Died before this time.</param>
public sealed record DeadLetterFilter(
    IReadOnlyList<Guid>? Ids = null, string? Tenant = null, string? Queue = null, string? Type = null, string? Cause = null, DateTimeOffset? From = null, DateTimeOffset? To = null,
    DeadLetterState? State = null);

/// <summary>A dead letter in a list: all but its body, its headers and its attempts.</summary>
public sealed record DeadLetterLine(
    Guid Id, string Tenant, string Queue, string Type, string? Key, DeadLetterState State, DateTimeOffset Died, int Attempts, string? Cause, string? Error, bool Parks, int Replays,
    DateTimeOffset? Closed, string? ClosedBy);

/// <summary>How far an act on many letters is.</summary>
/// <param name="Done">Letters that were replayed or discarded.</param>
public sealed record SweepProgress(long Done, bool Finished);

/// <summary>
/// The dead letters of all tenants, with the daemon's login: for operators alone. What is replayed or discarded here was ordered before by an event; each
/// effect is one transaction and happens once, whoever carries it out.
/// </summary>
public sealed partial class DeadLetters(NpgsqlDataSource daemon, Outbox outbox)
{
    /// <summary>So many letters are dealt with in one transaction.</summary>
    public const int Chunk = 500;

    private const int ExportPage = 100;

    private const string Filtered = """
        ($1::uuid[] is null or d.id = any ($1)) and ($2::varchar is null or d.tenant_id = $2) and ($3::varchar is null or d.queue = $3) and ($4::varchar is null or d.type = $4)
          and ($5::varchar is null or d.cause = $5) and ($6::timestamptz is null or d.died >= $6) and ($7::timestamptz is null or d.died < $7) and ($8::varchar is null or d.state = $8)
        """;

    private const string LineColumns = "d.id, d.tenant_id, d.queue, d.type, d.key, d.state, d.died, jsonb_array_length(d.attempts), d.cause, d.error, d.parks, d.replays, d.closed, d.closed_by";

    private const string Columns = """
        d.tenant_id, d.id, d.queue, d.lane, d.seq, d.type, d.body::text, d.key, d.subject, d.actor, d.correlation_id, d.causation_id, d.headers::text, d.enqueued, d.died, d.attempts::text,
        d.cause, d.error, d.parks, d.state, d.closed, d.closed_by, d.replays, d.edited::text
        """;

    /// <summary>The newest first.</summary>
    /// <param name="after">The place of the last one of the page before.</param>
    public async Task<IReadOnlyList<DeadLetterLine>> List(DeadLetterFilter filter, (DateTimeOffset Died, Guid Id)? after, int limit, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand($"""
            select {LineColumns} from nubabel.dead_letters d where {Filtered} and ($9::timestamptz is null or (d.died, d.id) < ($9, $10)) order by d.died desc, d.id desc limit $11
            """);
        Add(command, filter);
        command.Add(after?.Died.UtcDateTime);
        command.Add(after?.Id ?? Guid.Empty);
        command.Add(limit);
        await using var reader = await command.ExecuteReaderAsync(ct);
        var lines = new List<DeadLetterLine>();
        while (await reader.ReadAsync(ct))
            lines.Add(new DeadLetterLine(reader.GetGuid(0), reader.GetString(1), reader.GetString(2), reader.GetString(3), Text(reader, 4), StateOf(reader.GetString(5)), Time(reader, 6)!.Value,
                reader.GetInt32(7), Text(reader, 8), Text(reader, 9), reader.GetBoolean(10), reader.GetInt32(11), Time(reader, 12), Text(reader, 13)));
        return lines;
    }

    /// <summary>Null where there is none. Ids are made, so no two tenants share one.</summary>
    public async Task<DeadLetter?> Find(Guid id, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand($"select {Columns} from nubabel.dead_letters d where d.id = $1 order by d.tenant_id limit 1");
        command.Add(id);
        await using var reader = await command.ExecuteReaderAsync(ct);
        return await reader.ReadAsync(ct) ? Read(reader) : null;
    }

    /// <summary>How many there are, and the time by the database's clock: letters that die later were not counted.</summary>
    public async Task<(long Count, DateTimeOffset At)> Count(DeadLetterFilter filter, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand($"select clock_timestamp(), count(*) from nubabel.dead_letters d where {Filtered}");
        Add(command, filter);
        await using var reader = await command.ExecuteReaderAsync(ct);
        await reader.ReadAsync(ct);
        return (reader.GetInt64(1), Time(reader, 0)!.Value);
    }

    /// <summary>All of them, the oldest first, page by page: no transaction is held meanwhile.</summary>
    public async IAsyncEnumerable<DeadLetter> All(DeadLetterFilter filter, [EnumeratorCancellation] CancellationToken ct)
    {
        for (var (died, id) = (DateTimeOffset.MinValue, Guid.Empty); ;)
        {
            var page = new List<DeadLetter>(ExportPage);
            await using (var command = daemon.CreateCommand($"select {Columns} from nubabel.dead_letters d where {Filtered} and (d.died, d.id) > ($9, $10) order by d.died, d.id limit {ExportPage}"))
            {
                Add(command, filter);
                command.Add(died.UtcDateTime);
                command.Add(id);
                await using var reader = await command.ExecuteReaderAsync(ct);
                while (await reader.ReadAsync(ct)) page.Add(Read(reader));
            }
            foreach (var letter in page) yield return letter;
            if (page.Count < ExportPage) yield break;
            (died, id) = (page[^1].Died, page[^1].Id);
        }
    }

    /// <summary>Puts a letter back into its queue, in the place that it had in its key. False when it is not dead, or not in this round, any more.</summary>
    /// <param name="round">How often it had been replayed when it was ordered.</param>
    /// <param name="body">What it says now, as JSON; null for what it said when it died.</param>
    public Task<bool> Replay(Guid letter, int round, string who, string? body, CancellationToken ct) => Close("replay", letter, round, who, body, ct);

    /// <summary>Leaves a letter unhandled for good; its key goes on. False when it is not dead, or not in this round, any more.</summary>
    public Task<bool> Discard(Guid letter, int round, string who, CancellationToken ct) => Close("discard", letter, round, who, null, ct);

    /// <summary>Does the next piece of an act on many letters.</summary>
    /// <param name="replays">Replays them; else they are discarded.</param>
    /// <param name="ordered">Letters that died later are not meant.</param>
    public async Task<SweepProgress> Sweep(Guid sweep, bool replays, string who, DateTimeOffset ordered, DeadLetterFilter filter, CancellationToken ct)
    {
        while (true)
        {
            await using var command = daemon.CreateCommand("select done, finished, queues from nubabel.letters_sweep($8, $9, $10, $11, $1, $2, $3, $4, $5, $6, $7, $12)");
            AddSelection(command, filter);
            command.Add(sweep);
            command.Add(replays ? "replay" : "discard");
            command.Add(who);
            command.Add(ordered.UtcDateTime);
            command.Add(Chunk);
            try
            {
                await using var reader = await command.ExecuteReaderAsync(ct);
                await reader.ReadAsync(ct);
                var progress = new SweepProgress(reader.GetInt64(0), reader.GetBoolean(1));
                outbox.Enqueued(reader.GetFieldValue<string[]>(2));
                return progress;
            }
            catch (PostgresException deadlock) when (deadlock.SqlState == PostgresErrorCodes.DeadlockDetected)
            {
                // An erasure takes the same letters in another order.
            }
        }
    }

    /// <summary>How far an act is; nothing of it is done where nobody has begun.</summary>
    public async Task<SweepProgress> Progress(Guid sweep, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("select done, finished from nubabel.letter_sweeps where id = $1");
        command.Add(sweep);
        await using var reader = await command.ExecuteReaderAsync(ct);
        return await reader.ReadAsync(ct) ? new SweepProgress(reader.GetInt64(0), reader.GetBoolean(1)) : new SweepProgress(0, false);
    }

    private async Task<bool> Close(string verb, Guid letter, int round, string who, string? body, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("select nubabel.letter_close($1, $2, $3, $4, $5::jsonb)");
        command.Add(verb);
        command.Add(letter);
        command.Add(round);
        command.Add(who);
        command.Add(body);
        if (await command.ExecuteScalarAsync(ct) is not string queue) return false;
        outbox.Enqueued([queue]);
        return true;
    }

    private static void Add(NpgsqlCommand command, DeadLetterFilter filter)
    {
        AddSelection(command, filter);
        command.Add(filter.State is { } state ? JsonNamingPolicy.CamelCase.ConvertName(state.ToString()) : null);
    }

    private static void AddSelection(NpgsqlCommand command, DeadLetterFilter filter)
    {
        command.Parameters.Add(new NpgsqlParameter { Value = filter.Ids is { } ids ? ids.ToArray() : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Uuid });
        command.Add(filter.Tenant);
        command.Add(filter.Queue);
        command.Add(filter.Type);
        command.Add(filter.Cause);
        command.Add(filter.From?.UtcDateTime);
        command.Add(filter.To?.UtcDateTime);
    }

    private static DeadLetter Read(NpgsqlDataReader row) => new(
        row.GetString(0), row.GetGuid(1), row.GetString(2), row.GetString(3), row.GetInt64(4), row.GetString(5), row.GetString(6), Text(row, 7), Text(row, 8), row.GetString(9), Text(row, 10),
        Text(row, 11), LaneSql.Headers(Text(row, 12)), Time(row, 13)!.Value, Time(row, 14)!.Value, JsonSerializer.Deserialize<FailedAttempt[]>(row.GetString(15), JsonSerializerOptions.Web) ?? [],
        Text(row, 16), Text(row, 17), row.GetBoolean(18), StateOf(row.GetString(19)), Time(row, 20), Text(row, 21), row.GetInt32(22), Text(row, 23));

    private static DeadLetterState StateOf(string word) => word switch { "dead" => DeadLetterState.Dead, "replayed" => DeadLetterState.Replayed, _ => DeadLetterState.Discarded };

    private static string? Text(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    private static DateTimeOffset? Time(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : new DateTimeOffset(row.GetDateTime(column), TimeSpan.Zero);
}
