using Npgsql;

namespace Nubabel.Store.Tests;

public sealed class ReadTablesTests : IAsyncLifetime
{
    private EngineDatabase database = null!;

    public async Task InitializeAsync()
    {
        database = await EngineDatabase.Create();
        await Ensure(Tallies.Projections());
    }

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task What_is_there_as_declared_stays_as_it_is()
    {
        await database.Execute("insert into read.tallies_v1 values ('t', 'k', 1, 1, '{}', 'n', 1)");
        await Ensure(Tallies.Projections());
        Assert.Equal(1L, await database.Scalar<long>("select count(*) from read.tallies_v1"));
    }

    [Fact]
    public async Task A_table_with_other_columns_under_the_same_version_is_refused_and_named()
    {
        var refused = await Assert.ThrowsAsync<ReadTableDiffers>(() => Ensure(new ProjectionSet(Tallies.Types).Documents<OtherTallies, TallyRow>()));
        Assert.Contains("read.tallies_v1", refused.Message, StringComparison.Ordinal);
        Assert.Contains("raise the version", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Each_declared_index_begins_with_the_tenant_and_says_what_it_is_for()
    {
        Assert.Equal("Tallies of a tenant by name, largest first", await database.Scalar<string>("select obj_description('read.tallies_v1_name_sum_desc'::regclass)"));
        Assert.EndsWith("(tenant_id, name, sum DESC)", await database.Scalar<string>("select indexdef from pg_indexes where indexname = 'tallies_v1_name_sum_desc'"),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_index_may_order_texts_by_bytes()
    {
        await Ensure(new ProjectionSet(Tallies.Types).Documents<TalliesByBytes, TallyRow>());
        Assert.EndsWith("(tenant_id, name COLLATE \"C\", sum)", await database.Scalar<string>("select indexdef from pg_indexes where indexname = 'tallies_by_bytes_v1_name_bytewise_sum'"),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_table_has_row_level_security_forced_and_the_api_sees_its_tenant_only()
    {
        Assert.Equal(3L, await database.Scalar<long>("""
            select count(*) from pg_class c join pg_policy p on p.polrelid = c.oid
            where c.relnamespace = 'read'::regnamespace and c.relrowsecurity and c.relforcerowsecurity
              and pg_get_expr(p.polqual, c.oid) like '%app.current_organization_id%' and pg_get_expr(p.polwithcheck, c.oid) like '%app.current_organization_id%'
            """));
        await database.Execute("insert into read.tallies_v1 values ('a', 'k', 1, 1, '{}', 'n', 1), ('b', 'k', 1, 1, '{}', 'n', 1)");
        Assert.Equal(0, await SeenBy(null));
        Assert.Equal(0, await SeenBy(""));
        Assert.Equal(1, await SeenBy("a"));
    }

    [Fact]
    public async Task The_api_may_read_and_not_write()
    {
        await using var command = database.Api.CreateCommand("delete from read.tallies_v1");
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, (await Assert.ThrowsAsync<PostgresException>(() => command.ExecuteNonQueryAsync())).SqlState);
    }

    private Task Ensure(ProjectionSet projections) => ReadTables.Ensure(database.Owner, projections, EngineDatabase.ApiLogin, EngineDatabase.DaemonLogin);

    private async Task<long> SeenBy(string? tenant)
    {
        await using var connection = await database.Api.OpenConnectionAsync();
        await using var batch = new NpgsqlBatch(connection);
        if (tenant is not null) batch.BatchCommands.Add(new NpgsqlBatchCommand($"select set_config('app.current_organization_id', '{tenant}', true)"));
        batch.BatchCommands.Add(new NpgsqlBatchCommand("select count(*) from read.tallies_v1"));
        await using var reader = await batch.ExecuteReaderAsync();
        if (tenant is not null) await reader.NextResultAsync();
        await reader.ReadAsync();
        return reader.GetInt64(0);
    }

    private sealed class TalliesByBytes : IDocument<TallyRow>
    {
        public static string Name => "tallies_by_bytes";
        public static int Version => 1;
        public static IReadOnlyList<string> Types { get; } = [];
        public static Columns<TallyRow> Columns { get; } = new Columns<TallyRow>().Add("name", r => r.Name).Add("sum", r => r.Sum).Index("Tallies whose name begins with a text", "name bytewise", "sum");
        public static TallyRow? Evolve(TallyRow? row, Recorded e) => row;
    }

    private sealed class OtherTallies : IDocument<TallyRow>
    {
        public static string Name => "tallies";
        public static int Version => 1;
        public static IReadOnlyList<string> Types { get; } = [];
        public static Columns<TallyRow> Columns { get; } = new Columns<TallyRow>().Add("name", r => r.Name).Add("sum", r => (long?)r.Sum);
        public static TallyRow? Evolve(TallyRow? row, Recorded e) => row;
    }
}
