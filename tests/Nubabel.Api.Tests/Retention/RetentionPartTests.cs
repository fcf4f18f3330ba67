using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Retention;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Retention;

/// <summary>
/// A first run may have very much to remove. Each part of it reads about itself, however much is due, here and in other organizations: as the server says of each statement (auto_explain).
/// </summary>
public sealed class RetentionPartTests : IAsyncLifetime
{
    private const int Planted = 3_000;
    private const string Tenant = "00000000-0000-7000-9000-000000000001", Other = "00000000-0000-7000-9000-000000000002";
    private static readonly string[] Planned = ["webhooks", "sign-in-failures", "invitations", "accounts", "deliveries", "dead-letters", "api-key-uses", "api-keys", "closed-organizations"];
    private readonly ConcurrentQueue<JsonElement> plans = new();
    private TestDatabase database = null!;

    public async Task InitializeAsync()
    {
        database = await TestDatabase.New();
        foreach (var login in new[] { "nubabel_api", "nubabel_daemon" })
            await database.Run($"""
                alter role {login} in database {database.Name} set session_preload_libraries = 'auto_explain';
                alter role {login} in database {database.Name} set auto_explain.log_min_duration = 0;
                alter role {login} in database {database.Name} set auto_explain.log_analyze = on;
                alter role {login} in database {database.Name} set auto_explain.log_format = 'json';
                alter role {login} in database {database.Name} set auto_explain.log_level = 'notice';
                """);
        const string rows = $"(select t, n, gen_random_uuid() as id from unnest(array['{Tenant}', '{Other}']) t, generate_series(1, 3000) n)";
        const string old = "now() - interval '3 years' - n * interval '1 second'";
        await database.Run($$"""
            create temp table r as select * from {{rows}} x;
            insert into nubabel.subject_keys (tenant_id, subject, wrapped, created) select t, k || '-' || id, '\x00', {{old}} from r, unnest(array['user', 'webhook', 'sign-in', 'invitation', 'key']) k;
            insert into read.removed_accounts_v1 (tenant_id, key, version, position, doc, removed_at) select t, 'user-' || id, 1, n, '{}', {{old}} from r;
            insert into read.api_keys_v1 (tenant_id, key, version, position, doc, key_id, created_at)
            select t, 'api-key-' || id, 1, n, jsonb_build_object('status', 'revoked', 'revokedAt', {{old}}), id, {{old}} from r;
            insert into nubabel.key_uses select t, id, {{old}} from r;
            insert into nubabel.deliveries (tenant_id, id, consumer, source, event_id, position, stream, version, type, at, created) select t, id, id, 'event', id, 1, 's', 1, 't', {{old}}, {{old}} from r;
            insert into nubabel.dead_letters (tenant_id, id, queue, lane, seq, type, body, actor, enqueued, died) select t, id, 'mail', 'l', n, 't', '{}', 'system:x', {{old}}, {{old}} from r;
            insert into read.organizations_v1 (tenant_id, key, version, position, doc, slug, folded_name, status)
            values ('*DEFAULT*', 'organization-{{Tenant}}', 1, 1, jsonb_build_object('closedAt', now() - interval '2 years'), 'acme', 'acme', 'closed');
            analyze;
            """);
    }

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task A_part_reads_itself_however_much_is_due()
    {
        await Look("nubabel_daemon");
        await Look("nubabel_api");
    }

    private async Task Look(string login)
    {
        var api = await TestApi.Shared;
        var categories = api.Services.GetRequiredService<RetentionCategories>();
        await using var proxy = new PostgresProxy(login == "nubabel_api" ? database.ApiString : database.DaemonString, notice: Hear);
        await using var serving = Database.Open("main", proxy.ConnectionString, proxy.ConnectionString);
        var parts = login == "nubabel_api" ? DueItems.By(new Reader(serving, new SubjectKeys(serving, TestDatabase.Master), Tenant)) : DueItems.By(new PlatformReader(serving), Tenant);
        foreach (var name in Planned)
        {
            // Organizations that are closed are the platform's to see.
            if (name == "closed-organizations" && login == "nubabel_api") continue;
            var category = categories.Find(name)!;
            plans.Clear();
            var (after, seen) = ("", 0);
            // Often enough for the statement to be planned once for all values.
            for (var n = 0; n < 12; n++)
            {
                var part = await parts(category.Due!, TimeProvider.System.GetUtcNow().AddDays(-30), after, category.Part, default);
                if (part.Count == 0) break;
                Assert.True(string.CompareOrdinal(part[0].Id, after) > 0);
                (after, seen) = (part[^1].Id, seen + part.Count);
            }
            Assert.True(seen >= Math.Min(Planted, 12 * category.Part), $"{name}: {seen}");
            var read = plans.Where(p => p.GetProperty("Query Text").GetString()!.Contains("d.person", StringComparison.Ordinal)).Select(p => MostRead(p.GetProperty("Plan"))).ToArray();
            Assert.NotEmpty(read);
            Assert.True(read.Max() <= category.Part + 600, $"{name} reads {string.Join(", ", read)} rows for parts of {category.Part}: {plans.Last()}");
        }
    }

    private void Hear(string notice)
    {
        var at = notice.IndexOf("plan:", StringComparison.Ordinal);
        if (at >= 0) plans.Enqueue(JsonElement.Parse(notice[(at + 5)..]));
    }

    /// <summary>The most rows that a scan of the plan has looked at, all its rounds together.</summary>
    private static double MostRead(JsonElement node)
    {
        var rows = (Number("Actual Rows") + Number("Rows Removed by Filter")) * Math.Max(1, Number("Actual Loops"));
        var own = node.GetProperty("Node Type").GetString()!.Contains("Scan", StringComparison.Ordinal) ? rows : 0;
        return node.TryGetProperty("Plans", out var inner) ? inner.EnumerateArray().Select(MostRead).Append(own).Max() : own;

        double Number(string name) => node.TryGetProperty(name, out var value) ? value.GetDouble() : 0;
    }
}
