using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.Foreign;

/// <summary>Our append and that of a stock Marten on the same streams: who is late is refused, whichever of the two it is.</summary>
public sealed class MartenAppendTests : IAsyncLifetime
{
    private readonly string tenant = Tally.Tenant();
    private readonly string stream = Tally.Stream();
    private Database db = null!;
    private NpgsqlDataSource marten = null!;

    public async Task InitializeAsync()
    {
        var shared = await TestDatabase.Shared;
        (db, marten) = (shared.Database, await MartenLogin.On(shared));
    }

    public async Task DisposeAsync() => await marten.DisposeAsync();

    [Fact]
    public async Task Its_login_sees_every_tenants_log_and_nothing_else()
    {
        await MartenWriter.Start(marten, tenant, stream, null, Counted(1));
        var shared = await TestDatabase.Shared;
        Assert.Equal("", await shared.Scalar<string>("""
            select coalesce(string_agg(c.oid::regclass::text, ' '), '') from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname in ('nubabel', 'read') and c.relkind = 'r' and has_table_privilege('marten', c.oid, 'select, insert, update, delete')
            """));
        var refused = await Assert.ThrowsAsync<PostgresException>(async () =>
        {
            await using var command = marten.CreateCommand("select count(*) from nubabel.subject_keys");
            await command.ExecuteScalarAsync();
        });
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
        await using var function = marten.CreateCommand("create or replace function events.mt_test_of_rights() returns int language sql as 'select 1'; drop function events.mt_test_of_rights()");
        await function.ExecuteNonQueryAsync();
    }

    [Fact]
    public async Task A_stream_of_both_is_read_whole_and_in_order()
    {
        await MartenWriter.Start(marten, tenant, stream, "tally_board", Counted(1), new MartenEvent("strange", "[]", CausationId: "message 7", UserName: "somebody"));
        Assert.IsType<Appended.Done>(await db.Commit(tenant, Tally.On(stream, 2, new Counted(3))));
        await MartenWriter.Append(marten, tenant, stream, Counted(4));
        await MartenWriter.AppendAt(marten, tenant, stream, 4, Counted(5));
        Assert.IsType<Appended.Done>(await db.Commit(tenant, Tally.On(stream, StreamAppend.Any, new Counted(6))));

        var read = await db.Read(tenant, stream);
        Assert.Equal([1, 2, 3, 4, 5, 6], read.Select(e => e.Version));
        Assert.Equal([1, null, 3, 4, 5, 6], read.Select(e => (e.Data as Counted)?.By));
        Assert.Equal((true, "strange", "somebody", "message 7", null, "{}"), (read[1].IsUnknown, read[1].Type, read[1].Actor, read[1].CausationId, read[1].CorrelationId, read[1].Headers));
        Assert.Equal([false, true, false, false, false, false], read.Select(e => e.IsUnknown));
    }

    [Fact]
    public async Task Who_appends_behind_marten_is_told_the_version_that_stands_there()
    {
        await db.Commit(tenant, Tally.On(stream, 0, new Counted(1)));
        await MartenWriter.Append(marten, tenant, stream, Counted(2), Counted(3));

        Assert.Equal(new Appended.Conflict(stream, 3, false), await db.Commit(tenant, Tally.On(stream, 1, new Counted(9))));
        Assert.Equal(new Appended.Conflict(stream, 3, false), await db.Commit(tenant, Tally.On(stream, 0, new Counted(9))));
        Assert.IsType<Appended.Done>(await db.Commit(tenant, Tally.On(stream, 3, new Counted(4))));
    }

    [Fact]
    public async Task Marten_behind_us_finds_its_expected_version_gone()
    {
        await MartenWriter.Start(marten, tenant, stream, null, Counted(1));
        await db.Commit(tenant, Tally.On(stream, 1, new Counted(2)));

        Assert.Equal(0, await MartenWriter.AppendAt(marten, tenant, stream, 1, Counted(9)));
        Assert.Equal([1, 2], (await db.Read(tenant, stream)).Select(e => ((Counted)e.Data!).By));
    }

    [Fact]
    public async Task We_between_martens_look_and_its_insert_are_refused_by_the_index()
    {
        await MartenWriter.Start(marten, tenant, stream, null, Counted(1));
        await using var session = await MartenWriter.Begin(marten);
        var seen = await session.Version(tenant, stream);
        await db.Commit(tenant, Tally.On(stream, 1, new Counted(2)));

        var refused = await Assert.ThrowsAsync<PostgresException>(() => session.Insert(tenant, stream, seen!.Value, [Counted(9)]));
        Assert.Equal("pk_mt_events_stream_and_version", refused.ConstraintName);
    }

    /// <summary>
    /// Marten inserts the event before it moves the stream, we the other way round: here each waits for the other, and PostgreSQL ends one of them.
    /// </summary>
    [Fact]
    public async Task When_each_waits_for_the_other_exactly_one_wins_and_nothing_is_lost()
    {
        await MartenWriter.Start(marten, tenant, stream, null, Counted(1));
        await using var session = await MartenWriter.Begin(marten);
        await session.Insert(tenant, stream, 1, [Counted(2)]);
        var ours = db.Commit(tenant, Tally.On(stream, 1, new Counted(3)));
        await Blocked();
        var martens = Task.Run(async () =>
        {
            try
            {
                await session.Settle(tenant, stream, 2);
                await session.Commit();
                return true;
            }
            catch (PostgresException deadlock) when (deadlock.SqlState == PostgresErrorCodes.DeadlockDetected)
            {
                await session.DisposeAsync();
                return false;
            }
        });

        var (theirs, answer) = (await martens, await ours);
        // Which version stands there by then depends on whether the winner has committed; a conflict it is in any case.
        if (theirs) Assert.Equal((stream, false), answer is Appended.Conflict conflict ? (conflict.Stream, conflict.Archived) : ("", true));
        else Assert.IsType<Appended.Done>(answer);
        Assert.Equal([1, theirs ? 2 : 3], (await db.Read(tenant, stream)).Select(e => ((Counted)e.Data!).By));
    }

    [Theory]
    [InlineData("0")]
    [InlineData("null")]
    public async Task A_stray_stream_row_without_events_is_as_good_as_none(string version)
    {
        await Stray(version);
        Assert.Equal(new Appended.Conflict(stream, 0, false), await db.Commit(tenant, Tally.On(stream, 1, new Counted(9))));
        Assert.IsType<Appended.Done>(await db.Commit(tenant, Tally.On(stream, 0, new Counted(1), new Counted(2))));
        Assert.Equal(new Appended.Conflict(stream, 2, false), await db.Commit(tenant, Tally.On(stream, 0, new Counted(9))));

        Assert.Equal([1, 2], (await db.Read(tenant, stream)).Select(e => e.Version));
        Assert.Equal("2 tally", await Row());
    }

    [Theory]
    [InlineData("0")]
    [InlineData("null")]
    public async Task A_stray_stream_row_takes_an_append_with_claims_and_one_without_a_version(string version)
    {
        await Stray(version);
        var claim = new ClaimValue("name", stream);
        Assert.IsType<Appended.Done>(await db.Commit(tenant, new StreamAppend(stream, "tally", 0, [new Counted(1)], [claim], [])));
        Assert.Equal(new Appended.Taken(claim, stream), await db.Commit(tenant, new StreamAppend(Tally.Stream(), "tally", 0, [new Counted(1)], [claim], [])));
        Assert.Equal("1 tally", await Row());

        await (await TestDatabase.Shared).Run($"insert into events.mt_streams (tenant_id, id, version) values ('{tenant}', '{stream}-any', {version})");
        Assert.IsType<Appended.Done>(await db.Commit(tenant, Tally.On($"{stream}-any", StreamAppend.Any, new Counted(1))));
        Assert.Equal([1], (await db.Read(tenant, $"{stream}-any")).Select(e => e.Version));
    }

    [Fact]
    public async Task A_stray_stream_row_that_is_archived_refuses()
    {
        await Stray("0");
        await MartenWriter.Archive(marten, tenant, stream);
        Assert.Equal(new Appended.Conflict(stream, 0, true), await db.Commit(tenant, Tally.On(stream, 0, new Counted(1))));
        Assert.Equal(new Appended.Conflict(stream, 0, true),
            await db.Commit(tenant, new StreamAppend(stream, "tally", 0, [new Counted(1)], [new ClaimValue("name", stream)], [])));
        Assert.Empty(await db.Read(tenant, stream));
    }

    [Fact]
    public async Task A_stream_that_marten_has_archived_is_read_and_takes_no_event()
    {
        await db.Commit(tenant, Tally.On(stream, 0, new Counted(1)));
        await MartenWriter.Archive(marten, tenant, stream);

        Assert.Equal([1], (await db.Read(tenant, stream)).Select(e => ((Counted)e.Data!).By));
        Assert.Equal(new Appended.Conflict(stream, 1, true), await db.Commit(tenant, Tally.On(stream, 1, new Counted(2))));
        Assert.Equal(new Appended.Conflict(stream, 1, true), await db.Commit(tenant, Tally.On(stream, StreamAppend.Any, new Counted(2))));
    }

    private static MartenEvent Counted(int by) => new("tally_counted", $$"""{"by": {{by}}, "unit": "heads"}""");

    private async Task Stray(string version) =>
        await (await TestDatabase.Shared).Run($"insert into events.mt_streams (tenant_id, id, version) values ('{tenant}', '{stream}', {version})");

    private async Task<string> Row() => await (await TestDatabase.Shared).Scalar<string>($"select version || ' ' || type from events.mt_streams where tenant_id = '{tenant}' and id = '{stream}'");

    /// <summary>Waits until our append stands behind the other's event.</summary>
    private static async Task Blocked()
    {
        var shared = await TestDatabase.Shared;
        var clock = System.Diagnostics.Stopwatch.StartNew();
        while (!await shared.Scalar<bool>("""
            select exists (select from pg_locks l join pg_stat_activity a on a.pid = l.pid
              where not l.granted and l.locktype = 'transactionid' and a.application_name = 'nubabel-api' and a.datname = current_database() and a.query like '%mt_streams%')
            """))
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(10), "our append does not wait");
            await Task.Delay(10);
        }
    }
}
