using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Reads;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Api.Tests.Tenancy;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Reads;

/// <summary>Whoever is shown personal data of others leaves an event, before they see it.</summary>
public sealed class PersonalReadTests
{
    /// <summary>Operations that answer personal values of others, and how an admin asks them.</summary>
    private static readonly Dictionary<string, Func<Persons, Task<HttpResponseMessage>>> Reads = new()
    {
        ["GET /api/members"] = p => p.Admin.Client.GetAsync("/api/members"),
        ["GET /api/members/{userId}"] = p => p.Admin.Client.GetAsync($"/api/members/{p.Member.User}"),
        // It is so already, so that nothing but the read is recorded.
        ["PUT /api/members/{userId}/role"] = p => p.Admin.Client.PutAsJsonAsync($"/api/members/{p.Member.User}/role", new { role = "member" }),
        ["PUT /api/members/{userId}/suspension"] = p => p.Admin.Client.PutAsJsonAsync($"/api/members/{p.Suspended}/suspension", new { }),
        ["GET /api/invitations"] = p => p.Admin.Client.GetAsync("/api/invitations"),
        ["GET /api/invitations/{id}"] = p => p.Admin.Client.GetAsync($"/api/invitations/{p.Invitation}"),
        ["GET /api/audit-logs"] = p => p.Admin.Client.GetAsync("/api/audit-logs"),
        ["GET /api/legal-holds"] = p => p.Owner.Client.GetAsync("/api/legal-holds"),
        ["GET /api/legal-holds/{id}"] = p => p.Owner.Client.GetAsync($"/api/legal-holds/{p.Hold}"),
        ["GET /api/admin/legal-holds"] = p => p.Operator.GetAsync($"/api/admin/legal-holds?organizationId={p.Admin.Id}"),
        ["GET /api/admin/legal-holds/{id}"] = p => p.Operator.GetAsync($"/api/admin/legal-holds/{p.Hold}"),
        ["GET /api/admin/breaches"] = p => p.Operator.GetAsync("/api/admin/breaches"),
        ["GET /api/admin/breaches/{id}"] = p => p.Operator.GetAsync($"/api/admin/breaches/{p.Breach}"),
        ["GET /api/admin/breaches/export"] = async p => await Whole(await p.Operator.GetAsync("/api/admin/breaches/export")),
        ["GET /api/processing-records"] = p => p.Admin.Client.GetAsync("/api/processing-records"),
        ["GET /api/processing-records/{id}"] = p => p.Admin.Client.GetAsync($"/api/processing-records/{p.Record}"),
        ["GET /api/processing-records/export"] = async p => await Whole(await p.Admin.Client.GetAsync("/api/processing-records/export")),
        ["GET /api/admin/processing-records"] = p => p.Operator.GetAsync("/api/admin/processing-records"),
        ["GET /api/admin/processing-records/{id}"] = p => p.Operator.GetAsync($"/api/admin/processing-records/{p.PlatformRecord}"),
        ["GET /api/admin/processing-records/export"] = async p => await Whole(await p.Operator.GetAsync("/api/admin/processing-records/export")),
        ["GET /api/admin/audit-logs"] = p => p.Operator.GetAsync($"/api/admin/audit-logs?organization={p.Admin.Id}"),
    };

    /// <summary>Those whose own event says it.</summary>
    private static readonly Dictionary<string, string> Events = new()
    {
        ["POST /api/legal-holds"] = "legal_hold_placed: the reason is the one that the caller has sent",
        ["PUT /api/legal-holds/{id}/release"] = "legal_hold_released",
        ["POST /api/admin/legal-holds"] = "legal_hold_placed",
        ["PUT /api/admin/legal-holds/{id}/release"] = "legal_hold_released",
        ["GET /api/audit-logs.csv"] = "personal_data_exported",
        ["GET /api/audit-logs.ndjson"] = "personal_data_exported",
        ["GET /api/admin/audit-logs.csv"] = "personal_data_exported",
        ["GET /api/admin/audit-logs.ndjson"] = "personal_data_exported",
        ["POST /api/admin/breaches"] = "breach_recorded: the description is the one that the caller has sent",
        ["PATCH /api/admin/breaches/{id}"] = "breach_amended: of the very entry, as all below it",
        ["PUT /api/admin/breaches/{id}/affected"] = "breach_scope_set",
        ["PUT /api/admin/breaches/{id}/assessment"] = "breach_assessed",
        ["PUT /api/admin/breaches/{id}/closure"] = "breach_closed",
        ["PUT /api/admin/breaches/{id}/exemption"] = "breach_people_exempted",
        ["PUT /api/admin/breaches/{id}/notices/{audience}"] = "breach_worded",
        ["POST /api/admin/breaches/{id}/authority-reports"] = "breach_reported",
        ["POST /api/processing-records"] = "processing_record_created: the contact is the one that the caller has sent",
        ["PUT /api/processing-records/{id}"] = "processing_record_revised: of the very record",
        ["PUT /api/processing-records/{id}/restoration"] = "processing_record_restored",
        ["POST /api/admin/processing-records"] = "processing_record_created: the contact is the one that the caller has sent",
        ["PUT /api/admin/processing-records/{id}"] = "processing_record_revised: of the very record",
        ["PUT /api/admin/processing-records/{id}/restoration"] = "processing_record_restored",
        ["POST /api/invitations"] = "invitation_issued: the address is the one that the caller has sent",
    };

    /// <summary>Those that answer what is the caller's own.</summary>
    private static readonly Dictionary<string, Func<Persons, Task<HttpResponseMessage>>> Own = new()
    {
        ["GET /api/user"] = p => p.Admin.Client.GetAsync("/api/user"),
        ["PATCH /api/user"] = p => p.Admin.Client.PatchAsJsonAsync("/api/user", new { name = "Bobby" }),
        ["GET /api/devices"] = p => p.Admin.Client.GetAsync("/api/devices"),
        ["POST /api/devices"] = p => p.Admin.Client.PostAsJsonAsync("/api/devices", new { name = "phone", type = "web" }),
        ["GET /api/devices/{id}"] = async p => await p.Admin.Client.GetAsync($"/api/devices/{await p.Device()}"),
        ["PUT /api/devices/{id}/name"] = async p => await p.Admin.Client.PutAsJsonAsync($"/api/devices/{await p.Device()}/name", new { name = "pocket" }),
        ["PUT /api/devices/{id}/key"] = async p => await p.Admin.Client.PutAsJsonAsync($"/api/devices/{await p.Device()}/key", new { publicKey = "AAAA" }),
        ["PUT /api/devices/{id}/revocation"] = async p => await p.Admin.Client.PutAsJsonAsync($"/api/devices/{await p.Device()}/revocation", new { reason = "lost" }),
        ["GET /api/sessions"] = p => p.Admin.Client.GetAsync("/api/sessions"),
        ["GET /api/user/data-export"] = p => p.Admin.Client.GetAsync("/api/user/data-export"),
    };

    [Fact]
    public async Task Every_operation_that_answers_personal_values_is_known_here()
    {
        var api = await TestApi.Shared;
        var answering = api.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(e => e.Metadata.GetOrderedMetadata<IProducesResponseTypeMetadata>().Any(r => PersonalShapes.HoldsPersonal(r.Type)))
            .Select(e => $"{e.Metadata.GetMetadata<IHttpMethodMetadata>()!.HttpMethods[0]} /{e.RoutePattern.RawText!.Trim('/')}").ToHashSet();
        Assert.Equal(answering.Order(), Reads.Keys.Concat(Events.Keys).Concat(Own.Keys).Order());
    }

    [Fact]
    public async Task Each_of_them_leaves_an_event_when_it_shows_others_and_none_when_it_shows_oneself()
    {
        var persons = await Persons.Make();
        foreach (var (operation, ask) in Reads)
        {
            var before = await persons.Recorded(operation);
            using var answer = await ask(persons);
            Assert.True(answer.IsSuccessStatusCode, $"{operation}: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
            // At the end of a stream the event may come a moment behind the last byte.
            await Burst.Until($"{operation} leaves an event", TimeSpan.FromSeconds(10), async () => await persons.Recorded(operation) > before);
            Assert.Equal(before + 1, await persons.Recorded(operation));
        }
        var all = await persons.Recorded(null);
        foreach (var (operation, ask) in Own)
        {
            using var answer = await ask(persons);
            Assert.True(answer.IsSuccessStatusCode, $"{operation}: {(int)answer.StatusCode}");
            await answer.Content.ReadAsByteArrayAsync();
        }
        Assert.Equal(all, await persons.Recorded(null));
    }

    [Fact]
    public async Task The_event_says_what_was_read_of_whom_and_what_for_and_holds_no_values()
    {
        var persons = await Persons.Make();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/members") { Headers = { { ReadRecord.PurposeHeader, "support:4711" }, { "User-Agent", "looker/1.0" } } };
        using var answer = await persons.Admin.Client.SendAsync(request);
        answer.EnsureSuccessStatusCode();
        var (data, headers) = await persons.Last();
        Assert.Equal(("GET /api/members", "support:4711", 0), (data.Text("operation"), data.Text("purpose"), data.GetProperty("more").GetInt32()));
        string[] others = [$"user-{persons.Owner.User}", $"user-{persons.Member.User}", $"user-{persons.Suspended}"];
        Assert.Equal(others.Order(StringComparer.Ordinal), data.GetProperty("subjects").EnumerateArray().Select(s => s.GetString()));
        Assert.DoesNotContain("Ada", data.GetRawText() + headers.GetRawText(), StringComparison.Ordinal);
        Assert.DoesNotContain("looker", headers.GetRawText(), StringComparison.Ordinal);
        // The person whose data was read finds it in what is held about them, and the admin in the trail.
        var entry = (await persons.Admin.Trail("?action=personal_data.read&limit=1"))[0];
        Assert.Equal(($"user:{persons.Admin.User}", "looker/1.0", "GET /api/members"), (entry.Text("actor"), entry.Text("userAgent"), entry.GetProperty("after").Text("operation")));
        var held = await (await persons.Member.Client.GetAsync("/api/user/data-export")).Content.ReadFromJsonAsync<JsonElement>();
        Assert.Contains(held.GetProperty("auditTrail").EnumerateArray(), e => e.Text("action") == "personal_data.read" && e.Text("actor") == $"user:{persons.Admin.User}");
    }

    [Fact]
    public async Task What_nobody_sees_is_not_recorded()
    {
        var persons = await Persons.Make();
        var (client, path) = (persons.Admin.Client, $"/api/members/{persons.Member.User}");
        using (var found = await client.GetAsync(path))
        {
            var before = await persons.Recorded(null);
            using var head = new HttpRequestMessage(HttpMethod.Head, path);
            Assert.Equal(200, (int)(await client.SendAsync(head)).StatusCode);
            using var known = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { { "If-None-Match", found.Headers.ETag!.Tag } } };
            Assert.Equal(304, (int)(await client.SendAsync(known)).StatusCode);
            await client.GetAsync($"/api/members/{Guid.CreateVersion7()}").Refused(404, "user.missing");
            await client.GetAsync("/api/members?role=king").Refused(400, "query.invalid");
            using var prose = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { { ReadRecord.PurposeHeader, "because I can" } } };
            await client.SendAsync(prose).Refused(422, "read_purpose.invalid");
            Assert.Equal(before, await persons.Recorded(null));
        }
    }

    [Fact]
    public async Task Where_the_event_cannot_be_written_nothing_is_shown()
    {
        var persons = await Persons.Make();
        (await persons.Admin.Client.GetAsync("/api/members")).EnsureSuccessStatusCode();
        var database = persons.Owner.Api.Database;
        await database.Run($"update events.mt_streams set is_archived = true where tenant_id = '{persons.Admin.Id}' and id like 'personal-data-user-{persons.Admin.User}%'");
        using var answer = await persons.Admin.Client.GetAsync("/api/members");
        Assert.Equal(409, (int)answer.StatusCode);
        Assert.DoesNotContain("Ada", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        // Oneself one sees.
        (await persons.Admin.Client.GetAsync("/api/user")).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task Reads_of_one_caller_at_once_do_not_wait_for_each_other()
    {
        var acme = await (await TestApi.Shared).SignUp();
        await acme.Colleague();
        await acme.Api.HasSeen("members");
        (await acme.Client.GetAsync("/api/members")).EnsureSuccessStatusCode();
        await using var connection = await acme.Api.Database.Superuser.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using (var hold = new Npgsql.NpgsqlCommand($"select 1 from events.mt_streams where tenant_id = '{acme.Id}' and id like 'personal-data-%' for update", connection)) await hold.ExecuteNonQueryAsync();
        var first = acme.Client.GetAsync("/api/members");
        await Burst.Until("the first waits for its stream", TimeSpan.FromSeconds(10), async () =>
            await acme.Api.Database.Scalar<long>($"select count(*) from pg_stat_activity where {connection.ProcessID} = any(pg_blocking_pids(pid))") > 0);
        for (var i = 0; i < 3; i++) (await acme.Client.GetAsync("/api/members").WaitAsync(TimeSpan.FromSeconds(10))).EnsureSuccessStatusCode();
        Assert.False(first.IsCompleted);
        await transaction.CommitAsync();
        (await first).EnsureSuccessStatusCode();
        // Wherever they stand, all of them are the caller's, in the trail and in what is held about the caller.
        await acme.Api.HasSeen("audit");
        Assert.Equal(5, (await acme.Trail("?action=personal_data.read")).Count(e => e.Text("actor") == $"user:{acme.User}" && e.Text("outcome") == "succeeded"));
        var held = await (await acme.Client.GetAsync("/api/user/data-export")).Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal(2, held.GetProperty("auditTrail").EnumerateArray().Where(e => e.Text("action") == "personal_data.read").Select(e => e.Text("object")).Distinct().Count());
    }

    [Fact]
    public void A_stream_is_given_to_one_read_at_a_time_while_there_are_enough()
    {
        var lanes = new ReadLanes();
        var taken = Enumerable.Range(0, ReadLanes.Most).Select(_ => lanes.Enter("acme", "user-1")).ToArray();
        Assert.Equal(Enumerable.Range(0, ReadLanes.Most), taken.Select(l => l.Number).Order());
        using (var more = lanes.Enter("acme", "user-1")) Assert.InRange(more.Number, 0, ReadLanes.Most - 1);
        using (var other = lanes.Enter("acme", "user-2")) Assert.Equal(taken[0].Number, other.Number);
        taken[3].Dispose();
        using (var again = lanes.Enter("acme", "user-1")) Assert.Equal(taken[3].Number, again.Number);
        foreach (var lane in taken) lane.Dispose();
        // Who reads one after the other stays in one stream.
        for (var i = 0; i < 3; i++)
        {
            using var alone = lanes.Enter("acme", "user-1");
            Assert.Equal(taken[0].Number, alone.Number);
        }
    }

    [Fact]
    public async Task A_change_says_it_by_itself_and_what_is_answered_again_is_recorded_again()
    {
        var persons = await Persons.Make();
        var before = await persons.Recorded(null);
        for (var i = 1; i <= 2; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Put, $"/api/members/{persons.Member.User}/role") { Content = JsonContent.Create(new { role = "viewer" }), Headers = { { "Idempotency-Key", "once" } } };
            (await persons.Admin.Client.SendAsync(request)).EnsureSuccessStatusCode();
            Assert.Equal(before + i - 1, await persons.Recorded(null));
        }
    }

    [Fact]
    public async Task Keys_and_operators_are_recorded_where_the_persons_are()
    {
        var persons = await Persons.Make();
        var (api, acme) = (persons.Owner.Api, persons.Owner);
        using var made = await acme.Client.PostAsJsonAsync("/api/api-keys", new { name = "crm", scopes = new[] { "members:read" } });
        var key = await made.Content.ReadFromJsonAsync<JsonElement>();
        using var client = api.As(key.Text("key"));
        (await client.GetAsync("/api/members")).EnsureSuccessStatusCode();
        var (data, _) = await persons.Last($"key:{key.Text("id")}");
        Assert.Equal(4, data.GetProperty("subjects").GetArrayLength());
        (await persons.Operator.GetAsync($"/api/admin/audit-logs?organization={acme.Id}")).EnsureSuccessStatusCode();
        Assert.Equal("GET /api/admin/audit-logs", (await persons.Last("operator:%")).Data.Text("operation"));
        // The owner sees who of the platform has looked.
        Assert.Contains(await acme.Trail("?action=personal_data.read"), e => e.Text("actor").StartsWith("operator:", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_own_trail_is_no_others_data()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var member = await acme.Colleague();
        for (var i = 0; i < 2; i++) (await member.Client.GetAsync("/api/audit-logs")).EnsureSuccessStatusCode();
        Assert.Equal(0L, await acme.Api.Database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{acme.Id}' and type = 'personal_data_read'"));
    }

    [Fact]
    public void So_many_are_named_and_the_rest_is_counted()
    {
        var shown = new ShownPersons();
        var subjects = Enumerable.Range(0, 210).Select(i => $"user-{i:d3}").ToArray();
        shown.Add("acme", subjects);
        shown.Add("acme", subjects);
        shown.Add("other", ["user-009"]);
        shown.IsTold("acme", "user-001");
        var told = shown.TakeOthers("user-000").ToDictionary(t => t.Tenant);
        Assert.Equal((200, 8L), (told["acme"].Subjects.Count, told["acme"].More));
        Assert.Equal("user-002", told["acme"].Subjects[0]);
        Assert.Equal(["user-009"], told["other"].Subjects);
        Assert.Empty(shown.TakeOthers("user-000"));
    }

    // What is told of an answer that is written as it is read, is told at its end.
    private static async Task<HttpResponseMessage> Whole(HttpResponseMessage answer)
    {
        await answer.Content.LoadIntoBufferAsync();
        return answer;
    }

    /// <summary>An organization with people to look at, and who looks.</summary>
    private sealed record Persons(TestTenant Owner, TestTenant Admin, TestTenant Member, string Suspended, string Invitation, string Hold, string Breach, string Record, string PlatformRecord, HttpClient Operator)
    {
        public static async Task<Persons> Make()
        {
            var api = await TestApi.Shared;
            var acme = await api.SignUp();
            var (admin, member, suspended) = (await acme.Colleague(Role.Admin), await acme.Colleague(), await acme.Colleague());
            (await acme.Client.PutAsJsonAsync($"/api/members/{suspended.User}/suspension", new { })).EnsureSuccessStatusCode();
            using var invited = await acme.Client.PostAsJsonAsync("/api/invitations", new { email = $"carl@{acme.Slug}.example", role = "member" });
            var invitation = (await invited.Content.ReadFromJsonAsync<JsonElement>()).Text("id");
            using var held = await acme.Client.PostAsJsonAsync("/api/legal-holds", new { reason = "proceedings", userId = member.User });
            var hold = (await held.Content.ReadFromJsonAsync<JsonElement>()).Text("id");
            var platform = await api.Operator();
            using var recorded = await platform.PostAsJsonAsync("/api/admin/breaches", new { title = "A backup was open", description = "Ada found it", awareAt = "2026-11-21T08:15:00Z", kinds = new[] { "confidentiality" } });
            var breach = (await recorded.Content.ReadFromJsonAsync<JsonElement>()).Text("id");
            var (record, platformRecord) = (await Processing(acme.Client, "/api/processing-records"), await Processing(platform, "/api/admin/processing-records"));
            // What is written here is in the lists.
            foreach (var model in new[] { "members", "invitations", "legal_holds", "breaches", "breach_letters", "processing_records", "audit" }) await api.HasSeen(model);
            return new Persons(acme, admin, member, suspended.User, invitation, hold, breach, record, platformRecord, platform);
        }

        private static async Task<string> Processing(HttpClient client, string path)
        {
            var wanted = JsonNode.Parse(await client.GetStringAsync(path + "/templates"))!["items"]![0]!.AsObject();
            wanted["contact"] = "dpo@acme.example";
            return (await client.PostAsJsonAsync(path, wanted).Json(System.Net.HttpStatusCode.Created)).Text("id");
        }

        /// <summary>A device of the admin's own.</summary>
        public async Task<string> Device() =>
            (await (await Admin.Client.PostAsJsonAsync("/api/devices", new { name = $"d{Guid.NewGuid():N}", type = "mobile" })).Content.ReadFromJsonAsync<JsonElement>()).Text("id");

        private string OperatorActor => "operator:" + JsonElement.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(Operator.DefaultRequestHeaders.Authorization!.Parameter!.Split('.')[1])).Text("sub");

        public Task<long> Recorded(string? operation) => Owner.Api.Database.Scalar<long>($"""
            select count(*) from events.mt_events where (tenant_id = '{Owner.Id}' or tenant_id = '*DEFAULT*' and user_name = '{OperatorActor}') and type = 'personal_data_read' {(operation is null ? "" : $"and data->>'operation' = '{operation}'")}
            """);

        public async Task<(JsonElement Data, JsonElement Headers)> Last(string? actor = null)
        {
            var row = await Owner.Api.Database.Scalar<string>($"""
                select jsonb_build_array(data, headers)::text from events.mt_events
                 where tenant_id = '{Owner.Id}' and type = 'personal_data_read' and user_name like '{actor ?? $"user:{Admin.User}"}' order by seq_id desc limit 1
                """);
            var both = JsonElement.Parse(row);
            return (both[0], both[1]);
        }
    }
}
