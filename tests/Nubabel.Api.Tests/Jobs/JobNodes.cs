using Nubabel.Api.Tests.Races;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Jobs;

/// <summary>Two servers on one database that know the tests' kinds of jobs. Tests of this collection run one after the other.</summary>
[CollectionDefinition(Name)]
public sealed class JobNodes : IAsyncLifetime, ICollectionFixture<JobNodes>
{
    public const string Name = "job nodes";

    internal static TimeSpan Bound { get; } = TimeSpan.FromSeconds(30);

    public TestDatabase Database { get; private set; } = null!;
    public TestApi A { get; private set; } = null!;
    public TestApi B { get; private set; } = null!;
    internal MovableTime Time { get; } = new();

    public async Task InitializeAsync()
    {
        Database = await TestDatabase.New();
        A = await Work.Server(Database, "A", Time);
        B = await Work.Server(Database, "B", Time);
    }

    public async Task DisposeAsync()
    {
        await B.DisposeAsync();
        await A.DisposeAsync();
        await Database.DisposeAsync();
    }

    /// <summary>Starts a job and returns where it is.</summary>
    internal static async Task<string> Start(HttpClient client, Work work, string path = "/api/work")
    {
        var started = await Reply.To(client, "POST", path, work.Body);
        Assert.True(started.Status == 202, started.ToString());
        return started.Location!;
    }

    /// <summary>Waits until the job is in this state.</summary>
    internal static async Task<Reply> Until(HttpClient client, string location, string state, TimeSpan? within = null)
    {
        Reply job = null!;
        await Burst.Until($"{location} is {state}", within ?? Bound, async () => (job = await Reply.To(client, "GET", location)).Status == 200 && job.Text("state") == state);
        return job;
    }

    /// <summary>The events of a job, in order.</summary>
    internal Task<string> History(string location) =>
        Database.Scalar<string>($"select string_agg(type, ' ' order by version) from events.mt_events where stream_id = 'job-{location[^36..]}'");
}
