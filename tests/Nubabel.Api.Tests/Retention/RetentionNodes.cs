using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Retention;
using Nubabel.Api.Tests.Races;
using Nubabel.Domain;
using Nubabel.Domain.Retention;
using Nubabel.Projections;
using Nubabel.Projections.Retention;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Retention;

/// <summary>
/// Two servers of a product with leads, contacts and mail threads, and a category whose work fails. Its rows are deleted slowly, so that something can come in between.
/// Tests of this collection run one after the other.
/// </summary>
[CollectionDefinition(Name)]
public sealed class RetentionNodes : IAsyncLifetime, ICollectionFixture<RetentionNodes>
{
    public const string Name = "retention nodes";

    /// <summary>How many leads are deleted at a time.</summary>
    internal const int Part = 20;

    internal static TimeSpan Bound { get; } = TimeSpan.FromSeconds(30);

    public TestDatabase Database { get; private set; } = null!;
    public TestApi A { get; private set; } = null!;
    public TestApi B { get; private set; } = null!;
    internal MovableTime Time { get; } = new();

    public async Task InitializeAsync()
    {
        Database = await TestDatabase.New();
        await Database.Run("""
            create table public.leads (tenant_id varchar not null, id uuid not null, person varchar, seen timestamptz not null, name varchar, primary key (tenant_id, id));
            create table public.contacts (tenant_id varchar not null, id uuid not null, deleted timestamptz not null, name varchar, primary key (tenant_id, id));
            grant select, insert, update, delete on public.leads, public.contacts to nubabel_api, nubabel_daemon;
            """);
        A = await TestApi.Start(Database, build: Product, time: Time);
        B = await TestApi.Start(Database, build: Product, time: Time);
    }

    public async Task DisposeAsync()
    {
        await B.DisposeAsync();
        await A.DisposeAsync();
        await Database.DisposeAsync();
    }

    /// <summary>What a product says of its own data.</summary>
    private void Product(WebApplicationBuilder builder) => builder.Services.AddSingleton(services => RetentionCatalog.All(services).With(
        new RetentionCategory("leads", "Leads that nobody has looked at", "the last look", 730, 30, 3_650, PeriodSetter.Organization, new DeleteRows((tenant, ids) => Sql.Of($"""
            with slow as materialized (select 1 from pg_sleep(0.05))
            delete from public.leads where tenant_id = {tenant} and id = any({ids}::uuid[]) and (select count(*) from slow) = 1 returning id::text
            """)))
        {
            Due = due => Sql.Of($"select l.tenant_id, l.id::text as id, l.person, l.seen as at from public.leads l where {due.Is(new Name("l.tenant_id"), new Name("l.seen"))}"),
            Part = Part,
        },
        new RetentionCategory("contacts", "Contacts that were deleted", "the deletion", 90, 1, 3_650, PeriodSetter.Organization, new EachByItself("anonymises", Anonymise))
        {
            Due = due => Sql.Of($"select c.tenant_id, c.id::text as id, null::text as person, c.deleted as at from public.contacts c where c.name is not null and {due.Is(new Name("c.tenant_id"), new Name("c.deleted"))}"),
            Part = 3,
        },
        new RetentionCategory("broken", "What fails", "the beginning", 1, 1, 1, PeriodSetter.Nobody, new DeleteRows((tenant, ids) => Sql.Of($"select (1 / (cardinality({ids}) - cardinality({ids})))::text")))
        {
            Due = due => Sql.Of($"select l.tenant_id, l.id::text as id, l.person, l.seen as at from public.leads l where l.name = 'broken' and {due.Is(new Name("l.tenant_id"), new Name("l.seen"))}"),
        }));

    private async Task<Removed> Anonymise(string tenant, DueItem contact, CancellationToken ct)
    {
        await using var command = Database.Superuser.CreateCommand($"update public.contacts set name = null where tenant_id = '{tenant}' and id = '{contact.Id}' and name is not null");
        return await command.ExecuteNonQueryAsync(ct) > 0 ? Removed.Gone : Removed.Before;
    }

    /// <summary>Leads of somebody, last looked at so many days ago.</summary>
    internal Task Leads(TestTenant tenant, int count, int days, string? person = null, string? name = null) => Database.Run($"""
        insert into public.leads select '{tenant.Id}', gen_random_uuid(), {(person is null ? "null" : $"'{person}'")}, '{Ago(days):O}', {(name is null ? "'lead'" : $"'{name}'")} from generate_series(1, {count})
        """);

    internal Task<long> LeadsLeft(TestTenant tenant) => Database.Scalar<long>($"select count(*) from public.leads where tenant_id = '{tenant.Id}'");

    internal DateTime Ago(double days) => Time.GetUtcNow().AddDays(-days).UtcDateTime;

    /// <summary>What a dry run says, as an owner hears it.</summary>
    internal static async Task<Reply> DryRun(HttpClient client) => await Reply.To(client, "POST", "/api/retention-runs", new { dryRun = true });

    /// <summary>Starts a run by an owner's wish.</summary>
    internal static async Task<string> Start(HttpClient client)
    {
        var started = await Reply.To(client, "POST", "/api/retention-runs", new { dryRun = false });
        Assert.True(started.Status == 202, started.ToString());
        return started.Text("id");
    }

    /// <summary>Waits until a run has ended, and returns its evidence.</summary>
    internal static async Task<RetentionRunRow> Ended(TestApi api, string tenant, string run)
    {
        var node = api.Services.GetRequiredService<Node>();
        RetentionRunRow? row = null;
        await Burst.Until($"run {run} has ended", Bound, async () =>
            (row = (await node.Journal(tenant, new Origin("system:test")).Load(Id<RetentionRun>.Parse(run), default)).Row<RetentionRunRow>()) is { EndedAt: not null });
        return row!;
    }

    /// <summary>A run from its beginning to its end.</summary>
    internal static async Task<RetentionRunRow> Run(TestTenant tenant, HttpClient? client = null) => await Ended(tenant.Api, tenant.Id, await Start(client ?? tenant.Client));
}
