using System.Globalization;
using System.Text.Json;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Breaches;

/// <summary>Who is told of a breach, by whom, and how often.</summary>
public sealed class BreachNotificationTests : IAsyncLifetime
{
    private TestApi api = null!;
    private HttpClient platform = null!;
    private TestTenant acme = null!, bob = null!, other = null!;

    public async Task InitializeAsync()
    {
        platform = await (api = await TestApi.Shared).Operator();
        (acme, other) = (await api.SignUp(), await api.SignUp());
        bob = await acme.Colleague();
    }

    public Task DisposeAsync()
    {
        platform.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task People_get_one_letter_each_whoever_cannot_be_reached_is_listed_and_a_second_press_sends_none()
    {
        var left = await acme.Colleague();
        await Reply.To(left.Client, "DELETE", $"/api/members/{left.User}");
        var (erased, bad) = (await acme.Person(null), await acme.Person("nobody"));
        var path = (await platform.Breach()).Location!;
        Assert.Equal((409, "breach.scope_missing"), await Reply.To(platform, "POST", $"{path}/notifications", new { audience = "people" }) is var early ? (early.Status, early.Code) : default);
        var unknown = Guid.CreateVersion7().ToString();
        await platform.Prepare(path, new { allUsersOf = new[] { acme.Id }, users = new[] { new { organizationId = other.Id, users = new[] { unknown } } } });
        var position = (await Reply.To(platform, "PUT", $"{path}/assessment", Register.Assessment("risk"))).Position;
        Assert.Equal("""{"organizations":2,"users":6}""", await platform.Text($"{path}/affected", position));
        var counts = await platform.Tell(path, "people");
        Assert.Equal((3, 1, 2), (counts.GetProperty("sent").GetInt64(), counts.GetProperty("erased").GetInt64(), counts.GetProperty("unreachable").GetInt64()));
        var failed = (await platform.Items($"{path}/letters?audience=people&state=failed")).ToDictionary(l => l.Text("userId"), l => l.Text("fault"));
        Assert.Equal(("erased", "badAddress", "unknown"), (failed[erased.ToString()], failed[bad.ToString()], failed[unknown]));
        // Whoever has left is told, too: the data were there.
        foreach (var who in new[] { acme.Email, bob.Email, left.Email })
        {
            var letter = Assert.Single(Letters(who));
            Assert.Equal("Your address may have been read", letter.Subject);
            foreach (var words in new[] { "This concerns your account at Acme", "What happened: A copy of our data", "From Monday on.", "What you can do: Open no links.", "privacy@example.com" })
                Assert.Contains(words, letter.Text, StringComparison.Ordinal);
        }
        Assert.Empty(Letters(other.Email));
        var again = await platform.Tell(path, "people");
        Assert.Equal(counts.ToString(), again.ToString());
        Assert.Single(Letters(bob.Email));
        // Other words are another letter.
        await Reply.To(platform, "PUT", $"{path}/notices/people", Register.Words("News of the breach"));
        Assert.Equal((2, 3), await platform.Tell(path, "people") is var news ? (news.GetProperty("number").GetInt32(), news.GetProperty("sent").GetInt64()) : default);
        Assert.Equal(["News of the breach", "Your address may have been read"], Letters(bob.Email).Select(l => l.Subject).Order());
    }

    [Fact]
    public async Task Owners_are_told_by_letter_in_their_list_and_in_their_audit_trail_and_nobody_elses()
    {
        var path = (await platform.Breach()).Location!;
        var second = await acme.Colleague(Role.Owner);
        await platform.Prepare(path, new { organizations = new[] { acme.Id }, users = new[] { new { organizationId = acme.Id, users = new[] { bob.User } } } });
        Assert.Equal(2, (await platform.Tell(path, "tenants")).GetProperty("sent").GetInt64());
        Assert.All(new[] { acme.Email, second.Email }, who => Assert.Contains("You are an owner of Acme", Assert.Single(Letters(who)).Text, StringComparison.Ordinal));
        Assert.Empty(Letters(bob.Email));
        var position = (await Reply.To(acme.Client, "POST", "/api/devices", new { name = "phone", type = "mobile" })).Position;
        var shown = Assert.Single(await acme.Client.Items("/api/breaches", position));
        Assert.Equal((path.Split('/')[^1], 1, "Your address may have been read"), (shown.Text("id"), shown.GetProperty("affectedUsers").GetInt64(), shown.GetProperty("text").Text("subject")));
        Assert.True(JsonElement.DeepEquals(shown, (await Reply.To(acme.Client, "GET", $"/api/breaches/{shown.Text("id")}")).Json));
        Assert.Equal((404, "breach.missing"), await Reply.To(other.Client, "GET", $"/api/breaches/{shown.Text("id")}") is var hidden ? (hidden.Status, hidden.Code) : default);
        Assert.Equal((403, "permission.denied"), await Reply.To(bob.Client, "GET", "/api/breaches") is var denied ? (denied.Status, denied.Code) : default);
        Assert.Empty(await other.Client.Items("/api/breaches", position));
        var entry = Assert.Single(await acme.Client.Items("/api/audit-logs?action=breach_notice.given", position));
        Assert.StartsWith("operator:", entry.Text("actor"), StringComparison.Ordinal);
        Assert.Equal(["authority", "people"], (await Reply.To(platform, "GET", path)).Json.GetProperty("undone").EnumerateArray().Select(u => u.GetString()));
    }

    [Fact]
    public async Task Those_are_found_who_were_seen_between_two_times()
    {
        var from = TimeProvider.System.GetUtcNow();
        await Reply.To(bob.Client, "POST", "/api/devices", new { name = "phone", type = "mobile" });
        var to = TimeProvider.System.GetUtcNow().AddSeconds(1);
        var made = await platform.Breach();
        async Task<string> Affected(object seen)
        {
            var set = await Reply.To(platform, "PUT", $"{made.Location}/affected", new { seen });
            return await platform.Text($"{made.Location}/affected", set.Position);
        }
        // Signed up minutes before: an access token that was made then is used until now.
        Assert.Equal("""{"organizations":1,"users":2}""", await Affected(new { from, to, organizations = new[] { acme.Id } }));
        Assert.Equal("""{"organizations":0,"users":0}""", await Affected(new { from = from.AddDays(-2), to = from.AddDays(-1), organizations = new[] { acme.Id } }));
        var everywhere = JsonElement.Parse(await Affected(new { from, to }));
        Assert.InRange(everywhere.GetProperty("organizations").GetInt64(), 2, long.MaxValue);
        Assert.Equal((422, "breach.scope_invalid"), await Reply.To(platform, "PUT", $"{made.Location}/affected", new { seen = new { from = to, to = from } }) is var turned ? (turned.Status, turned.Code) : default);
    }

    [Fact]
    public async Task One_key_is_one_job()
    {
        var path = (await platform.Breach()).Location!;
        await platform.Prepare(path, new { organizations = new[] { acme.Id } });
        var key = string.Create(CultureInfo.InvariantCulture, $"k{Guid.NewGuid():N}");
        var jobs = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Reply.To(platform, "POST", $"{path}/notifications", new { audience = "tenants" }, key: key)));
        Assert.Single(jobs.Select(j => (j.Status, j.Location)).Distinct());
        Assert.Equal(1, (await platform.Tell(path, "tenants")).GetProperty("sent").GetInt64());
        Assert.Single(Letters(acme.Email));
    }

    private IReadOnlyList<MailedLetter> Letters(string address) => api.LettersTo(address);
}
