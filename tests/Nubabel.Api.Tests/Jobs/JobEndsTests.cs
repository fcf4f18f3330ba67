using System.Collections.Concurrent;
using Nubabel.Api.Jobs;
using Nubabel.Api.Tests.Races;
using Nubabel.Domain;
using Nubabel.Domain.Devices;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Jobs;

/// <summary>A job ends once, whoever ends it, and what it has done is there or not with that.</summary>
[Collection(JobNodes.Name)]
public sealed class JobEndsTests(JobNodes nodes)
{
    [Fact]
    public async Task A_job_is_cancelled_on_whichever_node_it_runs_within_seconds()
    {
        var tenant = await nodes.A.SignUp();
        var noticed = new ConcurrentBag<long>();
        var work = Work.Of(async (context, _) =>
        {
            try
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, context.Cancellation);
            }
            catch (OperationCanceledException)
            {
                noticed.Add(TimeProvider.System.GetTimestamp());
                throw;
            }
            return new JobEnd();
        });
        // More than one node takes at a time.
        var jobs = await Burst.Of(12, _ => JobNodes.Start(tenant.Client, work));
        await Burst.Until("all run", JobNodes.Bound, () => Task.FromResult(work.Ran.Count == 12));
        Assert.Equal(["A", "B"], work.Ran.Distinct().Order());
        Assert.All(await Burst.Of(12, i => Reply.To(tenant.Client, "DELETE", jobs[i])), r => Assert.Equal(204, r.Status));
        var cancelled = TimeProvider.System.GetTimestamp();
        await Burst.Until("all have noticed", JobNodes.Bound, () => Task.FromResult(noticed.Count == 12));
        // When they did counts, and not when this test got to see it.
        var took = TimeProvider.System.GetElapsedTime(cancelled, noticed.Max());
        // A second or two; the rest is for a machine that has other things to do.
        Assert.True(took < TimeSpan.FromSeconds(5), $"It took {took}.");
        await Burst.Until("their messages are done", JobNodes.Bound, async () => await Messages(tenant) == 0);
        foreach (var job in jobs) Assert.Equal("job_started job_cancelled", await nodes.History(job));
        Assert.Equal(204, (await Reply.To(tenant.Client, "DELETE", jobs[0])).Status);
        Assert.Equal("cancelled", (await Reply.To(tenant.Client, "GET", jobs[0])).Text("state"));
    }

    [Fact]
    public async Task Of_a_cancel_and_an_end_at_the_same_time_exactly_one_counts()
    {
        var tenant = await nodes.A.SignUp();
        var clients = new[] { tenant.Client, nodes.B.As(tenant.AccessToken) };
        for (var round = 0; round < 12; round++)
        {
            var (name, go) = ($"d{round}", new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            var work = Work.Of(async (context, _) =>
            {
                await go.Task.WaitAsync(JobNodes.Bound);
                return new JobEnd { Steps = [new Step<Device>(new Id<Device>(Guid.CreateVersion7()), Named.Device(name, DeviceType.Web), fresh: true)] };
            });
            var job = await JobNodes.Start(tenant.Client, work);
            await Burst.Until("it runs", JobNodes.Bound, () => Task.FromResult(work.Ran.Count == 1));
            // Now the one is a little earlier, now the other.
            var (before, after) = (Random.Shared.Next(4), Random.Shared.Next(4));
            var end = Task.Run(async () => { await Task.Delay(before).WaitAsync(timeout: JobNodes.Bound); go.SetResult(); });
            var cancel = Task.Run(async () => { await Task.Delay(after).WaitAsync(timeout: JobNodes.Bound); return await Reply.To(clients[round % 2], "DELETE", job); });
            await end;
            var reply = await cancel;
            await Burst.Until("its message is done", JobNodes.Bound, async () => await Messages(tenant) == 0);
            var state = (await Reply.To(tenant.Client, "GET", job)).Text("state");
            Assert.Equal(reply.Status == 204 ? "cancelled" : "completed", state);
            if (reply.Status != 204) Assert.Equal((409, "job.finished"), (reply.Status, reply.Code));
            Assert.Equal(state == "cancelled" ? 0 : 1, await nodes.Database.Scalar<long>(
                $"select count(*) from events.mt_events where tenant_id = '{tenant.Id}' and type = 'device_registered' and data->>'nameKey' = '{Named.Key(name)}'"));
        }
    }

    [Fact]
    public async Task A_job_that_waits_for_its_next_attempt_is_cancelled_at_once_and_not_begun_again()
    {
        var tenant = await nodes.A.SignUp();
        var work = Work.Of((_, _) => throw new TryAgain("not yet", TimeSpan.FromSeconds(1)));
        var job = await JobNodes.Start(tenant.Client, work);
        await Burst.Until("it was tried", JobNodes.Bound, () => Task.FromResult(!work.Ran.IsEmpty));
        Assert.Equal(204, (await Reply.To(tenant.Client, "DELETE", job)).Status);
        Assert.Equal("cancelled", (await Reply.To(tenant.Client, "GET", job)).Text("state"));
        var tried = work.Ran.Count;
        await Burst.Until("its message is done", JobNodes.Bound, async () => await Messages(tenant) == 0);
        Assert.InRange(work.Ran.Count, tried, tried + 1);
        Assert.Equal("job_started job_cancelled", await nodes.History(job));
    }

    [Fact]
    public async Task What_a_handler_refuses_is_the_jobs_error_and_is_not_tried_again()
    {
        var tenant = await nodes.A.SignUp();
        var other = await JobNodes.Start(tenant.Client, Work.Of((_, _) => throw new TryAgain("not yet", TimeSpan.FromHours(1))));
        var work = Work.Of((context, _) =>
        {
            context.Enqueue(new Message(new JobGivenUp(Guid.Parse(other.AsSpan(^36..)))));
            throw new Refused(RefusalKind.Conflict, "device.revoked", "The device is revoked.");
        });
        var job = await JobNodes.Start(tenant.Client, work);
        var failed = await JobNodes.Until(tenant.Client, job, "failed");
        Assert.Equal("""{"code":"device.revoked","detail":"The device is revoked."}""", failed.Json.GetProperty("error").GetRawText());
        Assert.Single(work.Ran);
        Assert.Equal(0, await nodes.Database.Scalar<long>($"select count(*) from nubabel.dead_letters where tenant_id = '{tenant.Id}'"));
        Assert.Equal((409, "job.finished"), ((await Reply.To(tenant.Client, "DELETE", job)).Status, (await Reply.To(tenant.Client, "DELETE", job)).Code));
        // What it had enqueued for its end was not sent: the one message left is the other's, which nobody has given up.
        await Burst.Until("the message is done", JobNodes.Bound, async () => await Messages(tenant) == 1);
        Assert.Equal("job_started", await nodes.History(other));
    }

    [Fact]
    public async Task A_handler_that_does_not_notice_the_cancel_has_done_nothing()
    {
        var tenant = await nodes.A.SignUp();
        var other = await JobNodes.Start(tenant.Client, Work.Of((_, _) => throw new TryAgain("not yet", TimeSpan.FromHours(1))));
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var work = Work.Of(async (context, _) =>
        {
            await go.Task;
            context.Enqueue(new Message(new JobGivenUp(Guid.Parse(other.AsSpan(^36..)))));
            return JobEnd.At("/api/things/1");
        });
        var job = await JobNodes.Start(tenant.Client, work);
        var running = await JobNodes.Until(tenant.Client, job, "running");
        var stale = await Reply.To(tenant.Client, "DELETE", job, ifMatch: "\"1\"");
        Assert.Equal((412, running.ETag), (stale.Status, stale.ETag));
        Assert.Equal(204, (await Reply.To(tenant.Client, "DELETE", job, ifMatch: running.ETag)).Status);
        go.SetResult();
        await Burst.Until("the message is done", JobNodes.Bound, async () => await Messages(tenant) == 1);
        Assert.Equal(("job_started job_cancelled", "job_started"), (await nodes.History(job), await nodes.History(other)));
    }

    [Fact]
    public async Task A_job_whose_message_dies_has_failed_and_is_queued_again_with_its_dead_letter()
    {
        var tenant = await nodes.A.SignUp();
        var hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var work = Work.Of(async (_, call) =>
        {
            if (call <= 2) throw new Hopeless("broken");
            await hold.Task.WaitAsync(JobNodes.Bound);
            return new JobEnd();
        });
        var job = await JobNodes.Start(tenant.Client, work);
        var failed = await JobNodes.Until(tenant.Client, job, "failed");
        Assert.Equal(("job.gave_up", 1), (failed.Json.GetProperty("error").GetProperty("code").GetString(), failed.Json.GetProperty("attempts").GetInt32()));
        await Replay(tenant, job);
        await Burst.Until("it has failed again", JobNodes.Bound, async () => await nodes.History(job) == "job_started job_failed job_requeued job_failed");
        await JobNodes.Until(tenant.Client, job, "failed");
        await Replay(tenant, job);
        var running = await JobNodes.Until(tenant.Client, job, "running");
        Assert.False(running.Json.TryGetProperty("error", out _) || running.Json.TryGetProperty("endedAt", out _));
        hold.SetResult();
        await JobNodes.Until(tenant.Client, job, "completed");
        Assert.Equal("job_started job_failed job_requeued job_failed job_requeued job_completed", await nodes.History(job));
    }

    [Fact]
    public async Task A_replayed_job_that_is_then_refused_has_failed_for_good()
    {
        var tenant = await nodes.A.SignUp();
        var work = Work.Of((_, call) => throw (call == 1 ? new Hopeless("broken") : new Refused(RefusalKind.Conflict, "device.revoked", "The device is revoked.")));
        var job = await JobNodes.Start(tenant.Client, work);
        await JobNodes.Until(tenant.Client, job, "failed");
        await Replay(tenant, job);
        await Burst.Until("it has failed again", JobNodes.Bound, async () => await nodes.History(job) == "job_started job_failed job_requeued job_failed");
        var failed = await Reply.To(tenant.Client, "GET", job);
        Assert.Equal(("failed", "device.revoked"), (failed.Text("state"), failed.Json.GetProperty("error").GetProperty("code").GetString()));
        Assert.Equal(409, (await Reply.To(tenant.Client, "DELETE", job)).Status);
    }

    [Fact]
    public async Task A_replayed_job_is_queued_from_the_replay_on()
    {
        var tenant = await nodes.A.SignUp();
        var job = await JobNodes.Start(tenant.Client, Work.Of((_, _) => throw new Hopeless("broken")));
        await JobNodes.Until(tenant.Client, job, "failed");
        // Nobody takes it up yet.
        await nodes.Database.Run($"update nubabel.dead_letters set state = 'replayed' where tenant_id = '{tenant.Id}' and id = '{job[^36..]}'");
        var queued = await Reply.To(tenant.Client, "GET", job);
        Assert.Equal(("queued", "1"), (queued.Text("state"), queued.RetryAfter));
        Assert.Equal(204, (await Reply.To(tenant.Client, "DELETE", job)).Status);
        Assert.Equal("cancelled", (await Reply.To(tenant.Client, "GET", job)).Text("state"));
        Assert.Equal("job_started job_failed job_requeued job_cancelled", await nodes.History(job));
    }

    private Task<long> Messages(TestTenant tenant) => nodes.Database.Scalar<long>($"select count(*) from nubabel.messages where tenant_id = '{tenant.Id}'");

    /// <summary>What the replay of a dead letter does to the tables.</summary>
    private Task Replay(TestTenant tenant, string job) => nodes.Database.Run($"""
        begin;
        update nubabel.dead_letters set state = 'replayed', replays = replays + 1 where tenant_id = '{tenant.Id}' and id = '{job[^36..]}';
        insert into nubabel.messages (queue, tenant_id, lane, seq, id, type, body, actor, enqueued)
        select queue, tenant_id, '!' || n, n, id, type, body, actor, enqueued from nubabel.dead_letters, nextval('nubabel.message_numbers') n where tenant_id = '{tenant.Id}' and id = '{job[^36..]}';
        insert into nubabel.ready_lanes (queue, tenant_id, lane) select queue, tenant_id, lane from nubabel.messages where tenant_id = '{tenant.Id}' and id = '{job[^36..]}';
        commit;
        """);
}
