using Npgsql;

namespace Nubabel.Store;

/// <summary>What a rebuild is doing, in the order in which it does it.</summary>
internal static class Phases
{
    public const string Wait = "waiting", Load = "loading", Index = "indexing", CatchUp = "catching up", Publish = "publishing";
}

/// <summary>
/// The row of a rebuild as the process sees it that works on it. Each step that counts is written with it in one transaction, and only while the token is this
/// process's: one that was taken for dead and wakes up again moves nothing.
/// </summary>
internal sealed class RebuildRecord
{
    private const string Mine = "progression = $1 and token = $2 and state = 'running'";

    private readonly Projection projection;
    private readonly long token;

    private RebuildRecord(Projection projection, long token) => (this.projection, this.token) = (projection, token);

    public string Phase { get; private set; } = "";
    public bool IsForced { get; private set; }
    public bool IsCareful { get; private set; }
    public bool IsVersion { get; private set; }
    public long Mark { get; private set; }

    /// <summary>How many events it passes over; where there are more at its end, it begins anew.</summary>
    public int Skipped { get; private set; }

    public long Position { get; private set; }
    public int Slots { get; private set; }
    public long Events { get; private set; }

    /// <summary>Takes the rebuild over; null when there is none under way.</summary>
    public static async Task<RebuildRecord?> Take(NpgsqlConnection connection, Projection projection, string node, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("""
            update nubabel.rebuilds set token = token + 1, node = $2, updated = clock_timestamp(), error = null where progression = $1 and state = 'running'
            returning token, phase, forced, careful, kind = 'version', mark, position, slots, events, skipped
            """, connection);
        command.Add(projection.ProgressionName);
        command.Add(node);
        await using var row = await command.ExecuteReaderAsync(ct);
        if (!await row.ReadAsync(ct)) return null;
        return new RebuildRecord(projection, row.GetInt64(0))
        {
            Phase = row.GetString(1),
            IsForced = row.GetBoolean(2),
            IsCareful = row.GetBoolean(3),
            IsVersion = row.GetBoolean(4),
            Mark = row.GetInt64(5),
            Position = row.GetInt64(6),
            Slots = row.GetInt32(7),
            Events = row.GetInt64(8),
            Skipped = row.GetInt32(9),
        };
    }

    /// <summary>The table beside is new and empty.</summary>
    public Task Begun(NpgsqlConnection connection, long mark, int skipped, bool careful, CancellationToken ct)
    {
        (Phase, Mark, Skipped, Position, Slots, Events, IsCareful) = (careful ? Phases.CatchUp : Phases.Load, mark, skipped, 0, 0, 0, careful);
        return Set(connection, "phase = $3, mark = $4, skipped = $5, careful = $6, position = 0, slots = 0, events = 0", ct, Phase, mark, skipped, careful);
    }

    /// <summary>The documents of all slots below are written.</summary>
    public async Task Slotted(NpgsqlConnection connection, int below, long events, CancellationToken ct)
    {
        await Set(connection, "slots = $3, events = $4", ct, below, events);
        Slots = below;
    }

    /// <summary>The rows of all events up to here are written.</summary>
    public async Task Reached(NpgsqlConnection connection, long position, long events, CancellationToken ct)
    {
        await Set(connection, "position = $3, events = $4", ct, position, events);
        Position = position;
    }

    /// <summary>The table beside holds all that was to be loaded, with its indexes; from here on it follows the log.</summary>
    public Task Loaded(NpgsqlConnection connection, CancellationToken ct)
    {
        Phase = Phases.CatchUp;
        return Set(connection, "phase = $3, loaded = pg_current_xact_id(), done = 1", ct, Phase);
    }

    public async Task Enter(NpgsqlConnection connection, string phase, CancellationToken ct)
    {
        await Set(connection, "phase = $3", ct, phase);
        Phase = phase;
    }

    /// <summary>Shows how far it is. False when it is no longer this process's.</summary>
    public async Task<bool> Show(NpgsqlDataSource source, long events, double rate, double done, double? secondsLeft, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        try
        {
            await Set(connection, "events = greatest(events, $3), rate = $4, done = $5, seconds_left = nullif($6, -1)", ct, events, rate, done, secondsLeft ?? -1);
            return true;
        }
        catch (RebuildTakenOver)
        {
            return false;
        }
    }

    /// <summary>What it waits for.</summary>
    public Task Waits(NpgsqlConnection connection, string why, CancellationToken ct) => Set(connection, "error = $3", ct, why);

    public Task Parked(NpgsqlConnection connection, long keys, CancellationToken ct) => Set(connection, "parked = $3", ct, keys);

    public Task End(NpgsqlConnection connection, RebuildState state, string? error, CancellationToken ct) =>
        Set(connection, "state = $3, error = nullif($4, ''), node = null, ended = clock_timestamp(), rate = 0, seconds_left = null, done = case when $3 = 'published' then 1 else done end", ct,
            state.ToString().ToLowerInvariant(), error ?? "");

    /// <summary>The table is exchanged: what was folded from the old one is fenced from here on.</summary>
    public Task Exchanged(NpgsqlConnection connection, long position, CancellationToken ct) => Set(connection, "generation = generation + 1, position = $3", ct, position);

    private async Task Set(NpgsqlConnection connection, string assignments, CancellationToken ct, params object[] values)
    {
        await using var command = new NpgsqlCommand($"update nubabel.rebuilds set updated = clock_timestamp(), {assignments} where {Mine}", connection);
        command.Add(projection.ProgressionName);
        command.Add(token);
        foreach (var value in values) command.Parameters.Add(new NpgsqlParameter { Value = value });
        if (await command.ExecuteNonQueryAsync(ct) == 0) throw new RebuildTakenOver();
    }
}
