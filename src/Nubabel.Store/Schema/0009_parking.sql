-- What an operator does about a projection is an event of the log (stream projection-<name> of the platform). These tables follow from it and can be made
-- from it again.

-- How often the failed event of a key was tried, and which retry (its place in that stream) was the last: one that is cut off and done again counts once.
alter table nubabel.parked add attempts integer not null default 1;
alter table nubabel.parked add retried bigint not null default 0;
-- Each parked key has exactly one event that failed; the others wait behind it.
create index parked_failed on nubabel.parked (name, version, seq_id) where error <> 'waits behind a parked event';

-- Up to where the projection's stream of orders has taken effect.
create table nubabel.orders_applied (
  progression varchar not null,
  applied     bigint  not null,
  constraint orders_applied_pkey primary key (progression)
);

-- Versions of projections that fold nothing until they are resumed.
create table nubabel.paused (
  progression varchar     not null,
  since       timestamptz not null,
  by          varchar,
  reason      varchar,
  constraint paused_pkey primary key (progression)
);

-- Notes that the order at this place of the projection's stream takes effect with this transaction. Orders take effect one after the other and once.
create function nubabel.order_applied(projection text, place bigint) returns boolean language plpgsql as $$
begin
  insert into nubabel.orders_applied (progression, applied) values (projection, 0) on conflict do nothing;
  update nubabel.orders_applied set applied = place where progression = projection and applied = place - 1;
  if not found then
    raise exception using errcode = 'NB005', message = 'applied', detail = projection;
  end if;
  return true;
end $$;
