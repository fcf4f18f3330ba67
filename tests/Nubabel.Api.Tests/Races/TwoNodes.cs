using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>Two servers on one database, with one clock that a test may move on. Tests of this collection run one after the other.</summary>
[CollectionDefinition(Name)]
public sealed class TwoNodes : IAsyncLifetime, ICollectionFixture<TwoNodes>
{
    public const string Name = "two nodes";

    public TestDatabase Database { get; private set; } = null!;
    public TestApi A { get; private set; } = null!;
    public TestApi B { get; private set; } = null!;
    internal MovableTime Time { get; } = new();

    public async Task InitializeAsync()
    {
        Database = await TestDatabase.New();
        A = await TestApi.Start(Database, time: Time);
        B = await TestApi.Start(Database, time: Time);
    }

    public async Task DisposeAsync()
    {
        await B.DisposeAsync();
        await A.DisposeAsync();
        await Database.DisposeAsync();
    }

    /// <summary>The same credentials at both nodes.</summary>
    internal HttpClient[] Clients(TestTenant tenant) => [tenant.Client, B.As(tenant.AccessToken)];

    /// <summary>Nobody's clients.</summary>
    internal HttpClient[] Anonymous => [A.Client, B.Client];

    /// <summary>Another sign-in of the tenant's owner.</summary>
    internal async Task<Reply> SignIn(TestTenant tenant, string? email = null) =>
        await Reply.To(A.Client, "POST", "/api/auth/sign-in", new { organization = tenant.Slug, email = email ?? tenant.Email, password = TestTenant.Password });

    /// <summary>The same at one of them.</summary>
    internal static Task<Reply> SignInAt(TestApi api, TestTenant tenant) =>
        Reply.To(api.Client, "POST", "/api/auth/sign-in", new { organization = tenant.Slug, email = tenant.Email, password = TestTenant.Password });

    /// <summary>A second account of the organization, signed in at both nodes.</summary>
    internal async Task<HttpClient[]> Member(TestTenant tenant)
    {
        var node = A.Services.GetRequiredService<Node>();
        var user = new Id<User>(Guid.CreateVersion7());
        var email = Email.Parse($"bob@{tenant.Slug}.example");
        var hash = await A.Services.GetRequiredService<Passwords>().Hash(Password.Parse(TestTenant.Password), default);
        var journal = node.Journal(tenant.Id, new Origin($"user:{user}"));
        await journal.Create(user, new RegisterUser(
            await node.Seal(tenant.Id, Streams.Of(user), email.Value, default), A.Services.GetRequiredService<SignIns>().EmailKey(tenant.Id, email),
            await node.Seal(tenant.Id, Streams.Of(user), "Bob", default), hash, Role.Member), default);
        var token = (await SignIn(tenant, email.Value)).Text("access_token");
        return [A.As(token), B.As(token)];
    }

    /// <summary>How many events of a type the tenant has.</summary>
    internal Task<long> Events(TestTenant tenant, string type) =>
        Database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{tenant.Id}' and type = '{type}'");
}

/// <summary>The system's clock, moved on by a test.</summary>
internal sealed class MovableTime : TimeProvider
{
    private long moved;

    public void Move(TimeSpan by) => Interlocked.Add(ref moved, by.Ticks);

    public override DateTimeOffset GetUtcNow() => System.GetUtcNow().AddTicks(Interlocked.Read(ref moved));
}
