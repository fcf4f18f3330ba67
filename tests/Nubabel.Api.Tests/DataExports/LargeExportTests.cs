using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Api.Tests.Races;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.DataExports;

/// <summary>Fifty megabytes of history, in a process whose heap has no room for them, and which is killed on the way.</summary>
public sealed class LargeExportTests
{
    private const int Events = 5_000;

    /// <summary>The managed heap may not grow beyond 100 MiB: a process ends rather than take more.</summary>
    private static readonly Dictionary<string, string> Small = new() { ["DOTNET_GCHeapHardLimit"] = "0x6400000", ["DOTNET_gcServer"] = "0" };

    private static readonly TimeSpan Bound = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task Fifty_megabytes_are_exported_in_little_memory_and_once_though_the_process_is_killed()
    {
        await using var database = await TestDatabase.New();
        await using var first = await NodeProcess.Start(database, Small);
        using var client = new HttpClient { BaseAddress = first.Address, Timeout = Bound };
        await SignUp(client);
        await Fill(database, client);
        Assert.InRange(await Length(client, "/api/user/data-export"), 50_000_000, 200_000_000);

        var started = await Reply.To(client, "POST", "/api/user/data-exports");
        await Burst.Until("a good part is written", Bound, async () =>
            (await Reply.To(client, "GET", started.Location!)).Json.TryGetProperty("progress", out var progress) && progress.GetProperty("done").GetInt64() > Events / 10);
        await first.Kill();
        // As if the lease had run out.
        await database.Run("update nubabel.workers set until = now()");
        await using var second = await NodeProcess.Start(database, Small);
        using var again = new HttpClient { BaseAddress = second.Address, Timeout = Bound, DefaultRequestHeaders = { Authorization = client.DefaultRequestHeaders.Authorization } };
        var export = await Bundle.Made(again, started.Location!, Bound);
        Assert.Equal(2, (await Reply.To(again, "GET", started.Location!)).Json.GetProperty("attempts").GetInt32());
        var bundle = await Bundle.Download(again, export);
        Assert.InRange(bundle.Files["data.json"].Length, 50_000_000, 200_000_000);
        Assert.InRange(bundle.Files["index.html"].Length, 1_000, 1_000_000);
        Assert.Equal("1 1", await database.Scalar<string>("select count(*) filter (where type = 'data_export_made') || ' ' || count(*) filter (where type = 'job_completed') from events.mt_events"));
        // What the killed attempt had written is gone.
        Assert.Equal(1, await database.Scalar<long>("select count(distinct generation) from nubabel.sealed_parts"));
    }

    private static async Task SignUp(HttpClient client)
    {
        var slug = $"t{Guid.NewGuid():N}"[..24];
        using var answer = await client.PostAsJsonAsync("/api/signup", new { organization = new { name = "Acme", slug }, email = $"ada@{slug}.example", password = TestTenant.Password, name = "Ada" });
        answer.EnsureSuccessStatusCode();
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("access_token").GetString());
    }

    /// <summary>A device of which another program, too, has written very much.</summary>
    private static async Task Fill(TestDatabase database, HttpClient client)
    {
        var device = await Reply.To(client, "POST", "/api/devices", new { name = "phone", type = "mobile" });
        Assert.Equal(201, device.Status);
        await database.Run($"""
            insert into events.mt_events (seq_id, id, stream_id, version, data, type, timestamp, tenant_id, mt_dotnet_type, user_name, is_archived)
            select nextval('events.mt_events_sequence'), gen_random_uuid(), e.stream_id, 1 + n, jsonb_build_object('note', (select string_agg(md5(n::text || m), '') from generate_series(1, 16) m) || repeat('k', 10000)),
                   'device_noted', e.timestamp + n * interval '1 millisecond', e.tenant_id, e.mt_dotnet_type, e.user_name, false
              from events.mt_events e, generate_series(1, {Events}) n where e.type = 'device_registered' order by n;
            update events.mt_streams set version = {Events + 1} where id = 'device-{device.Text("id")}';
            """);
        await Burst.Until("the read models have them", Bound, async () =>
            await database.Scalar<long>("select count(*) from events.mt_event_progression p where p.name = 'audit:All' and p.last_seq_id >= (select max(seq_id) from events.mt_events)") == 1);
    }

    private static async Task<long> Length(HttpClient client, string path)
    {
        using var answer = await client.GetAsync(path, HttpCompletionOption.ResponseHeadersRead);
        answer.EnsureSuccessStatusCode();
        await using var body = await answer.Content.ReadAsStreamAsync();
        var (length, buffer) = (0L, new byte[65_536]);
        for (int read; (read = await body.ReadAsync(buffer)) > 0;) length += read;
        return length;
    }
}
