using System.Collections.Concurrent;

namespace Nubabel.Store;

/// <summary>An organization lives on a shard that this process has no connections to.</summary>
public sealed class UnknownShard(string shard) : Exception($"No connection strings are given for the shard {shard}.");

/// <summary>
/// The databases that organizations live on. Everything of an organization is on one of them, and nothing of it anywhere else; the directory, on the main one,
/// says on which. What is the platform's (operators, global flags) is on the main one.
/// </summary>
public sealed class Shards : IAsyncDisposable
{
    /// <summary>How many organizations' places a node remembers. A place does not change, so they are never too old.</summary>
    private const int Bound = 100_000;

    private readonly ConcurrentDictionary<string, Database> places = new();

    /// <param name="main">The database with the directory.</param>
    /// <param name="others">Further ones, each under a name of its own.</param>
    public Shards(Database main, params IReadOnlyList<Database> others)
    {
        Main = main;
        All = [main, .. others];
        if (All.DistinctBy(d => d.Shard).Count() != All.Count) throw new ArgumentException("Two shards have the same name.", nameof(others));
        Directory = new TenantDirectory(main.Api);
    }

    public Database Main { get; }

    /// <summary>All of them, the main one first.</summary>
    public IReadOnlyList<Database> All { get; }

    public TenantDirectory Directory { get; }

    public Database? Find(string shard) => All.FirstOrDefault(d => d.Shard == shard);

    /// <summary>Where a tenant lives. What the directory does not know has nothing anywhere, and is looked for on the main database.</summary>
    /// <exception cref="UnknownShard">It lives where this process cannot reach.</exception>
    public async ValueTask<Database> Of(string tenant, CancellationToken ct)
    {
        if (All.Count == 1 || tenant == Projection.PlatformTenant) return Main;
        if (places.TryGetValue(tenant, out var known)) return known;
        return await Directory.Find(tenant, ct) is { } entry ? Remember(entry) : Main;
    }

    /// <summary>Where an organization lives whose entry is at hand.</summary>
    /// <exception cref="UnknownShard">It lives where this process cannot reach.</exception>
    public Database Of(DirectoryEntry entry) => places.TryGetValue(entry.Organization, out var known) ? known : Remember(entry);

    /// <summary>
    /// Reserves a slug, and the place of its organization, for a sign-up: the named shard, or the one with the fewest organizations. A repeated sign-up meets its
    /// own reservation, and its place. Null when the slug is another's.
    /// </summary>
    public async Task<Database?> Place(string slug, string organization, string? shard, CancellationToken ct)
    {
        var wanted = shard ?? (All.Count == 1 ? Main.Shard : await Emptiest(ct));
        if (Find(wanted) is null) throw new UnknownShard(wanted);
        var placed = await Directory.Place(slug, organization, wanted, Main.Shard, notFounded: null, ct);
        if (placed is null && await Directory.Find(slug, ct) is { State: "reserved" } other && other.Shard != Main.Shard)
        {
            // A sign-up on another shard that was cut off: whether it had founded its organization is seen there.
            if (await IsFounded(other, ct)) await Directory.Confirm(other.Organization, ct);
            else placed = await Directory.Place(slug, organization, wanted, Main.Shard, other.Organization, ct);
        }
        return placed is null ? null : Find(placed) ?? throw new UnknownShard(placed);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var database in All) await database.DisposeAsync();
    }

    private Database Remember(DirectoryEntry entry)
    {
        var database = Find(entry.Shard) ?? throw new UnknownShard(entry.Shard);
        // A reservation may run out, and its organization be placed anew.
        if (entry.State == "reserved") return database;
        if (places.Count >= Bound) places.Clear();
        return places[entry.Organization] = database;
    }

    private async Task<string> Emptiest(CancellationToken ct)
    {
        var counts = await Directory.Counts(ct);
        return All.Select(d => d.Shard).MinBy(name => counts.GetValueOrDefault(name))!;
    }

    private async Task<bool> IsFounded(DirectoryEntry entry, CancellationToken ct)
    {
        var database = Find(entry.Shard) ?? throw new UnknownShard(entry.Shard);
        await using var batch = database.Api.CreateBatch();
        batch.BatchCommands.Add(Append.Tenant(entry.Organization));
        // The same question that the main database's own function asks.
        batch.BatchCommands.Add(Sql.Of($"select exists (select from events.mt_streams where tenant_id = {entry.Organization} and id = {"organization-" + entry.Organization})").ToBatchCommand());
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        return await reader.ReadAsync(ct) && reader.GetBoolean(0);
    }
}
