using Nubabel.Api.Tests.Races;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Erasures;

/// <summary>
/// A real process is killed in each step of an erasure. Where it stands is certain, because the step waits for a lock that the test holds. Another process carries
/// it to its end, or finds that nothing was begun. With <c>NUBABEL_STRESS_SECONDS</c> all steps; else some.
/// </summary>
public sealed class KilledErasureTests
{
    /// <summary>What holds a step up, and what stands then: whether it is begun, entered in the ledger, and the key destroyed.</summary>
    /// <param name="Then">Taken when it waits for the first, which is then let go.</param>
    private sealed record Stop(string Step, Func<string, string> Lock, bool Begun, bool Entered, bool Destroyed, bool Always = false, Func<string, string>? Then = null);

    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(20);

    private static readonly Stop[] Stops =
    [
        new("before the commit that closes the account", user => $"select from events.mt_streams where id = 'user-{user}' for update", false, false, false),
        new("before the ledger", _ => "lock nubabel.erasures in access exclusive mode", true, false, false),
        new("between the ledger and the database's note of it", _ => "lock nubabel.erasures in share mode", true, true, false),
        new("before the keys", _ => "select from nubabel.key_watch for update", true, true, false, Always: true),
        new("in the sweep", _ => "lock nubabel.idempotency in share mode", true, true, true, Always: true),
        new("before it is completed", _ => "lock nubabel.idempotency in share mode", true, true, true, Then: user => $"select from events.mt_streams where id = 'erasure-{user}' for update"),
        new("behind its completion", _ => "lock nubabel.idempotency in share mode", true, true, true, Then: user => $"select from nubabel.erasures where person = '{user}' for update"),
    ];

    [Fact]
    public async Task Whoever_is_killed_in_whatever_step_another_process_carries_it_to_its_end()
    {
        var stops = Stops.Where(s => s.Always || Environment.GetEnvironmentVariable("NUBABEL_STRESS_SECONDS") is not null).ToArray();
        await using var database = await TestDatabase.New();
        var people = new List<TestTenant>();
        // Nobody works there: only the processes that are killed do.
        await using (var api = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false"))
        {
            var ada = await api.SignUp();
            foreach (var _ in stops) people.Add(await ada.Colleague());
        }
        var node = await NodeProcess.Start(database);
        try
        {
            foreach (var (stop, bob) in stops.Zip(people))
            {
                await KillIn(database, node, stop, bob);
                await Stands(database, stop, bob);
                await node.DisposeAsync();
                node = await NodeProcess.Start(database);
                await Ends(database, node, stop, bob);
            }
        }
        finally
        {
            await node.DisposeAsync();
        }
    }

    private static async Task KillIn(TestDatabase database, NodeProcess node, Stop stop, TestTenant bob)
    {
        await using var first = await HeldLock.Of(database, stop.Lock(bob.User));
        using var client = Client(node, bob);
        var erasing = Reply.To(client, "DELETE", "/api/user/account");
        await first.Waited(stop.Step, Longest, erasing);
        await using var second = stop.Then is { } then ? await HeldLock.Of(database, then(bob.User)) : null;
        if (second is not null)
        {
            await first.DisposeAsync();
            await second.Waited(stop.Step, Longest, erasing);
        }
        await node.Kill();
        await (second ?? first).EndWaiting();
        await erasing.ContinueWith(_ => { }, TaskScheduler.Default);
    }

    private static async Task Stands(TestDatabase database, Stop stop, TestTenant bob)
    {
        var begun = await database.Scalar<long>($"select count(*) from events.mt_events where stream_id = 'erasure-{bob.User}'") > 0;
        var entered = Directory.GetFiles(database.Ledger, "*.ndjson").Any(f => File.ReadAllText(f).Contains($"\"{bob.User}\"", StringComparison.Ordinal));
        var destroyed = await database.Scalar<long>($"select count(*) from nubabel.subject_keys where subject = 'user-{bob.User}' and wrapped is null") > 0;
        Assert.Equal((stop.Step, stop.Begun, stop.Entered, stop.Destroyed), (stop.Step, begun, entered, destroyed));
    }

    private static async Task Ends(TestDatabase database, NodeProcess node, Stop stop, TestTenant bob)
    {
        using var client = Client(node, bob);
        if (!stop.Begun)
        {
            // Nothing has happened, and the person asks once more.
            Assert.Equal(200, (await Reply.To(client, "GET", "/api/user")).Status);
            Assert.Equal(200, (await Reply.To(client, "DELETE", "/api/user/account")).Status);
        }
        await database.Run("update nubabel.deferred_messages set due = now() where type = 'erasure-order'");
        await Burst.Until($"an erasure that was cut off {stop.Step} is completed", TimeSpan.FromSeconds(30), async () => await database.Scalar<long>($"""
            select count(*) from nubabel.erasures where person = '{bob.User}' and done is not null
               and exists (select from events.mt_events where stream_id = 'erasure-{bob.User}' and type = 'erasure_completed')
            """) == 1);
        Assert.Equal(1, await database.Scalar<long>($"select count(*) from events.mt_events where stream_id = 'erasure-{bob.User}' and type = 'erasure_requested'"));
        Assert.Equal(1, await database.Scalar<long>($"select count(*) from nubabel.subject_keys where subject = 'user-{bob.User}' and wrapped is null"));
        Assert.Equal((200, "completed"), (await Reply.To(client, "DELETE", "/api/user/account") is var again ? (again.Status, again.Text("state")) : default));
    }

    private static HttpClient Client(NodeProcess node, TestTenant bob)
    {
        var client = new HttpClient { BaseAddress = node.Address, Timeout = TimeSpan.FromSeconds(60) };
        client.DefaultRequestHeaders.Authorization = new("Bearer", bob.AccessToken);
        return client;
    }
}
