using System.Collections.Concurrent;
using Npgsql;

namespace Nubabel.Store.Tests.Fire;

/// <summary>
/// Writers that draw numbers, dawdle for up to two seconds, and commit or roll back: some draw before they have written anything, some after, some go back to
/// a savepoint, and leave a dead number in a transaction that lives.
/// </summary>
internal sealed class Traffic(EngineDatabase database)
{
    private const int RolledBackPercent = 20;
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    private static int? Asked => int.TryParse(Environment.GetEnvironmentVariable("NUBABEL_STRESS_SECONDS"), out var seconds) ? seconds : null;

    private int transactions;
    private int raised;

    /// <summary>How long a stress goes on: a few seconds, or as long as NUBABEL_STRESS_SECONDS says.</summary>
    public static TimeSpan Time(double seconds) => TimeSpan.FromSeconds(Asked ?? seconds);

    public static bool IsLong => Asked is not null;

    /// <summary>The positions of all committed events.</summary>
    public ConcurrentBag<long> Committed { get; } = [];

    public int Transactions => transactions;

    /// <summary>How many of the committed events were <c>tally_raised</c>, each by 1.</summary>
    public int Raised => raised;

    public async Task Run(int writers, TimeSpan time)
    {
        using var over = new CancellationTokenSource(time);
        await Task.WhenAll(Enumerable.Range(0, writers).Select(w => Task.Run(async () =>
        {
            var random = new Random(w);
            while (!over.IsCancellationRequested) await One(random);
        })));
    }

    /// <summary>What is wrong with the projected tables; null when they hold what was committed, each event once and nothing else.</summary>
    public async Task<string?> Difference()
    {
        long[] committed = [.. Committed.Order()];
        var trail = await database.Scalar<long[]>("select coalesce(array_agg(position order by position), '{}') from read.tally_trail_v2 where ordinal = 0") ?? [];
        if (!committed.SequenceEqual(trail)) return $"{committed.Except(trail).Count()} of {committed.Length} events lost, {trail.Except(committed).Count()} never written, {trail.Length} rows";
        foreach (var sum in (string[])["select coalesce(sum(sum), 0) from read.tallies_v1", "select coalesce(sum((doc ->> 'sum')::bigint), 0)::bigint from read.tally_totals_v1"])
            if (await database.Scalar<long>(sum) is var folded && folded != raised) return $"{raised} were raised, but {sum} says {folded}";
        return null;
    }

    private async Task One(Random random)
    {
        await using var connection = await database.Daemon.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        var stream = TallyLog.NewStream();
        var numbers = new List<long>();
        var isFirst = random.Next(2) == 0;
        var many = random.Next(1, 4);
        if (isFirst)
        {
            for (var i = 0; i < many; i++) numbers.Add(await Draw(connection));
            await Pause(random);
        }
        if (random.Next(3) == 0)
        {
            await transaction.SaveAsync("s");
            await Insert(connection, TallyLog.NewStream(), await Draw(connection), 1);
            if (random.Next(2) == 0) await Pause(random);
            await transaction.RollbackAsync("s");
        }
        for (var i = 0; i < many; i++)
        {
            if (!isFirst) numbers.Add(await Draw(connection));
            await Insert(connection, stream, numbers[i], i + 1);
        }
        if (!isFirst || random.Next(4) == 0) await Pause(random);
        Interlocked.Increment(ref transactions);
        if (random.Next(100) < RolledBackPercent)
        {
            await transaction.RollbackAsync();
            return;
        }
        await transaction.CommitAsync();
        foreach (var number in numbers) Committed.Add(number);
        Interlocked.Add(ref raised, many - 1);
    }

    private static async Task<long> Draw(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("select nextval('events.mt_events_sequence')", connection);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private static async Task Insert(NpgsqlConnection connection, string stream, long number, int version)
    {
        await using var command = new NpgsqlCommand($$"""
            with s as (insert into events.mt_streams (tenant_id, id, type, version) values ('{{TallyLog.Tenant}}', '{{stream}}', 'tally', 1) on conflict do nothing)
            insert into events.mt_events (seq_id, id, tenant_id, stream_id, version, type, data, headers)
            values ({{number}}, '{{Guid.CreateVersion7()}}', '{{TallyLog.Tenant}}', '{{stream}}', {{version}},
              '{{(version == 1 ? "tally_opened" : "tally_raised")}}', '{{(version == 1 ? """{"name":"t"}""" : """{"by":1}""")}}', '{"$v":{{(version == 1 ? 1 : 2)}}}')
            """, connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>A third of them none; of the others most short, and some up to two seconds.</summary>
    private static Task Pause(Random random) => random.Next(3) == 0 ? Task.CompletedTask : Task.Delay(LongestPause * Math.Pow(random.NextDouble(), 3));
}
