-- How far runs of retention are: one row for each run and category, written in the transaction of each part that is removed, so that a run that is cut off goes
-- on where it was and counts nothing twice. What a run has done stands in its events; its rows here go with the tenant's next run.
create table nubabel.retention_progress (
  tenant_id varchar     not null,
  run       uuid        not null,
  category  varchar     not null,
  days      integer     not null,             -- the period that counted
  up_to     timestamptz not null,             -- what is older is due
  reached   varchar     collate "C" not null default '', -- everything up to this name is dealt with
  pending   varchar[]   not null default '{}', -- what is being done now, where that takes more than this transaction
  oldest    timestamptz,                      -- the oldest that was removed
  removed   bigint      not null default 0,
  held      bigint      not null default 0,
  hash      bytea       not null default '\x0000000000000000000000000000000000000000000000000000000000000000', -- of the list of what was removed
  finished  boolean     not null default false,
  problem   varchar,                          -- why the category was not done to its end
  touched   timestamptz not null default now(),
  constraint retention_progress_pkey primary key (tenant_id, run, category)
);
alter table nubabel.retention_progress enable row level security;
alter table nubabel.retention_progress force row level security;
create policy tenant on nubabel.retention_progress
  using (tenant_id = current_setting('app.current_organization_id', true)) with check (tenant_id = current_setting('app.current_organization_id', true));

-- Keys of a kind of subject by their age, over all tenants: a subject is its kind, a hyphen and an id of 36 characters.
create index subject_keys_age on nubabel.subject_keys ((left(subject, -37)), created) where wrapped is not null;

-- The log of deliveries is deleted by retention now.
delete from nubabel.schedules where name = 'delivery-log';

-- Deletes dead letters of one tenant, whatever has become of them; keys that they still held go on. Returns which.
create function nubabel.letters_remove(tenant varchar, which uuid[]) returns setof uuid language plpgsql as $$
begin
  return query
    with gone as (
      delete from nubabel.dead_letters d where d.tenant_id = tenant and d.id = any (which) returning d.id, d.state, d.parks),
    freed as (select nubabel.unpark(g.id) from gone g where g.parks and g.state = 'dead')
    select g.id from gone g where (select count(*) from freed) >= 0;
end $$;
