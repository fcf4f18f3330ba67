using System.Security.Cryptography;
using Npgsql;
using Nubabel.Api.Commands;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Host;

/// <summary>A server that must not serve does not start, and says why in a sentence.</summary>
public sealed class StartTests
{
    [Fact]
    public async Task A_schema_that_is_not_migrated_is_not_served()
    {
        await using var database = await TestDatabase.New(migrate: false);
        var refused = await Assert.ThrowsAsync<SchemaDrift>(() => TestApi.Start(database, settings => settings.Remove("ConnectionStrings:NubabelOwner")));
        Assert.Equal("Migration 0001_events is not applied yet. Run: nubabel migrate", refused.Message);
    }

    [Fact]
    public async Task A_database_of_a_newer_build_is_not_served()
    {
        await using var database = await TestDatabase.New();
        await database.Run("insert into nubabel.schema_migrations (number, name, checksum) values (9999, 'from_the_future', 'x')");
        var refused = await Assert.ThrowsAsync<SchemaDrift>(() => TestApi.Start(database, settings => settings.Remove("ConnectionStrings:NubabelOwner")));
        Assert.Contains("9999_from_the_future", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Logins_with_the_wrong_power_do_not_serve()
    {
        await using var database = await TestDatabase.New();
        foreach (var login in new[] { database.DaemonString, database.OwnerString })
        {
            var refused = await Assert.ThrowsAsync<LoginRefused>(() => TestApi.Start(database, settings => settings["ConnectionStrings:Nubabel"] = login));
            Assert.Contains($"The login {new NpgsqlConnectionStringBuilder(login).Username} (ConnectionStrings:Nubabel)", refused.Message, StringComparison.Ordinal);
        }
        await Assert.ThrowsAsync<LoginRefused>(() => TestApi.Start(database, settings => settings["ConnectionStrings:NubabelDaemon"] = database.ApiString));
    }

    [Fact]
    public async Task Another_environments_database_is_refused()
    {
        await using var database = await TestDatabase.New();
        await Stamps.Check(database.Database.Daemon, "Staging", TestDatabase.Master, CancellationToken.None);
        await Stamps.Check(database.Database.Daemon, "Staging", TestDatabase.Master, CancellationToken.None);
        Assert.Equal(
            "This database belongs to the environment Staging, and this process to Production. Environment__Name says which.",
            (await Assert.ThrowsAsync<StampMismatch>(() => Stamps.Check(database.Database.Daemon, "Production", TestDatabase.Master, CancellationToken.None))).Message);
        await Assert.ThrowsAsync<StampMismatch>(() => TestApi.Start(database));
    }

    [Fact]
    public async Task Another_master_key_is_refused_and_neither_is_shown()
    {
        await using var database = await TestDatabase.New();
        await (await TestApi.Start(database)).DisposeAsync();
        var secret = RandomNumberGenerator.GetBytes(32);
        var other = new MasterKey(secret);
        var refused = await Assert.ThrowsAsync<MasterKeyRefused>(() => TestApi.Start(database, settings => settings["Keys:Master"] = Convert.ToBase64String(secret)));
        Assert.Equal(
            $"This database was written with another master key (fingerprint {TestDatabase.Master.Fingerprint}, this one is {other.Fingerprint}). Without that key its secrets cannot be read. Is it one that was exchanged since, as after a restore, Keys__MasterPrevious takes it.",
            refused.Message);
    }

    [Fact]
    public async Task Servers_that_start_at_the_same_time_on_a_new_database_agree()
    {
        await using var database = await TestDatabase.New(migrate: false);
        var nodes = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => Task.Run(() => TestApi.Start(database))));
        var acme = await nodes[0].SignUp();
        foreach (var node in nodes)
        {
            // One signing key, one master key: what one node issues, all accept.
            using var client = node.As(acme.AccessToken);
            using var answer = await client.GetAsync("/api/user");
            Assert.Equal(System.Net.HttpStatusCode.OK, answer.StatusCode);
        }
        foreach (var node in nodes) await node.DisposeAsync();
    }
}
