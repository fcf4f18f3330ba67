-- Rebuilds of read models: the one that is under way for a version, or the last one. Whoever works on it holds an advisory lock; what makes a process that was
-- taken for dead harmless is the token, which every step that counts checks and moves nothing without.
create table nubabel.rebuilds (
  progression varchar     not null,
  name        varchar     not null,
  version     integer     not null,
  kind        varchar     not null check (kind in ('same', 'version')),
  state       varchar     not null check (state in ('running', 'held', 'published', 'failed', 'cancelled')),
  phase       varchar     not null default 'waiting',
  forced      boolean     not null default false,
  careful     boolean     not null default false, -- PostgreSQL has refused a value: page by page, as the daemon does it
  token       bigint      not null default 0,     -- who may go on: one more with each process that takes it over
  generation  bigint      not null default 0,     -- how often the table was exchanged
  mark        bigint      not null default 0,     -- up to here it loads in bulk
  skipped     integer     not null default 0,     -- how many events an operator had it pass over when it began
  position    bigint      not null default 0,     -- of rows: up to here they are committed
  slots       integer     not null default 0,     -- of documents: how many of the slots that keys are hashed into are committed
  loaded      xid8,                               -- a transaction behind the load: what does not see it would find the table empty
  events      bigint      not null default 0,
  rate        double precision not null default 0,
  done        double precision not null default 0, -- of the load, from 0 to 1
  seconds_left double precision,
  parked      bigint      not null default 0,     -- keys
  started     timestamptz not null default clock_timestamp(),
  started_by  varchar,
  node        varchar,
  updated     timestamptz not null default clock_timestamp(),
  ended       timestamptz,
  error       varchar,
  constraint rebuilds_pkey primary key (progression)
);

-- The fence with the generation of the table: what was folded from rows that stood in the table before it was exchanged is taken back, also when the
-- checkpoint stands where it stood. The second statement sees what was committed while the first one waited for the row.
create function nubabel.fence(projection text, was bigint, becomes bigint, table_generation bigint) returns boolean language plpgsql as $$
begin
  perform nubabel.fence(projection, was, becomes);
  if coalesce((select r.generation from nubabel.rebuilds r where r.progression = projection), 0) <> table_generation then
    raise exception using errcode = 'NB003', message = 'fenced', detail = projection;
  end if;
  return true;
end $$;

-- Tables are the owner's, and a rebuild runs with the daemon's login: these functions do for it, with their owner's rights, exactly what it needs. They take
-- the name of a read model's table and nothing else; the table beside it is <table>_r. Nobody but the daemon may call them.
create function nubabel.read_table(live text) returns regclass language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if live !~ '^[a-z][a-z0-9_]*_v[0-9]+$' or to_regclass(format('read.%I', live)) is null then
    raise exception using errcode = '42P01', message = format('There is no read model''s table %s.', live);
  end if;
  return to_regclass(format('read.%I', live));
end $$;

-- Makes the table beside, empty and without indexes, with the columns, policies and grants of the live one.
create function nubabel.beside_create(live text) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  source regclass := nubabel.read_table(live);
  beside text := format('read.%I', live || '_r');
  item record;
begin
  execute format('drop table if exists %s', beside);
  execute format('create table %s (like %s including all excluding indexes)', beside, source);
  for item in select c.relrowsecurity, c.relforcerowsecurity from pg_class c where c.oid = source loop
    if item.relrowsecurity then execute format('alter table %s enable row level security', beside); end if;
    if item.relforcerowsecurity then execute format('alter table %s force row level security', beside); end if;
  end loop;
  for item in select p.polname, pg_get_expr(p.polqual, p.polrelid) as used, pg_get_expr(p.polwithcheck, p.polrelid) as checked from pg_policy p where p.polrelid = source loop
    execute format('create policy %I on %s using (%s) with check (%s)', item.polname, beside, item.used, item.checked);
  end loop;
  for item in select a.grantee, a.privilege_type from pg_class c, aclexplode(c.relacl) a where c.oid = source and a.grantee not in (0, c.relowner) loop
    execute format('grant %s on %s to %s', item.privilege_type, beside, item.grantee::regrole);
  end loop;
end $$;

-- Makes the first index that the table beside lacks, behind the load, and returns its name; null when it lacks none and its statistics are made.
create function nubabel.beside_index(live text) returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  source regclass := nubabel.read_table(live);
  beside text := format('read.%I', live || '_r');
  item record;
begin
  for item in
    select i.relname as name, 'r_' || md5(i.relname) as temporary, x.indisunique as is_unique, c.conname as key_of,
      substring(pg_get_indexdef(x.indexrelid) from ' USING .*$') as definition, obj_description(x.indexrelid, 'pg_class') as why
    from pg_index x join pg_class i on i.oid = x.indexrelid left join pg_constraint c on c.conindid = x.indexrelid and c.contype = 'p'
    where x.indrelid = source order by i.relname
  loop
    continue when to_regclass(format('read.%I', item.temporary)) is not null;
    execute format('create %s index %I on %s%s', case when item.is_unique then 'unique' else '' end, item.temporary, beside, item.definition);
    if item.why is not null then execute format('comment on index read.%I is %L', item.temporary, item.why); end if;
    if item.key_of is not null then execute format('alter table %s add constraint %I primary key using index %I', beside, item.temporary, item.temporary); end if;
    return item.name;
  end loop;
  execute format('analyze %s', beside);
  return null;
end $$;

-- Puts the table beside into the live one's place under its names, or says why not: an index has been added meanwhile.
create function nubabel.beside_swap(live text) returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  source regclass := nubabel.read_table(live);
  names text[];
  name text;
begin
  -- First of all, and for as short as the caller's lock_timeout says: whoever comes behind this request waits with it.
  execute format('lock table %s in access exclusive mode', source);
  select array_agg(i.relname) into names from pg_index x join pg_class i on i.oid = x.indexrelid where x.indrelid = source;
  foreach name in array names loop
    if to_regclass(format('read.%I', 'r_' || md5(name))) is null then return false; end if;
  end loop;
  execute format('drop table %s', source);
  execute format('alter table read.%I rename to %I', live || '_r', live);
  -- The name of a primary key's constraint goes with its index.
  foreach name in array names loop
    execute format('alter index read.%I rename to %I', 'r_' || md5(name), name);
  end loop;
  return true;
end $$;

create function nubabel.beside_drop(live text) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if live !~ '^[a-z][a-z0-9_]*_v[0-9]+$' then raise exception using errcode = '42P01', message = format('%s is no read model''s table.', live); end if;
  execute format('drop table if exists read.%I', live || '_r');
end $$;

-- Takes away the table of a version that no node knows any more. The version whose checkpoint is asked to be kept must be there: the last one is never dropped.
create function nubabel.version_drop(read_model text, old_version integer, kept text) returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  progression text := case when old_version = 1 then format('%s:All', read_model) else format('%s:V%s:All', read_model, old_version) end;
begin
  if read_model !~ '^[a-z][a-z0-9_]*$' or kept = progression
     or not exists (select from events.mt_event_progression p where p.name = kept and split_part(p.name, ':', 1) = read_model) then return false; end if;
  execute format('drop table if exists read.%I', format('%s_v%s', read_model, old_version));
  execute format('drop table if exists read.%I', format('%s_v%s_r', read_model, old_version));
  return true;
end $$;

-- Whether readers may see a version of a read model: its checkpoint is made with its table. Where nothing is there yet and nothing is being built, the daemon
-- begins with the log.
create function nubabel.is_whole(progression text) returns boolean language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (select from events.mt_event_progression p where p.name = progression)
    or not exists (select from nubabel.rebuilds r where r.progression = is_whole.progression)
    and not exists (select from events.mt_event_progression o where o.name ~ ('^' || split_part(is_whole.progression, ':', 1) || ':(V[0-9]+:)?All$'))
$$;

-- The checkpoint of a version that a cache is loaded from: an error while it is being built, or the cache would begin with an empty table.
create function nubabel.checkpoint(progression text) returns bigint language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if not nubabel.is_whole(progression) then
    raise exception using errcode = 'NB005', message = format('The table of %s is being built.', progression);
  end if;
  return coalesce((select p.last_seq_id from events.mt_event_progression p where p.name = progression), 0);
end $$;
