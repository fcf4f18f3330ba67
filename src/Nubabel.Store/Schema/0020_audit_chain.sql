-- The audit chain: of each tenant's events, in the order of the log, what each one was when it was chained. A digest covers the event as it is stored, sealed values
-- included, so that erasing a person leaves it valid. These rows can be made anew from the log; what was signed about them cannot.
create table nubabel.audit_chain (
  tenant_id     varchar  not null,
  first         bigint   not null, -- the number of its first entry; a tenant's first is 1
  last_position bigint   not null, -- the position of its last entry
  positions     bigint[] not null,
  ids           uuid[]   not null,
  digests       bytea    not null, -- 32 bytes for each entry
  link          bytea    not null, -- of the last entry: SHA-256 over the link before it and its digest
  constraint audit_chain_pkey primary key (tenant_id, first)
);
-- Where a position stands, for a proof.
create unique index audit_chain_position on nubabel.audit_chain (tenant_id, last_position);

-- Where each tenant's chain ends, and how far it is signed.
create table nubabel.audit_heads (
  tenant_id varchar     not null,
  entries   bigint      not null,
  position  bigint      not null,
  link      bytea       not null,
  signed    bigint      not null default 0, -- entries that a checkpoint covers
  since     timestamptz not null default clock_timestamp(), -- when the first entry came that none covers
  constraint audit_heads_pkey primary key (tenant_id)
);
-- What is to be signed next.
create index audit_heads_unsigned on nubabel.audit_heads (since) where entries > signed;

-- Signed statements of how many entries a chain had and what its link was. Added, never changed, and kept when the chain is made anew.
create table nubabel.audit_checkpoints (
  tenant_id varchar     not null,
  entries   bigint      not null,
  position  bigint      not null,
  created   timestamptz not null,
  statement varchar     not null, -- a compact JWS (RFC 7515)
  constraint audit_checkpoints_pkey primary key (tenant_id, entries)
);

-- The keys that sign them, the private halves wrapped by the master key. The public halves are kept for as long as there are checkpoints.
create table nubabel.audit_keys (
  kid     varchar     not null,
  public  jsonb       not null,
  wrapped bytea       not null,
  created timestamptz not null default clock_timestamp(),
  constraint audit_keys_pkey primary key (kid)
);

alter table nubabel.audit_chain enable row level security;
alter table nubabel.audit_chain force row level security;
create policy tenant on nubabel.audit_chain
  using (tenant_id = current_setting('app.current_organization_id', true)) with check (tenant_id = current_setting('app.current_organization_id', true));
alter table nubabel.audit_heads enable row level security;
alter table nubabel.audit_heads force row level security;
create policy tenant on nubabel.audit_heads
  using (tenant_id = current_setting('app.current_organization_id', true)) with check (tenant_id = current_setting('app.current_organization_id', true));
alter table nubabel.audit_checkpoints enable row level security;
alter table nubabel.audit_checkpoints force row level security;
create policy tenant on nubabel.audit_checkpoints
  using (tenant_id = current_setting('app.current_organization_id', true)) with check (tenant_id = current_setting('app.current_organization_id', true));
