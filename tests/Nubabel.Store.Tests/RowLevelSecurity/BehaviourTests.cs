using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.RowLevelSecurity;

/// <summary>A database with rows of two tenants in every table.</summary>
public sealed class TwoTenants : IAsyncLifetime
{
    public const string Acme = "0198aaaa-0000-7000-8000-000000000001";
    public const string Rival = "0198bbbb-0000-7000-8000-000000000002";

    internal TestDatabase Database { get; private set; } = null!;
    internal IReadOnlyList<TenantTable> Tables { get; private set; } = [];

    public async Task InitializeAsync()
    {
        Database = await TestDatabase.New();
        await using var superuser = await Database.Superuser.OpenConnectionAsync();
        await PlantedRows.Of(superuser, Acme, Rival);
        Tables = await TenantTables.All(superuser);
        foreach (var table in Tables) Assert.Equal(2L, await Database.Scalar<long>($"select count(distinct tenant_id) from {table}"));
    }

    public async Task DisposeAsync() => await Database.DisposeAsync();
}

/// <summary>What the API's login can do when the code above it forgets, or is made, to ask for the wrong thing.</summary>
public sealed class BehaviourTests(TwoTenants world) : IClassFixture<TwoTenants>
{
    private const string Denied = PostgresErrorCodes.InsufficientPrivilege;

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData(",")]
    [InlineData("0198cccc-0000-7000-8000-000000000003")]
    public async Task Without_a_tenant_there_is_nothing_to_see(string? setting)
    {
        foreach (var table in world.Tables)
        {
            await using var api = await Api(setting);
            Assert.True(await CountOrDenied(api, table, "true") is null or 0, $"{table} shows rows when the setting is {setting ?? "unset"}.");
        }
    }

    [Fact]
    public async Task A_tenant_sees_its_own_rows_and_no_others()
    {
        var seen = new List<string>();
        foreach (var table in world.Tables)
        {
            await using var api = await Api(TwoTenants.Acme);
            // No right to the table at all is the stronger lock; what may be read shows exactly the tenant's.
            if (await CountOrDenied(api, table, "true") is not { } rows) continue;
            Assert.Equal((table, 1L), (table, rows));
            await using var again = await Api(TwoTenants.Acme);
            Assert.Equal((table, 0L), (table, await CountOrDenied(again, table, $"tenant_id <> '{TwoTenants.Acme}'")));
            seen.Add(table.ToString());
        }
        Assert.Superset(new HashSet<string> { "events.mt_events", "events.mt_streams", "nubabel.claims", "nubabel.idempotency", "nubabel.subject_keys", "read.audit_v1", "read.devices_v2", "read.sessions_v1" }, seen.ToHashSet());
    }

    /// <summary>An append names all tenants of its batch; what it does not write compares with one tenant, so a list is nobody there.</summary>
    [Fact]
    public async Task A_list_of_tenants_counts_only_where_appends_write()
    {
        var shown = new List<string>();
        foreach (var table in world.Tables)
        {
            await using var api = await Api($"{TwoTenants.Acme},{TwoTenants.Rival}");
            if (await CountOrDenied(api, table, "true") is > 0) shown.Add(table.ToString());
        }
        Assert.Equal(["events.mt_events", "events.mt_streams", "nubabel.claims", "nubabel.deferred_messages", "nubabel.idempotency", "nubabel.lanes", "nubabel.message_ids", "nubabel.messages"], shown.Order());
    }

    [Fact]
    public async Task Another_tenants_rows_are_neither_written_nor_changed_nor_deleted()
    {
        foreach (var table in world.Tables)
        {
            // A row that is right in every way but its tenant: the one that is there, taken out and put back.
            await using var superuser = await world.Database.Superuser.OpenConnectionAsync();
            var row = (await TenantTables.Query(superuser, $"select row_to_json(t)::text from {table} t where tenant_id = '{TwoTenants.Rival}' limit 1", r => r.GetString(0))).Single();
            Assert.Equal((table, Denied), (table, await Failure($"insert into {table} select * from json_populate_record(null::{table}, '{row}')")));
            Assert.True(await NothingOrDenied($"update {table} set tenant_id = tenant_id where tenant_id = '{TwoTenants.Rival}'"), $"{table}: updated.");
            Assert.True(await NothingOrDenied($"delete from {table} where tenant_id = '{TwoTenants.Rival}'"), $"{table}: deleted.");
            Assert.Equal((table, Denied), (table, await Failure($"update {table} set tenant_id = '{TwoTenants.Rival}'")));
        }
        foreach (var table in world.Tables) Assert.Equal((table, 1L), (table, await world.Database.Scalar<long>($"select count(*) from {table} where tenant_id = '{TwoTenants.Rival}'")));
    }

    [Theory]
    [InlineData("select * from nubabel.directory")]
    [InlineData("update nubabel.directory set state = 'closed'")]
    [InlineData("select * from nubabel.parked")]
    [InlineData("insert into nubabel.signing_keys (kid, public, wrapped, activates) values ('x', '{}', '', now())")]
    [InlineData("update nubabel.stamps set value = 'Production'")]
    [InlineData("delete from nubabel.schema_migrations")]
    [InlineData("update events.mt_events set data = '{}'")]
    [InlineData("delete from events.mt_events")]
    [InlineData("delete from events.mt_streams")]
    [InlineData("truncate events.mt_events")]
    [InlineData("update events.mt_event_progression set last_seq_id = 0")]
    [InlineData("select nubabel.fence('devices:All', 0, 1)")]
    [InlineData("insert into read.devices_v2 select * from read.devices_v2")]
    [InlineData("delete from read.audit_v1")]
    [InlineData("update nubabel.subject_keys set destroyed = now()")]
    [InlineData("set role nubabel_daemon")]
    [InlineData("set role nubabel_owner")]
    [InlineData("set session authorization nubabel_daemon")]
    [InlineData("grant nubabel_daemon to nubabel_api")]
    [InlineData("alter role nubabel_api bypassrls")]
    [InlineData("create role proofs_more superuser")]
    [InlineData("create schema mine")]
    [InlineData("create table public.mine (n int)")]
    [InlineData("create table events.mine (n int)")]
    [InlineData("create table nubabel.mine (n int)")]
    [InlineData("create table read.mine (n int)")]
    [InlineData("create temporary table mine (n int)")]
    [InlineData("create function public.mine() returns int language sql as 'select 1'")]
    [InlineData("create policy mine on read.devices_v2 using (true)")]
    [InlineData("alter policy tenant on read.devices_v2 using (true)")]
    [InlineData("drop policy tenant on events.mt_events")]
    [InlineData("alter table events.mt_events disable row level security")]
    [InlineData("alter table nubabel.claims no force row level security")]
    [InlineData("copy events.mt_events to program 'cat'")]
    [InlineData("select pg_read_file('PG_VERSION')")]
    public async Task What_the_api_has_no_business_with_is_denied(string sql) => Assert.Equal(Denied, await Failure(sql));

    /// <summary>With row_security off a statement fails instead of showing everything.</summary>
    [Fact]
    public async Task Switching_row_level_security_off_only_makes_statements_fail()
    {
        foreach (var table in world.Tables) Assert.Equal((table, Denied), (table, await Failure($"set local row_security = off; select * from {table}")));
    }

    [Fact]
    public async Task The_keys_of_another_tenants_subjects_cannot_be_read()
    {
        await using var api = await Api(TwoTenants.Acme);
        var keys = await TenantTables.Query(api, "select tenant_id from nubabel.subject_keys", row => row.GetString(0));
        Assert.Equal([TwoTenants.Acme], keys);
    }

    /// <summary>What a transaction leaves on a pooled connection is the empty string, not null; both are nobody.</summary>
    [Fact]
    public async Task After_the_transaction_the_tenant_is_gone_from_the_connection()
    {
        await using var api = await world.Database.Database.Api.OpenConnectionAsync();
        foreach (var end in new[] { "commit", "rollback" })
        {
            await Run(api, $"begin; select set_config('app.current_organization_id', '{TwoTenants.Acme}', true); {end}");
            Assert.Equal([""], await TenantTables.Query(api, "select current_setting('app.current_organization_id', true)", row => row.GetString(0)));
            Assert.Equal([0L], await TenantTables.Query(api, "select count(*) from events.mt_events", row => row.GetInt64(0)));
        }
    }

    private async Task<NpgsqlConnection> Api(string? setting)
    {
        var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(world.Database.ApiString) { Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        if (setting is not null) await Run(connection, $"begin; select set_config('app.current_organization_id', '{setting}', true)");
        return connection;
    }

    private static async Task<long?> CountOrDenied(NpgsqlConnection api, TenantTable table, string where)
    {
        try
        {
            return (await TenantTables.Query(api, $"select count(*) from {table} where {where}", row => row.GetInt64(0))).Single();
        }
        catch (PostgresException e) when (e.SqlState == Denied)
        {
            return null;
        }
    }

    /// <summary>The SQLSTATE with which a statement of Acme's fails; null when it does not. Nothing of it stays.</summary>
    private async Task<string?> Failure(string sql)
    {
        await using var api = await Api(TwoTenants.Acme);
        return (await Assert.ThrowsAsync<PostgresException>(() => Run(api, sql))).SqlState;
    }

    private async Task<bool> NothingOrDenied(string sql)
    {
        await using var api = await Api(TwoTenants.Acme);
        try
        {
            return await Run(api, sql) == 0;
        }
        catch (PostgresException e) when (e.SqlState == Denied)
        {
            return true;
        }
    }

    private static async Task<int> Run(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteNonQueryAsync();
    }
}
