-- Dead letters in operators' hands. What an operator orders is an event of the platform, appended before anything happens; the functions here are its effect,
-- carried out once whoever does it. What the machine does by itself (a queue's automatic replays, the expiry) is no event: its traces are the rows' own.

-- How often its queue's strategy has replayed it.
alter table nubabel.dead_letters add column revived integer not null default 0;

-- A letter is found by its id.
create index dead_letters_id on nubabel.dead_letters (id);
-- Bulk acts walk along it, from the oldest to the newest.
create index dead_letters_dead on nubabel.dead_letters (died, id) where state = 'dead';
-- What a queue's strategy looks for, and statistics.
create index dead_letters_cause on nubabel.dead_letters (queue, cause, revived, died) where state = 'dead';

-- Since when the lane has had something that nobody took: work that stalls is told by it.
alter table nubabel.ready_lanes add column since timestamptz not null default now();

-- How far the bulk acts are. What each was ordered to do stands in its event.
create table nubabel.letter_sweeps (
  id          uuid        not null,
  passed_died timestamptz not null default '-infinity', -- everything up to this letter is dealt with
  passed_id   uuid        not null default '00000000-0000-0000-0000-000000000000',
  done        bigint      not null default 0,           -- letters that were replayed or discarded
  finished    boolean     not null default false,
  updated     timestamptz not null default now(),
  constraint letter_sweeps_pkey primary key (id)
);

-- Puts dead letters back into their queues, and returns which. A letter with a key takes the place that it had among the messages of its key, and its key goes
-- on; one without gets a lane of its own. The failed attempts stay with the message, the number of attempts begins anew. The caller holds the letters' locks.
create function nubabel.letters_replay(whose varchar[], which uuid[], who varchar, changed jsonb, automatic boolean) returns setof varchar language plpgsql
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  return query
    with l as (
      update nubabel.dead_letters d
         set state = 'replayed', closed = now(), closed_by = who, replays = d.replays + 1, revived = d.revived + automatic::integer, edited = coalesce(changed, d.edited)
        from unnest(whose, which) u (tenant, id) where d.tenant_id = u.tenant and d.id = u.id and d.state = 'dead'
      returning d.*, case when d.key is null then '!' || d.seq else d.lane end as place),
    m as (
      insert into nubabel.messages (queue, tenant_id, lane, seq, id, type, body, key, subject, actor, correlation_id, causation_id, headers, failures)
      select l.queue, l.tenant_id, l.place, l.seq, l.id, l.type, coalesce(l.edited, l.body), l.key, l.subject, l.actor, l.correlation_id, l.causation_id, l.headers,
             -- The last hundred: what is replayed for years does not grow for years.
             jsonb_path_query_array(l.attempts, '$[last - 99 to last]')
        from l),
    freed as (delete from nubabel.lanes x using l where l.parks and x.letter = l.id),
    hinted as (insert into nubabel.ready_lanes (queue, tenant_id, lane) select distinct l.queue, l.tenant_id, l.place from l)
    select distinct l.queue from l;
end $$;

-- Decides that dead letters are not to be handled; keys that they held go on. Returns the queues that have something to take by that.
create function nubabel.letters_discard(whose varchar[], which uuid[], who varchar) returns setof varchar language plpgsql
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
  return query
    with l as (
      update nubabel.dead_letters d set state = 'discarded', closed = now(), closed_by = who
        from unnest(whose, which) u (tenant, id) where d.tenant_id = u.tenant and d.id = u.id and d.state = 'dead'
      returning d.id, d.queue, d.parks),
    freed as (delete from nubabel.lanes x using l where l.parks and x.letter = l.id returning x.queue, x.tenant_id, x.lane),
    hinted as (insert into nubabel.ready_lanes (queue, tenant_id, lane) select f.queue, f.tenant_id, f.lane from freed f)
    select distinct l.queue from l;
end $$;

-- The effect of an order on one letter: its queue, or null where the letter has gone or is not in the round that was meant any more.
create function nubabel.letter_close(verb varchar, dead uuid, round integer, who varchar, changed jsonb) returns varchar language plpgsql as $$
declare
  l record;
begin
  select d.tenant_id, d.queue into l from nubabel.dead_letters d where d.id = dead and d.state = 'dead' and d.replays = round order by d.tenant_id limit 1 for update;
  if not found then
    return null;
  end if;
  if verb = 'replay' then
    perform nubabel.letters_replay(array[l.tenant_id], array[dead], who, changed, false);
  else
    perform nubabel.letters_discard(array[l.tenant_id], array[dead], who);
  end if;
  return l.queue;
end $$;

-- A step of a bulk act: the next letters of the selection, oldest first, and how far it is now. Letters that died later than it was ordered are none of its
-- business, those that die again while it runs included, so it ends. Two that do the same act take turns at its row.
create function nubabel.letters_sweep(sweep uuid, verb varchar, who varchar, ordered timestamptz, ids uuid[], of_tenant varchar, of_queue varchar, of_type varchar, of_cause varchar,
  since timestamptz, before timestamptz, most integer) returns table (done bigint, finished boolean, queues varchar[]) language plpgsql
  set plan_cache_mode = force_custom_plan as $$
declare
  s nubabel.letter_sweeps;
  whose varchar[];
  which uuid[];
  times timestamptz[];
  n integer;
  touched varchar[] := '{}';
begin
  insert into nubabel.letter_sweeps (id) values (sweep) on conflict do nothing;
  select * into s from nubabel.letter_sweeps x where x.id = sweep for update;
  if s.finished then
    return query select s.done, true, touched;
    return;
  end if;
  select array_agg(l.tenant_id order by l.died, l.id), array_agg(l.id order by l.died, l.id), array_agg(l.died order by l.died, l.id) into whose, which, times from (
    select d.tenant_id, d.id, d.died from nubabel.dead_letters d
     where d.state = 'dead' and (d.died, d.id) > (s.passed_died, s.passed_id) and d.died <= ordered
       and (ids is null or d.id = any (ids)) and (of_tenant is null or d.tenant_id = of_tenant) and (of_queue is null or d.queue = of_queue)
       and (of_type is null or d.type = of_type) and (of_cause is null or d.cause = of_cause) and (since is null or d.died >= since) and (before is null or d.died < before)
     order by d.died, d.id limit most for update) l;
  n := coalesce(cardinality(which), 0);
  if n > 0 then
    if verb = 'replay' then
      select array_agg(r) into touched from nubabel.letters_replay(whose, which, who, null, false) r;
    else
      select array_agg(r) into touched from nubabel.letters_discard(whose, which, who) r;
    end if;
    s.passed_died := times[n];
    s.passed_id := which[n];
  end if;
  update nubabel.letter_sweeps x set passed_died = s.passed_died, passed_id = s.passed_id, done = s.done + n, finished = n < most, updated = now() where x.id = sweep;
  return query select s.done + n, n < most, coalesce(touched, '{}');
end $$;

-- A queue's own strategy: letters whose cause may have gone are replayed after a pause that doubles each time. Returns how many.
create function nubabel.letters_revive(of_queue varchar, causes varchar[], pause interval, times integer, most integer) returns integer language plpgsql as $$
declare
  whose varchar[];
  which uuid[];
begin
  select array_agg(l.tenant_id), array_agg(l.id) into whose, which from (
    select d.tenant_id, d.id from unnest(causes) c (cause), generate_series(0, times - 1) r (revived),
      lateral (select x.tenant_id, x.id from nubabel.dead_letters x
                where x.queue = of_queue and x.cause = c.cause and x.revived = r.revived and x.state = 'dead' and x.died <= clock_timestamp() - pause * (2 ^ r.revived)
                order by x.died limit most for update skip locked) d
     limit most) l;
  if which is null then
    return 0;
  end if;
  perform nubabel.letters_replay(whose, which, 'system:automatic-replay', null, true);
  return cardinality(which);
end $$;

-- Deletes letters that died so many days ago, whatever has become of them; keys that they still held go on.
create function nubabel.letters_expire(days integer, most integer) returns table (queue varchar, state varchar, letters bigint) language plpgsql as $$
begin
  return query
    with gone as (
      delete from nubabel.dead_letters d where d.ctid = any (array(
        select x.ctid from nubabel.dead_letters x where x.died < now() - make_interval(days => days) order by x.died, x.id limit most for update skip locked))
      returning d.id, d.queue, d.state, d.parks),
    freed as (select nubabel.unpark(g.id) from gone g where g.parks and g.state = 'dead')
    select g.queue, g.state, count(*) from gone g where (select count(*) from freed) >= 0 group by g.queue, g.state;
end $$;

-- How a queue stands, at a cost that does not grow with what waits: nothing is counted beyond a bound, and of the lanes that are ready some are looked at, from
-- the first on and from behind the tenant where the last look ended.
create function nubabel.queue_look(q varchar, limit_of_hand interval, bound integer, lanes integer, after varchar)
  returns table (messages bigint, ready bigint, exact boolean, in_hand bigint, waiting bigint, parked bigint, stalled bigint, dead bigint, oldest double precision, workers bigint, reached varchar)
  language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare
  plan jsonb;
begin
  select count(*), count(*) filter (where not exists (select from nubabel.lanes x where x.queue = q and x.tenant_id = m.tenant_id and x.lane = m.lane)) into messages, ready
    from (select y.tenant_id, y.lane from nubabel.messages y where y.queue = q limit bound + 1) m;
  exact := messages <= bound;
  if not exact then
    -- What the planner takes the number for; the statistics behind it are made anew with every few per cent of change.
    execute format('explain (format json) select from nubabel.messages where queue = %L', q) into plan;
    messages := greatest(messages, (plan -> 0 -> 'Plan' ->> 'Plan Rows')::numeric::bigint);
    ready := round(messages * ready::numeric / (bound + 1));
  end if;
  select count(*) filter (where x.worker is not null), count(*) filter (where x.until is not null), count(*) filter (where x.letter is not null),
         count(*) filter (where x.worker is not null and x.since < clock_timestamp() - limit_of_hand) into in_hand, waiting, parked, stalled
    from (select y.worker, y.until, y.letter, y.since from nubabel.lanes y where y.queue = q limit bound) x;
  select count(*) into dead from (select from nubabel.dead_letters y where y.queue = q and y.state = 'dead' limit bound) d;
  select count(*) into workers from nubabel.workers w where w.queue = q and w.until > clock_timestamp();
  with recursive first as (
    (select r.tenant_id, r.lane, r.since, 1 as n from nubabel.ready_lanes r where r.queue = q order by r.queue, r.tenant_id, r.lane limit 1)
    union all
    select b.tenant_id, b.lane, b.since, f.n + 1 from first f, lateral (
      select r.tenant_id, r.lane, r.since from nubabel.ready_lanes r where r.queue = q and (r.tenant_id, r.lane) > (f.tenant_id, f.lane) order by r.queue, r.tenant_id, r.lane limit 1) b
     where f.n < lanes),
  further as (
    (select r.tenant_id, r.lane, r.since, 1 as n from nubabel.ready_lanes r where r.queue = q and r.tenant_id > after order by r.queue, r.tenant_id, r.lane limit 1)
    union all
    select b.tenant_id, b.lane, b.since, f.n + 1 from further f, lateral (
      select r.tenant_id, r.lane, r.since from nubabel.ready_lanes r where r.queue = q and (r.tenant_id, r.lane) > (f.tenant_id, f.lane) order by r.queue, r.tenant_id, r.lane limit 1) b
     where f.n < lanes),
  seen as (select * from first union all select * from further)
  select coalesce(greatest(extract(epoch from clock_timestamp() - min(s.since)), 0), 0)::double precision, (select case when max(f.n) = lanes then max(f.tenant_id) end from further f) into oldest, reached
    from seen s where not exists (select from nubabel.lanes x where x.queue = q and x.tenant_id = s.tenant_id and x.lane = s.lane);
  return next;
end $$;

-- The queues that messages stand in, also those that no process of today knows.
create function nubabel.queues_used() returns setof varchar language sql stable set enable_seqscan = off set enable_bitmapscan = off as $$
  with recursive walk as (
    (select m.queue from nubabel.messages m order by m.queue, m.tenant_id, m.lane, m.seq limit 1)
    union all
    select b.queue from walk w, lateral (select m.queue from nubabel.messages m where m.queue > w.queue order by m.queue, m.tenant_id, m.lane, m.seq limit 1) b)
  select queue from walk
$$;
