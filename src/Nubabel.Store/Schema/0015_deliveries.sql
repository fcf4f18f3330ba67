-- Facts that go out to whoever has a route. Routes follow from the log: they are folded in its order and stand where the checkpoint of their fan-out stands.
create table nubabel.routes (
  fan_out   varchar     not null,
  tenant_id varchar     not null,
  route     varchar     not null, -- the stream that makes it
  doc       jsonb       not null,
  constraint routes_pkey primary key (fan_out, tenant_id, route)
);

-- The log of deliveries: one for each event and consumer, with every attempt. Rows are deleted when they are old, not when they are done.
create table nubabel.deliveries (
  tenant_id varchar     collate "C" not null,
  id        uuid        not null,
  consumer  uuid        not null,
  source    varchar     not null,              -- event, replay, test
  event_id  uuid        not null,
  position  bigint      not null,              -- the event's; 0 of a test
  stream    varchar     not null,              -- the event's
  version   bigint      not null,
  type      varchar     collate "C" not null,  -- the public type
  at        timestamptz not null,              -- when the event happened
  created   timestamptz not null default now(),
  state     varchar     collate "C" not null default 'waiting', -- waiting, delivered, failed, cancelled
  round     integer     not null default 0,    -- raised by each resend
  tried     integer     not null default 0,    -- attempts of this round
  since     timestamptz,                       -- the first attempt of this round
  next      timestamptz,                       -- when it is tried again
  ended     timestamptz,
  status    integer,                           -- the last answer's
  error     varchar,                           -- why the last attempt failed, or why there is none any more
  attempts  jsonb       not null default '[]',
  constraint deliveries_pkey primary key (tenant_id, id),
  constraint deliveries_state check (state in ('waiting', 'delivered', 'failed', 'cancelled'))
) with (fillfactor = 80);
-- A consumer's log, newest first.
create index deliveries_consumer on nubabel.deliveries (tenant_id, consumer, created desc, id desc);
-- The same of one state.
create index deliveries_of_state on nubabel.deliveries (tenant_id, consumer, state, created desc, id desc);
-- What is old is deleted in this order.
create index deliveries_created on nubabel.deliveries (created);

-- Circuit breakers, over all nodes. One that is closed and has nothing to tell has no row.
create table nubabel.circuit_breakers (
  tenant_id varchar     not null,
  name      varchar     not null,              -- what it guards: consumer-<id>
  state     varchar     not null default 'closed', -- closed, open, half_open
  failures  integer     not null,              -- in a row
  openings  integer     not null default 0,    -- in a row
  since     timestamptz not null,              -- the first of the failures
  last      timestamptz not null,              -- the last of them
  until     timestamptz,                       -- nobody gets through before; of a half-open one, when its probe counts as lost
  error     varchar,                           -- of the last failure
  constraint circuit_breakers_pkey primary key (tenant_id, name),
  constraint circuit_breakers_state check (state in ('closed', 'open', 'half_open'))
);

alter table nubabel.routes enable row level security;
alter table nubabel.routes force row level security;
create policy tenant on nubabel.routes
  using (tenant_id = current_setting('app.current_organization_id', true)) with check (tenant_id = current_setting('app.current_organization_id', true));

alter table nubabel.deliveries enable row level security;
alter table nubabel.deliveries force row level security;
create policy tenant on nubabel.deliveries
  using (tenant_id = current_setting('app.current_organization_id', true)) with check (tenant_id = current_setting('app.current_organization_id', true));

alter table nubabel.circuit_breakers enable row level security;
alter table nubabel.circuit_breakers force row level security;
create policy tenant on nubabel.circuit_breakers
  using (tenant_id = current_setting('app.current_organization_id', true)) with check (tenant_id = current_setting('app.current_organization_id', true));

-- A message is put off: it keeps its place, no attempt is counted, and its lane waits. One of a lane that messages without a key share goes into one of its own.
create function nubabel.put_off(w bigint, q varchar, t varchar, l varchar, s bigint, a integer, pause interval) returns boolean language plpgsql
  set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
declare
  own varchar := '!' || s;
begin
  perform nubabel.hold(w);
  if l = own or l like 'k:%' then
    perform from nubabel.messages x where x.queue = q and x.tenant_id = t and x.lane = l and x.seq = s and x.attempt = a for update;
    if not found then
      raise exception using errcode = 'NB006', message = 'a message is gone', detail = q;
    end if;
    update nubabel.lanes x set worker = null, until = clock_timestamp() + pause, since = now() where x.queue = q and x.tenant_id = t and x.lane = l and x.worker = w;
  else
    update nubabel.messages x set lane = own where x.queue = q and x.tenant_id = t and x.lane = l and x.seq = s and x.attempt = a;
    if not found then
      raise exception using errcode = 'NB006', message = 'a message is gone', detail = q;
    end if;
    insert into nubabel.lanes (queue, tenant_id, lane, until) values (q, t, own, clock_timestamp() + pause);
  end if;
  return true;
end $$;
