using Nubabel.Api.Jobs;
using Nubabel.Api.Tests.Races;
using Nubabel.Domain;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Jobs;

/// <summary>Long work as its starter sees it, on two servers.</summary>
[Collection(JobNodes.Name)]
public sealed class JobsTests(JobNodes nodes)
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(15);

    private static async Task<Reply> Until(HttpClient client, string location, string state)
    {
        Reply job = null!;
        await Burst.Until($"the job is {state}", Bound, async () => (job = await Reply.To(client, "GET", location)).Text("state") == state);
        return job;
    }

    [Fact]
    public async Task A_job_is_started_runs_and_ends_with_a_result()
    {
        var tenant = await nodes.A.SignUp();
        var go = new TaskCompletionSource();
        var work = Work.Of(async (context, _) =>
        {
            context.Report(1, 4, "a quarter");
            await go.Task.WaitAsync(context.Cancellation);
            return JobEnd.At("/api/things/1");
        });
        var started = await Reply.To(tenant.Client, "POST", "/api/work", new WorkBody(work.Name));
        Assert.Equal((202, "queued", "1"), (started.Status, started.Text("state"), started.RetryAfter));
        Assert.Equal($"/api/jobs/{started.Text("id")}", started.Location);
        await Burst.Until("its progress is told", Bound, async () => (await Reply.To(tenant.Client, "GET", started.Location!)).Json.TryGetProperty("progress", out _));
        var running = await Reply.To(tenant.Client, "GET", started.Location!);
        Assert.Equal(("running", "1", """{"done":1,"total":4,"percent":25,"text":"a quarter"}"""), (running.Text("state"), running.RetryAfter, running.Json.GetProperty("progress").GetRawText()));
        go.SetResult();
        var ended = await Until(tenant.Client, started.Location!, "completed");
        Assert.Equal("""{"link":"/api/things/1"}""", ended.Json.GetProperty("result").GetRawText());
        Assert.Equal((1, null), (ended.Json.GetProperty("attempts").GetInt32(), ended.RetryAfter));
        Assert.Equal(1, work.Begun);
    }
}

/// <summary>Two servers on one database that know the tests' kinds of jobs.</summary>
[CollectionDefinition(Name)]
public sealed class JobNodes : IAsyncLifetime, ICollectionFixture<JobNodes>
{
    public const string Name = "job nodes";

    public TestDatabase Database { get; private set; } = null!;
    public TestApi A { get; private set; } = null!;
    public TestApi B { get; private set; } = null!;
    internal MovableTime Time { get; } = new();

    public async Task InitializeAsync()
    {
        Database = await TestDatabase.New();
        A = await Work.Server(Database, Time);
        B = await Work.Server(Database, Time);
    }

    public async Task DisposeAsync()
    {
        await B.DisposeAsync();
        await A.DisposeAsync();
        await Database.DisposeAsync();
    }
}
