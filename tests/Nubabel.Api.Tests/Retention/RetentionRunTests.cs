using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Retention;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain.Retention;
using Nubabel.Projections;
using Nubabel.Projections.Retention;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Retention;

[Collection(RetentionNodes.Name)]
public sealed class RetentionRunTests(RetentionNodes nodes)
{
    /// <summary>With data, periods and holds by chance: what a dry run says is what a run at the same time does, and both are what the rows themselves say.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task A_dry_run_equals_what_the_run_then_does(int seed)
    {
        var random = new Random(seed);
        var acme = await nodes.A.SignUp();
        var persons = new[] { acme.User, (await acme.Colleague()).User, Guid.CreateVersion7().ToString() };
        var at = nodes.Time.GetUtcNow();
        var (leads, period) = (new List<(string Id, string? Person, double Age)>(), random.Next(30, 900));
        for (var i = 0; i < 90; i++)
        {
            var lead = (Id: Guid.NewGuid().ToString(), Person: random.Next(3) == 0 ? null : persons[random.Next(persons.Length)], Age: random.NextDouble() * 1_000);
            leads.Add(lead);
            await nodes.Database.Run($"insert into public.leads values ('{acme.Id}', '{lead.Id}', {(lead.Person is null ? "null" : $"'{lead.Person}'")}, '{at.AddDays(-lead.Age).UtcDateTime:O}', 'lead')");
        }
        foreach (var kind in new[] { "webhook", "sign-in", "invitation" })
            await nodes.Database.Run($"""
                insert into nubabel.subject_keys (tenant_id, subject, wrapped, created) select '{acme.Id}', '{kind}-' || gen_random_uuid(), '\x00', '{at.UtcDateTime:O}'::timestamptz - n * {random.Next(1, 4)} * interval '1 day' from generate_series(1, {random.Next(20, 120)}) n
                """);
        await nodes.Database.Run($"""
            insert into nubabel.deliveries (tenant_id, id, consumer, source, event_id, position, stream, version, type, at, created)
            select '{acme.Id}', gen_random_uuid(), gen_random_uuid(), 'event', gen_random_uuid(), 1, 's', 1, 't', now(), '{at.UtcDateTime:O}'::timestamptz - n * interval '1 day' from generate_series(1, 60) n;
            insert into public.contacts select '{acme.Id}', gen_random_uuid(), '{at.UtcDateTime:O}'::timestamptz - n * interval '20 days', 'contact' from generate_series(1, 10) n
            """);
        Assert.Equal(200, (await Reply.To(acme.Client, "PUT", "/api/retention-policies/leads", new { days = period })).Status);
        if (random.Next(2) == 0) Assert.Equal(200, (await Reply.To(acme.Client, "PUT", "/api/retention-policies/webhooks", new { days = random.Next(1, 200) })).Status);
        var held = persons[random.Next(2)];
        Assert.Equal(201, (await Reply.To(acme.Client, "POST", "/api/legal-holds", new { reason = "proceedings", userId = held })).Status);

        var sweep = nodes.A.Services.GetRequiredService<RetentionSweep>();
        var dry = await sweep.Preview(acme.Id, DueItems.By(Node(nodes.A).Reader(acme.Id)), at, default);
        Assert.Equal(JsonSerializer.Serialize(dry), JsonSerializer.Serialize(await sweep.Preview(acme.Id, DueItems.By(Node(nodes.B).Everyones, acme.Id), at, default)));
        var done = await nodes.B.Services.GetRequiredService<RetentionSweep>().Run(acme.Id, Guid.CreateVersion7(), at, (_, _) => { }, default);

        Assert.Equal(
            dry.Select(d => $"{d.Category} {d.Days} {d.UpTo:O} {d.From:O} {d.Removed} {d.Held} {d.Sha256}").Order(),
            done.Select(d => $"{d.Category} {d.Days} {d.UpTo:O} {d.From:O} {d.Removed} {d.Held} {d.Sha256}").Order());
        Assert.All(done, d => Assert.Null(d.Problem));
        var due = leads.Where(l => l.Age >= period).ToArray();
        var goes = due.Where(l => l.Person != held).Select(l => l.Id).Order(StringComparer.Ordinal).ToArray();
        var ofLeads = done.Single(d => d.Category == "leads");
        Assert.Equal((goes.Length, due.Length - goes.Length, HashOf(goes)), (ofLeads.Removed, ofLeads.Held, ofLeads.Sha256));
        Assert.Equal(leads.Select(l => l.Id).Except(goes).Order(), (await nodes.Database.Scalar<string[]>($"select array_agg(id::text) from public.leads where tenant_id = '{acme.Id}'")).Order());
        // Nothing is left to do.
        Assert.All(await sweep.Preview(acme.Id, DueItems.By(Node(nodes.A).Reader(acme.Id)), at, default), row => Assert.Equal(0, row.Removed));
    }

    [Fact]
    public async Task A_look_through_all_organizations_starts_a_run_where_something_is_due_and_says_so_also_when_nothing_is()
    {
        var (acme, other, quiet) = (await nodes.A.SignUp(), await nodes.A.SignUp(), await nodes.A.SignUp());
        await nodes.Leads(acme, 45, days: 800);
        await nodes.Leads(acme, 5, days: 700);
        await nodes.Leads(other, 3, days: 40);
        await nodes.Leads(quiet, 3, days: 40);
        var set = await Reply.To(other.Client, "PUT", "/api/retention-policies/leads", new { days = 35 });
        await Burst.Until("the look knows of the period", RetentionNodes.Bound, async () => (await RetentionPolicyList.All(Node(nodes.A).Everyones, default)).Any(p => p.Tenant == other.Id));

        await Look();
        Assert.Equal((45, "completed", "schedule"), Brief(await OnlyRun(acme)));
        Assert.Equal((3, "completed", "schedule"), Brief(await OnlyRun(other)));
        Assert.Equal((5L, 0L, 3L), (await nodes.LeadsLeft(acme), await nodes.LeadsLeft(other), await nodes.LeadsLeft(quiet)));
        Assert.Empty((await Reply.To(quiet.Client, "GET", "/api/retention-runs")).Json.GetProperty("items").EnumerateArray());

        var before = await Rounds();
        await Look();
        await Burst.Until("a look that found nothing is written down", RetentionNodes.Bound, async () => await Rounds() == before + 1);
        Assert.Single((await Reply.To(acme.Client, "GET", "/api/retention-runs")).Json.GetProperty("items").EnumerateArray());
    }

    [Fact]
    public async Task An_owner_runs_it_now_and_a_run_that_finds_nothing_is_one_line()
    {
        var acme = await nodes.A.SignUp();
        var row = await RetentionNodes.Run(acme);
        Assert.Equal((RetentionRunState.Completed, 0L, 0L, RetentionTrigger.Person), (row.State, row.Removed, row.Held, row.Trigger));
        Assert.Equal("retention_run_begun retention_run_ended", await nodes.Database.Scalar<string>($"select string_agg(type, ' ' order by version) from events.mt_events where stream_id = 'retention-run-{row.Id}'"));
        Assert.Equal((200, "completed"), (await Reply.To(acme.Client, "GET", $"/api/retention-runs/{row.Id}")) is var shown ? (shown.Status, shown.Text("state")) : default);
        Assert.Equal((404, "retention_run.missing"), (await Reply.To((await nodes.A.SignUp()).Client, "GET", $"/api/retention-runs/{row.Id}")) is var missing ? (missing.Status, missing.Code) : default);
    }

    [Fact]
    public async Task A_category_that_fails_is_named_and_the_others_go_on()
    {
        var acme = await nodes.A.SignUp();
        await nodes.Leads(acme, 2, days: 2, name: "broken");
        await nodes.Database.Run($"insert into public.contacts select '{acme.Id}', gen_random_uuid(), '{nodes.Ago(100):O}', 'Bob' from generate_series(1, 7)");
        var row = await RetentionNodes.Run(acme);
        Assert.Equal((RetentionRunState.Completed, 1, 7L), (row.State, row.Failed, row.Removed));
        Assert.Equal("PostgreSQL 22012", row.Categories.Single(c => c.Category == "broken").Problem);
        Assert.Equal((7L, "anonymised"), (row.Categories.Single(c => c.Category == "contacts").Removed,
            await nodes.Database.Scalar<string>($"select case when count(*) filter (where name is null) = 7 then 'anonymised' end from public.contacts where tenant_id = '{acme.Id}'")));
    }

    [Fact]
    public async Task Who_was_removed_long_ago_is_erased_unless_held()
    {
        var acme = await nodes.A.SignUp();
        var (gone, held, recent) = (await acme.Colleague(), await acme.Colleague(), await acme.Colleague());
        foreach (var member in new[] { gone, held, recent }) Assert.Equal(204, (await Reply.To(acme.Client, "DELETE", $"/api/members/{member.User}")).Status);
        await Burst.Until("the removals are known", RetentionNodes.Bound, async () => await nodes.Database.Scalar<long>($"select count(*) from read.removed_accounts_v1 where tenant_id = '{acme.Id}'") == 3);
        await nodes.Database.Run($"update read.removed_accounts_v1 set removed_at = '{nodes.Ago(400):O}' where tenant_id = '{acme.Id}' and key <> 'user-{recent.User}'");
        Assert.Equal(201, (await Reply.To(acme.Client, "POST", "/api/legal-holds", new { reason = "proceedings", userId = held.User })).Status);

        var accounts = (await RetentionNodes.Run(acme)).Categories.Single(c => c.Category == "accounts");
        Assert.Equal((1L, 1L), (accounts.Removed, accounts.Held));
        Assert.Equal(1L, await nodes.Database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{acme.Id}' and type = 'erasure_completed' and stream_id = 'erasure-{gone.User}'"));
        Assert.Equal([gone.User], await nodes.Database.Scalar<string[]>($"select array_agg(substr(subject, 6)) from nubabel.subject_keys where tenant_id = '{acme.Id}' and subject like 'user-%' and wrapped is null"));
        Assert.Equal((409, "legal_hold.too_late"), (await Reply.To(acme.Client, "POST", "/api/legal-holds", new { reason = "late", userId = gone.User })) is var late ? (late.Status, late.Code) : default);
    }

    [Fact]
    public async Task The_keys_of_what_has_ended_go_after_their_time_and_no_others()
    {
        var acme = await nodes.A.SignUp();
        var (revoked, alive) = (await ApiKey(acme, "revoked"), await ApiKey(acme, "alive"));
        Assert.Equal(204, (await Reply.To(acme.Client, "DELETE", $"/api/api-keys/{revoked}")).Status);
        var (archived, restored) = (await Archived(acme), await Archived(acme));
        await nodes.A.HasSeen("api_keys");
        await nodes.A.HasSeen("processing_records");
        Assert.Equal(200, (await Reply.To(acme.Client, "PUT", $"/api/processing-records/{restored}/restoration")).Status);
        await nodes.A.HasSeen("processing_records");
        // Long ago. Of the record that was restored the list does not know it yet.
        await nodes.Database.Run($$"""
            update read.api_keys_v1 set doc = doc || jsonb_build_object('revokedAt', '{{nodes.Ago(366):O}}') where tenant_id = '{{acme.Id}}' and doc ->> 'status' = 'revoked';
            update read.processing_records_v1 set archived = true, doc = doc || jsonb_build_object('archivedAt', '{{nodes.Ago(1_100):O}}') where tenant_id = '{{acme.Id}}'
            """);
        var row = await RetentionNodes.Run(acme);
        Assert.Equal(["api-keys 1", "processing-records 1"], row.Categories.Select(c => $"{c.Category} {c.Removed}").Order());
        Assert.Equal(new[] { $"key-{revoked}", $"processing-record-{archived}" }.Order(), (await nodes.Database.Scalar<string[]>(
            $"select array_agg(subject) from nubabel.subject_keys where tenant_id = '{acme.Id}' and wrapped is null")).Order());
        Assert.Equal("dpo@acme.example", (await Reply.To(acme.Client, "GET", $"/api/processing-records/{restored}")).Json.GetProperty("contact").GetString());
        Assert.Equal(200, (await Reply.To(acme.Client, "PUT", $"/api/processing-records/{archived}/restoration")).Status);
        // A node forgets a key within a second.
        await Burst.Until("the contact has gone", RetentionNodes.Bound, async () =>
            !((await Reply.To(acme.Client, "GET", $"/api/processing-records/{archived}")).Json.TryGetProperty("contact", out var contact) && contact.ValueKind == JsonValueKind.String));
    }

    [Fact]
    public async Task What_a_closed_breach_was_goes_after_its_time()
    {
        using var platform = await nodes.A.Operator();
        var ids = new List<string>();
        for (var i = 0; i < 2; i++)
        {
            var recorded = await Reply.To(platform, "POST", "/api/admin/breaches", new { title = "A backup was open", description = "Ada found it", awareAt = "2026-11-21T08:15:00Z", kinds = new[] { "confidentiality" } });
            Assert.Equal(200, (await Reply.To(platform, "PUT", $"/api/admin/breaches/{recorded.Text("id")}/closure", new { reason = "A duplicate." })).Status);
            ids.Add(recorded.Text("id"));
        }
        Assert.Equal(204, (await Reply.To(platform, "DELETE", $"/api/admin/breaches/{ids[1]}/closure")).Status);
        await nodes.A.HasSeen("breaches");
        await nodes.Database.Run($$"""
            update read.breaches_v1 set closed = true, doc = doc || jsonb_build_object('closedAt', '{{nodes.Ago(1_830):O}}') where key in ('breach-{{ids[0]}}', 'breach-{{ids[1]}}')
            """);
        await Look();
        // A node forgets a key within a second.
        await Burst.Until("the description has gone", RetentionNodes.Bound, async () => (await Reply.To(platform, "GET", $"/api/admin/breaches/{ids[0]}")).Json.GetProperty("description").ValueKind == JsonValueKind.Null);
        Assert.Equal(1L, await nodes.Database.Scalar<long>($"select count(*) from nubabel.subject_keys where subject = 'breach-{ids[0]}' and wrapped is null"));
        Assert.Equal("Ada found it", (await Reply.To(platform, "GET", $"/api/admin/breaches/{ids[1]}")).Text("description"));
    }

    private async Task<string> ApiKey(TestTenant acme, string name)
    {
        var made = await Reply.To(acme.Client, "POST", "/api/api-keys", new { name, scopes = new[] { "members:read" } });
        Assert.Equal(201, made.Status);
        // What it does is an event with the address sealed under the key's own subject.
        await nodes.Database.Run($"insert into nubabel.subject_keys (tenant_id, subject, wrapped) values ('{acme.Id}', 'key-{made.Text("id")}', '\\x00')");
        return made.Text("id");
    }

    private static async Task<string> Archived(TestTenant acme)
    {
        var wanted = System.Text.Json.Nodes.JsonNode.Parse(await acme.Client.GetStringAsync("/api/processing-records/templates"))!["items"]![0]!.AsObject();
        wanted["contact"] = "dpo@acme.example";
        var made = await Reply.To(acme.Client, "POST", "/api/processing-records", wanted);
        Assert.Equal(201, made.Status);
        Assert.Equal(204, (await Reply.To(acme.Client, "DELETE", $"/api/processing-records/{made.Text("id")}")).Status);
        return made.Text("id");
    }

    [Fact]
    public async Task What_is_left_of_a_closed_organization_is_unreadable_after_its_time_and_says_so()
    {
        var acme = await nodes.A.SignUp();
        using var platform = await nodes.A.Operator();
        Assert.Equal(200, (await Reply.To(platform, "PUT", $"/api/admin/tenants/{acme.Id}/closure", new { closesAt = nodes.Time.GetUtcNow().AddSeconds(1) })).Status);
        await Burst.Until("it is closed", RetentionNodes.Bound, async () =>
            await nodes.A.Services.GetRequiredService<Organizations.Closures>().Round(default) >= 0
            && await nodes.Database.Scalar<long>($"select count(*) from read.organizations_v1 where key = 'organization-{acme.Id}' and status = 'closed'") == 1);
        await nodes.Database.Run($$"""update read.organizations_v1 set doc = doc || jsonb_build_object('closedAt', '{{nodes.Ago(91):O}}') where key = 'organization-{{acme.Id}}'""");
        var hold = await Reply.To(platform, "POST", "/api/admin/legal-holds", new { organizationId = acme.Id, reason = "order of the court" });
        var wanted = new { dryRun = true, organizationId = acme.Id };
        Assert.True((await Reply.To(platform, "POST", "/api/admin/retention-runs", wanted)).Json.GetProperty("held").GetInt64() > 0);

        await Look();
        Assert.Equal((0, "completed", "schedule"), Brief(await OnlyRun(acme)));
        Assert.Equal(200, (await Reply.To(platform, "PUT", $"/api/admin/legal-holds/{hold.Text("id")}/release", new { reason = "lifted" })).Status);
        var started = await Reply.To(platform, "POST", "/api/admin/retention-runs", new { dryRun = false, organizationId = acme.Id });
        Assert.True((await RetentionNodes.Ended(nodes.A, acme.Id, started.Text("id"))).Categories.Single(c => c.Category == "closed-organizations").Removed > 0);
        Assert.Equal(0L, await nodes.Database.Scalar<long>($"select count(*) from nubabel.subject_keys where tenant_id = '{acme.Id}' and wrapped is not null"));
    }

    /// <summary>What a scheduled tick does, once for both nodes.</summary>
    private async Task Look()
    {
        var journal = Node(nodes.A).Journal(Api.Host.Node.Platform, new Origin("system:test"));
        journal.Enqueue(new Message(new RetentionTick()));
        await journal.Send(default);
    }

    private async Task<RetentionRunRow> OnlyRun(TestTenant tenant)
    {
        var run = "";
        await Burst.Until("a run has begun", RetentionNodes.Bound, async () =>
            (run = await nodes.Database.Scalar<string>($"select coalesce(string_agg(substr(stream_id, 15), ' '), '') from events.mt_events where tenant_id = '{tenant.Id}' and type = 'retention_run_begun'")).Length == 36);
        return await RetentionNodes.Ended(nodes.A, tenant.Id, run);
    }

    private Task<long> Rounds() => nodes.Database.Scalar<long>("select count(*) from events.mt_events where type = 'retention_round_made'");

    private static (long, string, string) Brief(RetentionRunRow row) => (row.Removed, row.State.ToString().ToLowerInvariant(), row.Trigger.ToString().ToLowerInvariant());

    private static Node Node(TestApi api) => api.Services.GetRequiredService<Node>();

    /// <summary>As the documents say it is made.</summary>
    private static string HashOf(IEnumerable<string> names) =>
        Convert.ToHexString(names.Aggregate(new byte[32], (hash, name) => SHA256.HashData([.. hash, .. Encoding.UTF8.GetBytes(name)]))).ToLower(CultureInfo.InvariantCulture);
}
