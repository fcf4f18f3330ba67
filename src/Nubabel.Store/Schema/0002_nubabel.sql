-- What the engine needs beyond the log.
create schema if not exists nubabel;
create schema if not exists read;

-- Unique values, taken and released in the append's transaction.
create table nubabel.claims (
  tenant_id varchar not null,
  scope     varchar not null,
  value     varchar not null,
  stream_id varchar not null,
  constraint claims_pkey primary key (tenant_id, scope, value)
);

-- One record per idempotency key, written in the command's transaction. The answer is rendered again from the stream at this version;
-- answers that hold secrets are kept sealed by the master key.
create table nubabel.idempotency (
  tenant_id    varchar     not null,
  scope        varchar     not null, -- actor, method and path
  key          varchar     not null,
  request_hash bytea       not null,
  status       integer     not null,
  streams      varchar[]   not null,
  versions     bigint[]    not null,
  answer       bytea,
  created      timestamptz not null default now(),
  constraint idempotency_pkey primary key (tenant_id, scope, key)
);
-- Expiry after 24 h deletes in this order.
create index idempotency_created on nubabel.idempotency (tenant_id, created);

-- One data-encryption key per data subject, wrapped by the master key. A destroyed key leaves its row behind without the key,
-- so that it is never made again by accident.
create table nubabel.subject_keys (
  tenant_id varchar     not null,
  subject   varchar     not null,
  wrapped   bytea,
  created   timestamptz not null default now(),
  destroyed timestamptz,
  constraint subject_keys_pkey primary key (tenant_id, subject)
);

alter table nubabel.claims enable row level security;
alter table nubabel.claims force row level security;
create policy tenant on nubabel.claims
  using (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]))
  with check (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]));

alter table nubabel.idempotency enable row level security;
alter table nubabel.idempotency force row level security;
create policy tenant on nubabel.idempotency
  using (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]))
  with check (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]));

alter table nubabel.subject_keys enable row level security;
alter table nubabel.subject_keys force row level security;
create policy tenant on nubabel.subject_keys
  using (tenant_id = current_setting('app.current_organization_id', true))
  with check (tenant_id = current_setting('app.current_organization_id', true));

-- Signing keys of access tokens; the private half is wrapped by the master key.
create table nubabel.signing_keys (
  kid       varchar     not null,
  public    jsonb       not null, -- the JWK as published
  wrapped   bytea       not null,
  created   timestamptz not null default now(),
  activates timestamptz not null, -- signs from here on (the newest active one signs)
  retires   timestamptz,          -- verifies until here; null while it may sign
  constraint signing_keys_pkey primary key (kid)
);

-- Facts about this database that must not change under a running product: the environment stamp, the master key's fingerprint.
create table nubabel.stamps (
  name  varchar not null,
  value varchar not null,
  constraint stamps_pkey primary key (name)
);

-- Events that a projection could not fold, by the key they belong to. A parked key waits, the others go on.
create table nubabel.parked (
  tenant_id varchar     not null,
  name      varchar     not null,
  version   integer     not null,
  key       varchar     not null,
  seq_id    bigint      not null,
  error     varchar     not null,
  created   timestamptz not null default now(),
  constraint parked_pkey primary key (name, version, tenant_id, key, seq_id)
);
alter table nubabel.parked enable row level security;
alter table nubabel.parked force row level security;
create policy tenant on nubabel.parked
  using (tenant_id = current_setting('app.current_organization_id', true))
  with check (tenant_id = current_setting('app.current_organization_id', true));

-- Raises a refusal where a batch has already written something it must take back. The class NB is ours; the detail says what was refused.
create function nubabel.refuse(code text, detail text) returns boolean language plpgsql as $$
begin
  raise exception using errcode = code, message = 'refused', detail = detail;
end $$;

-- The checkpoint fence: moves a projection's checkpoint from exactly one place to the next, or takes the batch back.
create function nubabel.fence(projection text, was bigint, becomes bigint) returns boolean language plpgsql as $$
begin
  update events.mt_event_progression set last_seq_id = becomes, last_updated = transaction_timestamp() where name = projection and last_seq_id = was;
  if not found then
    raise exception using errcode = 'NB003', message = 'fenced', detail = projection;
  end if;
  return true;
end $$;
