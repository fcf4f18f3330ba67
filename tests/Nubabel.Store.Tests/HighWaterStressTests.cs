using System.Collections.Concurrent;
using System.Diagnostics;
using Npgsql;

namespace Nubabel.Store.Tests;

/// <summary>
/// Writers that draw a number, wait, and commit or roll back, while one reader follows the mark: it must read each committed event exactly
/// once. The same traffic with a rule over transaction ids must lose events, or these tests prove nothing.
/// </summary>
public sealed class HighWaterStressTests : IAsyncLifetime
{
    private const int RolledBackPercent = 20;
    private EngineDatabase database = null!;

    public async Task InitializeAsync() => database = await EngineDatabase.Create();
    public async Task DisposeAsync() => await database.DisposeAsync();

    [Theory]
    [InlineData(2, true)]
    [InlineData(3, false)]
    [InlineData(6, true)]
    [InlineData(6, false)]
    [InlineData(64, false)]
    public async Task Every_committed_event_is_read_exactly_once(int writers, bool numberDrawnFirst)
    {
        var (committed, read) = await Stress(new SequenceLockRule(), writers, numberDrawnFirst, TimeSpan.FromSeconds(2));

        Assert.True(committed.Count > writers, "the writers wrote next to nothing");
        Assert.Equal(committed.Order(), read);
    }

    [Fact]
    public async Task A_rule_over_transaction_ids_passes_a_number_whose_owner_has_written_nothing_yet()
    {
        // The first number of 32 writes to the journal and so gives its transaction an id; the ones after it do not.
        await database.Execute("select nextval('events.mt_events_sequence')");
        await using var owner = await LogWriter.BeginWithNothing(database);
        var number = await owner.Draw();
        await using var writer = await LogWriter.BeginWithNothing(database);
        var last = await writer.Append();
        await writer.Commit();

        Assert.Equal(0, await new HighWater(database.Daemon).Advance(default));
        var mutant = new HighWater(database.Daemon, new TransactionIdRule());
        var clock = Stopwatch.StartNew();
        // Transactions of other databases hold the wrong rule up for a while, for the wrong reason.
        while (await mutant.Advance(default) < last) Assert.True(clock.Elapsed < TimeSpan.FromSeconds(20), "the wrong rule waits for the right reason");

        await owner.Insert(number);
        await owner.Commit();
        Assert.Equal(1L, await database.Scalar<long>("""
            select count(*) from events.mt_events e join events.mt_high_water_skips s on e.seq_id between s.starting_sequence and s.ending_sequence
            """));
    }

    [Fact]
    public async Task A_rule_over_transaction_ids_loses_events_under_stress()
    {
        var lost = 0;
        for (var round = 0; round < 12 && lost == 0; round++)
        {
            var (committed, read) = await Stress(new TransactionIdRule(), 6, numberDrawnFirst: true, TimeSpan.FromSeconds(1));
            lost = committed.Except(read).Count();
        }
        Assert.True(lost > 0, "the stress does not tell a wrong rule from the right one");
    }

    private async Task<(IReadOnlyCollection<long> Committed, List<long> Read)> Stress(IGapRule rule, int writers, bool numberDrawnFirst, TimeSpan time)
    {
        var committed = new ConcurrentBag<long>();
        using var over = new CancellationTokenSource(time);
        var from = await database.Scalar<long>($"select coalesce(max(last_seq_id), 0) from events.mt_event_progression where name = '{HighWater.ProgressionName}'");
        var writing = Task.WhenAll(Enumerable.Range(0, writers).Select(w => Task.Run(() => Write(committed, numberDrawnFirst, new Random(w), over.Token))));

        var mark = new HighWater(database.Daemon, rule);
        var read = new List<long>();
        using var bound = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!writing.IsCompleted) from = await Follow(mark, from, read, bound.Token);
        await writing;
        // One round more: with all writers gone, nothing can hold the mark.
        await Follow(mark, from, read, bound.Token);
        return (committed, read);
    }

    private async Task<long> Follow(HighWater mark, long from, List<long> read, CancellationToken ct)
    {
        var safe = await mark.Advance(ct);
        await using var command = database.Daemon.CreateCommand("select seq_id from events.mt_events where seq_id > $1 and seq_id <= $2 order by seq_id");
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = from });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = safe });
        await using var reader = await command.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct)) read.Add(reader.GetInt64(0));
        return safe;
    }

    private async Task Write(ConcurrentBag<long> committed, bool numberDrawnFirst, Random random, CancellationToken over)
    {
        while (!over.IsCancellationRequested)
        {
            await using var writer = await LogWriter.BeginWithNothing(database);
            long position;
            if (numberDrawnFirst)
            {
                position = await writer.Draw();
                await Pause(random);
                await writer.Insert(position);
            }
            else
            {
                position = await writer.Append();
                await Pause(random);
            }
            if (random.Next(100) < RolledBackPercent)
            {
                await writer.RollBack();
                continue;
            }
            await writer.Commit();
            committed.Add(position);
        }
    }

    /// <summary>The time between number and commit is what makes gaps: mostly none, sometimes long.</summary>
    private static Task Pause(Random random) => random.Next(4) == 0 ? Task.Delay(random.Next(1, 12)) : Task.CompletedTask;

    /// <summary>
    /// The mutant: a gap is dead when every transaction id below the snapshot of the read that met it has completed. The upper end of a
    /// snapshot is the latest completed id + 1, so a running owner may lie above it.
    /// </summary>
    private sealed class TransactionIdRule : IGapRule
    {
        private long bound;

        public async Task<IReadOnlyList<Holder>> MayStillFill(NpgsqlConnection connection, bool newGap, CancellationToken ct)
        {
            await using var command = new NpgsqlCommand(
                "select pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint from pg_current_snapshot() s", connection);
            await using var reader = await command.ExecuteReaderAsync(ct);
            await reader.ReadAsync(ct);
            if (newGap) bound = reader.GetInt64(1);
            return reader.GetInt64(0) < bound ? [new Holder($"before {bound}", null)] : [];
        }
    }
}
