using Npgsql;
using Nubabel.Api.Tests.Races;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Commands;

/// <summary>Export, import and replay as an operator runs them.</summary>
public sealed class TransferVerbsTests : IAsyncLifetime
{
    private readonly string folder = Directory.CreateTempSubdirectory("nubabel-transfer-").FullName;
    private TestDatabase source = null!, target = null!;

    public async Task InitializeAsync() => (source, target) = (await TestDatabase.New(), await TestDatabase.New());

    public async Task DisposeAsync()
    {
        await source.DisposeAsync();
        await target.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task An_organization_that_was_exported_with_its_keys_goes_on_where_it_was_imported()
    {
        var file = Path.Combine(folder, "acme.ndjson");
        TestTenant acme;
        Reply device;
        await using (var api = await TestApi.Start(source))
        {
            acme = await api.SignUp();
            await api.SignUp();
            device = await Reply.To(acme.Client, "POST", "/api/devices", new { name = "phone", type = "mobile" });
            Assert.Equal(0, await Code(source, "events", "export", "--tenant", acme.Id, "--out", file, "--with-keys"));
        }
        // A dry run writes nothing.
        Assert.Equal(0, await Code(target, "events", "import", file, "--dry-run"));
        Assert.Equal(0L, await target.Scalar<long>("select count(*) from events.mt_events"));
        var imported = await NubabelCommand.Run(target, "events", "import", file);
        Assert.True(imported.Code == 0 && imported.Output.Contains(" 0 were there", StringComparison.Ordinal), imported.ToString());

        await using var there = await TestApi.Start(target);
        var owner = await new TestTenant(there, there.Client, acme.Slug, acme.Email, acme.Id, acme.User, "", "", "").SignIn();
        Assert.Equal("Ada Lovelace", (await Reply.To(owner.Client, "GET", "/api/user")).Text("name"));
        Assert.Equal(device.Body, (await Reply.To(owner.Client, "GET", device.Location!)).Body);
        Assert.Equal("device.name_taken", (await Reply.To(owner.Client, "POST", "/api/devices", new { name = "Phone", type = "web" })).Code);
        Assert.Equal("organization.slug_taken", (await Reply.To(there.Client, "POST", "/api/signup",
            new { organization = new { name = "Thief", slug = acme.Slug }, email = "eve@example.org", password = TestTenant.Password, name = "Eve" })).Code);
        var listed = await Reply.Seen(owner.Client, "/api/devices", (await Reply.To(owner.Client, "PUT", device.Location + "/name", new { name = "pocket" })).Position);
        Assert.Equal("pocket", listed.Json.GetProperty("items")[0].GetProperty("name").GetString());
        // It has gone on: what comes from there again stands where its own events do.
        Assert.Equal(0, await Code(target, "events", "import", file));
        var claims = await NubabelCommand.Run(target, "claims", "rebuild", "--tenant", acme.Id);
        Assert.Contains(": 0 claims released, 0 taken, 0 in conflict.", claims.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_not_right_is_said_in_a_line()
    {
        var missing = await NubabelCommand.Run(target, "events", "import", Path.Combine(folder, "none"));
        Assert.Equal((1, 1), (missing.Code, Lines(missing.Errors)));
        var diary = Path.Combine(folder, "diary");
        await File.WriteAllTextAsync(diary, "dear diary\n");
        var refused = await NubabelCommand.Run(target, "events", "import", diary);
        Assert.True(refused.Code == 1 && refused.Errors.Contains("Line 1:", StringComparison.Ordinal) && !refused.Errors.Contains("   at ", StringComparison.Ordinal), refused.Errors);
        foreach (var wrong in new[] { new[] { "events", "export", "--to", "soon" }, ["events", "export", "--out", diary], ["audit", "replay"] })
            Assert.Equal((1, 1), await NubabelCommand.Run(target, wrong) is var answer ? (answer.Code, Lines(answer.Errors)) : default);
        Assert.Equal("dear diary\n", await File.ReadAllTextAsync(diary));

        static int Lines(string text) => text.TrimEnd('\n').Split('\n').Length;
    }

    [Fact]
    public async Task Export_import_and_replay_that_are_killed_again_and_again_come_to_the_same_end()
    {
        const int events = 12_000;
        await Foreign(events);
        var file = Path.Combine(folder, "all.ndjson");
        for (var kill = 0; kill < 2; kill++)
        {
            await using var export = NubabelCommand.Start(source, "events", "export", "--out", file, "--resume");
            var size = File.Exists(file) ? new FileInfo(file).Length : 0;
            await Burst.Until("the export has begun", TimeSpan.FromSeconds(60), () => Task.FromResult(File.Exists(file) && new FileInfo(file).Length > size));
            await export.Kill();
            await export.End();
        }
        Assert.Equal(0, await Code(source, "events", "export", "--out", file, "--resume"));

        var before = 0L;
        for (var kill = 0; kill < 2; kill++)
        {
            await using var import = NubabelCommand.Start(target, "events", "import", file);
            await Burst.Until("the import has written", TimeSpan.FromSeconds(60), async () => await Count(target) > before);
            await import.Kill();
            await import.End();
            before = await Count(target);
        }
        var last = await NubabelCommand.Run(target, "events", "import", file);
        Assert.True(last.Code == 0, last.Errors);
        Assert.True(before >= events || last.Output.Contains($"{events - before} events written, {before} were there", StringComparison.Ordinal), last.Output);
        const string all = "select md5(string_agg(md5((id, stream_id, version, data, type, timestamp, tenant_id)::text), '' order by seq_id)) from events.mt_events";
        Assert.Equal(await source.Scalar<string>(all), await target.Scalar<string>(all));

        await using var fresh = await TestDatabase.New(migrate: false);
        var into = new NpgsqlConnectionStringBuilder(source.Server.Superuser) { Database = fresh.Name }.ConnectionString;
        await using (var replay = NubabelCommand.Start(source, "audit", "replay", "--into", into))
        {
            await Burst.Until("the replay has written", TimeSpan.FromSeconds(60), async () =>
                await fresh.Scalar<bool>("select to_regclass('events.mt_events') is not null") && await Count(fresh) > 0);
            await replay.Kill();
            await replay.End();
        }
        var replayed = await NubabelCommand.Run(source, "audit", "replay", "--into", into);
        Assert.True(replayed.Code == 0, replayed.Errors);
        Assert.Contains($"{events} events, up to position {events}.", replayed.Output, StringComparison.Ordinal);
        Assert.Equal(await source.Scalar<string>(all), await fresh.Scalar<string>(all));
        Assert.Contains($"audit                  1 {events,12} {events,10}", replayed.Output, StringComparison.Ordinal);
    }

    /// <summary>Events of another writer, which need nothing of the product.</summary>
    private Task Foreign(int events) => source.Run($$"""
            insert into events.mt_streams (tenant_id, id, type, version) select '01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081', 'other-' || i, 'other', 4 from generate_series(1, {{events / 4}}) i;
            insert into events.mt_events (seq_id, id, stream_id, version, data, type, tenant_id)
            select nextval('events.mt_events_sequence'), gen_random_uuid(), 'other-' || (i % {{events / 4}} + 1), i / {{events / 4}} + 1, jsonb_build_object('n', i, 'text', repeat('x', 500)), 'foreign', '01936d5e-5a0f-7a11-8e2b-0c4d5e6f7081'
              from generate_series(0, {{events - 1}}) i;
            """);

    private static async Task<int> Code(TestDatabase database, params string[] arguments)
    {
        var answer = await NubabelCommand.Run(database, arguments);
        Assert.True(answer.Code == 0, answer.Errors);
        return answer.Code;
    }

    private static Task<long> Count(TestDatabase database) => database.Scalar<long>("select count(*) from events.mt_events");
}
