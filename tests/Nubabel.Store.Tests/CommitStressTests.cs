using System.Collections.Concurrent;
using System.Globalization;
using Npgsql;
using Nubabel.Testing;
using static Nubabel.Store.Tests.Committing;

namespace Nubabel.Store.Tests;

/// <summary>
/// Two nodes commit at random over few streams, claims and keys. Whatever was answered must be what the log says, and what one writer alone would have done in
/// the order of the positions.
/// </summary>
public class CommitStressTests
{
    private const int Tenants = 3, Streams = 6, Values = 5, Writers = 24;
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(
        int.TryParse(Environment.GetEnvironmentVariable("NUBABEL_STRESS_SECONDS"), CultureInfo.InvariantCulture, out var seconds) ? seconds : 3);

    private readonly int seed = Environment.TickCount;

    [Fact]
    public async Task What_two_nodes_commit_at_random_is_what_one_writer_would_have_done_and_nothing_deadlocks_or_stalls()
    {
        await using var test = await TestDatabase.New();
        await using var second = NpgsqlDataSource.Create(test.ApiString);
        Coalescer[] nodes = [new(test.Database.Api, new CoalescerBounds()), new(second, new CoalescerBounds(Statements: 3, Items: 8))];
        var tenants = Enumerable.Range(0, Tenants).Select(_ => Tally.Tenant()).ToArray();
        var tried = new ConcurrentBag<(AppendItem Item, Appended Answer)>();
        var versions = new ConcurrentDictionary<(string, string), long>();
        var until = TimeProvider.System.GetUtcNow() + Longest;
        using var stalled = new CancellationTokenSource(Longest + TimeSpan.FromSeconds(40));
        await Task.WhenAll(Enumerable.Range(0, Writers).Select(w => Task.Run(async () =>
        {
            var random = new Random(seed + w);
            while (TimeProvider.System.GetUtcNow() < until)
            {
                var item = Random(random, tenants, versions);
                // A stall ends the test by this token: whoever is still under way then hears "unknown", which is no answer.
                var answer = await nodes[random.Next(2)].Commit(item, stalled.Token);
                tried.Add((item, answer));
                if (answer is Appended.Done done)
                    foreach (var e in done.Events) versions.AddOrUpdate((e.Tenant, e.Stream), e.Version, (_, v) => Math.Max(v, e.Version));
                if (answer is Appended.Conflict c && c.Actual > 0) versions.AddOrUpdate((item.Envelope.Tenant, c.Stream), c.Actual, (_, v) => Math.Max(v, c.Actual));
            }
        })));
        foreach (var node in nodes) await node.DisposeAsync();

        Assert.Equal(0, await Deadlocks(test, second));
        Assert.True(nodes.Sum(n => n.Shared.Items) > 0, "Nothing was shared, so nothing was tested.");
        var done = tried.Where(t => t.Answer is Appended.Done).Select(t => (t.Item, Events: ((Appended.Done)t.Answer).Events)).OrderBy(t => t.Events[0].Position).ToArray();
        Assert.Contains(tried, t => t.Answer is Appended.Conflict);
        Assert.Contains(tried, t => t.Answer is Appended.Taken);
        Assert.Contains(tried, t => t.Answer is Appended.Repeated);
        await IsTheLog(test, done.SelectMany(d => d.Events));
        await IsSequential(test, done);
    }

    [Fact]
    public async Task Commits_over_the_same_streams_claims_and_keys_from_two_nodes_never_deadlock()
    {
        await using var test = await TestDatabase.New();
        await using var second = NpgsqlDataSource.Create(test.ApiString);
        Coalescer[] nodes = [new(test.Database.Api, new CoalescerBounds()), new(second, new CoalescerBounds())];
        var tenant = Tally.Tenant();
        var until = TimeProvider.System.GetUtcNow() + Longest;
        var written = 0;
        await Task.WhenAll(Enumerable.Range(0, Writers).Select(w => Task.Run(async () =>
        {
            var random = new Random(seed + w);
            for (var round = 0; TimeProvider.System.GetUtcNow() < until; round++)
            {
                // Streams that exist, in whatever order they are named, and new ones that the other node makes at the same time.
                string[] names = [.. Enumerable.Range(0, 4).Select(i => $"tally-{i}"), .. Enumerable.Range(0, 4).Select(i => $"tally-{round}-{i}")];
                var appends = names.OrderBy(_ => random.Next()).Take(random.Next(1, 5)).Select(n => Tally.On(n, StreamAppend.Any, new Counted(w)) with
                {
                    Expected = n.Length > 7 ? 0 : StreamAppend.Any,
                    Take = n.Length > 7 ? [new ClaimValue("value", $"{round}-{random.Next(4)}")] : [],
                });
                var once = random.Next(3) == 0 ? new IdempotencyRecord(tenant, "scope", $"{round}-{random.Next(4)}", [1], 200) : null;
                if (await nodes[w % 2].Commit(Item(tenant, once, [.. appends]), default) is Appended.Done) Interlocked.Increment(ref written);
            }
        })));
        foreach (var node in nodes) await node.DisposeAsync();
        Assert.True(written > 0);
        Assert.Equal(0, await Deadlocks(test, second));
    }

    private static async Task<long> Deadlocks(TestDatabase test, NpgsqlDataSource second)
    {
        // A session tells what it has counted when it ends.
        second.Clear();
        test.Database.Api.Clear();
        await Until(async () => await test.Scalar<long>($"select count(*) from pg_stat_activity where datname = '{test.Name}' and usename = 'nubabel_api'") == 0);
        return await test.Scalar<long>($"select deadlocks from pg_stat_database where datname = '{test.Name}'");
    }

    private static AppendItem Random(Random random, string[] tenants, ConcurrentDictionary<(string, string), long> versions)
    {
        var tenant = tenants[random.Next(Tenants)];
        var count = random.Next(4) == 0 ? random.Next(2, 4) : 1;
        var names = Enumerable.Range(0, Streams).Select(i => i < Streams - 1 ? $"tally-{i}" : Tally.Stream()).ToArray();
        var streams = names.OrderBy(_ => random.Next()).Take(count).ToArray();
        var once = random.Next(5) == 0 ? new IdempotencyRecord(random.Next(2) == 0 ? tenant : "*DEFAULT*", "scope", $"{random.Next(60)}", [1], 200) : null;
        return Item(tenant, once, [.. streams.Select(stream =>
        {
            var seen = versions.GetValueOrDefault((tenant, stream));
            var expected = random.Next(8) switch { 0 => StreamAppend.Any, 1 => 0, _ => seen };
            var (take, release) = expected == StreamAppend.Any || random.Next(3) > 0 ? (0, 0) : (random.Next(3), random.Next(2));
            ClaimValue[] values = [.. Enumerable.Range(0, Values).OrderBy(_ => random.Next()).Take(take + release).Select(v => new ClaimValue("value", $"{v}"))];
            return new StreamAppend(stream, "tally", expected, [.. Enumerable.Range(0, random.Next(1, 4)).Select(n => new Counted(n))], values[..take], values[take..]);
        })]);
    }

    /// <summary>Each answered event stands there, no other does, and versions have no holes.</summary>
    private static async Task IsTheLog(TestDatabase test, IEnumerable<Recorded> answered)
    {
        var expected = answered.OrderBy(e => e.Position).Select(e => $"{e.Position} {e.Id} {e.Tenant} {e.Stream} {e.Version}");
        var found = new List<string>();
        await using var command = test.Superuser.CreateCommand("select seq_id || ' ' || id || ' ' || tenant_id || ' ' || stream_id || ' ' || version from events.mt_events order by seq_id");
        await using (var reader = await command.ExecuteReaderAsync())
            while (await reader.ReadAsync()) found.Add(reader.GetString(0));
        Assert.Equal(expected, found);
        Assert.Equal(0, await test.Scalar<long>("""
            select count(*) from events.mt_streams s full join (select tenant_id, stream_id, count(*) n, max(version) v, min(version) l from events.mt_events group by 1, 2) e on e.tenant_id = s.tenant_id and e.stream_id = s.id
             where s.version is distinct from e.n or e.v <> e.n or e.l <> 1
            """));
    }

    /// <summary>One writer that does the same in this order accepts each of them, and ends with the same claims and records.</summary>
    private static async Task IsSequential(TestDatabase test, (AppendItem Item, IReadOnlyList<Recorded> Events)[] done)
    {
        var versions = new Dictionary<(string, string), long>();
        var claims = new Dictionary<(string, ClaimValue), string>();
        var records = new HashSet<(string, string)>();
        foreach (var (item, events) in done)
        {
            var tenant = item.Envelope.Tenant;
            if (item.Once is { } once) Assert.True(records.Add((once.Tenant, once.Key)), "A key was used twice.");
            foreach (var append in item.Streams)
            {
                var version = versions.GetValueOrDefault((tenant, append.Stream));
                Assert.True(append.Expected == StreamAppend.Any || append.Expected == version, "A stale version was accepted.");
                Assert.Equal(Enumerable.Range(1, append.Events.Count).Select(n => version + n), events.Where(e => e.Stream == append.Stream).Select(e => e.Version));
                versions[(tenant, append.Stream)] = version + append.Events.Count;
                foreach (var claim in append.Take)
                {
                    var holder = claims.GetValueOrDefault((tenant, claim));
                    Assert.True(holder is null || holder == append.Stream || item.Streams.Any(s => s.Stream == holder && s.Release.Contains(claim)), "A taken claim was taken again.");
                    claims[(tenant, claim)] = append.Stream;
                }
            }
            foreach (var append in item.Streams)
                foreach (var claim in append.Release)
                    if (claims.GetValueOrDefault((tenant, claim)) == append.Stream) claims.Remove((tenant, claim));
        }
        Assert.Equal(claims.Select(c => $"{c.Key.Item1} {c.Key.Item2.Value} {c.Value}").Order(StringComparer.Ordinal),
            (await test.Scalar<string[]>("select coalesce(array_agg(tenant_id || ' ' || value || ' ' || stream_id), '{}') from nubabel.claims")).Order(StringComparer.Ordinal));
        Assert.Equal(records.Count, await test.Scalar<long>("select count(*) from nubabel.idempotency"));
    }
}
