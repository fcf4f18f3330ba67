using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Nubabel.Api.Breaches;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Breaches;

/// <summary>The register of breaches, over the wire.</summary>
public sealed class BreachesTests : IAsyncLifetime
{
    private TestApi api = null!;
    private HttpClient platform = null!;

    private static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    public async Task InitializeAsync() => platform = await (api = await TestApi.Shared).Operator();

    public Task DisposeAsync()
    {
        platform.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task A_breach_is_recorded_assessed_reported_and_closed_and_all_of_it_stays_known()
    {
        var made = await platform.Breach(Now.AddHours(-1));
        Assert.Equal(("open", "running"), (made.Text("status"), made.Json.GetProperty("clock").GetProperty("state").GetString()));
        Assert.InRange(made.Json.GetProperty("clock").GetProperty("remainingSeconds").GetInt64(), 71 * 3600 - 60, 71 * 3600);
        Assert.Equal(["assessment"], Undone(made));
        var path = made.Location!;
        Assert.Equal((409, "breach.undone"), await Reply.To(platform, "PUT", $"{path}/closure") is var early ? (early.Status, early.Code) : default);
        Assert.Equal(["authority", "affected", "tenants", "people"], Undone(await Reply.To(platform, "PUT", $"{path}/assessment", Register.Assessment("high"))));
        var reported = await Reply.To(platform, "POST", $"{path}/authority-reports", new { authority = "The authority", reportedAt = Now, reference = "4711" });
        Assert.Equal(("stopped", "reported"), (reported.Json.GetProperty("clock").GetProperty("state").GetString(), reported.Json.GetProperty("clock").GetProperty("stoppedBecause").GetString()));
        await Reply.To(platform, "POST", $"{path}/authority-reports", new { authority = "The authority", reportedAt = Now, isComplete = true, content = "All of it." });
        await Reply.To(platform, "PUT", $"{path}/exemption", new { ground = "unintelligible", reason = "It is encrypted." });
        var closed = await Reply.To(platform, "PUT", $"{path}/closure", new { reason = "Nobody uses it yet." });
        Assert.Equal(("closed", "Nobody uses it yet."), (closed.Text("status"), closed.Text("closureReason")));
        Assert.Equal((409, "breach.closed"), await Reply.To(platform, "PATCH", path, new { title = "B" }) is var shut ? (shut.Status, shut.Code) : default);
        var history = await platform.Items($"{path}/history");
        Assert.Equal(["breach.closed", "breach.people_exempted", "breach.reported", "breach.reported", "breach.assessed", "breach.recorded"], history.Select(h => h.Text("action")));
        Assert.Equal("Ada Lovelace has found it.", history[^1].GetProperty("change").GetProperty("facts").GetProperty("description").GetString());
        Assert.Equal(made.Body[..made.Body.IndexOf("\"clock\"", StringComparison.Ordinal)], (await Reply.To(platform, "GET", $"{path}?at={made.Position}")).Body is var then ? then[..then.IndexOf("\"clock\"", StringComparison.Ordinal)] : "");
        Assert.Equal(204, (await Reply.To(platform, "DELETE", $"{path}/closure")).Status);
        Assert.Equal("open", (await Reply.To(platform, "GET", path)).Text("status"));
    }

    [Fact]
    public async Task A_late_report_says_why_and_nobody_becomes_aware_in_the_future()
    {
        var path = (await platform.Breach(Now.AddHours(-80))).Location!;
        var late = (await Reply.To(platform, "GET", path)).Json.GetProperty("clock");
        Assert.Equal("overdue", late.Text("state"));
        Assert.InRange(late.GetProperty("remainingSeconds").GetInt64(), -8 * 3600 - 60, -8 * 3600);
        Assert.Equal((422, "breach.delay_reason_missing"), await Report(null) is var refused ? (refused.Status, refused.Code) : default);
        Assert.True((await Report("It was found by an auditor.")).Json.GetProperty("clock").GetProperty("wasLate").GetBoolean());
        Assert.Equal((422, "breach.facts_invalid"), await Reply.To(platform, "POST", Register.Path, Register.Wanted(Now.AddHours(1))) is var ahead ? (ahead.Status, ahead.Code) : default);
        // The clock of whoever writes it down may be a little ahead.
        Assert.Equal(201, (await Reply.To(platform, "POST", Register.Path, Register.Wanted(Now.AddMinutes(3)))).Status);

        Task<Reply> Report(string? why) => Reply.To(platform, "POST", $"{path}/authority-reports", new { authority = "The authority", reportedAt = Now, delayReason = why });
    }

    [Fact]
    public async Task Two_operators_at_once_lose_nothing_and_whoever_has_seen_an_old_version_is_told()
    {
        using var other = await api.Operator();
        var made = await platform.Breach();
        var path = made.Location!;
        var both = await Task.WhenAll(
            Reply.To(platform, "PATCH", path, new { title = "Renamed" }, ifMatch: made.ETag), Reply.To(other, "PATCH", path, new { source = "a report" }, ifMatch: made.ETag));
        Assert.Equal([200, 412], both.Select(b => b.Status).Order());
        // Without a condition both get what they want, whoever is first.
        await Task.WhenAll(Reply.To(platform, "PATCH", path, new { title = "Both" }), Reply.To(other, "PATCH", path, new { source = "both" }), Reply.To(platform, "PATCH", path, new { description = "Grace saw it, too." }));
        var now = await Reply.To(platform, "GET", path);
        Assert.Equal(("Both", "both", "Grace saw it, too."), (now.Text("title"), now.Text("source"), now.Text("description")));
        Assert.Equal(304, (await Reply.To(platform, "GET", path, ifNoneMatch: now.ETag)).Status);
    }

    [Fact]
    public async Task The_register_is_listed_and_its_description_stands_nowhere_in_the_clear()
    {
        var canary = $"canary{Guid.NewGuid():N}";
        var made = await platform.Breach(title: $"T {canary[..12]}", description: $"{canary} has found it.");
        var listed = (await platform.Items($"{Register.Path}?status=open&limit=200", made.Position)).Single(b => b.Text("id") == made.Text("id"));
        Assert.Equal($"{canary} has found it.", listed.Text("description"));
        Assert.DoesNotContain(await platform.Items($"{Register.Path}?status=closed&limit=200", made.Position), b => b.Text("id") == made.Text("id"));
        Assert.DoesNotContain(await platform.Items($"{Register.Path}?risk=high&limit=200", made.Position), b => b.Text("id") == made.Text("id"));
        Assert.Equal(0L, await api.Database.Scalar<long>($"select (select count(*) from events.mt_events where data::text like '%{canary}%') + (select count(*) from read.breaches_v1 where doc::text like '%{canary}%')"));
        Assert.Equal("query.invalid", (await Reply.To(platform, "GET", $"{Register.Path}?status=shut")).Code);
    }

    [Fact]
    public async Task The_register_is_exported_as_json_lines_and_a_table()
    {
        var made = await platform.Breach(title: "=cmd()", description: "She said \"no\"\nand left.");
        var path = made.Location!;
        var last = await Reply.To(platform, "PUT", $"{path}/assessment", Register.Assessment("risk"));
        var whole = JsonElement.Parse(await platform.Text($"{Register.Path}/export", last.Position)).EnumerateArray().Single(b => b.GetProperty("breach").Text("id") == made.Text("id"));
        Assert.Equal(["breach.recorded", "breach.assessed"], whole.GetProperty("history").EnumerateArray().Select(h => h.Text("action")));
        Assert.Equal("She said \"no\"\nand left.", whole.GetProperty("breach").Text("description"));
        var lines = (await platform.Text($"{Register.Path}/export?format=ndjson", last.Position)).TrimEnd('\n').Split('\n');
        Assert.Equal(whole.GetProperty("breach").Text("id"), lines.Select(l => JsonElement.Parse(l).GetProperty("breach").Text("id")).Single(id => id == made.Text("id")));
        var csv = await platform.Text($"{Register.Path}/export?format=csv", last.Position);
        Assert.StartsWith("id,status,title,description,awareAt,deadline,clock,", csv, StringComparison.Ordinal);
        Assert.Contains($"{made.Text("id")},open,'=cmd(),\"She said \"\"no\"\"\nand left.\",", csv, StringComparison.Ordinal);
        Assert.Contains(",confidentiality,monitoring,risk,Addresses could be read.,addresses,users,12,", csv, StringComparison.Ordinal);
        Assert.Equal("query.invalid", (await Reply.To(platform, "GET", $"{Register.Path}/export?format=xml")).Code);
    }

    [Fact]
    public async Task The_alarm_is_raised_once_for_each_time_that_it_comes_nearer()
    {
        var heard = new Heard();
        using var watch = new BreachWatch(api.Services.GetRequiredService<Node>(), heard);
        var made = await platform.Breach(Now.AddHours(-47));
        async Task<string[]> Look(string? position)
        {
            // So that the register has it.
            await platform.Items($"{Register.Path}?limit=1", position);
            await watch.Look(CancellationToken.None);
            await watch.Look(CancellationToken.None);
            return heard.Take(made.Text("id"));
        }
        async Task<string?> AwareSince(double hours) => (await Reply.To(platform, "PATCH", made.Location!, new { awareAt = Now.AddHours(-hours) })).Position;
        Assert.Empty(await Look(made.Position));
        Assert.Equal(["breaches.due 24"], await Look(await AwareSince(48.1)));
        Assert.Equal(["breaches.due 12"], await Look(await AwareSince(60.1)));
        Assert.Equal(["breaches.overdue"], await Look(await AwareSince(72.1)));
        // It is taken back, and comes again.
        Assert.Empty(await Look(await AwareSince(1)));
        Assert.Equal(["breaches.overdue"], await Look(await AwareSince(99)));
        var reported = await Reply.To(platform, "POST", $"{made.Location}/authority-reports", new { authority = "The authority", reportedAt = Now, delayReason = "why" });
        Assert.Empty(await Look(reported.Position));
        Assert.Contains(await watch.Look(CancellationToken.None), clock => clock.StoppedBecause == "reported");
    }

    private static IEnumerable<string> Undone(Reply breach) => breach.Json.GetProperty("undone").EnumerateArray().Select(u => u.GetString()!);

    private sealed class Heard : ILogger<BreachWatch>
    {
        private readonly List<(string Event, string Text, string Hours)> entries = [];

        public string[] Take(string breach)
        {
            var taken = entries.Where(e => e.Text.Contains(breach, StringComparison.Ordinal)).Select(e => $"{e.Event} {e.Hours}".TrimEnd()).ToArray();
            entries.Clear();
            return taken;
        }

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;
        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => entries.Add((
            eventId.Name!, formatter(state, exception), (state as IEnumerable<KeyValuePair<string, object?>>)?.FirstOrDefault(p => p.Key == "Hours").Value?.ToString() ?? ""));
    }
}
