namespace Nubabel.Store.Tests;

/// <summary>A history with deletions, parked keys, foreign events and gaps.</summary>
internal static class TallyHistory
{
    public static async Task<long> Append(EngineDatabase database, TallyLog log, int streams)
    {
        var random = new Random(streams);
        var last = 0L;
        for (var i = 0; i < streams; i++)
        {
            var stream = TallyLog.NewStream();
            last = await log.Append(stream, new TallyOpened($"t{i}"), new TallyRaised(random.Next(1, 9)), new TallyRaised(i % 20 == 7 ? 13 : 1));
            if (i % 5 == 0) last = await log.Append(stream, new TallyRenamed($"r{i}"));
            if (i % 7 == 0) last = await log.Append(stream, new TallyClosed());
            if (i % 11 == 0) last = await log.AppendRaw(stream, "marten_made_this", "{}");
            if (i % 13 != 0) continue;
            await using var gone = await LogWriter.Begin(database);
            await gone.Append();
            await gone.RollBack();
        }
        return last;
    }

    /// <summary>Many events at once, by the server: each stream is opened and raised by one, in turns.</summary>
    public static Task Fill(EngineDatabase database, int streams, int events) => database.Execute($"""
        insert into events.mt_streams (tenant_id, id, type, version) select 't' || i % 7, 'tally-' || i, 'tally', {events} from generate_series(1, {streams}) i;
        insert into events.mt_events (seq_id, id, tenant_id, stream_id, version, type, data)
        select nextval('events.mt_events_sequence'), gen_random_uuid(), 't' || i % 7, 'tally-' || i, v, case when v = 1 then 'tally_opened' else 'tally_raised' end,
          case when v = 1 then jsonb_build_object('name', 'n' || i) else jsonb_build_object('amount', 1) end from generate_series(1, {events}) v, generate_series(1, {streams}) i order by v, i;
        """);

    /// <summary>All that the catalogue says of a table: columns, indexes with their names and comments, constraints, policies, grants, owner.</summary>
    public static async Task<string> Catalogue(EngineDatabase database, string table) => await database.Scalar<string>($"""
        select concat_ws(E'\n',
          (select string_agg(format('%s %s %s %s', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attcollation), ', ' order by a.attnum) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0),
          (select string_agg(format('%s: %s %s', i.relname, pg_get_indexdef(x.indexrelid), obj_description(x.indexrelid, 'pg_class')), E'\n' order by i.relname) from pg_index x join pg_class i on i.oid = x.indexrelid where x.indrelid = c.oid),
          (select string_agg(format('%s %s', k.conname, pg_get_constraintdef(k.oid)), E'\n' order by k.conname) from pg_constraint k where k.conrelid = c.oid),
          (select string_agg(format('%s %s %s %s %s', p.polname, p.polcmd, p.polpermissive, pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid)), E'\n' order by p.polname) from pg_policy p where p.polrelid = c.oid),
          (select string_agg(format('%s %s', a.grantee::regrole, a.privilege_type), ', ' order by 1) from (select * from aclexplode(c.relacl)) a),
          c.relowner::regrole, c.relrowsecurity, c.relforcerowsecurity, c.relpersistence)
        from pg_class c where c.oid = 'read.{table}'::regclass
        """) ?? "";
}
