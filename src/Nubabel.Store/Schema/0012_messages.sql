-- Durable messages. A lane is (queue, tenant_id, lane): one key, one share of the messages without a key, or one message by itself. What is in a lane is
-- handled in order, by one worker at a time. Names are compared by their bytes: lanes are found by skipping along an index, and no language has a say in it.

create sequence nubabel.message_numbers;

-- What is to be handled. A finished message is deleted; nothing is written when one is begun, so an ordinary message costs one insert and one delete.
create table nubabel.messages (
  queue          varchar     collate "C" not null,
  tenant_id      varchar     collate "C" not null,
  lane           varchar     collate "C" not null,
  seq            bigint      not null,           -- the order within the lane
  id             uuid        not null,
  type           varchar     not null,           -- the alias of its type
  body           jsonb       not null,           -- personal values are sealed under their subject's key
  key            varchar,                        -- what it keeps its order with; null for none
  subject        varchar,                        -- whose personal data it carries, if one person's: such messages go with the person
  actor          varchar     not null,           -- who caused it
  correlation_id varchar,
  causation_id   varchar,
  headers        jsonb,
  enqueued       timestamptz not null default now(),
  attempt        integer     not null default 0, -- how many have failed
  losses         integer     not null default 0, -- how often its worker was lost while it was first in a lane in hand
  failures       jsonb,                          -- one entry for each failed attempt
  constraint messages_pkey primary key (queue, tenant_id, lane, seq)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
-- Erasure finds a person's messages.
create index messages_subject on nubabel.messages (tenant_id, subject) where subject is not null;

-- Messages for later. They join their lane when they fall due.
create table nubabel.deferred_messages (
  due            timestamptz not null,
  queue          varchar     collate "C" not null,
  tenant_id      varchar     collate "C" not null,
  lane           varchar     collate "C" not null,
  seq            bigint      not null,
  id             uuid        not null,
  type           varchar     not null,
  body           jsonb       not null,
  key            varchar,
  subject        varchar,
  actor          varchar     not null,
  correlation_id varchar,
  causation_id   varchar,
  headers        jsonb,
  enqueued       timestamptz not null default now(),
  constraint deferred_messages_pkey primary key (due, seq)
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
-- Erasure finds a person's messages here too.
create index deferred_messages_subject on nubabel.deferred_messages (tenant_id, subject) where subject is not null;

-- Hints that a lane has something new: written with the messages, deleted by who takes the lane and reads it afterwards. Not unique, so that those who
-- enqueue never wait for each other.
create table nubabel.ready_lanes (
  queue     varchar collate "C" not null,
  tenant_id varchar collate "C" not null,
  lane      varchar collate "C" not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
-- Takes skip from tenant to tenant and from lane to lane.
create index ready_lanes_lane on nubabel.ready_lanes (queue, tenant_id, lane);

-- The processes' workers, one for each queue: the lease of all lanes that it has in hand. The id is the fencing token and is never used again.
create table nubabel.workers (
  id      bigint      generated always as identity,
  node    varchar     not null,
  queue   varchar     not null,
  started timestamptz not null default now(),
  seen    timestamptz not null default now(),
  until   timestamptz not null,
  constraint workers_pkey primary key (id)
) with (fillfactor = 50);

-- Lanes that nobody may take now: in a worker's hand, waiting until a time after a failure, or parked behind a dead letter. A lane without a row is free.
create table nubabel.lanes (
  queue     varchar     collate "C" not null,
  tenant_id varchar     collate "C" not null,
  lane      varchar     collate "C" not null,
  worker    bigint,                            -- in hand
  until     timestamptz,                       -- waiting
  letter    uuid,                              -- parked
  since     timestamptz not null default now(),
  constraint lanes_pkey primary key (queue, tenant_id, lane),
  constraint lanes_state check (num_nonnulls(worker, until, letter) <= 1)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
-- What a dead letter holds.
create index lanes_letter on nubabel.lanes (letter) where letter is not null;
-- Whose time has come.
create index lanes_until on nubabel.lanes (until) where until is not null;

-- Ids of messages that must be enqueued once only. They stay when the message has gone, for the days that the settings say.
create table nubabel.message_ids (
  tenant_id varchar     not null,
  queue     varchar     not null,
  once      varchar     not null,
  id        uuid        not null,
  created   timestamptz not null default now(),
  constraint message_ids_pkey primary key (tenant_id, queue, once)
);
-- What is old is deleted in this order.
create index message_ids_created on nubabel.message_ids (created);

-- Messages that were given up, with every attempt.
create table nubabel.dead_letters (
  tenant_id      varchar     not null,
  id             uuid        not null,           -- the message's
  queue          varchar     not null,
  lane           varchar     not null,
  seq            bigint      not null,
  type           varchar     not null,
  body           jsonb       not null,
  key            varchar,
  subject        varchar,
  actor          varchar     not null,
  correlation_id varchar,
  causation_id   varchar,
  headers        jsonb,
  enqueued       timestamptz not null,
  died           timestamptz not null default now(),
  attempts       jsonb       not null default '[]', -- {"at","ms","node","error","cause"} for each
  cause          varchar,                        -- the kind of the last error
  error          varchar,                        -- what it said
  parks          boolean     not null default false, -- its key waits behind it
  state          varchar     not null default 'dead', -- dead, replayed, discarded
  closed         timestamptz,                    -- when it was replayed or discarded
  closed_by      varchar,
  replays        integer     not null default 0,
  edited         jsonb,                          -- the body it was replayed with, where that was changed
  constraint dead_letters_pkey primary key (tenant_id, id),
  constraint dead_letters_state check (state in ('dead', 'replayed', 'discarded'))
);
-- The list, newest first, and what is old enough to be deleted.
create index dead_letters_died on nubabel.dead_letters (died, id);
-- What waits for somebody, by queue.
create index dead_letters_open on nubabel.dead_letters (queue, tenant_id, died) where state = 'dead';
-- Erasure finds a person's dead letters.
create index dead_letters_subject on nubabel.dead_letters (tenant_id, subject) where subject is not null;

-- Recurring messages. A row's next tick is enqueued and moved on in one transaction, under the row's lock and with the tick in the message's once-only id.
create table nubabel.schedules (
  tenant_id varchar     not null,
  name      varchar     not null,
  cron      varchar     not null,
  zone      varchar     not null default 'UTC', -- IANA name
  missed    varchar     not null default 'once', -- what becomes of ticks that nobody was there for: skip, once, all
  queue     varchar     not null,
  type      varchar     not null,
  body      jsonb       not null,
  key       varchar,
  actor     varchar     not null,
  next      timestamptz,                        -- null when there is none any more
  last      timestamptz,                        -- the last tick that was enqueued
  paused    boolean     not null default false,
  constraint schedules_pkey primary key (tenant_id, name),
  constraint schedules_missed check (missed in ('skip', 'once', 'all'))
);
-- Whose next tick has come.
create index schedules_next on nubabel.schedules (next) where next is not null and not paused;

alter table nubabel.messages enable row level security;
alter table nubabel.messages force row level security;
create policy tenant on nubabel.messages
  using (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]))
  with check (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]));

alter table nubabel.deferred_messages enable row level security;
alter table nubabel.deferred_messages force row level security;
create policy tenant on nubabel.deferred_messages
  using (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]))
  with check (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]));

alter table nubabel.ready_lanes enable row level security;
alter table nubabel.ready_lanes force row level security;
create policy tenant on nubabel.ready_lanes
  using (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]))
  with check (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]));

alter table nubabel.lanes enable row level security;
alter table nubabel.lanes force row level security;
create policy tenant on nubabel.lanes
  using (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]))
  with check (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]));

alter table nubabel.message_ids enable row level security;
alter table nubabel.message_ids force row level security;
create policy tenant on nubabel.message_ids
  using (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]))
  with check (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]));

alter table nubabel.dead_letters enable row level security;
alter table nubabel.dead_letters force row level security;
create policy tenant on nubabel.dead_letters
  using (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]))
  with check (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]));

alter table nubabel.schedules enable row level security;
alter table nubabel.schedules force row level security;
create policy tenant on nubabel.schedules
  using (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]))
  with check (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]));

-- The fence of a worker: the first statement of whatever it writes. It waits for who is just giving the worker up, and keeps everybody from doing so until
-- the transaction ends. A worker that was given up is refused with NB006.
create function nubabel.hold(w bigint) returns boolean language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('nubabel:worker:' || w, 0));
  perform from nubabel.workers where id = w;
  if not found then
    raise exception using errcode = 'NB006', message = 'the worker was given up', detail = w::text;
  end if;
  return true;
end $$;

-- Takes lanes for a worker, tenant by tenant from behind the one where it left off, and returns their first messages.
-- A hint is deleted in a statement of its own after the lane was taken, and the messages are read after that: what committed a hint committed its messages
-- with it, so no message is left without one. The scans skip from lane to lane along the index, however many hints or messages there are.
-- A first row with the number 0 says that a lane with something new was passed by, as it is in somebody's hand: worth another look when it is let go.
--   w worker, q queue, after the tenant served last, room for about so many messages, share so many of one tenant, busy tenants who have their share already,
--   most so many of one lane. A lane that messages without a key share counts for twelve, as it mostly has more than one.
create function nubabel.take(w bigint, q varchar, after varchar, room integer, share integer, busy varchar[], most integer) returns setof nubabel.messages language plpgsql
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare
  t varchar := after;
  l varchar;
  resting boolean;
  wrapped boolean := false;
  found_tenant varchar;
  of_tenant integer;
  weight integer := 0;
  tenants varchar[] := '{}';
  lanes varchar[] := '{}';
  taken nubabel.messages[];
  passed boolean := false;
  note nubabel.messages;
begin
  -- What is taken here and lost in a crash of the server was not taken; nobody need wait for the disk.
  perform set_config('synchronous_commit', 'off', true);
  perform nubabel.hold(w);
  while weight < room loop
    select r.tenant_id into found_tenant from nubabel.ready_lanes r where r.queue = q and r.tenant_id > t order by r.queue, r.tenant_id, r.lane limit 1;
    if not found then
      exit when wrapped;
      wrapped := true;
      t := '';
      continue;
    end if;
    exit when wrapped and found_tenant > after;
    t := found_tenant;
    continue when t = any (busy);
    l := '';
    of_tenant := 0;
    while of_tenant < share and weight < room loop
      select r.lane, (select x.worker is null from nubabel.lanes x where x.queue = q and x.tenant_id = t and x.lane = r.lane) into l, resting
        from nubabel.ready_lanes r where r.queue = q and r.tenant_id = t and r.lane > l order by r.queue, r.tenant_id, r.lane limit 1;
      exit when not found;
      if resting then
        -- A lane that waits or is parked needs no hint: who frees it writes a new one, which this statement does not see while it sees the lane as it is.
        delete from nubabel.ready_lanes r where r.queue = q and r.tenant_id = t and r.lane = l
          and exists (select from nubabel.lanes x where x.queue = q and x.tenant_id = t and x.lane = l and x.worker is null);
      elsif not resting then
        passed := true;
      else
        tenants := tenants || t;
        lanes := lanes || l;
        of_tenant := of_tenant + case when l like '~%' then 12 else 1 end;
        weight := weight + case when l like '~%' then 12 else 1 end;
      end if;
    end loop;
  end loop;
  if passed then
    note.seq := 0;
    return next note;
  end if;
  if cardinality(lanes) = 0 then
    return;
  end if;
  with mine as (
    insert into nubabel.lanes (queue, tenant_id, lane, worker) select q, u.tenant, u.lane, w from unnest(tenants, lanes) u (tenant, lane) on conflict do nothing returning tenant_id, lane)
  select array_agg(mine.tenant_id), array_agg(mine.lane) into tenants, lanes from mine;
  if lanes is null then
    return;
  end if;
  delete from nubabel.ready_lanes r where r.ctid = any (array(
    select h.ctid from unnest(tenants, lanes) u (tenant, lane), lateral (select y.ctid from nubabel.ready_lanes y where y.queue = q and y.tenant_id = u.tenant and y.lane = u.lane offset 0) h));
  select array_agg(m) into taken from unnest(tenants, lanes) u (tenant, lane), lateral (
    select x.* from nubabel.messages x where x.queue = q and x.tenant_id = u.tenant and x.lane = u.lane order by x.queue, x.tenant_id, x.lane, x.seq limit most) m;
  -- As much as was asked for: there may be more, and the hint stays for who has the lane next.
  with counted as materialized (select m.tenant_id, m.lane, count(*) as n from unnest(taken) m group by m.tenant_id, m.lane),
  more as (insert into nubabel.ready_lanes (queue, tenant_id, lane) select q, c.tenant_id, c.lane from counted c where c.n = most)
  select count(*) into of_tenant from counted;
  if of_tenant < cardinality(lanes) then
    -- Nothing in it: it is free again.
    delete from nubabel.lanes x using unnest(tenants, lanes) u (tenant, lane)
     where x.queue = q and x.tenant_id = u.tenant and x.lane = u.lane and not exists (select from unnest(taken) m where m.tenant_id = u.tenant and m.lane = u.lane);
  end if;
  return query select * from unnest(taken);
end $$;

-- Rows are found one by one, by subqueries of one row each: a join the planner may begin from the wrong side, where it cannot know how little there is.
-- Messages are done and lanes are let go; all of it, or NB006 when one of them is not this worker's any more. A lane that is let go with `more` gets a hint.
create function nubabel.complete(w bigint, q varchar, tenants varchar[], lanes varchar[], seqs bigint[], attempts integer[], of varchar[], free varchar[], more boolean[])
  returns boolean language plpgsql
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare
  n integer;
begin
  perform nubabel.hold(w);
  if cardinality(seqs) > 0 then
    delete from nubabel.messages m where m.ctid = any (array(
      select (select y.ctid from nubabel.messages y where y.queue = q and y.tenant_id = u.tenant and y.lane = u.lane and y.seq = u.seq and y.attempt = u.attempt)
        from unnest(tenants, lanes, seqs, attempts) u (tenant, lane, seq, attempt)));
    get diagnostics n = row_count;
    if n <> cardinality(seqs) then
      raise exception using errcode = 'NB006', message = 'a message is gone', detail = q;
    end if;
  end if;
  if cardinality(free) > 0 then
    delete from nubabel.lanes x where x.ctid = any (array(
      select (select y.ctid from nubabel.lanes y where y.queue = q and y.tenant_id = u.tenant and y.lane = u.lane and y.worker = w) from unnest(of, free) u (tenant, lane)));
    get diagnostics n = row_count;
    if n <> cardinality(free) then
      raise exception using errcode = 'NB006', message = 'a lane is gone', detail = q;
    end if;
    insert into nubabel.ready_lanes (queue, tenant_id, lane) select q, u.tenant, u.lane from unnest(of, free, more) u (tenant, lane, more) where u.more;
  end if;
  return true;
end $$;

-- An attempt failed. A message with a key keeps its place, and its lane waits; one without goes into a lane of its own and waits there. With `dead` it
-- becomes a dead letter, and where it parks, its key waits behind it.
create function nubabel.fail(w bigint, q varchar, t varchar, l varchar, s bigint, a integer, failure jsonb, pause interval, dead boolean, park boolean)
  returns boolean language plpgsql
  set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
declare
  m nubabel.messages;
  own varchar := '!' || s;
  entry jsonb := jsonb_build_object('at', clock_timestamp()) || failure;
begin
  perform nubabel.hold(w);
  if dead then
    delete from nubabel.messages x where x.queue = q and x.tenant_id = t and x.lane = l and x.seq = s and x.attempt = a returning x.* into m;
  elsif l = own or l like 'k:%' then
    update nubabel.messages x set attempt = a + 1, failures = coalesce(x.failures, '[]') || entry
     where x.queue = q and x.tenant_id = t and x.lane = l and x.seq = s and x.attempt = a returning x.* into m;
  else
    update nubabel.messages x set attempt = a + 1, failures = coalesce(x.failures, '[]') || entry, lane = own
     where x.queue = q and x.tenant_id = t and x.lane = l and x.seq = s and x.attempt = a returning x.* into m;
  end if;
  if m.id is null then
    raise exception using errcode = 'NB006', message = 'a message is gone', detail = q;
  end if;
  if dead then
    insert into nubabel.dead_letters (tenant_id, id, queue, lane, seq, type, body, key, subject, actor, correlation_id, causation_id, headers, enqueued, attempts, cause, error, parks)
    values (t, m.id, q, l, s, m.type, m.body, m.key, m.subject, m.actor, m.correlation_id, m.causation_id, m.headers, m.enqueued,
            coalesce(m.failures, '[]') || entry, failure ->> 'cause', failure ->> 'error', park and m.key is not null)
    on conflict (tenant_id, id) do update set state = 'dead', died = now(), attempts = excluded.attempts, cause = excluded.cause, error = excluded.error,
      parks = excluded.parks, lane = excluded.lane, seq = excluded.seq, closed = null, closed_by = null;
    if m.key is not null and park then
      update nubabel.lanes x set worker = null, letter = m.id, since = now() where x.queue = q and x.tenant_id = t and x.lane = l and x.worker = w;
    end if;
  elsif l = m.lane then
    update nubabel.lanes x set worker = null, until = clock_timestamp() + pause, since = now() where x.queue = q and x.tenant_id = t and x.lane = l and x.worker = w;
  else
    insert into nubabel.lanes (queue, tenant_id, lane, until) values (q, t, own, clock_timestamp() + pause);
  end if;
  return true;
end $$;

-- Messages without a key that run for long leave the lane that they share, each into one of its own, so that nothing waits behind them.
create function nubabel.detach(w bigint, q varchar, t varchar, l varchar, seqs bigint[]) returns boolean language plpgsql
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan as $$
declare
  n integer;
begin
  perform nubabel.hold(w);
  update nubabel.messages m set lane = '!' || u.seq from unnest(seqs) u (seq) where m.queue = q and m.tenant_id = t and m.lane = l and m.seq = u.seq;
  get diagnostics n = row_count;
  if n <> cardinality(seqs) then
    raise exception using errcode = 'NB006', message = 'a message is gone', detail = q;
  end if;
  insert into nubabel.lanes (queue, tenant_id, lane, worker) select q, t, '!' || u.seq, w from unnest(seqs) u (seq);
  delete from nubabel.lanes x where x.queue = q and x.tenant_id = t and x.lane = l and x.worker = w;
  if not found then
    raise exception using errcode = 'NB006', message = 'a lane is gone', detail = q;
  end if;
  insert into nubabel.ready_lanes (queue, tenant_id, lane) values (q, t, l);
  return true;
end $$;

-- Lets a key go on that a dead letter holds.
create function nubabel.unpark(dead uuid) returns boolean language plpgsql as $$
begin
  with gone as (delete from nubabel.lanes where letter = dead returning queue, tenant_id, lane)
  insert into nubabel.ready_lanes (queue, tenant_id, lane) select queue, tenant_id, lane from gone;
  return found;
end $$;

-- Erases a person's messages, whatever has become of them: those that wait, those for later, and dead letters. Keys that a dead letter held go on.
create function nubabel.erase_messages(tenant varchar, person varchar) returns integer language plpgsql as $$
declare
  total integer;
  n integer;
  letter record;
begin
  -- One that runs now ends as one that was taken away.
  delete from nubabel.messages where tenant_id = tenant and subject = person;
  get diagnostics total = row_count;
  delete from nubabel.deferred_messages where tenant_id = tenant and subject = person;
  get diagnostics n = row_count;
  total := total + n;
  for letter in delete from nubabel.dead_letters where tenant_id = tenant and subject = person returning id, parks loop
    total := total + 1;
    if letter.parks then
      perform nubabel.unpark(letter.id);
    end if;
  end loop;
  return total;
end $$;

-- Gives a worker up: its lanes are free and get a hint. Of a lost worker, the first message of each lane may be the reason, so that is counted.
create function nubabel.give_up(w bigint, lost boolean) returns integer language plpgsql as $$
declare
  n integer;
begin
  if lost then
    update nubabel.messages m set losses = m.losses + 1 where m.ctid = any (array(
      select (select h.ctid from nubabel.messages h where h.queue = x.queue and h.tenant_id = x.tenant_id and h.lane = x.lane order by h.queue, h.tenant_id, h.lane, h.seq limit 1)
        from nubabel.lanes x where x.worker = w));
  end if;
  with gone as (delete from nubabel.lanes where worker = w returning queue, tenant_id, lane)
  insert into nubabel.ready_lanes (queue, tenant_id, lane) select queue, tenant_id, lane from gone;
  get diagnostics n = row_count;
  delete from nubabel.workers where id = w;
  return n;
end $$;

-- Gives up the workers whose lease has run out. One that is just writing is not lost. Returns the queues that have something to take now.
create function nubabel.reap() returns setof varchar language plpgsql as $$
declare
  w record;
begin
  for w in select id, queue from nubabel.workers where until < clock_timestamp() for update skip locked loop
    continue when not pg_try_advisory_xact_lock(hashtextextended('nubabel:worker:' || w.id, 0));
    if nubabel.give_up(w.id, true) > 0 then
      return next w.queue;
    end if;
  end loop;
end $$;

-- What has fallen due: messages for later join their lanes, in the order of their times, and lanes that waited are free. Returns the queues that have
-- something to take now.
create function nubabel.ripen(most integer) returns setof varchar language plpgsql
  set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
declare
  now timestamptz := clock_timestamp();
begin
  return query
    with due as (
      delete from nubabel.deferred_messages d where d.ctid = any (array(
        select x.ctid from nubabel.deferred_messages x where x.due <= now order by x.due, x.seq limit most for update skip locked)) returning d.*),
    joined as (
      insert into nubabel.messages (queue, tenant_id, lane, seq, id, type, body, key, subject, actor, correlation_id, causation_id, headers, enqueued)
      select o.queue, o.tenant_id, case when o.lane = '!' then '!' || o.number else o.lane end, o.number,
             o.id, o.type, o.body, o.key, o.subject, o.actor, o.correlation_id, o.causation_id, o.headers, o.enqueued
        from (select x.*, nextval('nubabel.message_numbers') as number from (select * from due order by due.due, due.seq) x) o
      returning queue, tenant_id, lane),
    freed as (
      delete from nubabel.lanes l where l.until is not null and l.ctid = any (array(
        select x.ctid from nubabel.lanes x where x.until <= now order by x.until limit most for update skip locked)) returning l.queue, l.tenant_id, l.lane),
    hinted as (
      insert into nubabel.ready_lanes (queue, tenant_id, lane) select * from joined union select * from freed returning queue)
    select distinct h.queue from hinted h;
end $$;
