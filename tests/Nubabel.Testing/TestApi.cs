using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Nubabel.Api;
using Nubabel.Api.Host;
using Nubabel.Api.Host.Mail;

namespace Nubabel.Testing;

/// <summary>
/// The whole server in this process, on a real loopback port and a real PostgreSQL. Most tests share one, each with an organization of its own.
/// </summary>
public sealed class TestApi : IAsyncDisposable
{
    private static readonly Lazy<Task<TestApi>> Lazy = new(async () => await Start(await TestDatabase.Shared));
    private readonly WebApplication app;

    private TestApi(WebApplication app, TestDatabase database, string data)
    {
        (this.app, Database, Data) = (app, database, data);
        Client = new HttpClient(new SocketsHttpHandler { UseCookies = false, AllowAutoRedirect = false, MaxConnectionsPerServer = 200 }) { BaseAddress = new Uri(app.Urls.First()), Timeout = TimeSpan.FromSeconds(60) };
    }

    public static Task<TestApi> Shared => Lazy.Value;

    public TestDatabase Database { get; }

    /// <summary>The directory of its run-time files.</summary>
    public string Data { get; }

    /// <summary>Nobody's client.</summary>
    public HttpClient Client { get; }

    public IServiceProvider Services => app.Services;

    /// <summary>A server of one's own, also several on one database: each is a node.</summary>
    /// <param name="map">Routes of the test's own.</param>
    public static async Task<TestApi> Start(
        TestDatabase database, Action<Dictionary<string, string?>>? configure = null, Action<WebApplicationBuilder>? build = null, TimeProvider? time = null, Action<WebApplication>? map = null)
    {
        var data = Directory.CreateTempSubdirectory("nubabel-api-").FullName;
        var settings = new Dictionary<string, string?>
        {
            ["ConnectionStrings:Nubabel"] = database.ApiString,
            ["ConnectionStrings:NubabelDaemon"] = database.DaemonString,
            // Whoever starts in Development with the owner's login looks at each step and table first.
            ["ConnectionStrings:NubabelOwner"] = database.IsMigrated ? null : database.OwnerString,
            ["Keys:Master"] = Convert.ToBase64String(Enumerable.Range(1, 32).Select(i => (byte)i).ToArray()),
            ["NUBABEL_DATA"] = data,
            // One for all nodes of a database.
            ["Erasures:Ledger"] = database.Ledger,
            ["URLS"] = "http://127.0.0.1:0",
            ["Tokens:Issuer"] = "http://nubabel.test",
            // Receivers of events stand on this machine.
            ["Consumers:AllowLoopback"] = "true",
            ["Logging:LogLevel:Default"] = "None",
            // A suite is one address with thousands of requests; the limits have tests with servers of their own.
            ["Limits:UserRequestsPerMinute"] = "0",
            ["Limits:OrganizationRequestsPerMinute"] = "0",
            ["Limits:AddressRequestsPerMinute"] = "0",
            ["Limits:WrongCredentialsPerMinute"] = "0",
        };
        configure?.Invoke(settings);
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { EnvironmentName = Environments.Development });
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection(settings);
        // A hash that is no work: a suite signs up hundreds of times. What is tested of hashing itself takes the real one.
        builder.Services.AddSingleton(new Passwords(1_000));
        // All nodes of a database deliver its letters, so they go to one place.
        builder.Services.AddSingleton<ICarrier>(new FileCarrier(database.Mail, time ?? TimeProvider.System));
        build?.Invoke(builder);
        var app = await Server.Build(builder, CancellationToken.None, time);
        map?.Invoke(app);
        await app.StartAsync();
        return new TestApi(app, database, data);
    }

    /// <summary>A new organization with its owner signed in.</summary>
    public async Task<TestTenant> SignUp(string? email = null, string password = TestTenant.Password)
    {
        var slug = $"t{Guid.NewGuid():N}"[..24];
        email ??= $"ada@{slug}.example";
        using var answer = await Client.PostAsJsonAsync("/api/signup", new { organization = new { name = "Acme " + slug, slug }, email, password, name = "Ada Lovelace" });
        if (!answer.IsSuccessStatusCode) throw new InvalidOperationException($"Sign-up: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
        return TestTenant.Of(this, slug, email, await answer.Content.ReadFromJsonAsync<JsonElement>());
    }

    /// <summary>A client with these credentials.</summary>
    public HttpClient As(string accessToken) => new(new SocketsHttpHandler { UseCookies = false, MaxConnectionsPerServer = 200 })
    {
        BaseAddress = Client.BaseAddress,
        DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", accessToken) },
    };

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await app.StopAsync();
        await app.DisposeAsync();
        Directory.Delete(Data, recursive: true);
    }
}

/// <summary>An organization made for a test, and its owner's client.</summary>
public sealed record TestTenant(TestApi Api, HttpClient Client, string Slug, string Email, string Id, string User, string Session, string AccessToken, string RefreshToken)
{
    public const string Password = "correct horse battery";

    internal static TestTenant Of(TestApi api, string slug, string email, JsonElement tokens)
    {
        var access = tokens.GetProperty("access_token").GetString()!;
        return new TestTenant(
            api, api.As(access), slug, email, tokens.GetProperty("organization_id").GetString()!, tokens.GetProperty("user_id").GetString()!, tokens.GetProperty("session_id").GetString()!,
            access, tokens.GetProperty("refresh_token").GetString()!);
    }
}
