using Npgsql;

namespace Nubabel.Store;

/// <summary>The log cannot be replayed there; the message says why and what to do.</summary>
public sealed class ReplayRefused(string message) : Exception(message);

/// <summary>What a replay made.</summary>
/// <param name="To">The last position that was wanted.</param>
/// <param name="Sums">Every read model as it is after these events.</param>
/// <param name="Faults">What does not come out even: unique values that two streams hold, as another program may have written; keys that are parked, models that have stopped.</param>
public sealed record ReplayResult(long Events, long To, IReadOnlyList<ReadModelSum> Sums, IReadOnlyList<string> Faults);

/// <summary>
/// Replays a tenant's log or all of it, up to a time or a position, into a database of its own: the schema, the events under their positions, the claims, and all read
/// models folded to the end. So one sees what was there at that time with all tools there are. Killed at any point it is run again and goes on.
/// </summary>
/// <param name="source">The daemon login's data source of the log.</param>
/// <param name="target">A connection string of the fresh database, of a login that may make schemas in it and bypasses row-level security.</param>
/// <param name="migrate">Makes the schema, as that login.</param>
public sealed class Replay(NpgsqlDataSource source, string target, ProjectionSet projections, IConsequences consequences, Func<NpgsqlDataSource, CancellationToken, Task> migrate)
{
    /// <summary>The row of <c>nubabel.stamps</c> that says what is being replayed here.</summary>
    private const string Stamp = "replay";

    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100), LongestFailure = TimeSpan.FromMinutes(1);

    private readonly string connectionString = new NpgsqlConnectionStringBuilder(target) { ApplicationName = "nubabel-replay" }.ConnectionString;

    /// <param name="selection">What is replayed, from the first position on.</param>
    /// <param name="wish">The selection as it was asked for: who goes on must ask for the same.</param>
    /// <param name="progress">Told what is being done and how far it is.</param>
    /// <exception cref="ReplayRefused">The target is the source, is not empty, or its login may not do it.</exception>
    public async Task<ReplayResult> Run(LogSelection selection, string wish, Action<string, TransferProgress> progress, CancellationToken ct)
    {
        await using var to = NpgsqlDataSource.Create(connectionString);
        var last = await Prepare(to, selection, wish, ct);
        var contested = new Contested();
        var events = await Copy(to, selection.Tenant, last, contested, p => progress("events", p), ct);
        var faults = await Fold(to, p => progress("read models", p), ct);
        return new ReplayResult(events, last, await ReadModelSums.Of(to, projections, null, ct), [.. contested.Lines, .. faults]);
    }

    /// <summary>Makes the database ours, or finds that it is from an earlier run. Returns the last position wanted, which stays what it was then.</summary>
    private async Task<long> Prepare(NpgsqlDataSource to, LogSelection selection, string wish, CancellationToken ct)
    {
        var from = await IdentityOf(source, ct);
        if (await IdentityOf(to, ct) == from) throw new ReplayRefused("This is the database that is to be replayed. Name another, empty one.");
        if (!await Scalar<bool>(to, "select (rolsuper or rolbypassrls) and has_database_privilege(current_database(), 'create') from pg_roles where rolname = current_user", ct))
            throw new ReplayRefused("The login must be able to make schemas in the database (its owner, say) and have BYPASSRLS: it fills tables of all tenants.");
        var begun = $"{from} {wish}";
        if (await Scalar<bool>(to, "select to_regclass('nubabel.stamps') is not null", ct))
        {
            var stamp = (await Scalar<string?>(to, $"select value from nubabel.stamps where name = '{Stamp}'", ct))?.Split('\n');
            if (stamp is null) throw new ReplayRefused("The database is not empty. Make a new one: create database …");
            if (stamp[0] != begun) throw new ReplayRefused("Another replay was begun in this database. Ask for the same as then, or make a new one.");
            await migrate(to, ct);
            return long.Parse(stamp[1], System.Globalization.CultureInfo.InvariantCulture);
        }
        if (await Scalar<long>(to, """
            select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
            """, ct) > 0) throw new ReplayRefused("The database is not empty. Make a new one: create database …");
        var last = await LogPages.Last(source, selection, ct);
        await migrate(to, ct);
        // With the environment's own stamp no process of the product takes it for a database to serve: it has none of the keys.
        await using var stamps = to.CreateCommand("insert into nubabel.stamps (name, value) values ($1, $2), ('environment', 'replay')");
        stamps.Add(Stamp);
        stamps.Add(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{begun}\n{last}"));
        await stamps.ExecuteNonQueryAsync(ct);
        return last;
    }

    /// <summary>Values that two streams hold: the first of them has it. There may be any number.</summary>
    private sealed class Contested
    {
        private const int Shown = 20;
        private readonly List<string> first = [];
        private long count;

        public IEnumerable<string> Lines => count <= Shown ? first : first.Append($"{count - Shown} more values are held by two streams.");

        public void Add(string what)
        {
            if (++count <= Shown) first.Add($"Claims: {what}");
        }
    }

    private async Task<long> Copy(NpgsqlDataSource to, string? tenant, long last, Contested contested, Action<TransferProgress> progress, CancellationToken ct)
    {
        var pages = new LogPages(source, tenant);
        var (after, events) = (await Scalar<long>(to, "select coalesce(max(seq_id), 0) from events.mt_events", ct), await Scalar<long>(to, "select count(*) from events.mt_events", ct));
        while (after < last)
        {
            var (page, upTo) = await pages.Next(after, last, ct);
            if (page.Count > 0)
            {
                await using var connection = await to.OpenConnectionAsync(ct);
                // It has no lines; whoever is refused is told positions.
                events += await new ImportChunk(connection, projections.Types, consequences, keepPositions: true, [.. page.Select(e => new FileEvent(e.Position, e))], contested.Add).Write(ct);
            }
            after = upTo;
            progress(new TransferProgress(events, tenant is null ? last : null));
        }
        await EventImport.SetSequence(to, last, ct);
        return events;
    }

    private async Task<IReadOnlyList<string>> Fold(NpgsqlDataSource to, Action<TransferProgress> progress, CancellationToken ct)
    {
        var last = await Scalar<long>(to, "select coalesce(max(seq_id), 0) from events.mt_events", ct);
        await using var daemon = new ProjectionDaemon(to, connectionString, projections, new Signal(), new Positions(to, projections));
        daemon.Start();
        var sound = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var status = await daemon.Status(ct);
            if (status.Projections.FirstOrDefault(p => p.State == ProjectionState.Failing) is not { } failing) sound = TimeProvider.System.GetTimestamp();
            else if (TimeProvider.System.GetElapsedTime(sound) > LongestFailure) throw new ReplayRefused($"{failing.Name} cannot be written: {failing.LastError}. The events are there; run it again to go on.");
            // What has stopped goes no further, however long one waits.
            var open = status.Projections.Where(p => p.State != ProjectionState.Stopped && p.Position < last).ToArray();
            // Of a long log the tables are built one after another, each beside; so it is the share of all of them that grows evenly.
            var share = (double)(status.Projections.Count - open.Length);
            foreach (var p in open) share += p.Position > 0 ? (double)p.Position / last : (await daemon.Rebuilds.Status(p.Name, ct))?.Done ?? 0;
            progress(new TransferProgress((long)(last * share / status.Projections.Count), last));
            if (open.Length == 0) return [.. status.Projections.Where(p => p.ParkedKeys > 0).Select(p => $"{p.Name}: {p.ParkedKeys} parked, {p.LastError}")];
            await Task.Delay(Look, ct);
        }
    }

    private static Task<string?> IdentityOf(NpgsqlDataSource database, CancellationToken ct) =>
        Scalar<string>(database, "select system_identifier::text || '/' || current_database() from pg_control_system()", ct);

    private static async Task<T?> Scalar<T>(NpgsqlDataSource database, string sql, CancellationToken ct)
    {
        await using var command = database.CreateCommand(sql);
        return await command.ExecuteScalarAsync(ct) is T value ? value : default;
    }
}
