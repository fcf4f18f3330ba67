-- Files that are kept for a time, in sealed parts: what is in them belongs to a person, and is dead with the person's key.
create table nubabel.sealed_files (
  tenant_id  varchar     not null,
  file       uuid        not null,
  generation uuid        not null,           -- one for each try to write it; which one counts is said where the file is named
  subject    varchar     not null,           -- whose key the file's key is sealed under
  wrapped    varchar     not null,           -- the file's key, sealed
  holds_all  boolean     not null,           -- personal data of others too: any erasure in the tenant ends it
  created    timestamptz not null default now(),
  expires    timestamptz not null,
  constraint sealed_files_pkey primary key (tenant_id, file, generation)
);
-- What has expired is deleted.
create index sealed_files_expires on nubabel.sealed_files (expires);

create table nubabel.sealed_parts (
  tenant_id  varchar     not null,
  file       uuid        not null,
  generation uuid        not null,
  part       integer     not null,           -- from 0
  bytes      bytea       not null,           -- nonce, ciphertext, tag
  constraint sealed_parts_pkey primary key (tenant_id, file, generation, part)
);
-- Sealed bytes do not get smaller.
alter table nubabel.sealed_parts alter column bytes set storage external;

alter table nubabel.sealed_files enable row level security;
alter table nubabel.sealed_files force row level security;
create policy tenant on nubabel.sealed_files
  using (tenant_id = current_setting('app.current_organization_id', true))
  with check (tenant_id = current_setting('app.current_organization_id', true));

alter table nubabel.sealed_parts enable row level security;
alter table nubabel.sealed_parts force row level security;
create policy tenant on nubabel.sealed_parts
  using (tenant_id = current_setting('app.current_organization_id', true))
  with check (tenant_id = current_setting('app.current_organization_id', true));

-- The api login reads these now, and no append writes them: a list of tenants is nobody there.
drop policy tenant on nubabel.message_runs;
create policy tenant on nubabel.message_runs
  using (tenant_id = current_setting('app.current_organization_id', true))
  with check (tenant_id = current_setting('app.current_organization_id', true));
drop policy tenant on nubabel.dead_letters;
create policy tenant on nubabel.dead_letters
  using (tenant_id = current_setting('app.current_organization_id', true))
  with check (tenant_id = current_setting('app.current_organization_id', true));
