using Nubabel.Store.Tests.RowLevelSecurity;
using Nubabel.Testing;

namespace Nubabel.Store.Tests;

/// <summary>
/// Schema <c>events</c> is a contract: a stock Marten opens it, finds nothing to alter, and reads and appends. What is listed here is what
/// Marten 9 makes for conjoined tenancy, string stream identity, quick append and all metadata; no name, column or index is added or changed.
/// </summary>
public sealed class MartenLayoutTests
{
    private static readonly Dictionary<string, string[]> Columns = new()
    {
        ["mt_event_progression"] =
        [
            "name character varying not null", "last_seq_id bigint", "last_updated timestamp with time zone default transaction_timestamp()",
        ],
        ["mt_events"] =
        [
            "seq_id bigint not null", "id uuid not null", "stream_id character varying", "version bigint not null", "data jsonb not null", "bdata bytea",
            "type character varying(500) not null", "timestamp timestamp with time zone not null default now()", "tenant_id character varying default '*DEFAULT*'::character varying",
            "mt_dotnet_type character varying", "correlation_id character varying", "causation_id character varying", "headers jsonb", "user_name character varying",
            "is_archived boolean default false",
        ],
        ["mt_high_water_skips"] =
        [
            "ending_sequence bigint not null", "starting_sequence bigint not null", "timestamp timestamp with time zone default transaction_timestamp()",
        ],
        ["mt_streams"] =
        [
            "tenant_id character varying not null default '*DEFAULT*'::character varying", "id character varying not null", "type character varying", "version bigint",
            "timestamp timestamp with time zone not null default now()", "created timestamp with time zone not null default now()", "is_archived boolean default false",
        ],
    };

    [Fact]
    public async Task The_tables_have_martens_columns_in_martens_order()
    {
        var found = await Query("""
            select c.relname || '|' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end
                   || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
              from pg_class c
              join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
              left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
             where c.relnamespace = 'events'::regnamespace and c.relkind in ('r', 'p')
             order by c.relname, a.attnum
            """);
        Assert.Equal(Columns.SelectMany(table => table.Value.Select(column => $"{table.Key}|{column}")), found);
    }

    [Fact]
    public async Task The_indexes_and_constraints_are_martens()
    {
        Assert.Equal(
            [
                "pk_mt_event_progression: CREATE UNIQUE INDEX pk_mt_event_progression ON events.mt_event_progression USING btree (name)",
                "pk_mt_events_stream_and_version: CREATE UNIQUE INDEX pk_mt_events_stream_and_version ON events.mt_events USING btree (tenant_id, stream_id, version)",
                "pkey_mt_events_seq_id: CREATE UNIQUE INDEX pkey_mt_events_seq_id ON events.mt_events USING btree (seq_id)",
                "pkey_mt_high_water_skips_ending_sequence: CREATE UNIQUE INDEX pkey_mt_high_water_skips_ending_sequence ON events.mt_high_water_skips USING btree (ending_sequence)",
                "pkey_mt_streams_tenant_id_id: CREATE UNIQUE INDEX pkey_mt_streams_tenant_id_id ON events.mt_streams USING btree (tenant_id, id)",
            ],
            await Query("""select indexname || ': ' || indexdef from pg_indexes where schemaname = 'events' order by indexname collate "C" """));
        Assert.Equal(
            [
                "fkey_mt_events_stream_id_tenant_id: FOREIGN KEY (tenant_id, stream_id) REFERENCES events.mt_streams(tenant_id, id)",
                "pk_mt_event_progression: PRIMARY KEY (name)",
                "pkey_mt_events_seq_id: PRIMARY KEY (seq_id)",
                "pkey_mt_high_water_skips_ending_sequence: PRIMARY KEY (ending_sequence)",
                "pkey_mt_streams_tenant_id_id: PRIMARY KEY (tenant_id, id)",
            ],
            await Query("""
                select conname || ': ' || pg_get_constraintdef(oid) from pg_constraint
                 where connamespace = 'events'::regnamespace and contype <> 'n' order by conname collate "C"
                """));
    }

    [Fact]
    public async Task Nothing_else_lives_in_the_schema()
    {
        Assert.Equal(["mt_event_progression", "mt_events", "mt_events_sequence", "mt_high_water_skips", "mt_streams"], await Query("""
            select relname::text from pg_class where relnamespace = 'events'::regnamespace and relkind not in ('i', 't') order by relname collate "C"
            """));
        Assert.Equal([], await Query("""
            select proname::text from pg_proc where pronamespace = 'events'::regnamespace
            union all select tgname::text from pg_trigger t join pg_class c on c.oid = t.tgrelid where c.relnamespace = 'events'::regnamespace and not t.tgisinternal
            union all select typname::text from pg_type where typnamespace = 'events'::regnamespace and typtype <> 'c' and typelem = 0
            """));
    }

    /// <summary>The high-water mark relies on each number being drawn under the sequence's lock: a cached block would be handed out long after.</summary>
    [Fact]
    public async Task The_sequence_caches_nothing_and_belongs_to_its_column()
    {
        Assert.Equal(["1 1 1 f"], await Query("select concat_ws(' ', seqcache, seqstart, seqincrement, left(seqcycle::text, 1)) from pg_sequence where seqrelid = 'events.mt_events_sequence'::regclass"));
        Assert.Equal(["events.mt_events_sequence"], await Query("select pg_get_serial_sequence('events.mt_events', 'seq_id')"));
        Assert.Equal(["a"], await Query("select deptype::text from pg_depend where objid = 'events.mt_events_sequence'::regclass and refobjid = 'events.mt_events'::regclass"));
    }

    private static async Task<List<string>> Query(string sql)
    {
        await using var superuser = await (await TestDatabase.Shared).Superuser.OpenConnectionAsync();
        return await TenantTables.Query(superuser, sql, row => row.GetString(0));
    }
}
