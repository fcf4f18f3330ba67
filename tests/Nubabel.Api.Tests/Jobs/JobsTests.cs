using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Jobs;
using Nubabel.Api.Tests.Races;
using Nubabel.Domain.Users;
using Nubabel.Projections.Jobs;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Jobs;

/// <summary>Long work as its starter, others and operators see it.</summary>
[Collection(JobNodes.Name)]
public sealed class JobsTests(JobNodes nodes)
{
    [Fact]
    public async Task A_job_is_started_tells_how_far_it_is_and_ends_with_a_result()
    {
        var tenant = await nodes.A.SignUp();
        var go = new TaskCompletionSource();
        var work = Work.Of(async (context, _) =>
        {
            context.Report(1, 4, "a quarter");
            await go.Task.WaitAsync(context.Cancellation);
            return JobEnd.At("/api/things/1");
        });
        var started = await Reply.To(tenant.Client, "POST", "/api/work", work.Body);
        Assert.Equal((202, "queued", "1"), (started.Status, started.Text("state"), started.RetryAfter));
        Assert.Equal($"/api/jobs/{started.Text("id")}", started.Location);
        Reply running = null!;
        await Burst.Until("its progress is told", JobNodes.Bound, async () => (running = await Reply.To(tenant.Client, "GET", started.Location!)).Json.TryGetProperty("progress", out _));
        Assert.Equal(("running", "1", """{"done":1,"total":4,"percent":25,"text":"a quarter"}"""), (running.Text("state"), running.RetryAfter, running.Json.GetProperty("progress").GetRawText()));
        Assert.Equal(["id", "kind", "state", "starter", "attempts", "queuedAt", "startedAt", "progress"], running.Json.EnumerateObject().Select(m => m.Name));
        Assert.NotEqual(started.ETag, running.ETag);
        var same = await Reply.To(tenant.Client, "GET", started.Location!, ifNoneMatch: running.ETag);
        Assert.Equal((304, running.ETag, "1"), (same.Status, same.ETag, same.RetryAfter));

        go.SetResult();
        var ended = await JobNodes.Until(tenant.Client, started.Location!, "completed");
        Assert.Equal("""{"link":"/api/things/1"}""", ended.Json.GetProperty("result").GetRawText());
        Assert.Equal((1, null), (ended.Json.GetProperty("attempts").GetInt32(), ended.RetryAfter));
        Assert.Equal(200, (await Reply.To(tenant.Client, "GET", started.Location!, ifNoneMatch: running.ETag)).Status);
        Assert.Single(work.Ran);
        Assert.Equal("job_started job_completed", await nodes.History(started.Location!));
    }

    [Fact]
    public async Task Any_number_of_starts_under_one_key_at_both_nodes_are_one_job_and_one_answer()
    {
        var tenant = await nodes.A.SignUp();
        var work = Work.Of((_, _) => Task.FromResult(JobEnd.With(new { rows = 3 })));
        HttpClient[] clients = [tenant.Client, nodes.B.As(tenant.AccessToken)];
        var replies = await Burst.Of(10, i => Reply.To(clients[i % 2], "POST", "/api/work", work.Body, key: "once"));
        var first = replies[0];
        Assert.Equal(202, first.Status);
        var ended = await JobNodes.Until(tenant.Client, first.Location!, "completed");
        Assert.Equal("""{"data":{"rows":3}}""", ended.Json.GetProperty("result").GetRawText());
        // Also when it is over.
        var later = await Reply.To(clients[1], "POST", "/api/work", work.Body, key: "once");
        Assert.All(replies.Append(later), r => Assert.Equal((first.Status, first.Body, first.ETag, first.Location, first.Position), (r.Status, r.Body, r.ETag, r.Location, r.Position)));
        Assert.Single(work.Ran);
        Assert.Equal(1, await nodes.Database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{tenant.Id}' and type = 'job_started'"));
        Assert.Equal(422, (await Reply.To(tenant.Client, "POST", "/api/work", Work.Of((_, _) => Task.FromResult(new JobEnd())).Body, key: "once")).Status);
    }

    [Fact]
    public async Task A_job_is_its_starters_and_to_others_it_is_like_one_that_never_was()
    {
        var owner = await nodes.A.SignUp();
        var (member, admin, stranger) = (await owner.Colleague(), await owner.Colleague(Role.Admin), await nodes.A.SignUp());
        var location = await JobNodes.Start(member.Client, Work.Of((_, _) => Task.FromResult(new JobEnd())));
        await JobNodes.Until(member.Client, location, "completed");
        var another = await owner.Colleague();
        var unknown = await Reply.To(another.Client, "GET", $"/api/jobs/{Guid.CreateVersion7()}");
        foreach (var other in new[] { another.Client, stranger.Client })
        {
            var (got, cancelled) = (await Reply.To(other, "GET", location), await Reply.To(other, "DELETE", location));
            Assert.Equal((404, "job.missing", unknown.Text("title")), (got.Status, got.Code, got.Text("title")));
            Assert.Equal((404, "job.missing"), (cancelled.Status, cancelled.Code));
        }
        var position = (await Reply.To(member.Client, "POST", "/api/work", Work.Of((_, _) => Task.FromResult(new JobEnd())).Body)).Position;
        Assert.Equal(200, (await Reply.To(admin.Client, "GET", location)).Status);
        Assert.Equal(2, (await List(admin.Client, "", position)).Length);
        Assert.Equal(2, (await List(member.Client, "", position)).Length);
        Assert.Empty(await List(another.Client, "", position));
        Assert.Empty(await List(stranger.Client, "", position));
        Assert.Equal(403, (await Reply.To(another.Client, "GET", $"/api/jobs?starter=user:{member.User}")).Status);
    }

    [Fact]
    public async Task Jobs_are_listed_by_state_and_kind_in_pages()
    {
        var tenant = await nodes.A.SignUp();
        var end = new TaskCompletionSource();
        var waiting = Work.Of(async (context, _) => { await end.Task.WaitAsync(context.Cancellation); return new JobEnd(); });
        var done = Work.Of((_, _) => Task.FromResult(new JobEnd()));
        var failing = Work.Of((_, _) => throw new Domain.Refused(Domain.RefusalKind.Conflict, "device.revoked", "The device is revoked."));
        var again = Work.Of((_, _) => throw new Store.TryAgain("later", TimeSpan.FromHours(1)));
        string[] made = [await JobNodes.Start(tenant.Client, done), await JobNodes.Start(tenant.Client, failing), await JobNodes.Start(tenant.Client, waiting, "/api/long-work"), await JobNodes.Start(tenant.Client, again)];
        await JobNodes.Until(tenant.Client, made[0], "completed");
        await JobNodes.Until(tenant.Client, made[1], "failed");
        await JobNodes.Until(tenant.Client, made[2], "running");
        await Burst.Until("it waits", JobNodes.Bound, async () => await nodes.Database.Scalar<long>($"select count(*) from nubabel.lanes where tenant_id = '{tenant.Id}' and until is not null") == 1);
        await Burst.Until("the list has all", JobNodes.Bound, async () => (await List(tenant.Client, "?state=completed")).Length == 1 && (await List(tenant.Client, "?state=failed")).Length == 1);
        Assert.Equal(made.Reverse(), await List(tenant.Client, ""));
        Assert.Equal([made[2]], await List(tenant.Client, "?state=running"));
        Assert.Equal([made[3]], await List(tenant.Client, "?state=queued"));
        Assert.Equal([made[2]], await List(tenant.Client, "?kind=long-work"));
        Assert.Empty(await List(tenant.Client, "?state=cancelled"));
        Assert.Equal(400, (await Reply.To(tenant.Client, "GET", "/api/jobs?state=lost")).Status);
        var page = await Reply.To(tenant.Client, "GET", "/api/jobs?limit=3");
        var next = await Reply.To(tenant.Client, "GET", $"/api/jobs?limit=3&cursor={page.Text("next")}");
        Assert.Equal([3, 1], new[] { page, next }.Select(p => p.Json.GetProperty("items").GetArrayLength()));
        end.SetResult();
        await JobNodes.Until(tenant.Client, made[2], "completed");
    }

    [Fact]
    public async Task Operators_see_and_cancel_the_jobs_of_all_and_start_their_own()
    {
        var tenant = await nodes.A.SignUp();
        using var root = await nodes.A.Operator();
        var work = Work.Of(async (context, _) => { await Task.Delay(Timeout.InfiniteTimeSpan, context.Cancellation); return new JobEnd(); });
        var started = await Reply.To(tenant.Client, "POST", "/api/work", work.Body);
        var listed = await Reply.Seen(root, $"/api/admin/jobs?organizationId={tenant.Id}", started.Position);
        var job = Assert.Single(listed.Json.GetProperty("items").EnumerateArray());
        Assert.Equal((started.Text("id"), tenant.Id), (job.GetProperty("id").GetString(), job.GetProperty("organizationId").GetString()));
        Assert.Equal(204, (await Reply.To(root, "DELETE", $"/api/admin{started.Location!["/api".Length..]}")).Status);
        Assert.Equal("cancelled", (await Reply.To(tenant.Client, "GET", started.Location!)).Text("state"));
        Assert.Equal(403, (await Reply.To(tenant.Client, "GET", "/api/admin/jobs")).Status);

        var own = await JobNodes.Start(root, Work.Of((_, _) => Task.FromResult(new JobEnd())), "/api/admin/work");
        Assert.StartsWith("/api/admin/jobs/", own, StringComparison.Ordinal);
        var ended = await JobNodes.Until(root, own, "completed");
        Assert.False(ended.Json.TryGetProperty("organizationId", out _));
    }

    [Fact]
    public async Task A_job_is_shown_for_thirty_days_after_its_end()
    {
        var tenant = await nodes.A.SignUp();
        var location = await JobNodes.Start(tenant.Client, Work.Of((_, _) => Task.FromResult(new JobEnd())));
        await JobNodes.Until(tenant.Client, location, "completed");
        await Burst.Until("the list has it", JobNodes.Bound, async () => (await List(tenant.Client, "?state=completed")).Length == 1);
        nodes.Time.Move(TimeSpan.FromDays(JobList.KeptDays) - TimeSpan.FromHours(1));
        var later = await tenant.SignIn();
        Assert.Equal([location], await List(later.Client, ""));
        nodes.Time.Move(TimeSpan.FromHours(2));
        var gone = await tenant.SignIn();
        Assert.Empty(await List(gone.Client, ""));
        Assert.Equal((404, "job.missing"), ((await Reply.To(gone.Client, "GET", location)).Status, (await Reply.To(gone.Client, "GET", location)).Code));
    }

    [Fact]
    public async Task Progress_is_written_once_a_second_and_does_not_grow_the_table()
    {
        // Another session's old snapshot would keep what was replaced: nobody else works in this database, and in the end nobody at all.
        await using var database = await TestDatabase.New();
        string tenant;
        await using (var api = await Work.Server(database, "alone"))
        {
            var acme = await api.SignUp();
            tenant = acme.Id;
            await database.Run("""
                create table public.said (n bigint generated always as identity, done bigint, at timestamptz default clock_timestamp());
                create function public.note() returns trigger language plpgsql security definer as $$ begin insert into public.said (done) values (new.done); return new; end $$;
                create trigger note after update of done on nubabel.message_runs for each row execute function public.note();
                """);
            var work = Work.Of(async (context, _) =>
            {
                // As long as it takes until it was written twice, however slow the machine is.
                for (var i = 1L; i % 1000 != 0 || await database.Scalar<long>("select count(*) from public.said") < 2; i++) context.Report(i, 1_000_000_000);
                context.Report(7, 7);
                return new JobEnd();
            });
            var ended = await JobNodes.Until(acme.Client, await JobNodes.Start(acme.Client, work), "completed");
            Assert.Equal(100, ended.Json.GetProperty("progress").GetProperty("percent").GetInt32());
            Assert.InRange(await database.Scalar<long>("select count(*) from public.said"), 2, 5);
            // The timer's own inaccuracy is not what this is about.
            Assert.True(await database.Scalar<bool>("select max(at) - min(at) > interval '0.9 seconds' from public.said where n <= 2"));
        }
        await database.Run("drop trigger note on nubabel.message_runs; drop function public.note(); drop table public.said");
        // An update of a row whose indexed columns stay goes into its page, and what it replaces is cleared away there.
        for (var i = 0; i < 300; i++) await database.Run($"update nubabel.message_runs set done = {i}, said = now() where tenant_id = '{tenant}'");
        Assert.InRange(await database.Scalar<long>("select pg_relation_size('nubabel.message_runs')"), 1, 65_536);
    }

    private static async Task<string[]> List(HttpClient client, string query, string? minPosition = null) =>
        [.. (await Reply.Seen(client, $"/api/jobs{query}", minPosition)).Json.GetProperty("items").EnumerateArray().Select(j => $"/api/jobs/{j.GetProperty("id").GetString()}")];
}
