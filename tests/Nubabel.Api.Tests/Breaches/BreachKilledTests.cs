using Nubabel.Api.Tests.Races;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Breaches;

/// <summary>A real process that is killed while it tells people.</summary>
public sealed class BreachKilledTests
{
    private const int People = 120;

    [Fact]
    public async Task Whatever_dies_on_the_way_everybody_gets_one_letter()
    {
        await using var database = await TestDatabase.New();
        await using var mail = new SmtpServer { Able = ["8BITMIME"] };
        var environment = new Dictionary<string, string> { ["Mail__Host"] = "127.0.0.1", ["Mail__Port"] = $"{mail.Port}", ["Mail__Security"] = "none", ["Mail__From"] = "nubabel@example.com" };
        // Somebody who answers requests and works on nothing.
        await using var witness = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false");
        var acme = await witness.SignUp();
        using var platform = await witness.Operator();
        for (var i = 0; i < People; i++) await acme.Person($"p{i}@{acme.Slug}.example");
        var path = (await platform.Breach()).Location!;
        await platform.Prepare(path, new { allUsersOf = new[] { acme.Id } });
        Assert.Equal(202, (await Reply.To(platform, "POST", $"{path}/notifications", new { audience = "people" })).Status);
        // While this is open, nothing can be written to the breach: whatever comes first, the process does not get to the end.
        await using (var session = await database.Superuser.OpenConnectionAsync())
        await using (await session.BeginTransactionAsync())
        {
            await using var hold = session.CreateCommand();
            hold.CommandText = $"select 1 from events.mt_streams where id = 'breach-{path[^36..]}' for update";
            Assert.NotNull(await hold.ExecuteScalarAsync());
            await using var node = await NodeProcess.Start(database, environment);
            await mail.Mails(1);
            await node.Kill();
            await node.EndSessions();
        }
        Assert.Equal(0L, await database.Scalar<long>("select count(*) from events.mt_events where type = 'breach_notification_completed'"));
        // Nobody renews its lease any more; that it runs out is not waited for.
        await database.Run("update nubabel.workers set until = now() - interval '1 second'");
        // And somebody presses again.
        Assert.Equal(202, (await Reply.To(platform, "POST", $"{path}/notifications", new { audience = "people" })).Status);
        await using (await NodeProcess.Start(database, environment))
        {
            await Burst.Until("every letter is sent", TimeSpan.FromSeconds(60), async () => await database.Scalar<long>("select count(*) from events.mt_events where type = 'breach_letter_sent'") == People + 1);
            await Burst.Until("the notification is complete", TimeSpan.FromSeconds(60), async () => await database.Scalar<long>("select count(*) from events.mt_events where type = 'breach_notification_completed'") == 1);
        }
        Assert.Equal(People + 1L, await database.Scalar<long>("select count(*) from events.mt_events where type = 'breach_letter_ordered'"));
        // A mail server may have taken a letter of which nobody could write down any more that it did: it gets it again under the same number.
        var letters = mail.Received.Select(m => (m.To, Id: m.Text.Split('\n').First(l => l.StartsWith("Message-ID:", StringComparison.Ordinal)))).Distinct().ToArray();
        Assert.Equal(People + 1, letters.Length);
        Assert.Equal(People + 1, letters.Select(l => l.To).Distinct().Count());
        Assert.InRange(mail.Received.Count, People + 1, People + 1 + 16);
    }
}
