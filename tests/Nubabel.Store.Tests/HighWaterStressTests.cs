using System.Diagnostics;
using Npgsql;
using Nubabel.Store.Tests.Fire;
using Xunit.Abstractions;

namespace Nubabel.Store.Tests;

/// <summary>
/// Writers that draw a number, dawdle, and commit or roll back, while a daemon projects by the mark: it must project each committed event exactly once. The same
/// traffic with a rule over transaction ids must lose events, or these tests prove nothing.
/// </summary>
public sealed class HighWaterStressTests(ITestOutputHelper output) : IAsyncLifetime
{
    private EngineDatabase database = null!;

    public async Task InitializeAsync() => database = await EngineDatabase.Create();
    public async Task DisposeAsync() => await database.DisposeAsync();

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(6)]
    [InlineData(64)]
    public async Task What_is_projected_is_what_was_committed_each_event_once(int writers)
    {
        var (traffic, difference) = await Stress(new SequenceLockRule(), writers, Traffic.Time(2));

        output.WriteLine($"{writers} writers: {traffic.Transactions} transactions, {traffic.Committed.Count} events committed, {await Skipped()} numbers dead");
        Assert.True(traffic.Committed.Count > writers, "the writers wrote next to nothing");
        Assert.Null(difference);
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
    public async Task A_rule_over_transaction_ids_loses_events_under_the_same_stress()
    {
        string? difference = null;
        for (var round = 0; round < 12 && difference is null; round++)
        {
            await using var fresh = await EngineDatabase.Create();
            (_, difference) = await Stress(new TransactionIdRule(), 6, TimeSpan.FromSeconds(1), fresh);
        }
        Assert.Contains("lost", difference ?? "nothing: the stress does not tell a wrong rule from the right one", StringComparison.Ordinal);
        output.WriteLine(difference);
    }

    private async Task<(Traffic Traffic, string? Difference)> Stress(IGapRule rule, int writers, TimeSpan time, EngineDatabase? on = null)
    {
        var traffic = new Traffic(on ?? database);
        await using var node = await DaemonNode.Started(on ?? database, rule: rule);
        await traffic.Run(writers, time);
        // With all writers gone, nothing can hold the mark.
        await node.Reach(traffic.Committed.Max());
        return (traffic, await traffic.Difference());
    }

    private Task<long> Skipped() => database.Scalar<long>("select coalesce(sum(ending_sequence - starting_sequence + 1), 0)::bigint from events.mt_high_water_skips");

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
