using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Retention;
using Nubabel.Api.Tests.Races;
using Nubabel.Domain;
using Nubabel.Domain.Retention;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Retention;

/// <summary>What may come in between a run.</summary>
[Collection(RetentionNodes.Name)]
public sealed class RetentionRaceTests(RetentionNodes nodes)
{
    /// <summary>More than are deleted before somebody comes in between, on however slow a machine.</summary>
    private const int Many = 4_000;

    [Fact]
    public async Task Two_runs_at_once_on_two_nodes_remove_each_thing_once()
    {
        var acme = await nodes.A.SignUp();
        await nodes.Leads(acme, 200, days: 800);
        var clients = new[] { acme.Client, nodes.B.As(acme.AccessToken) };
        var runs = await Burst.Of(4, async i => await RetentionNodes.Run(acme, clients[i % 2]));
        Assert.Equal(200, runs.Sum(r => r.Removed));
        Assert.All(runs, r => Assert.Equal((RetentionRunState.Completed, 0), (r.State, r.Failed)));
        Assert.Equal(0L, await nodes.LeadsLeft(acme));
    }

    /// <summary>From the answer on nothing more goes: not one, whatever was under way.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_hold_in_the_middle_of_a_run_stops_it_with_its_answer(bool onAPerson)
    {
        var acme = await nodes.A.SignUp();
        var bob = await acme.Colleague();
        await nodes.Leads(acme, Many, days: 800, person: bob.User);
        var run = await RetentionNodes.Start(acme.Client);
        await Burst.Until("the run is in the middle", RetentionNodes.Bound, async () => await nodes.LeadsLeft(acme) < Many);
        var hold = await Reply.To(nodes.B.As(acme.AccessToken), "POST", "/api/legal-holds", onAPerson ? new { reason = "stop", userId = bob.User } : (object)new { reason = "stop" });
        Assert.Equal(201, hold.Status);
        var left = await nodes.LeadsLeft(acme);
        Assert.InRange(left, 1, Many - RetentionNodes.Part);
        var row = await RetentionNodes.Ended(nodes.A, acme.Id, run);
        Assert.Equal((left, RetentionRunState.Completed), (await nodes.LeadsLeft(acme), row.State));
        Assert.Equal((Many - left, left), (row.Removed, row.Held));
    }

    [Fact]
    public async Task A_cancelled_run_stops_and_its_evidence_counts_what_has_gone()
    {
        var acme = await nodes.A.SignUp();
        await nodes.Leads(acme, Many, days: 800);
        var run = await RetentionNodes.Start(acme.Client);
        await Burst.Until("the run is in the middle", RetentionNodes.Bound, async () => await nodes.LeadsLeft(acme) < Many);
        Assert.Equal(204, (await Reply.To(nodes.B.As(acme.AccessToken), "DELETE", $"/api/jobs/{run}")).Status);
        var row = await RetentionNodes.Ended(nodes.A, acme.Id, run);
        Assert.Equal(RetentionRunState.Cancelled, row.State);
        Assert.InRange(row.Removed, RetentionNodes.Part, Many - 1);
        Assert.Equal(Many - row.Removed, await nodes.LeadsLeft(acme));
    }

    /// <summary>The time of a run stands in its event: whatever a clock says later, the run goes on with that one.</summary>
    [Fact]
    public async Task A_clock_that_is_set_back_removes_nothing_that_was_not_due()
    {
        var acme = await nodes.A.SignUp();
        await nodes.Leads(acme, 25, days: 731);
        await nodes.Leads(acme, 25, days: 729);
        var sweep = nodes.A.Services.GetRequiredService<RetentionSweep>();
        var (run, at) = (Guid.CreateVersion7(), nodes.Time.GetUtcNow());
        Assert.Equal(25, (await sweep.Run(acme.Id, run, at, (_, _) => { }, default)).Single(c => c.Category == "leads").Removed);
        nodes.Time.Move(TimeSpan.FromDays(-300));
        try
        {
            // The same run once more, as after a crash, and another one by the clock that is wrong.
            Assert.Equal(25, (await sweep.Run(acme.Id, run, at, (_, _) => { }, default)).Single(c => c.Category == "leads").Removed);
            Assert.Empty(await sweep.Run(acme.Id, Guid.CreateVersion7(), nodes.Time.GetUtcNow(), (_, _) => { }, default));
        }
        finally
        {
            nodes.Time.Move(TimeSpan.FromDays(300));
        }
        Assert.Equal(25L, await nodes.LeadsLeft(acme));
    }

    [Fact]
    public async Task A_longer_period_in_the_middle_of_a_run_ends_the_category()
    {
        var acme = await nodes.A.SignUp();
        await nodes.Leads(acme, Many, days: 800);
        var run = await RetentionNodes.Start(acme.Client);
        await Burst.Until("the run is in the middle", RetentionNodes.Bound, async () => await nodes.LeadsLeft(acme) < Many);
        Assert.Equal(200, (await Reply.To(acme.Client, "PUT", "/api/retention-policies/leads", new { days = 1_000 })).Status);
        var leads = (await RetentionNodes.Ended(nodes.A, acme.Id, run)).Categories.Single(c => c.Category == "leads");
        Assert.Equal("The period was made longer meanwhile", leads.Problem);
        Assert.Equal(Many - leads.Removed, await nodes.LeadsLeft(acme));
        Assert.InRange(leads.Removed, RetentionNodes.Part, Many - 1);
    }

    [Fact]
    public async Task A_run_goes_on_when_the_organization_is_suspended_meanwhile()
    {
        var acme = await nodes.A.SignUp();
        using var platform = await nodes.A.Operator();
        await nodes.Leads(acme, 200, days: 800);
        var run = await RetentionNodes.Start(acme.Client);
        Assert.Equal(200, (await Reply.To(platform, "PUT", $"/api/admin/tenants/{acme.Id}/suspension", new { reason = "unpaid" })).Status);
        Assert.Equal(200, (await RetentionNodes.Ended(nodes.A, acme.Id, run)).Removed);
    }

    /// <summary>The export has what it has, or nothing: it does not fail, and it keeps nothing alive.</summary>
    [Fact]
    public async Task An_export_of_what_is_being_removed_is_made_to_its_end()
    {
        var acme = await nodes.A.SignUp();
        for (var i = 0; i < 5; i++) await Reply.To(acme.Client, "POST", "/api/invitations", new { email = $"i{i}@{acme.Slug}.example", role = "member" });
        await nodes.Database.Run($"update nubabel.subject_keys set created = now() - interval '60 days' where tenant_id = '{acme.Id}' and subject like 'invitation-%'");
        var export = await Reply.To(acme.Client, "POST", "/api/organization/data-exports");
        var run = RetentionNodes.Run(acme, nodes.B.As(acme.AccessToken));
        await Burst.Until("the export is made or was erased", RetentionNodes.Bound, async () => (await Reply.To(acme.Client, "GET", export.Location!)).Text("state") is "completed" or "failed");
        var job = await Reply.To(acme.Client, "GET", export.Location!);
        Assert.True(job.Text("state") == "completed" || job.Json.GetProperty("error").GetProperty("code").GetString() == "data_export.erased", job.Body);
        Assert.Equal(5, (await run).Categories.Single(c => c.Category == "invitations").Removed);
        // A node forgets a key within a second.
        await Burst.Until("no address is told any more", RetentionNodes.Bound, async () =>
            (await Reply.To(acme.Client, "GET", "/api/invitations")) is { Status: 200 } list
            && list.Json.GetProperty("items").EnumerateArray().All(i => i.GetProperty("email").ValueKind != JsonValueKind.String));
    }

    /// <summary>A process that has stood still with a part in hand must not remove anything after a hold was answered: the server has ended its transaction by then.</summary>
    [Fact]
    public async Task Who_places_a_hold_waits_for_the_part_under_way_and_no_longer()
    {
        var acme = await nodes.A.SignUp();
        await nodes.Leads(acme, 40, days: 800);
        var run = await RetentionNodes.Run(acme);
        Assert.Equal(40, run.Removed);
        // The lock of a part, held by a session of the test's own.
        await using var connection = await nodes.Database.Superuser.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using (var command = connection.CreateCommand())
        {
            command.CommandText = $"select version from events.mt_streams where tenant_id = '{acme.Id}' and id = 'hold-register-{acme.Id}' for share";
            Assert.NotNull(await command.ExecuteScalarAsync());
        }
        var hold = Reply.To(acme.Client, "POST", "/api/legal-holds", new { reason = "stop" });
        await Burst.Until("the hold waits", RetentionNodes.Bound, async () => await nodes.Database.Scalar<long>("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()") > 0);
        Assert.False(hold.IsCompleted);
        await transaction.CommitAsync();
        Assert.Equal(201, (await hold).Status);
    }

    /// <summary>What a killed process had removed is counted, and what it had not is removed: the list is the one that a dry run had told before.</summary>
    [Fact]
    public async Task A_run_goes_on_elsewhere_when_its_process_is_killed_and_counts_nothing_twice()
    {
        await using var database = await TestDatabase.New();
        await using var first = await NodeProcess.Start(database);
        await using var api = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false");
        var acme = await api.SignUp();
        string run;
        await database.Run($"""
            insert into nubabel.deliveries (tenant_id, id, consumer, source, event_id, position, stream, version, type, at, created)
            select '{acme.Id}', gen_random_uuid(), gen_random_uuid(), 'event', gen_random_uuid(), 1, 's', 1, 't', now(), now() - interval '40 days' from generate_series(1, 30000)
            """);
        var dry = (await RetentionNodes.DryRun(acme.Client)).Json.GetProperty("categories")[0];
        // One in the middle is held: however late the signal comes, parts have been removed, and there are some that have not.
        await using (var held = await HeldLock.Of(database, "select from nubabel.deliveries where id = (select id from nubabel.deliveries order by id offset 15000 limit 1) for update"))
        {
            run = await RetentionNodes.Start(acme.Client);
            await held.Waited("in the middle", RetentionNodes.Bound);
            await first.Kill();
            await first.EndSessions();
        }
        var removed = await database.Scalar<long>("select max(removed) from nubabel.retention_progress");
        Assert.InRange(removed, 1, 29_999);
        // As if the lease had run out.
        await database.Run("update nubabel.workers set until = now()");
        await using var second = await TestApi.Start(database);
        var row = await RetentionNodes.Ended(second, acme.Id, run);
        Assert.Equal((30_000L, dry.GetProperty("sha256").GetString()), (row.Removed, row.Categories.Single().Sha256));
        Assert.Equal("1 1", await database.Scalar<string>("select count(*) filter (where type = 'retention_run_begun') || ' ' || count(*) filter (where type = 'retention_run_ended') from events.mt_events"));
    }

    /// <summary>What takes more than a transaction for each is noted before it is done.</summary>
    [Fact]
    public async Task What_was_taken_and_not_counted_before_a_crash_is_counted_after_it()
    {
        var acme = await nodes.A.SignUp();
        await nodes.Database.Run($"insert into public.contacts select '{acme.Id}', gen_random_uuid(), '{nodes.Ago(100):O}', 'Bob' from generate_series(1, 7)");
        var node = nodes.A.Services.GetRequiredService<Node>();
        var (run, at) = (Guid.CreateVersion7(), nodes.Time.GetUtcNow());
        var category = nodes.A.Services.GetRequiredService<RetentionCategories>().Find("contacts")!;
        var removals = new Removals(node.Database, acme.Id, run);
        var open = new RemovalFence(null, 0, _ => false);
        // As a process leaves it that dies with three in hand, one of them done.
        var (_, taken, _) = await removals.Take(await removals.Begin("contacts", 90, at.AddDays(-90), default), category.Due!, open, 3, default);
        await ((EachByItself)category.Act).Remove(acme.Id, taken[0], default);
        var done = await nodes.B.Services.GetRequiredService<RetentionSweep>().Run(acme.Id, run, at, (_, _) => { }, default);
        var contacts = done.Single(c => c.Category == "contacts");
        Assert.Equal(0L, await nodes.Database.Scalar<long>($"select count(*) from public.contacts where tenant_id = '{acme.Id}' and name is not null"));
        Assert.Equal(7, contacts.Removed);
    }
}
