using System.Globalization;
using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.RowLevelSecurity;

/// <summary>Row-level security is a lock only while the API's login has no key to it: a start with another login is refused in a sentence.</summary>
public sealed class LoginTests
{
    private static int count;

    [Fact]
    public async Task The_logins_as_they_should_be_are_accepted() => await Logins.Check((await TestDatabase.Shared).Database, CancellationToken.None);

    [Theory]
    [InlineData("superuser", "is a superuser. Give the API a login of its own without SUPERUSER.")]
    [InlineData("bypassrls", "has BYPASSRLS. Give the API a login without it.")]
    [InlineData("in role nubabel_daemon", "has BYPASSRLS. Give the API a login without it.")]
    [InlineData("noinherit in role nubabel_daemon", "has BYPASSRLS. Give the API a login without it.")]
    [InlineData("in role nubabel_owner", "owns, or may act as the owner of, Nubabel's tables. Use the owner's login for migrations only.")]
    [InlineData("createrole", "has CREATEROLE or REPLICATION, which lead around row-level security. Give the API a login without them.")]
    [InlineData("replication", "has CREATEROLE or REPLICATION, which lead around row-level security. Give the API a login without them.")]
    public async Task An_api_login_with_more_power_is_refused(string attributes, string sentence)
    {
        var database = await TestDatabase.Shared;
        await using var login = await Login.New(database, attributes);
        await using var serving = Database.Open("main", login.ConnectionString, database.DaemonString);
        var refused = await Assert.ThrowsAsync<LoginRefused>(() => Logins.Check(serving, CancellationToken.None));
        Assert.Equal($"The login {login.Name} (ConnectionStrings:Nubabel) {sentence}", refused.Message);
    }

    [Fact]
    public async Task A_member_of_a_superuser_is_refused()
    {
        var database = await TestDatabase.Shared;
        await using var super = await Login.New(database, "superuser");
        await using var login = await Login.New(database, $"in role {super.Name}");
        await using var serving = Database.Open("main", login.ConnectionString, database.DaemonString);
        Assert.Contains("is a superuser", (await Assert.ThrowsAsync<LoginRefused>(() => Logins.Check(serving, CancellationToken.None))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_owner_does_not_serve()
    {
        var database = await TestDatabase.Shared;
        await using var serving = Database.Open("main", database.OwnerString, database.DaemonString);
        Assert.Contains("owns, or may act as the owner of", (await Assert.ThrowsAsync<LoginRefused>(() => Logins.Check(serving, CancellationToken.None))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_daemon_login_that_row_level_security_blinds_is_refused()
    {
        var database = await TestDatabase.Shared;
        await using var serving = Database.Open("main", database.ApiString, database.ApiString);
        Assert.Equal(
            "The login nubabel_api (ConnectionStrings:NubabelDaemon) needs BYPASSRLS to project all tenants' events.",
            (await Assert.ThrowsAsync<LoginRefused>(() => Logins.Check(serving, CancellationToken.None))).Message);
    }

    /// <summary>A login for one test; logins belong to the server, so it goes with the test.</summary>
    private sealed class Login(TestDatabase database, string name) : IAsyncDisposable
    {
        public string Name => name;
        public string ConnectionString => new NpgsqlConnectionStringBuilder(database.Server.As(name, "proofs", database.Name)) { Pooling = false }.ConnectionString;

        public static async Task<Login> New(TestDatabase database, string attributes)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"proofs_{Environment.ProcessId}_{Interlocked.Increment(ref count)}");
            await database.Run($"create role {name} login password 'proofs' {attributes}");
            return new Login(database, name);
        }

        public async ValueTask DisposeAsync() => await database.Run($"drop role {name}");
    }
}
