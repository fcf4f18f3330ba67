using Npgsql;
using Nubabel.Projections;
using Nubabel.Testing;

namespace Nubabel.Store.Tests;

/// <summary>The schema moves forward in numbered steps; a database that is not what this build made, or has not been made yet, is refused by name.</summary>
public sealed class MigrationTests
{
    private static readonly CancellationToken Ct = CancellationToken.None;

    [Fact]
    public async Task A_new_database_gets_every_step_and_a_second_run_changes_nothing()
    {
        await using var database = await TestDatabase.New(migrate: false);
        Assert.All(await Migrations.Status(database.Owner, Ct), step => Assert.Equal(("pending", null), (step.State, step.Applied)));
        var first = await Migrate(database);
        Assert.All(first, step => Assert.Equal("applied", step.State));
        Assert.Equal(first, await Migrate(database));
        // What nodes compare before they serve is read by their own logins.
        Assert.Equal(first, await Migrations.Status(database.Database.Api, Ct));
        Assert.Equal(first, await Migrations.Status(database.Database.Daemon, Ct));
        Migrations.Refuse(first, complete: true);
    }

    [Fact]
    public async Task A_step_that_was_changed_after_it_was_applied_is_named()
    {
        await using var database = await TestDatabase.New();
        await database.Run("update nubabel.schema_migrations set checksum = 'another' where number = 2");
        const string sentence = "Migration 0002_nubabel was changed after it was applied. Restore its text and put the change into a new migration.";
        Assert.Equal(sentence, (await Assert.ThrowsAsync<SchemaDrift>(() => Migrate(database))).Message);
        var status = await Migrations.Status(database.Database.Daemon, Ct);
        Assert.Equal("drifted", status[1].State);
        Assert.Equal(sentence, Assert.Throws<SchemaDrift>(() => Migrations.Refuse(status)).Message);
    }

    [Fact]
    public async Task A_database_of_a_newer_build_is_refused()
    {
        await using var database = await TestDatabase.New();
        await database.Run("insert into nubabel.schema_migrations (number, name, checksum) values (9999, 'from_the_future', 'x')");
        const string sentence = "Migration 9999_from_the_future was applied by a newer build. Run that build, or restore a backup from before it.";
        Assert.Equal(sentence, (await Assert.ThrowsAsync<SchemaDrift>(() => Migrate(database))).Message);
        var status = await Migrations.Status(database.Database.Daemon, Ct);
        Assert.Equal("unknown", status[^1].State);
        Assert.Equal(sentence, Assert.Throws<SchemaDrift>(() => Migrations.Refuse(status)).Message);
    }

    [Fact]
    public async Task What_is_not_applied_yet_is_not_served()
    {
        await using var database = await TestDatabase.New(migrate: false);
        var status = await Migrations.Status(database.Owner, Ct);
        Migrations.Refuse(status);
        Assert.Equal("Migration 0001_events is not applied yet. Run: nubabel migrate", Assert.Throws<SchemaDrift>(() => Migrations.Refuse(status, complete: true)).Message);
    }

    [Fact]
    public async Task Several_at_once_agree()
    {
        await using var database = await TestDatabase.New(migrate: false);
        var all = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(() => Migrate(database))));
        Assert.All(all, status => Assert.Equal(all[0], status));
        Assert.All(all[0], step => Assert.Equal("applied", step.State));
        // Repeated on a database that is in use, as several nodes of a deployment do.
        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(() => Migrate(database))));
        await Logins.Check(database.Database, Ct);
    }

    [Fact]
    public async Task A_step_that_fails_leaves_nothing_behind_and_is_tried_again()
    {
        await using var database = await TestDatabase.New(migrate: false);
        // In the way of the third step, which by then has made other things.
        await database.Run("create schema nubabel authorization nubabel_owner; create function nubabel.directory_confirm(organization_id text) returns boolean language sql as 'select true'");
        await Assert.ThrowsAsync<PostgresException>(() => Migrate(database));
        Assert.Equal(["applied", "applied", "pending"], (await Migrations.Status(database.Owner, Ct)).Take(3).Select(s => s.State));
        Assert.True(await database.Scalar<bool>("select to_regclass('nubabel.directory') is null"));
        await database.Run("drop function nubabel.directory_confirm(text)");
        Assert.All(await Migrate(database), step => Assert.Equal("applied", step.State));
    }

    private static Task<IReadOnlyList<MigrationStatus>> Migrate(TestDatabase database) => Schema.Migrate(database.Owner, "nubabel_api", "nubabel_daemon", Ct);
}
