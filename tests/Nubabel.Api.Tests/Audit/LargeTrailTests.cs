using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Audit;

/// <summary>Two hundred thousand entries, from a process whose heap has no room for them.</summary>
public sealed class LargeTrailTests
{
    private const int Streams = 20_000, EventsEach = 10;

    /// <summary>The managed heap may not grow beyond 100 MiB: a process ends rather than take more.</summary>
    private static readonly Dictionary<string, string> Small = new() { ["DOTNET_GCHeapHardLimit"] = "0x6400000", ["DOTNET_gcServer"] = "0" };

    private static readonly TimeSpan Bound = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task Two_hundred_thousand_entries_go_out_in_little_memory_as_of_one_position()
    {
        await using var database = await TestDatabase.New();
        await using var node = await NodeProcess.Start(database, Small);
        using var client = new HttpClient { BaseAddress = node.Address, Timeout = Bound };
        await SignUp(client);
        await Fill(database, client);

        // A reader that takes a little and waits, while others write.
        using var slow = await client.GetAsync("/api/audit-logs.ndjson", HttpCompletionOption.ResponseHeadersRead);
        await using var body = await slow.Content.ReadAsStreamAsync();
        var (lines, buffer) = (0, new byte[65_536]);
        lines += Newlines(buffer, await body.ReadAsync(buffer));
        await client.GetAsync("/api/audit-logs.csv").Refused(429, "audit.export_busy");
        // More than the filled log's last page has, so that a walk that takes in what is new would be longer.
        for (var i = 0; i < 20; i++) (await client.PostAsJsonAsync("/api/devices", new { name = $"later {i}", type = "web" })).EnsureSuccessStatusCode();
        var text = new StringBuilder();
        for (int read; (read = await body.ReadAsync(buffer)) > 0;)
        {
            lines += Newlines(buffer, read);
            if (lines < 1000) text.Append(Encoding.UTF8.GetString(buffer, 0, read));
        }
        Assert.Equal(await Before(database), lines);
        Assert.DoesNotContain("later", text.ToString(), StringComparison.Ordinal);

        // One that goes away makes room.
        using (var left = await client.GetAsync("/api/audit-logs.ndjson", HttpCompletionOption.ResponseHeadersRead))
        await using (var some = await left.Content.ReadAsStreamAsync()) await some.ReadExactlyAsync(buffer);
        HttpResponseMessage? again = null;
        await Burst.Until("there is room", Bound, async () =>
        {
            again?.Dispose();
            again = await client.GetAsync("/api/audit-logs.csv?action=device_noted", HttpCompletionOption.ResponseHeadersRead);
            return again.IsSuccessStatusCode;
        });
        // A connection that breaks on the way is no end: the server's log of it is not this test's, the error at the client is.
        await node.Kill();
        await using var broken = await again!.Content.ReadAsStreamAsync();
        await Assert.ThrowsAnyAsync<Exception>(async () => await broken.CopyToAsync(Stream.Null));
        again.Dispose();
    }

    private static int Newlines(byte[] buffer, int read) => buffer.AsSpan(0, read).Count((byte)'\n');

    /// <summary>What was written before the first export: its own record is the first that was not.</summary>
    private static Task<long> Before(TestDatabase database) => database.Scalar<long>("""
        select count(*) from events.mt_events where tenant_id <> '*DEFAULT*' and seq_id < (select min(seq_id) from events.mt_events where type = 'personal_data_exported')
        """);

    private static async Task SignUp(HttpClient client)
    {
        var slug = $"t{Guid.NewGuid():N}"[..24];
        using var answer = await client.PostAsJsonAsync("/api/signup", new { organization = new { name = "Acme", slug }, email = $"ada@{slug}.example", password = TestTenant.Password, name = "Ada" });
        answer.EnsureSuccessStatusCode();
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("access_token").GetString());
    }

    /// <summary>Another program's events, with a sealed address on each, as Ada's own registration has it.</summary>
    private static async Task Fill(TestDatabase database, HttpClient client)
    {
        (await client.PostAsJsonAsync("/api/devices", new { name = "phone", type = "mobile" })).EnsureSuccessStatusCode();
        await database.Run($"""
            insert into events.mt_streams (tenant_id, id, type, version)
            select e.tenant_id, 'meter-' || s, 'meter', {EventsEach} from events.mt_events e, generate_series(1, {Streams}) s where e.type = 'device_registered';
            insert into events.mt_events (seq_id, id, stream_id, version, data, type, timestamp, tenant_id, mt_dotnet_type, user_name, headers, is_archived)
            select nextval('events.mt_events_sequence'), gen_random_uuid(), 'meter-' || s, v, jsonb_build_object('note', repeat('k', 40), 'value', v), 'device_noted', e.timestamp + s * interval '1 millisecond', e.tenant_id,
                   e.mt_dotnet_type, e.user_name, e.headers, false
              from events.mt_events e, generate_series(1, {Streams}) s, generate_series(1, {EventsEach}) v where e.type = 'device_registered' order by s, v;
            """);
        await Burst.Until("the trail has them", Bound, async () =>
            await database.Scalar<long>("select count(*) from events.mt_event_progression p where p.name = 'audit:All' and p.last_seq_id >= (select max(seq_id) from events.mt_events)") == 1);
    }
}
