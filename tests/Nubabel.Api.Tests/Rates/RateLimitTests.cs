using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Rates;

/// <summary>The limits as a client meets them, on servers whose clock stands still, so that every number is exact.</summary>
public sealed class RateLimitTests
{
    private static async Task<(TestApi Api, StillTime Time)> Server(params (string Name, int Value)[] limits)
    {
        var time = new StillTime();
        var api = await TestApi.Start(await TestDatabase.Shared, settings =>
        {
            foreach (var (name, value) in limits) settings["Limits:" + name] = value.ToString(System.Globalization.CultureInfo.InvariantCulture);
        }, time: time);
        return (api, time);
    }

    [Fact]
    public async Task A_user_has_the_burst_at_once_and_then_the_rate()
    {
        var (api, time) = await Server(("UserRequestsPerMinute", 120), ("UserBurst", 4));
        await using var _ = api;
        var tenant = await api.SignUp();
        for (var left = 3; left >= 0; left--)
        {
            using var answer = await tenant.Client.GetAsync("/api/user");
            Assert.Equal((200, $"\"user\";q=4;w=2", $"\"user\";r={left};t=1"), ((int)answer.StatusCode, Header(answer, "RateLimit-Policy"), Header(answer, "RateLimit")));
        }
        using (var refused = await tenant.Client.GetAsync("/api/user"))
        {
            Assert.Equal((429, "limit.exceeded"), ((int)refused.StatusCode, await Code(refused)));
            Assert.Equal(("\"user\";q=4;w=2", "\"user\";r=0;t=1", "1"), (Header(refused, "RateLimit-Policy"), Header(refused, "RateLimit"), Header(refused, "Retry-After")));
            Assert.Equal("application/problem+json", refused.Content.Headers.ContentType!.MediaType);
        }
        // The time of day is no part of it.
        time.Set(TimeSpan.FromHours(-1));
        Assert.Equal(429, await Status(tenant.Client, "/api/user"));
        time.Set(TimeSpan.FromHours(1));
        time.Move(TimeSpan.FromMilliseconds(500));
        Assert.Equal(200, await Status(tenant.Client, "/api/user"));
        Assert.Equal(429, await Status(tenant.Client, "/api/user"));
        // Another user is another bucket, and so is an operator.
        Assert.Equal(200, await Status((await tenant.Colleague()).Client, "/api/user"));
        using var operators = await api.Operator();
        for (var i = 0; i < 4; i++) Assert.Equal(200, await Status(operators, "/api/admin/projections"));
        Assert.Equal(429, await Status(operators, "/api/admin/projections"));
    }

    [Fact]
    public async Task An_organizations_users_share_its_limit_and_another_organization_does_not_feel_it()
    {
        var (api, time) = await Server(("UserRequestsPerMinute", 600), ("UserBurst", 5), ("OrganizationRequestsPerMinute", 60), ("OrganizationBurst", 6));
        await using var _ = api;
        var ada = await api.SignUp();
        var bob = await ada.Colleague();
        for (var i = 0; i < 3; i++) Assert.Equal((200, 200), (await Status(ada.Client, "/api/user"), await Status(bob.Client, "/api/user")));
        using (var refused = await ada.Client.GetAsync("/api/user"))
        {
            Assert.Equal((429, "limit.exceeded", "1"), ((int)refused.StatusCode, await Code(refused), Header(refused, "Retry-After")));
            Assert.Equal("\"user\";q=5;w=1, \"organization\";q=6;w=6", Header(refused, "RateLimit-Policy"));
            Assert.EndsWith("\"organization\";r=0;t=1", Header(refused, "RateLimit"), StringComparison.Ordinal);
        }
        Assert.Equal(200, await Status((await api.SignUp()).Client, "/api/user"));
        // What the organization's limit refused has cost the user nothing: two of five are left.
        for (var i = 0; i < 10; i++) Assert.Equal(429, await Status(ada.Client, "/api/user"));
        time.Move(TimeSpan.FromSeconds(1));
        using var again = await ada.Client.GetAsync("/api/user");
        Assert.Equal((200, "\"user\";r=4;t=1, \"organization\";r=0;t=1"), ((int)again.StatusCode, Header(again, "RateLimit")));
    }

    [Fact]
    public async Task An_organization_has_its_own_numbers_as_soon_as_they_are_set()
    {
        var (api, _) = await Server(("UserRequestsPerMinute", 1200), ("UserBurst", 300), ("OrganizationRequestsPerMinute", 6000));
        await using var _ = api;
        var tenant = await api.SignUp();
        await SetLimits(api, tenant, new OrganizationLimits(RequestsPerMinute: 40, UserRequestsPerMinute: 20));
        await Races.Burst.Until("the new limits count", TimeSpan.FromSeconds(5), async () =>
        {
            using var answer = await tenant.Client.GetAsync("/api/user");
            return Header(answer, "RateLimit-Policy") == "\"user\";q=5;w=15, \"organization\";q=10;w=15";
        });
    }

    [Fact]
    public async Task The_limit_comes_before_permission_and_body_and_database()
    {
        var (api, _) = await Server(("UserRequestsPerMinute", 60), ("UserBurst", 1));
        await using var _ = api;
        var member = await (await api.SignUp()).Colleague();
        Assert.Equal(200, await Status(member.Client, "/api/user"));
        Assert.Equal(429, await Status(member.Client, "/api/admin/projections"));
        using var broken = await member.Client.PostAsync("/api/devices?nonsense=1", new StringContent("{", new MediaTypeHeaderValue("application/json")));
        Assert.Equal(429, (int)broken.StatusCode);
    }

    [Fact]
    public async Task A_wrong_credential_is_told_so_and_charged_to_its_address_alone()
    {
        var (api, time) = await Server(("WrongCredentialsPerMinute", 30), ("UserRequestsPerMinute", 60), ("UserBurst", 2));
        await using var _ = api;
        var tenant = await api.SignUp();
        using var forger = api.As(tenant.AccessToken[..^6] + "AAAAAA");
        for (var i = 0; i < 30; i++)
        {
            using var answer = await forger.GetAsync("/api/user");
            Assert.Equal((401, "credential.invalid", $"\"credential\";r={29 - i};t=2"), ((int)answer.StatusCode, await Code(answer), Header(answer, "RateLimit")));
        }
        using (var refused = await forger.GetAsync("/api/user"))
            Assert.Equal((429, "limit.address", "2"), ((int)refused.StatusCode, await Code(refused), Header(refused, "Retry-After")));
        using (var nobody = await api.Client.GetAsync("/api/user"))
            Assert.Equal((429, "limit.address"), ((int)nobody.StatusCode, await Code(nobody)));
        // The right credential at the same address is let in, with all it had.
        using (var right = await tenant.Client.GetAsync("/api/user"))
            Assert.Equal((200, "\"user\";r=1;t=1"), ((int)right.StatusCode, Header(right, "RateLimit")));
        time.Move(TimeSpan.FromSeconds(2));
        Assert.Equal(401, await Status(forger, "/api/user"));
    }

    [Fact]
    public async Task Failed_sign_ins_of_an_address_are_answered_with_401_and_then_with_429()
    {
        var (api, time) = await Server(("AddressRequestsPerMinute", 20), ("AddressBurst", 20), ("WrongCredentialsPerMinute", 20));
        await using var _ = api;
        for (var i = 0; i < 20; i++) Assert.Equal((401, "sign_in.failed"), await SignIn(api));
        Assert.Equal((429, "limit.address"), await SignIn(api));
        time.Move(TimeSpan.FromSeconds(3));
        Assert.Equal((401, "sign_in.failed"), await SignIn(api));
        Assert.Equal((429, "limit.address"), await SignIn(api));
    }

    [Fact]
    public async Task An_address_without_credential_has_its_own_limit_and_health_has_none()
    {
        var (api, _) = await Server(("AddressRequestsPerMinute", 60), ("AddressBurst", 4), ("UserRequestsPerMinute", 60), ("UserBurst", 2));
        await using var _ = api;
        var tenant = await api.SignUp();
        Assert.Equal(200, await Status(api.Client, "/.well-known/jwks.json"));
        Assert.Equal(404, await Status(api.Client, "/no/such/path"));
        using (var last = await api.Client.GetAsync("/openapi/v1.json"))
            Assert.Equal((200, "\"address\";q=4;w=4", "\"address\";r=0;t=1"), ((int)last.StatusCode, Header(last, "RateLimit-Policy"), Header(last, "RateLimit")));
        using (var refused = await api.Client.GetAsync("/.well-known/jwks.json"))
            Assert.Equal((429, "limit.exceeded"), ((int)refused.StatusCode, await Code(refused)));
        Assert.Equal(429, await Status(api.Client, "/no/such/path"));
        for (var i = 0; i < 5; i++)
        {
            using var live = await api.Client.GetAsync("/health/live");
            Assert.Equal((200, false), ((int)live.StatusCode, live.Headers.Contains("RateLimit")));
        }
        Assert.Equal(200, await Status(api.Client, "/health/ready"));
        Assert.Equal(200, await Status(tenant.Client, "/api/user"));
    }

    [Fact]
    public async Task The_address_is_the_one_that_a_trusted_proxy_tells()
    {
        var time = new StillTime();
        await using var api = await TestApi.Start(await TestDatabase.Shared, settings =>
        {
            settings["Proxy:TrustedNetworks"] = "127.0.0.0/8";
            settings["Limits:AddressRequestsPerMinute"] = "60";
            settings["Limits:AddressBurst"] = "1";
        }, time: time);
        Assert.Equal((200, 429, 200), (await From("203.0.113.7"), await From("203.0.113.7"), await From("203.0.113.8")));
        Assert.Equal((200, 429, 200), (await From("2001:db8:0:1::1"), await From("2001:db8:0:1:2::2"), await From("2001:db8:0:2::1")));

        async Task<int> From(string address)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/.well-known/jwks.json") { Headers = { { "X-Forwarded-For", address } } };
            using var answer = await api.Client.SendAsync(request);
            return (int)answer.StatusCode;
        }
    }

    /// <summary>Counted where the api login's statements pass on their way to PostgreSQL.</summary>
    [Fact]
    public async Task A_refused_request_asks_the_database_nothing()
    {
        var database = await TestDatabase.Shared;
        var statements = 0;
        await using var proxy = new PostgresProxy(database.ApiString, sql =>
        {
            Interlocked.Increment(ref statements);
            return sql;
        });
        await using var api = await TestApi.Start(database, settings =>
        {
            settings["ConnectionStrings:Nubabel"] = proxy.ConnectionString;
            (settings["Limits:UserRequestsPerMinute"], settings["Limits:UserBurst"]) = ("60", "1");
            (settings["Limits:WrongCredentialsPerMinute"], settings["Limits:AddressRequestsPerMinute"], settings["Limits:AddressBurst"]) = ("1", "60", "2");
        }, time: new StillTime());
        var tenant = await api.SignUp();
        Assert.Equal(401, await Status(api.Client, "/api/user"));
        Assert.Equal(200, await Status(tenant.Client, "/api/devices"));
        Assert.NotEqual(0, Volatile.Read(ref statements));
        // The address has one request left; it is let in, tried, and answered as too many wrong ones.
        Assert.Equal((429, "limit.address"), await SignIn(api));
        var before = Volatile.Read(ref statements);
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal((429, 429), (await Status(tenant.Client, "/api/devices"), await Status(api.Client, "/api/user")));
            Assert.Equal((429, "limit.address"), await SignIn(api));
        }
        Assert.Equal(before, Volatile.Read(ref statements));
    }

    [Fact]
    public async Task A_limit_of_0_is_none()
    {
        var (api, _) = await Server(("UserRequestsPerMinute", 0), ("OrganizationRequestsPerMinute", 0), ("AddressRequestsPerMinute", 0), ("WrongCredentialsPerMinute", 0));
        await using var _ = api;
        var tenant = await api.SignUp();
        using var answer = await tenant.Client.GetAsync("/api/user");
        Assert.False(answer.Headers.Contains("RateLimit") || answer.Headers.Contains("RateLimit-Policy"));
    }

    [Fact]
    public async Task A_suspended_user_is_known_and_spends_the_limit_too()
    {
        var (api, _) = await Server(("UserRequestsPerMinute", 60), ("UserBurst", 2));
        await using var _ = api;
        var bob = await (await api.SignUp()).Colleague();
        var journal = api.Services.GetRequiredService<Node>().Journal(bob.Id, new Origin("system:test"));
        await journal.Handle(Id<User>.Parse(bob.User), new SuspendUser(null), CancellationToken.None);
        await Races.Burst.Until("the suspension counts and is charged for", TimeSpan.FromSeconds(5), async () =>
        {
            using var answer = await bob.Client.GetAsync("/api/user");
            return (int)answer.StatusCode == 429;
        });
    }

    private static async Task SetLimits(TestApi api, TestTenant tenant, OrganizationLimits limits) =>
        await api.Services.GetRequiredService<Node>().Journal(tenant.Id, new Origin("system:test")).Handle(Id<Organization>.Parse(tenant.Id), new ChangeTerms(Limits: limits), CancellationToken.None);

    private static async Task<(int, string?)> SignIn(TestApi api)
    {
        using var answer = await api.Client.PostAsJsonAsync("/api/auth/sign-in", new { organization = "no-such", email = $"nobody-{Guid.NewGuid():N}@example.com", password = "wrong wrong wrong" });
        return ((int)answer.StatusCode, await Code(answer));
    }

    private static async Task<int> Status(HttpClient client, string path)
    {
        using var answer = await client.GetAsync(path);
        return (int)answer.StatusCode;
    }

    private static string Header(HttpResponseMessage answer, string name) => answer.Headers.TryGetValues(name, out var values) ? string.Join(", ", values) : "";

    private static async Task<string?> Code(HttpResponseMessage answer) => (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("code").GetString();
}
