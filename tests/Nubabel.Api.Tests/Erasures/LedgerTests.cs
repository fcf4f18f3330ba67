using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Tests.Commands;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain;
using Nubabel.Domain.Erasures;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Erasures;

/// <summary>What stands between a restored backup and those who were erased since.</summary>
public sealed class LedgerTests
{
    [Fact]
    public async Task A_backup_that_is_restored_brings_nobody_back()
    {
        await using var database = await TestDatabase.New();
        string backup;
        TestTenant ada, bob, eve, late;
        string invited;
        var receipts = new Dictionary<string, Reply>();
        await using (var api = await TestApi.Start(database))
        {
            ada = await api.SignUp();
            bob = await ada.Colleague();
            // Alone at the time of the backup, and not when she is erased.
            eve = await api.SignUp();
            // Her invitation is open in the backup, which knows no account.
            invited = $"late@{ada.Slug}.example";
            var invitation = await Reply.To(ada.Client, "POST", "/api/invitations", new { email = invited, role = "member" });
            Assert.Equal(201, (await Reply.To(bob.Client, "POST", "/api/devices", new { name = "Phone", type = "mobile" })).Status);
            backup = await Dump.Take(database);

            var accepted = await Reply.To(api.Client, "POST", "/api/invitations/accept", new { token = invitation.Text("token"), name = "Late", password = TestTenant.Password });
            late = ada with { User = accepted.Text("user_id"), Client = api.As(accepted.Text("access_token")) };
            await eve.Colleague(Role.Owner);
            foreach (var person in new[] { bob, eve, late }) receipts[person.User] = await Reply.To(person.Client, "DELETE", "/api/user/account");
            Assert.All(receipts.Values, receipt => Assert.Equal(200, receipt.Status));
        }

        await using var restored = await Dump.Restore(database, backup);
        Assert.Equal(0, await restored.Scalar<long>("select count(*) from nubabel.subject_keys where wrapped is null"));
        await using (var api = await TestApi.Start(restored, settings => settings["Erasures:Ledger"] = database.Ledger))
        {
            // Ready means that it is done.
            Assert.Equal(200, (await Reply.To(api.Client, "GET", "/health/ready")).Status);
            foreach (var person in new[] { bob, eve })
            {
                Assert.Equal(1, await restored.Scalar<long>($"select count(*) from events.mt_events where stream_id = 'erasure-{person.User}' and type = 'erasure_completed'"));
                Assert.Equal("ledger", await restored.Scalar<string>($"select data ->> 'wish' from events.mt_events where stream_id = 'erasure-{person.User}' and type = 'erasure_requested'"));
                Assert.Equal(401, (await TwoNodes.SignInAt(api, person)).Status);
            }
            foreach (var subject in new[] { $"user-{bob.User}", $"user-{eve.User}", $"user-{late.User}" })
                Assert.Equal((subject, 1), (subject, await restored.Scalar<long>($"select count(*) from nubabel.subject_keys where subject = '{subject}' and wrapped is null")));
            await StillHold(api, receipts);
            using var owner = api.As(ada.AccessToken);
            Assert.DoesNotContain(invited, (await Reply.To(owner, "GET", "/api/invitations")).Body, StringComparison.Ordinal);
            Assert.Equal(0, await restored.Scalar<long>("select count(*) from nubabel.erasures where done is null"));
        }
        var chain = await NubabelCommand.Run(restored, "audit", "verify");
        Assert.True(chain.Code == 0, chain.Output + chain.Errors);
    }

    [Fact]
    public async Task Without_the_right_ledger_nothing_is_served_and_health_says_why()
    {
        await using var database = await TestDatabase.New();
        await using (var api = await TestApi.Start(database))
            for (var i = 0; i < 2; i++) Assert.Equal(200, (await Reply.To((await (await api.SignUp()).Colleague()).Client, "DELETE", "/api/user/account")).Status);
        var (file, away) = (Directory.GetFiles(database.Ledger, "*.ndjson").Single(), Directory.CreateTempSubdirectory("nubabel-ledger-").FullName);
        var whole = await File.ReadAllTextAsync(file);

        await Refused(database, away, "is not in");
        await Refused(database, database.Ledger, "was altered", () => File.WriteAllText(file, whole.Replace("user-", "user+", StringComparison.Ordinal)), () => File.WriteAllText(file, whole));
        await Refused(database, database.Ledger, "is cut off", () => File.WriteAllText(file, whole[..^20]), () => File.WriteAllText(file, whole));
        await Refused(database, database.Ledger, "lacks 1 of the erasures", () => File.WriteAllText(file, whole[..(whole.IndexOf('\n', StringComparison.Ordinal) + 1)]), () => File.WriteAllText(file, whole));

        await Mended(database, file, whole);

        // Where it is lost for good, the operator says so, and what the database knows begins another one.
        Assert.Equal(1, (await Verb(database, away, "verify")).Code);
        var amended = await Verb(database, away, "amend", "--lost");
        Assert.True(amended is { Code: 0, Output: "2 erasures were written into the ledger.\n" }, amended.ToString());
        Assert.Equal("The ledger and the database agree.\n", (await Verb(database, away, "verify")).Output);
        await using var last = await TestApi.Start(database, settings => settings["Erasures:Ledger"] = away);
        Assert.Equal(200, (await Reply.To(last.Client, "GET", "/health/ready")).Status);
        Directory.Delete(away, recursive: true);
    }

    [Fact]
    public async Task A_ledger_that_cannot_be_written_destroys_no_key_and_is_gone_on_with_later()
    {
        await using var database = await TestDatabase.New();
        await using var api = await TestApi.Start(database);
        var bob = await (await api.SignUp()).Colleague();
        Directory.Move(database.Ledger, database.Ledger + "-away");
        Reply begun;
        try
        {
            begun = await Reply.To(bob.Client, "DELETE", "/api/user/account");
            Assert.Equal((202, "requested"), (begun.Status, begun.Text("state")));
            Assert.Equal(1, await database.Scalar<long>($"select count(*) from nubabel.subject_keys where subject = 'user-{bob.User}' and wrapped is not null"));
            Assert.Equal("degraded", (await Reply.To(api.Client, "GET", "/health")).Json.GetProperty("components").GetProperty("erasures").GetProperty("status").GetString());
            Assert.Equal(401, (await TwoNodes.SignInAt(api, bob)).Status);
        }
        finally
        {
            Directory.Move(database.Ledger + "-away", database.Ledger);
        }
        // Who asks again carries it on.
        var done = await Reply.To(bob.Client, "DELETE", "/api/user/account");
        Assert.Equal((200, begun.Text("code")), (done.Status, done.Text("code")));
        await Burst.Until("health is well again", TimeSpan.FromSeconds(5), async () => (await Reply.To(api.Client, "GET", "/health")).Json.GetProperty("components").GetProperty("erasures").GetProperty("status").GetString() == "healthy");
    }

    /// <summary>The message of an erasure is anybody's: who could not write may have nothing more to write, and what it could not do it may be able to do by now.</summary>
    [Fact]
    public async Task A_node_that_could_not_write_the_ledger_is_well_as_soon_as_it_could_whoever_has_written_instead()
    {
        await using var database = await TestDatabase.New();
        await using var a = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false");
        var ada = await a.SignUp();
        var (bob, eve) = (await ada.Colleague(), await ada.Colleague());
        Assert.Equal(200, (await Reply.To(bob.Client, "DELETE", "/api/user/account")).Status);
        var own = Directory.GetFiles(database.Ledger, "*.ndjson").Single();
        File.Move(own, own + "-away");
        Assert.Equal(202, (await Reply.To(eve.Client, "DELETE", "/api/user/account")).Status);
        Assert.Equal("degraded", await Component(a));
        await using (var b = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false"))
        {
            // It comes too late to know of the file.
            File.Move(own + "-away", own);
            await Burst.Until("the other node is ready", TimeSpan.FromSeconds(20), async () => await Component(b) == "healthy");
            File.Move(own, own + "-away");
            var done = await b.Services.GetRequiredService<Api.Erasures.Erasures>().Run(ada.Id, new Id<User>(Guid.Parse(eve.User)), default);
            Assert.Equal(ErasureStatus.Completed, done.State.Status);
        }
        // Longer than it is believed without another look: the file that it has written is still gone.
        await Task.Delay(TimeSpan.FromMilliseconds(1_500));
        Assert.Equal("degraded", await Component(a));
        File.Move(own + "-away", own);
        await Burst.Until("health is well again", TimeSpan.FromSeconds(10), async () => await Component(a) == "healthy");
        Assert.Equal(3, Directory.GetFiles(database.Ledger).Length);
    }

    private static async Task<string> Component(TestApi api) =>
        (await Reply.To(api.Client, "GET", "/health")).Json.GetProperty("components").GetProperty("erasures").Text("status");

    /// <summary>What people keep of their erasure still holds: also of who came after the backup, and with the time at which they wanted it.</summary>
    private static async Task StillHold(TestApi api, Dictionary<string, Reply> receipts)
    {
        foreach (var (person, before) in receipts)
        {
            var after = await Reply.To(api.Client, "GET", $"/api/erasure-receipts/{before.Text("code")}");
            Assert.Equal((200, person, "completed"), (after.Status, after.Text("id"), after.Text("state")));
            Assert.InRange(after.Json.GetProperty("requestedAt").GetDateTimeOffset(), before.Json.GetProperty("requestedAt").GetDateTimeOffset(), before.Json.GetProperty("completedAt").GetDateTimeOffset());
            Assert.True(after.Json.GetProperty("completedAt").GetDateTimeOffset() > before.Json.GetProperty("completedAt").GetDateTimeOffset());
            var forged = before.Text("code")[..^5] + "AAAAA";
            Assert.Equal(404, (await Reply.To(api.Client, "GET", $"/api/erasure-receipts/{forged}")).Status);
        }
    }

    /// <summary>What is cut off is taken away; what was altered is said, and left.</summary>
    private static async Task Mended(TestDatabase database, string file, string whole)
    {
        await File.WriteAllTextAsync(file, whole + "{\"n\":3,");
        var mended = await Verb(database, database.Ledger, "mend");
        Assert.Equal((0, $"{file}: the last line was cut off; its 7 bytes were taken away.\nThe 2 entries of the ledger are as they were written.\n"), (mended.Code, mended.Output));
        var none = await Verb(database, database.Ledger, "mend");
        Assert.Equal((0, "No line is cut off at the end of a file, so nothing was changed.\nThe 2 entries of the ledger are as they were written.\n"), (none.Code, none.Output));
        var altered = whole.Replace("user-", "user+", StringComparison.Ordinal);
        await File.WriteAllTextAsync(file, altered);
        var refused = await Verb(database, database.Ledger, "mend");
        Assert.Equal((1, "No line is cut off at the end of a file, so nothing was changed.\n", altered), (refused.Code, refused.Output, await File.ReadAllTextAsync(file)));
        Assert.StartsWith($"Not mended: Line 1 of {file} was altered", refused.Errors, StringComparison.Ordinal);
        await File.WriteAllTextAsync(file, whole);
    }

    /// <summary>A node on this ledger is not ready, serves nobody, and is ready as soon as the ledger is as it was.</summary>
    private static async Task Refused(TestDatabase database, string ledger, string why, Action? harm = null, Action? heal = null)
    {
        harm?.Invoke();
        await using var api = await TestApi.Start(database, settings => settings["Erasures:Ledger"] = ledger);
        var ready = await Reply.To(api.Client, "GET", "/health/ready");
        var component = ready.Json.GetProperty("components").GetProperty("erasures");
        Assert.Equal((503, "unhealthy"), (ready.Status, component.GetProperty("status").GetString()));
        Assert.Contains(why, component.GetProperty("detail").GetString(), StringComparison.Ordinal);
        // What has not begun because of it says so, and no more.
        foreach (var waiting in new[] { "projections", "messages", "audit" })
            Assert.Equal((waiting, "degraded", "It has not begun: this node waits for the ledger of erasures (component erasures)."),
                (waiting, ready.Json.GetProperty("components").GetProperty(waiting).Text("status"), ready.Json.GetProperty("components").GetProperty(waiting).Text("detail")));
        Assert.Equal(503, (await Reply.To(api.Client, "POST", "/api/auth/sign-in", new { organization = "x", email = "x", password = "x" })).Status);
        Assert.Equal(200, (await Reply.To(api.Client, "GET", "/health/live")).Status);
        if (heal is null) return;
        heal();
        await Burst.Until("it is ready", TimeSpan.FromSeconds(15), async () => (await Reply.To(api.Client, "GET", "/health/ready")).Status == 200);
    }

    private static async Task<(int Code, string Output, string Errors)> Verb(TestDatabase database, string ledger, params string[] verb)
    {
        await using var command = NubabelCommand.Start(database, new Dictionary<string, string> { ["Erasures__Ledger"] = ledger }, ["erasures", .. verb]);
        return await command.End();
    }
}
