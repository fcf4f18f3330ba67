-- How far long work is: one row for each message whose handler says so, written over again and again. It is beside the log: what it says is of interest
-- while the work goes on. Its expiry is the daemon's.
create table nubabel.message_runs (
  tenant_id varchar     not null,
  message   uuid        not null,
  attempt   integer     not null,               -- which one runs, or ran last
  worker    bigint,                             -- whose hand it is in; one that is not registered any more is lost. Null when the attempt has ended
  begun     timestamptz not null default now(), -- when the attempt began
  said      timestamptz not null default now(), -- when the row was written last
  done      bigint,
  total     bigint,
  note      varchar,
  constraint message_runs_pkey primary key (tenant_id, message)
-- No index has a column that changes while an attempt runs, and pages have room, so that progress stays within its page.
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 500);
-- What is old is deleted by when it began.
create index message_runs_begun on nubabel.message_runs (begun);

alter table nubabel.message_runs enable row level security;
alter table nubabel.message_runs force row level security;
create policy tenant on nubabel.message_runs
  using (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]))
  with check (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]));
