-- When each API key was last used, to the minute. No event is written for it: nodes collect uses in memory and write them together.
create table nubabel.key_uses (
  tenant_id varchar     not null,
  key_id    uuid        not null,
  last_used timestamptz not null,
  constraint key_uses_pkey primary key (tenant_id, key_id)
);
alter table nubabel.key_uses enable row level security;
alter table nubabel.key_uses force row level security;
create policy tenant on nubabel.key_uses
  using (tenant_id = current_setting('app.current_organization_id', true))
  with check (tenant_id = current_setting('app.current_organization_id', true));
