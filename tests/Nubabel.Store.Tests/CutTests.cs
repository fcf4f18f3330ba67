using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Store.Tests;

/// <summary>
/// A process that is killed leaves its connection as it is: with a statement not sent, or done and not heard of. Here the connection is cut once in a run, at
/// each such place in turn, through batches, parking, a retry and skips; a new process goes on. The rows and what is parked are those of a run without a cut.
/// </summary>
public sealed class CutTests : IAsyncLifetime
{
    private readonly ProjectionSet projections = Tallies.Projections();
    private EngineDatabase database = null!;
    private long first, last, skipped;
    private string sick = "", rest = "";

    /// <summary>Statements until the cut; whether it comes before the statement or between its end and the answer.</summary>
    private int left = int.MaxValue;
    private bool afterwards;

    public async Task InitializeAsync()
    {
        database = await EngineDatabase.Create();
        await ReadTables.Ensure(database.Owner, projections, EngineDatabase.ApiLogin, EngineDatabase.DaemonLogin);
        await History();
    }

    public async Task DisposeAsync()
    {
        await database.DisposeAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_cut_at_any_statement_changes_nothing_in_the_result(bool afterTheStatement)
    {
        afterwards = afterTheStatement;
        await using var proxy = new PostgresProxy(database.DaemonConnectionString, sql =>
        {
            if (!afterwards) Count();
            return sql;
        }, answered: () =>
        {
            if (afterwards) Count();
        });
        await using var through = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(proxy.ConnectionString) { Pooling = false, MaxAutoPrepare = 0 });
        var statements = await Run(through, int.MaxValue);
        var undisturbed = await Result();
        // What the history is for: a document that was freed by a retry, one by a skip, one that is still parked, and one that PostgreSQL refuses.
        Assert.Equal(2, undisturbed.Split("thirteen").Length - 1 + (undisturbed.Split("54000").Length - 1));

        var stride = Environment.GetEnvironmentVariable("NUBABEL_STRESS_SECONDS") is null ? Math.Max(1, statements / 10) : 1;
        // Another offset each time, so that in the long run all places are seen. The last few are those of a connection that closes.
        for (var at = Random.Shared.Next(stride); at < statements - 3; at += stride)
        {
            await Run(through, at);
            Assert.True(left <= 0, $"Nothing was cut at {at} of {statements}.");
            Assert.True(undisturbed == await Result(), $"cut at statement {at} ({(afterwards ? "after" : "before")} it):\n{await Result()}\ninstead of\n{undisturbed}");
        }
    }

    /// <summary>Everything from the beginning, with one cut. Returns how many statements there were.</summary>
    private async Task<int> Run(NpgsqlDataSource through, int cutAt)
    {
        await database.Execute($$"""
            truncate read.tallies_v1, nubabel.parked, nubabel.orders_applied, events.mt_event_progression;
            delete from events.mt_events where stream_id = 'projection-tallies'; delete from events.mt_streams where id = 'projection-tallies';
            update events.mt_events set data = '{"by": 13}' where data->>'by' = '14';
            """);
        Volatile.Write(ref left, cutAt);
        await Undaunted(() => OrderTests.Feed(through, projections, first, limit: 7));
        await database.Execute($$"""update events.mt_events set data = '{"by": 14}' where stream_id = '{{rest}}' and data->>'by' = '13'""");
        var log = new TallyLog(database.Daemon);
        await log.Order("tallies", "projection_key_retried", """{"version": 1}""");
        await log.Order("tallies", "projection_event_skipped", $$"""{"version": 1, "tenant": "{{TallyLog.Tenant}}", "key": "{{sick}}", "position": {{skipped}}}""");
        await Undaunted(() => new OrderBook(through, projections).Apply("tallies", default));
        await Undaunted(() => OrderTests.Feed(through, projections, last, limit: 7));
        return cutAt - Volatile.Read(ref left);
    }

    /// <summary>As a new process goes on where one was killed.</summary>
    private static async Task Undaunted(Func<Task> work)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                await work();
                return;
            }
            catch (Exception e) when (e is NpgsqlException or IOException or Xunit.Sdk.XunitException && attempt < 3)
            {
                // Its server process may still hold locks; the next one waits for them as anybody does.
            }
        }
    }

    private void Count()
    {
        if (Interlocked.Decrement(ref left) == -1) throw new IOException("cut");
    }

    private async Task<string> Result() => await DaemonNode.TableOf(database, projections.Find("tallies")!) + "\n" + await database.Scalar<string>(
        "select string_agg(concat_ws(' ', tenant_id, key, seq_id, attempts, error), E'\\n' order by seq_id) from nubabel.parked");

    private async Task History()
    {
        var log = new TallyLog(database.Daemon);
        (sick, rest) = (TallyLog.NewStream(), TallyLog.NewStream());
        var (still, well, gone, refused) = (TallyLog.NewStream(), TallyLog.NewStream(), TallyLog.NewStream(), TallyLog.NewStream());
        foreach (var stream in new[] { sick, rest, still, well, gone, refused }) await log.Append(stream, new TallyOpened(stream[^4..]), new TallyRaised(1));
        skipped = await log.Append(sick, new TallyRaised(13));
        await log.Append(rest, new TallyRaised(13));
        await log.Append(still, new TallyRaised(13), new TallyRaised(1));
        await log.Append(refused, new TallyRaised(2), new TallyRenamed(Convert.ToHexString(System.Security.Cryptography.RandomNumberGenerator.GetBytes(10_000))));
        await log.Append(gone, new TallyClosed());
        foreach (var stream in new[] { sick, rest, well }) first = await log.Append(stream, new TallyRaised(3));
        foreach (var stream in new[] { sick, rest, still, well, refused }) last = await log.Append(stream, new TallyRaised(4));
    }
}
