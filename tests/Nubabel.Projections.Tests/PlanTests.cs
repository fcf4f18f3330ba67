using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using Nubabel.Domain;
using Nubabel.Domain.Devices;
using Nubabel.Domain.Flags;
using Nubabel.Domain.Invitations;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Sessions;
using Nubabel.Domain.Users;
using Nubabel.Projections.Audit;
using Nubabel.Projections.Devices;
using Nubabel.Projections.Flags;
using Nubabel.Projections.Invitations;
using Nubabel.Projections.Members;
using Nubabel.Projections.Organizations;
using Nubabel.Projections.Sessions;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Projections.Tests;

/// <summary>Read models of five tenants with thousands of rows each, and the api login's plans as the server itself tells them (auto_explain, as notices).</summary>
public sealed class LargeTables : IAsyncLifetime
{
    private const int Tenants = 5, Users = 40, RowsEach = 6000;
    private readonly ConcurrentQueue<JsonElement> plans = new();
    private TestDatabase database = null!;
    private PostgresProxy proxy = null!;
    private Database serving = null!;

    internal Reader Reader { get; private set; } = null!;

    /// <summary>An operator's.</summary>
    internal Reader Platform { get; private set; } = null!;
    internal static Id<User> User { get; } = new(Guid.Parse("00000000-0000-7000-8000-000000000007"));
    internal static string Tenant(int number) => $"00000000-0000-7000-9000-{number.ToString("D12", CultureInfo.InvariantCulture)}";

    public async Task InitializeAsync()
    {
        database = await TestDatabase.New();
        await database.Run($"""
            alter role nubabel_api in database {database.Name} set session_preload_libraries = 'auto_explain';
            alter role nubabel_api in database {database.Name} set auto_explain.log_min_duration = 0;
            alter role nubabel_api in database {database.Name} set auto_explain.log_analyze = on;
            alter role nubabel_api in database {database.Name} set auto_explain.log_format = 'json';
            alter role nubabel_api in database {database.Name} set auto_explain.log_level = 'notice';
            """);
        await Fill();
        proxy = Between(database, Hear);
        serving = Database.Open("main", proxy.ConnectionString, database.DaemonString);
        Reader = new Reader(serving, new SubjectKeys(serving, TestDatabase.Master), Tenant(1));
        Platform = new Reader(serving, new SubjectKeys(serving, TestDatabase.Master), Projection.PlatformTenant);
    }

    /// <summary>The plans of the read model's statements that the query ran, beginning with none.</summary>
    internal async Task<IReadOnlyList<JsonElement>> Plans(Func<Task> query)
    {
        plans.Clear();
        // Often enough for a statement to be prepared and then to be planned once for all values.
        for (var i = 0; i < 10; i++) await query();
        return [.. plans.Where(p => p.GetProperty("Query Text").GetString()!.Contains("read.", StringComparison.Ordinal))];
    }

    public async Task DisposeAsync()
    {
        await serving.DisposeAsync();
        await proxy.DisposeAsync();
        await database.DisposeAsync();
    }

    private static PostgresProxy Between(TestDatabase database, Action<string> hear) => new(database.ApiString, notice: hear);

    private void Hear(string notice)
    {
        var at = notice.IndexOf("plan:", StringComparison.Ordinal);
        if (at >= 0) plans.Enqueue(JsonElement.Parse(notice[(at + 5)..]));
    }

    private async Task Fill()
    {
        var (now, nobody) = (TimeProvider.System.GetUtcNow(), new Id<User>(Guid.Empty));
        var device = new DeviceRow(default, Named.Text("phone"), DeviceType.Mobile, nobody, DeviceStatus.Active, null, null, now, null);
        var session = new SessionRow(default, null, now, "user:x", null, now, now, null, null, now);
        var flag = new FlagRow(FlagKey.Parse("a"), [], FlagStatus.Active, true, now, now, [], null, null);
        var entry = new AuditRow(now, default, null, "user:x", "device.renamed", "device-x", null, "succeeded", null, 1, null, null);
        await Insert("insert into read.flags_v1 (tenant_id, key, version, position, doc, archived) select tenant, 'flag-' || gen_random_uuid(), 1, n, $1, n % 10 > 0 from rows", flag);
        var (email, role) = (new Personal("user-x", "AAAA"), Role.Member);
        // Few own and few are suspended; most invitations have run out.
        await Insert("""
            insert into read.members_v1 (tenant_id, key, version, position, doc, role, status, joined_at)
            select tenant, 'user-' || gen_random_uuid(), 1, n, $1, case when n % 1000 = 0 then 'owner' else 'member' end, case when n % 500 = 0 then 'suspended' else 'active' end,
                   now() - n * interval '1 hour' from rows
            """, new MemberRow(default, email, role, email, UserStatus.Active, now));
        await Insert("""
            insert into read.invitations_v1 (tenant_id, key, version, position, doc, expires_at)
            select tenant, 'invitation-' || gen_random_uuid(), 1, n, $1, now() + (100 - n) * interval '1 hour' from rows
            """, new InvitationRow(default, role, email, null, now, now, "user:x"));
        // All of them the platform's: few are suspended or have a plan, and every tenth name begins with the same word.
        var organization = new OrganizationRow(default, OrganizationName.Parse("A"), null, Slug.Parse("aa"), null, OrganizationStatus.Active, null, null, now, null, null, null, null);
        await Insert($"""
            insert into read.organizations_v1 (tenant_id, key, version, position, doc, slug, folded_name, status, plan, closes_at)
            select '{Projection.PlatformTenant}', 'organization-' || gen_random_uuid(), 1, n, $1, 's' || lpad(n::text, 5, '0') || '-' || t, case when n % 10 = 0 then 'common ' else 'word ' end || n,
                   case when n % 500 = 0 then 'suspended' else 'active' end, case when n % 400 = 0 then 'team' end, case when n % 300 = 0 then now() + (n - 3000) * interval '1 minute' end from rows
            """, organization);
        // A user has every fortieth row of a tenant; sessions end after a while, so most of a list is over.
        await Insert($"""
            insert into read.devices_v2 (tenant_id, key, version, position, doc, owner, registered_at)
            select tenant, 'device-' || gen_random_uuid(), 1, n, $1, ('00000000-0000-7000-8000-' || lpad((n % {Users})::text, 12, '0'))::uuid, now() - n * interval '1 minute' from rows
            """, device);
        await Insert($"""
            insert into read.sessions_v1 (tenant_id, key, version, position, doc, holder, opened_at, expires_at, revoked_at)
            select tenant, 'session-' || gen_random_uuid(), 1, n, $1, 'user:00000000-0000-7000-8000-' || lpad((n % {Users})::text, 12, '0'), now() - n * interval '1 hour',
                   now() + (1000 - n) * interval '1 hour', case when n % 3 = 0 then now() end from rows
            """, session);
        await Insert("""
            insert into events.mt_streams (tenant_id, id, type, version) select tenant, 'device-00000000-0000-7000-a000-' || lpad((n / 10)::text, 12, '0'), 'device', 10 from rows where n % 10 = 0
            """, device);
        await Insert("""
            insert into events.mt_events (seq_id, id, stream_id, version, data, type, tenant_id)
            select t * 1000000 + n, gen_random_uuid(), 'device-00000000-0000-7000-a000-' || lpad((n / 10)::text, 12, '0'), n % 10 + 1, $1, 'device_renamed', tenant from rows
            """, device);
        await Insert($"""
            insert into read.audit_v1 (tenant_id, position, ordinal, doc, at, actor, action, object, version)
            select tenant, t * 1000000 + n, 0, $1, now() - n * interval '1 minute', 'user:00000000-0000-7000-8000-' || lpad((n % {Users})::text, 12, '0'),
                   case when n % 50 = 0 then 'device.revoked' when n % 40 = 1 then 'attempt.refused' when n % 40 = 2 then 'attempt.denied' else 'device.renamed' end, 'device-00000000-0000-7000-a000-' || lpad((n / 10)::text, 12, '0'), n % 10 + 1 from rows
            """, entry);
        await database.Run("analyze");
    }

    private async Task Insert<T>(string sql, T row)
    {
        await using var command = database.Superuser.CreateCommand($"""
            with rows as (select t, '00000000-0000-7000-9000-' || lpad(t::text, 12, '0') tenant, n from generate_series(1, {Tenants}) t, generate_series(0, {RowsEach - 1}) n) {sql}
            """);
        command.Parameters.Add(new NpgsqlParameter { Value = JsonSerializer.Serialize(row, StoredJson.Options), NpgsqlDbType = NpgsqlDbType.Jsonb });
        await command.ExecuteNonQueryAsync();
    }
}

/// <summary>
/// Row-level security keeps indexes from operators that are not leakproof, and a forgotten index from showing in small tables. So every query of a
/// read model is run as the API runs it, on large ones, and its plans are looked at.
/// </summary>
public sealed class PlanTests(LargeTables tables) : IClassFixture<LargeTables>
{
    private const int Limit = 50, Most = 2 * (Limit + 1);
    private static readonly string Actor = $"user:{LargeTables.User}";
    private const string Object = "device-00000000-0000-7000-a000-000000000077";
    private static readonly DateTimeOffset From = TimeProvider.System.GetUtcNow().AddDays(-3), To = TimeProvider.System.GetUtcNow().AddDays(-1);

    public static TheoryData<string, AuditTrail.Filter> Filters() => new()
    {
        { "none", new() }, { "actor", new(Actor: Actor) }, { "action", new(Action: "device.renamed") }, { "rare action", new(Action: "device.revoked") }, { "unknown action", new(Action: "device.nothing") },
        { "object", new(Object: Object) }, { "from", new(From: From) }, { "to", new(To: To) }, { "from and to", new(From: From, To: To) },
        { "actor and action", new(Actor: Actor, Action: "device.revoked") }, { "actor and object", new(Actor: Actor, Object: Object) }, { "actor, from and to", new(Actor: Actor, From: From, To: To) },
        { "action, from and to", new(Action: "device.revoked", From: From, To: To) }, { "all", new(Actor, "device.renamed", Object, From, To) },
        { "refused", new(Outcome: "refused") }, { "denied and actor", new(Actor: Actor, Outcome: "denied") }, { "refused, from and to", new(From: From, To: To, Outcome: "refused") },
        { "succeeded", new(Outcome: "succeeded") }, { "succeeded, actor and to", new(Actor: Actor, To: To, Outcome: "succeeded") },
    };

    [Fact]
    public async Task A_users_devices_are_found_by_the_user()
    {
        Page? page = null;
        await Clean(async () => page = await DeviceList.OfUser(tables.Reader, LargeTables.User, null, Limit, CancellationToken.None));
        Assert.Equal(Limit, page!.Rows.Count);
        await Clean(() => DeviceList.OfUser(tables.Reader, LargeTables.User, page.Next, Limit, CancellationToken.None));
    }

    [Fact]
    public async Task A_holders_sessions_are_found_by_the_holder()
    {
        var holder = Domain.Actor.User(LargeTables.User.Value);
        await Clean(() => SessionList.LiveOf(tables.Reader, holder, TimeProvider.System.GetUtcNow(), null, Limit, CancellationToken.None));
        string[] place = [DaysAgo(10), "session-8"];
        await Clean(() => SessionList.LiveOf(tables.Reader, holder, TimeProvider.System.GetUtcNow(), place, Limit, CancellationToken.None));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Flags_are_found_in_the_order_of_their_keys(bool archived)
    {
        Page? page = null;
        await Clean(async () => page = await FlagList.Of(tables.Reader, archived, null, Limit, CancellationToken.None));
        Assert.Equal(Limit, page!.Rows.Count);
        await Clean(() => FlagList.Of(tables.Reader, archived, page.Next, Limit, CancellationToken.None));
    }

    public static TheoryData<string, OrganizationList.Filter> Looks() => new()
    {
        { "none", new() }, { "slugs", new("S0000") }, { "one slug", new("s00042-1") }, { "many names", new("Common") }, { "one name", new("word 4242") }, { "neither", new("zzz") }, { "both", new("s") },
        { "status", new(Status: OrganizationStatus.Suspended) }, { "plan", new(Plan: "team") }, { "plan and status", new(Status: OrganizationStatus.Suspended, Plan: "team") },
        { "text, plan and status", new("common", OrganizationStatus.Suspended, "team") },
    };

    [Theory]
    [MemberData(nameof(Looks))]
    public async Task Organizations_are_found_by_what_an_operator_looks_for(string name, OrganizationList.Filter filter)
    {
        Assert.NotEmpty(name);
        Page? page = null;
        await Clean(async () => page = await OrganizationList.Search(tables.Platform, filter, null, Limit, CancellationToken.None));
        Assert.Equal(name == "neither", page!.Rows.Count == 0);
        await Clean(() => OrganizationList.Search(tables.Platform, filter, page.Next ?? ["slug", "s00100-1", "organization-8"], Limit, CancellationToken.None));
        await Clean(() => OrganizationList.Search(tables.Platform, filter, ["name", "common 500", "organization-8"], Limit, CancellationToken.None));
    }

    [Fact]
    public async Task Organizations_to_be_closed_are_found_by_their_time() => await Clean(() => OrganizationList.Due(tables.Platform, TimeProvider.System.GetUtcNow(), Limit, CancellationToken.None));

    [Theory]
    [InlineData(null, null)]
    [InlineData(Role.Owner, null)]
    [InlineData(null, UserStatus.Suspended)]
    [InlineData(Role.Member, UserStatus.Active)]
    [InlineData(Role.Viewer, null)]
    public async Task Members_are_found_by_role_and_status(Role? role, UserStatus? status)
    {
        await Clean(() => MemberList.Of(tables.Reader, role, status, null, Limit, CancellationToken.None));
        await Clean(() => MemberList.Of(tables.Reader, role, status, [DaysAgo(2), "user-8"], Limit, CancellationToken.None));
    }

    [Fact]
    public async Task Open_invitations_are_found_among_those_that_have_run_out()
    {
        Page? page = null;
        await Clean(async () => page = await InvitationList.Open(tables.Reader, TimeProvider.System.GetUtcNow(), null, Limit, CancellationToken.None));
        Assert.Equal(Limit, page!.Rows.Count);
        await Clean(() => InvitationList.Open(tables.Reader, TimeProvider.System.GetUtcNow(), page.Next, Limit, CancellationToken.None));
    }

    [Theory]
    [MemberData(nameof(Filters))]
    public async Task The_audit_trail_is_searched_by_what_is_asked_for(string name, AuditTrail.Filter filter)
    {
        Assert.NotEmpty(name);
        await Clean(() => AuditTrail.Search(tables.Reader, filter, null, Limit, CancellationToken.None));
        string[] place = [DaysAgo(2), "1002880"];
        await Clean(() => AuditTrail.Search(tables.Reader, filter, place, Limit, CancellationToken.None));
    }

    [Theory]
    [InlineData("select count(*) from read.devices_v2 where tenant_id = $1 and doc->>'name' = 'x'")]
    [InlineData("select key from read.sessions_v1 where tenant_id = $1 and expires_at > now() limit 51")]
    [InlineData("select position from read.audit_v1 where tenant_id = $1 and version = 3 order by at desc limit 51")]
    public async Task A_filter_over_a_whole_tenant_is_found(string sql)
    {
        var plans = await tables.Plans(() => tables.Reader.Query(Statement(sql), _ => 0, CancellationToken.None));
        Assert.NotEmpty(plans);
        Assert.NotEmpty(plans.SelectMany(plan => PlanFaults.In(plan, Most)));
    }

    /// <summary>A time as it stands in a cursor.</summary>
    private static string DaysAgo(int days) => TimeProvider.System.GetUtcNow().UtcDateTime.AddDays(-days).ToString("O", CultureInfo.InvariantCulture);

    private Sql Statement(string text)
    {
        var parts = text.Split("$1");
        var statement = new Sql(text.Length, 1);
        statement.AppendLiteral(parts[0]);
        statement.AppendFormatted(tables.Reader.Tenant);
        statement.AppendLiteral(parts[1]);
        return statement;
    }

    private async Task Clean(Func<Task> query)
    {
        var plans = await tables.Plans(query);
        Assert.Equal(10, plans.Count);
        Assert.Equal([], plans.SelectMany(plan => PlanFaults.In(plan, Most)).Distinct());
    }
}
