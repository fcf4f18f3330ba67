using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Host.Tokens;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain;
using Nubabel.Domain.ApiKeys;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.ApiKeys;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.ApiKeys;

/// <summary>An API key as the credential of a request.</summary>
public sealed class CredentialTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task A_key_opens_its_organization_as_bearer_or_in_its_own_header()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var key = (await acme.Client.Make()).Text("key");
        using var bearer = acme.Api.As(key);
        Assert.Equal(acme.Id, (await bearer.GetAsync("/api/organization").Json()).Text("id"));
        Assert.Equal(acme.Id, (await acme.Api.Client.With(key).Json()).Text("id"));
        await bearer.With(key).Refused(400, "credential.ambiguous");
        await acme.Client.With(key).Refused(400, "credential.ambiguous");
        await acme.Api.Client.With(acme.AccessToken).Refused(401, "credential.invalid");
    }

    [Fact]
    public async Task What_is_done_with_a_key_is_the_keys_doing()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var key = await acme.Client.Make("organization:write", "audit:read-own");
        using var program = acme.Api.As(key.Text("key"));
        using var renamed = await program.PatchAsJsonAsync("/api/organization", new { name = "By a program" });
        Assert.Equal(HttpStatusCode.OK, renamed.StatusCode);
        var entry = Assert.Single(await program.Items("/api/audit-logs", renamed.Position()));
        Assert.Equal(($"key:{key.Text("id")}", "organization.renamed"), (entry.Text("actor"), entry.Text("action")));
        await program.GetAsync("/api/audit-logs?actor=user:" + acme.User).Refused(403, "permission.denied");
    }

    [Fact]
    public async Task A_typing_error_is_refused_without_any_statement()
    {
        var statements = 0;
        // A database of its own: on another one this node would also handle what other tests enqueue.
        await using var database = await TestDatabase.New();
        await using var proxy = new PostgresProxy(database.ApiString + ";Max Auto Prepare=0", sql =>
        {
            Interlocked.Increment(ref statements);
            return sql;
        });
        await using var api = await TestApi.Start(database, settings => settings["ConnectionStrings:Nubabel"] = proxy.ConnectionString);
        var acme = await api.SignUp();
        var key = (await acme.Client.Make()).Text("key");
        var typed = new List<string> { key[..^1], key + "A", key[4..], "nbk.", "nbk....", key.Replace("nbk", "NBK", StringComparison.Ordinal), key.ToUpperInvariant(), key.Replace('.', ','), new('a', 4000), "nbk." + new string('.', 300) };
        for (var i = 4; i < key.Length; i += 5) typed.Add(key[..i] + (key[i] == 'x' ? 'y' : 'x') + key[(i + 1)..]);
        var swapped = Enumerable.Range(100, 20).First(i => key[i] != key[i + 1]);
        typed.Add(key[..swapped] + key[swapped + 1] + key[swapped] + key[(swapped + 2)..]);
        await Burst.Until("the sign-up has nothing left to do", TimeSpan.FromSeconds(20), async () => await database.Scalar<long>("select count(*) from nubabel.messages") == 0);
        var before = statements;
        foreach (var text in typed) await api.Client.With(text).Refused(401, "credential.invalid");
        Assert.Equal(before, statements);
        // They are heard: the right key costs a look-up. One with a wrong secret costs none after that, but for the one that is due when the tail brings
        // the key's own event.
        await api.Client.With(key).Json();
        Assert.NotEqual(before, statements);
        before = statements;
        var forged = (ApiKeyText.Parse(key)! with { Secret = new string('A', 43) }).Text;
        for (var i = 0; i < 20; i++) await api.Client.With(forged).Refused(401, "credential.invalid");
        Assert.InRange(statements - before, 0, 2);
    }

    [Fact]
    public async Task Unknown_forged_and_anothers_keys_get_one_answer()
    {
        var api = await TestApi.Shared;
        var (acme, rival) = (await api.SignUp(), await api.SignUp());
        var key = (await acme.Client.Make()).Parsed();
        var own = (await rival.Client.Make()).Parsed();
        var unknown = new Id<ApiKey>(Guid.CreateVersion7());
        var bodies = new List<string>();
        foreach (var text in new[]
        {
            key.Text[..^1] + "~", (key with { Secret = new string('A', 43) }).Text, (key with { Secret = own.Secret }).Text, (own with { Key = key.Key }).Text, (key with { Tenant = rival.Id }).Text,
            (key with { Tenant = Node.Platform }).Text, (key with { Generation = 1 }).Text, (key with { Generation = int.MaxValue }).Text, (key with { Key = unknown }).Text,
            (key with { Tenant = Guid.CreateVersion7().ToString() }).Text,
        })
        {
            var problem = await api.Client.With(text).Refused(401, "credential.invalid");
            bodies.Add(string.Join("|", problem.EnumerateObject().Where(m => m.Name != "requestId").Select(m => m.ToString())));
        }
        Assert.Single(bodies.Distinct());
        Assert.Equal(acme.Id, (await api.Client.With(key.Text).Json()).Text("id"));
    }

    [Fact]
    public async Task A_key_reaches_nothing_of_another_organization()
    {
        var api = await TestApi.Shared;
        var (acme, rival) = (await api.SignUp(), await api.SignUp());
        var (key, other) = (await acme.Client.Make("api-keys:read", "audit:read"), await rival.Client.Make());
        using var program = api.As(key.Text("key"));
        await program.GetAsync($"{Keys.Path}/{other.Text("id")}").Refused(404, "api_key.missing");
        await program.GetAsync($"{Keys.Path}/{key.Text("id")}").Json();
    }

    [Fact]
    public async Task A_key_cannot_make_keys_nor_call_the_routes_of_persons()
    {
        var acme = await (await TestApi.Shared).SignUp();
        using var program = acme.Api.As((await acme.Client.Make([.. Permissions.All.Where(p => p.ForKeys && p.Roles.Contains("owner")).Select(p => p.Name)])).Text("key"));
        foreach (var path in new[] { "/api/user", "/api/sessions", "/api/devices", "/api/admin/projections", Keys.PlatformPath }) await program.GetAsync(path).Refused(403, "permission.denied");
        await program.PostAsync("/api/auth/sign-out", null).Refused(403, "permission.denied");
        await program.Post(Keys.Path, new { name = "k", scopes = new[] { "members:read" } }).Refused(403, "permission.denied");
    }

    [Fact]
    public async Task An_operators_key_counts_among_operators_only()
    {
        var api = await TestApi.Shared;
        using var platform = await api.Operator();
        var key = await platform.Make(Keys.PlatformPath, ["platform:projections"]);
        Assert.StartsWith("nbk.platform.", key.Text("key"), StringComparison.Ordinal);
        Assert.StartsWith("operator:", key.Text("createdBy"), StringComparison.Ordinal);
        using var program = api.As(key.Text("key"));
        await program.GetAsync("/api/admin/projections").Json();
        Assert.Equal("platform:migrations", (await program.GetAsync("/api/admin/migrations").Refused(403, "permission.denied")).Text("required"));
        await program.GetAsync("/api/organization").Refused(403, "permission.denied");
        await platform.Post(Keys.PlatformPath, new { name = "k", scopes = new[] { "members:read" } }).Refused(422, "api_key.scope_invalid");
        await (await api.SignUp()).Client.GetAsync($"{Keys.Path}/{key.Text("id")}").Refused(404, "api_key.missing");
        using var revoked = await platform.DeleteAsync($"{Keys.PlatformPath}/{key.Text("id")}");
        Assert.Equal(HttpStatusCode.NoContent, revoked.StatusCode);
        await Burst.Until("the key is refused", Soon, async () => (await program.GetAsync("/api/admin/projections")).StatusCode == HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task A_revoked_key_says_so_to_who_has_its_secret_alone()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var key = await acme.Client.Make();
        await acme.Api.Client.With(key.Text("key")).Json();
        await acme.Client.DeleteAsync($"{Keys.Path}/{key.Text("id")}");
        await Burst.Until("the key is refused", Soon, async () => !(await acme.Api.Client.With(key.Text("key"))).IsSuccessStatusCode);
        await acme.Api.Client.With(key.Text("key")).Refused(401, "credential.revoked");
        await acme.Api.Client.With((key.Parsed() with { Secret = new string('A', 43) }).Text).Refused(401, "credential.invalid");
    }

    [Fact]
    public async Task A_key_outlives_its_makers_account_and_stops_with_its_organization()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var admin = await acme.Colleague(Role.Admin);
        var key = (await admin.Client.Make()).Text("key");
        var journal = acme.Api.Services.GetRequiredService<Node>().Journal(acme.Id, new Origin($"user:{acme.User}"));
        await journal.Handle(Id<User>.Parse(admin.User), new RemoveUser(), CancellationToken.None);
        await Burst.Until("the admin is gone", Soon, async () => (await admin.Client.GetAsync("/api/user")).StatusCode == HttpStatusCode.Unauthorized);
        await acme.Api.Client.With(key).Json();

        await journal.Handle(Id<Organization>.Parse(acme.Id), new SuspendOrganization(), CancellationToken.None);
        await Burst.Until("the organization is stopped", Soon, async () => (await acme.Api.Client.With(key)).StatusCode == HttpStatusCode.Forbidden);
        await acme.Api.Client.With(key).Refused(403, "organization.suspended");
    }

    [Fact]
    public async Task An_old_secret_works_until_its_overlap_ends_and_a_key_until_it_expires()
    {
        // A node whose clock is hours ahead must not work on the messages of other tests, nor they on its.
        await using var database = await TestDatabase.New();
        var time = new MovableTime();
        await using var api = await TestApi.Start(database, time: time);
        var acme = await api.SignUp();
        var first = await acme.Client.Make(Keys.Path, ["organization:read"], time.GetUtcNow().AddHours(2));
        var second = await acme.Client.Rotate(first, 3600);
        Assert.NotEqual(first.Text("key"), second.Text("key"));
        await Burst.Until("the new one is known", Soon, async () => (await api.Client.With(second.Text("key"))).IsSuccessStatusCode);
        await api.Client.With(first.Text("key")).Json();

        time.Move(TimeSpan.FromSeconds(3590));
        await api.Client.With(first.Text("key")).Json();
        time.Move(TimeSpan.FromSeconds(11));
        await api.Client.With(first.Text("key")).Refused(401, "credential.revoked");
        await api.Client.With(second.Text("key")).Json();

        time.Move(TimeSpan.FromHours(1));
        await api.Client.With(second.Text("key")).Refused(401, "credential.revoked");
        var again = await acme.SignIn();
        Assert.Equal("expired", (await again.Client.GetAsync($"{Keys.Path}/{first.Text("id")}").Json()).Text("status"));
        await api.HasSeen(ApiKeyList.Name);
        Assert.Equal("expired", Assert.Single(await again.Client.Items(Keys.Path)).Text("status"));
        await again.Client.Post($"{Keys.Path}/{first.Text("id")}/rotation", new { overlapSeconds = 0 }).Refused(409, "api_key.expired");
    }

    [Fact]
    public async Task Ids_that_name_nothing_are_not_kept()
    {
        var api = await TestApi.Shared;
        var acme = await api.SignUp();
        var key = (await acme.Client.Make()).Parsed();
        await api.Client.With(key.Text).Json();
        var standings = api.Services.GetRequiredService<Standings>();
        for (var i = 0; i < 20; i++)
        {
            var id = new Id<ApiKey>(Guid.CreateVersion7());
            await api.Client.With((key with { Key = id }).Text).Refused(401, "credential.invalid");
            Assert.False(standings.Keeps(acme.Id, id));
        }
        // The tail may just have brought the key's own event.
        await Burst.Until("the key is kept", Soon, async () => (await api.Client.With(key.Text)).IsSuccessStatusCode && standings.Keeps(acme.Id, key.Key));
    }
}
