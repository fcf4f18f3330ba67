using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.Privacy;
using Nubabel.Api.Tests.Slices;
using Nubabel.Projections.ApiKeys;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.ApiKeys;

public sealed class LastUseTests
{
    [Fact]
    public async Task The_last_use_is_shown_to_the_minute_once_it_is_written()
    {
        var api = await TestApi.Shared;
        var acme = await api.SignUp();
        var (used, unused) = (await acme.Client.Make(), await acme.Client.Make());
        var before = TimeProvider.System.GetUtcNow();
        await api.Client.With(used.Text("key")).Json();
        await api.Services.GetRequiredService<LastUses>().Flush(CancellationToken.None);

        var at = (await acme.Client.GetAsync($"{Keys.Path}/{used.Text("id")}").Json()).GetProperty("lastUsedAt").GetDateTimeOffset();
        Assert.Equal(0, at.UtcTicks % TimeSpan.TicksPerMinute);
        Assert.InRange(at, before.AddMinutes(-1), TimeProvider.System.GetUtcNow());
        Assert.False((await acme.Client.GetAsync($"{Keys.Path}/{unused.Text("id")}").Json()).TryGetProperty("lastUsedAt", out _));
        await api.HasSeen(ApiKeyList.Name);
        var listed = (await acme.Client.Items(Keys.Path)).ToDictionary(key => key.Text("id"));
        Assert.Equal(at, listed[used.Text("id")].GetProperty("lastUsedAt").GetDateTimeOffset());
        Assert.False(listed[unused.Text("id")].TryGetProperty("lastUsedAt", out _));
    }

    [Fact]
    public async Task A_refused_key_is_no_use()
    {
        var api = await TestApi.Shared;
        var acme = await api.SignUp();
        var key = await acme.Client.Make();
        await api.Client.With((key.Parsed() with { Secret = new string('A', 43) }).Text).Refused(401, "credential.invalid");
        await api.Services.GetRequiredService<LastUses>().Flush(CancellationToken.None);
        Assert.False((await acme.Client.GetAsync($"{Keys.Path}/{key.Text("id")}").Json()).TryGetProperty("lastUsedAt", out _));
    }

    [Fact]
    public async Task A_time_never_goes_back_whichever_node_writes_last()
    {
        var database = await TestDatabase.Shared;
        var (tenant, key, now) = (Guid.CreateVersion7().ToString(), Guid.CreateVersion7(), new DateTimeOffset(2026, 1, 5, 12, 0, 0, TimeSpan.Zero));
        foreach (var at in new[] { now, now.AddMinutes(-1), now.AddMinutes(2), now.AddMinutes(1) }) await KeyUses.Write(database.Database.Daemon, [(tenant, key, at)], CancellationToken.None);
        Assert.Equal(now.AddMinutes(2), await KeyUses.Last(new Reader(database.Database, new SubjectKeys(database.Database, TestDatabase.Master), tenant), key, CancellationToken.None));
    }

    [Fact]
    public async Task A_server_that_stops_writes_what_it_has_collected()
    {
        var database = await TestDatabase.Shared;
        string id;
        await using (var api = await TestApi.Start(database))
        {
            var key = await (await api.SignUp()).Client.Make();
            id = key.Text("id");
            await api.Client.With(key.Text("key")).Json();
        }
        Assert.Equal(1L, await database.Scalar<long>($"select count(*) from nubabel.key_uses where key_id = '{id}'"));
    }

    [Fact]
    public async Task What_cannot_be_written_is_kept_for_the_next_round()
    {
        await using var database = await TestDatabase.New();
        await using var api = await TestApi.Start(database);
        var key = await (await api.SignUp()).Client.Make();
        await api.Client.With(key.Text("key")).Json();
        var uses = api.Services.GetRequiredService<LastUses>();
        await database.Run("alter table nubabel.key_uses rename to hidden");
        await uses.Flush(CancellationToken.None);
        await database.Run("alter table nubabel.hidden rename to key_uses");
        await uses.Flush(CancellationToken.None);
        Assert.Equal(1L, await database.Scalar<long>("select count(*) from nubabel.key_uses"));
    }

    /// <summary>Neither what makes a key nor what it is used for, right or wrong, leaves its secret anywhere.</summary>
    [Fact]
    public async Task No_table_and_no_log_line_holds_a_secret()
    {
        await using var database = await TestDatabase.New();
        using var log = new Traces.Log();
        await using var api = await TestApi.Start(database, FinestLog, builder => builder.Logging.AddProvider(log));
        var acme = await api.SignUp();
        var first = await acme.Client.Make("members:read", "organization:read");
        var second = await acme.Client.Rotate(first, 600);
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{Keys.Path}/{first.Text("id")}/rotation") { Content = System.Net.Http.Json.JsonContent.Create(new { overlapSeconds = 5 }) };
        request.Headers.Add("Idempotency-Key", "once");
        var third = await acme.Client.SendAsync(request).Json();
        foreach (var key in (System.Text.Json.JsonElement[])[second, third])
        {
            await api.Client.With(key.Text("key"), "/api/user").Refused(403, "permission.denied");
            await api.Client.With(key.Text("key") + "x").Refused(401, "credential.invalid");
            using var twice = api.As(key.Text("key"));
            await twice.With(key.Text("key")).Refused(400, "credential.ambiguous");
        }
        var rows = await Traces.Rows(database);
        foreach (var key in (System.Text.Json.JsonElement[])[first, second, third])
        {
            Assert.Empty(Traces.Of(key.Parsed().Secret, rows));
            Assert.Empty(Traces.Of(key.Parsed().Secret, log.Lines));
        }
        Assert.NotEmpty(Traces.Of(first.Parsed().Hash, rows));
        Assert.NotEmpty(Traces.Of(Keys.Path, log.Lines));

        static void FinestLog(Dictionary<string, string?> settings)
        {
            settings["Logging:LogLevel:Default"] = "Trace";
            settings["Logging:Console:LogLevel:Default"] = "None";
            settings["Logging:Console:LogLevel:Microsoft.AspNetCore"] = "None";
            settings["Logging:Console:LogLevel:Npgsql"] = "None";
        }
    }
}
