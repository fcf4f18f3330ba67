using System.Security.Cryptography;

namespace Nubabel.Store.Tests.Chain;

/// <summary>The chain in PostgreSQL: each event once, whoever keeps it and wherever it dies; what a person with the owner's rights does to the log is found.</summary>
public sealed class ChainKeeperTests : IAsyncLifetime
{
    private static readonly MasterKeys Master = new(new MasterKey(RandomNumberGenerator.GetBytes(32)));
    private EngineDatabase database = null!;
    private TallyLog log = null!;

    public async Task InitializeAsync()
    {
        database = await EngineDatabase.Create();
        log = new TallyLog(database.Daemon);
    }

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task Each_tenants_events_are_chained_once_in_the_logs_order_and_signed_when_they_are_many()
    {
        var published = new List<string>();
        await using var keeper = Keeper(new ChainOptions { Entries = 10, Published = published.Add });
        await Append(25);
        await log.AppendAs("other", "tally-1", new TallyRaised(1));
        await Kept(keeper);
        await Append(3);
        await Kept(keeper);

        var verdict = await Verify();
        Assert.Equal((28, 2, 20L, true), (verdict.Entries, verdict.Checkpoints, verdict.Signed, verdict.IsValid));
        Assert.Equal([TallyLog.Tenant, "other"], await Store.Tenants(default));
        Assert.Equal(1, (await Store.Verify("other", [], null, default)).Entries);
        Assert.Equal(2, published.Count);
        Assert.Equal(verdict, await Store.Verify(TallyLog.Tenant, published, null, default));
    }

    [Fact]
    public async Task What_is_old_is_signed_though_it_is_little()
    {
        await using var keeper = Keeper(new ChainOptions { Age = TimeSpan.Zero });
        await Append(3);
        await Kept(keeper);
        await Kept(keeper);
        Assert.Equal(3, (await Verify()).Signed);

        // Nothing new: nothing more to say.
        await Kept(keeper);
        Assert.Equal(1, await database.Scalar<long>("select count(*) from nubabel.audit_checkpoints"));
    }

    [Fact]
    public async Task Several_keepers_at_once_make_one_chain()
    {
        var keepers = Enumerable.Range(0, 3).Select(_ => Keeper(new ChainOptions { Entries = 7, Every = TimeSpan.FromMilliseconds(5) })).ToArray();
        foreach (var keeper in keepers) keeper.Start();
        var last = 0L;
        for (var i = 0; i < 60; i++) last = await Append(1);
        await Mark();
        await TestWait.Until("all is chained", async () => await At() >= last);
        foreach (var keeper in keepers) await keeper.DisposeAsync();

        var verdict = await Verify();
        Assert.Equal((60, true), (verdict.Entries, verdict.IsValid));
    }

    [Fact]
    public async Task A_chain_that_is_made_anew_is_the_same_and_keeps_what_was_signed()
    {
        await using var keeper = Keeper(new ChainOptions { Entries = 10 });
        await Append(35);
        await Kept(keeper);
        var before = await Chain();

        await ChainKeeper.Rebuild(database.Daemon, default);
        Assert.Equal(0, await At());
        await Kept(keeper);

        Assert.Equal(before, await Chain());
        var verdict = await Verify();
        Assert.Equal((35, 3, 30L, true), (verdict.Entries, verdict.Checkpoints, verdict.Signed, verdict.IsValid));

        // What was signed is not to be had by making the chain anew from a changed log.
        await Tamper("update events.mt_events set data = '{\"by\": 666}' where seq_id = (select min(seq_id) + 4 from events.mt_events)");
        await ChainKeeper.Rebuild(database.Daemon, default);
        await Kept(keeper);
        Assert.Equal(ChainFault.Rewritten, (await Verify()).Finding?.Fault);
    }

    [Theory]
    [InlineData("update events.mt_events set data = jsonb_set(data, '{by}', '5') where seq_id = {0}", ChainFault.Altered)]
    [InlineData("update events.mt_events set headers = null where seq_id = {0}", ChainFault.Altered)]
    [InlineData("update events.mt_events set user_name = 'user:another' where seq_id = {0}", ChainFault.Altered)]
    [InlineData("update events.mt_events set timestamp = timestamp + interval '1 microsecond' where seq_id = {0}", ChainFault.Altered)]
    [InlineData("update events.mt_events set type = 'tally_closed' where seq_id = {0}", ChainFault.Altered)]
    [InlineData("delete from events.mt_events where seq_id = {0}", ChainFault.Missing)]
    [InlineData("delete from events.mt_events where seq_id >= {0}", ChainFault.Truncated)]
    [InlineData("update events.mt_events set tenant_id = 'other' where seq_id = {0}", ChainFault.Reordered)]
    [InlineData("update events.mt_events set seq_id = seq_id + 1000000 where seq_id = {0}", ChainFault.Reordered)]
    [InlineData("delete from nubabel.audit_chain where tenant_id = '" + TallyLog.Tenant + "' and first = 15", ChainFault.Record)]
    public async Task What_is_done_to_the_log_is_found_where_it_was_done(string sql, ChainFault fault)
    {
        await using var keeper = Keeper(new ChainOptions { Entries = 10 });
        await log.AppendAs("other", "tally-other", new TallyRaised(1));
        await Append(14);
        await Kept(keeper);
        var target = await Append(1);
        await Append(20);
        await Kept(keeper);
        Assert.True((await Verify()).IsValid);

        await Tamper(string.Format(System.Globalization.CultureInfo.InvariantCulture, sql.Replace("{by}", "{{by}}", StringComparison.Ordinal), target));

        var found = (await Verify()).Finding;
        Assert.Equal((fault, target), (found?.Fault, found?.Position ?? 0));
    }

    [Fact]
    public async Task A_checkpoint_that_is_gone_or_forged_is_missed()
    {
        await using var keeper = Keeper(new ChainOptions { Entries = 10 });
        await Append(25);
        await Kept(keeper);
        var statement = await database.Scalar<string>("select statement from nubabel.audit_checkpoints where entries = 20");

        await Tamper("delete from nubabel.audit_checkpoints where entries = 20");
        Assert.Equal(ChainFault.Checkpoint, (await Verify()).Finding?.Fault);

        using var forger = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var forged = new Checkpoint("nubabel", TallyLog.Tenant, 20, 20, new byte[32], 0).Sign(forger, statement!.Split('.')[0]);
        await Tamper($"insert into nubabel.audit_checkpoints values ('{TallyLog.Tenant}', 20, 20, now(), '{forged}')");
        Assert.Equal(ChainFault.Checkpoint, (await Verify()).Finding?.Fault);
    }

    [Fact]
    public async Task Who_exchanges_the_keys_and_signs_everything_anew_is_found_by_a_statement_that_was_kept()
    {
        var kept = new List<string>();
        await using (var keeper = Keeper(new ChainOptions { Entries = 10, Published = kept.Add }))
        {
            await Append(10);
            await Kept(keeper);
        }
        await Tamper("update events.mt_events set data = '{\"by\": 666}' where seq_id = 3; delete from nubabel.audit_checkpoints; delete from nubabel.audit_keys");
        await ChainKeeper.Rebuild(database.Daemon, default);
        await using var forger = Keeper(new ChainOptions { Entries = 10 });
        await Kept(forger);

        Assert.True((await Verify()).IsValid, "the database alone cannot tell");
        Assert.Equal(ChainFault.Checkpoint, (await Store.Verify(TallyLog.Tenant, kept, null, default)).Finding?.Fault);
    }

    [Fact]
    public async Task A_key_that_was_replaced_still_verifies_what_it_signed()
    {
        var keys = new ChainKeys(database.Daemon, Master);
        await using var keeper = Keeper(new ChainOptions { Entries = 10 });
        await Append(10);
        await Kept(keeper);
        await keys.Rotate(default);
        await Append(10);
        await Kept(keeper);

        Assert.Equal(2, (await Verify()).Checkpoints);
        Assert.Equal(2, await database.Scalar<long>("select count(distinct split_part(statement, '.', 1)) from nubabel.audit_checkpoints"));
    }

    private ChainStore Store => new(database.Daemon);

    private ChainKeeper Keeper(ChainOptions options) => new(database.Daemon, new ChainKeys(database.Daemon, Master), options);

    private Task<ChainVerdict> Verify() => Store.Verify(TallyLog.Tenant, [], null, default);

    private async Task<long> Append(int events)
    {
        var (stream, last) = (TallyLog.NewStream(), 0L);
        for (var i = 0; i < events; i++) last = await log.Append(stream, new TallyRaised(i));
        return last;
    }

    /// <summary>Chains all that there is.</summary>
    private async Task Kept(ChainKeeper keeper)
    {
        await Mark();
        while (await keeper.Keep(default))
        {
        }
    }

    private async Task Mark() => await new HighWater(database.Daemon).Advance(default);

    private Task<long> At() => database.Scalar<long>($"select coalesce(max(last_seq_id), 0) from events.mt_event_progression where name = '{ChainKeeper.ProgressionName}'");

    private async Task<string> Chain() =>
        await database.Scalar<string>("select string_agg(encode(digests, 'hex') || array_to_string(positions, ','), '' order by tenant_id, first) from nubabel.audit_chain") ?? "";

    private Task Tamper(string sql) => EngineDatabase.AsSuperuser($"set session_replication_role = replica; {sql}", database.Name);
}
