using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.RowLevelSecurity;

/// <summary>What the catalogue of a fully migrated database says: the second lock is on every door.</summary>
public sealed class CatalogueTests
{
    [Fact]
    public async Task Every_table_with_tenants_rows_forces_policies_that_name_the_setting()
    {
        await using var superuser = await (await TestDatabase.Shared).Superuser.OpenConnectionAsync();
        var tables = await TenantTables.All(superuser);
        Assert.Superset(
            new HashSet<string>
            {
                "events.mt_events", "events.mt_streams", "nubabel.claims", "nubabel.flag_counts", "nubabel.idempotency", "nubabel.key_uses", "nubabel.messages", "nubabel.parked", "nubabel.subject_keys", "read.audit_v1",
                "read.devices_v2", "read.sessions_v1",
            },
            tables.Select(t => t.ToString()).ToHashSet());
        Assert.Equal([], await TenantTables.Faults(superuser));
    }

    [Theory]
    [InlineData("create table read.bare (tenant_id varchar)",
        "read.bare: row-level security is not enabled", "read.bare: row-level security is not forced upon the owner", "read.bare: has no policy")]
    [InlineData("""
        create table public.parted (tenant_id varchar, n int) partition by list (n); alter table public.parted enable row level security; alter table public.parted force row level security;
        create policy tenant on public.parted using (tenant_id = current_setting('app.current_organization_id', true)) with check (tenant_id = current_setting('app.current_organization_id', true));
        create table public.parted_1 partition of public.parted for values in (1)
        """, "public.parted_1: row-level security is not enabled", "public.parted_1: row-level security is not forced upon the owner", "public.parted_1: has no policy")]
    [InlineData("alter table nubabel.claims no force row level security", "nubabel.claims: row-level security is not forced upon the owner")]
    [InlineData("alter table events.mt_events disable row level security", "events.mt_events: row-level security is not enabled")]
    [InlineData("create policy everything on read.devices_v2 for select using (true)",
        "read.devices_v2: policy everything is not for all commands",
        "read.devices_v2: policy everything has no USING that names app.current_organization_id",
        "read.devices_v2: policy everything has no WITH CHECK that names app.current_organization_id")]
    [InlineData("alter policy tenant on nubabel.parked with check (true)", "nubabel.parked: policy tenant has no WITH CHECK that names app.current_organization_id")]
    [InlineData("create materialized view read.copied as select * from read.devices_v2", "read.copied: cannot be protected")]
    [InlineData("create view read.seen as select * from read.devices_v2", "read.seen: reads with its owner's rights")]
    public async Task A_table_that_is_not_protected_is_named(string change, params string[] faults)
    {
        // Its own database: the changes lock tables that all other tests write to.
        await using var database = await TestDatabase.New();
        await using var superuser = await database.Superuser.OpenConnectionAsync();
        await using (var command = new NpgsqlCommand(change, superuser)) await command.ExecuteNonQueryAsync();
        Assert.Equal(faults, await TenantTables.Faults(superuser));
    }

    /// <summary>A function that runs with its owner's rights is a door in the wall; each is known by name, and none trusts the caller's search path.</summary>
    [Fact]
    public async Task Only_the_directory_and_the_tables_of_a_rebuild_are_reached_through_functions_with_their_owners_rights()
    {
        await using var superuser = await (await TestDatabase.Shared).Superuser.OpenConnectionAsync();
        var definers = await TenantTables.Query(superuser, """
            select p.proname::text || ' ' || array_to_string(p.proconfig, ' ') from pg_proc p join pg_namespace n on n.oid = p.pronamespace
             where p.prosecdef and n.nspname not in ('pg_catalog', 'information_schema') order by 1
            """, row => row.GetString(0));
        Assert.Equal(
            [
                "beside_create search_path=pg_catalog, pg_temp", "beside_drop search_path=pg_catalog, pg_temp", "beside_index search_path=pg_catalog, pg_temp", "beside_swap search_path=pg_catalog, pg_temp",
                "directory_confirm search_path=pg_catalog, pg_temp", "directory_counts search_path=pg_catalog, pg_temp", "directory_find search_path=pg_catalog, pg_temp",
                "directory_place search_path=pg_catalog, pg_temp", "directory_reserve search_path=pg_catalog, pg_temp",
                "version_drop search_path=pg_catalog, pg_temp",
            ],
            definers);
        // Whoever serves tenants gets to no table through them.
        Assert.Equal([], await TenantTables.Query(superuser, """
            select p.proname::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
             where p.prosecdef and n.nspname = 'nubabel' and p.proname ~ '^(beside|version)_' and has_function_privilege('nubabel_api', p.oid, 'execute')
            """, row => row.GetString(0)));
    }
}
