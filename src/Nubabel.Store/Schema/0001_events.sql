-- The log, in Marten 9's table layout (conjoined tenancy, string identity, quick append, all metadata).
-- Names, columns and their order are a contract with a stock Marten: nothing is added here, ever.
create schema if not exists events;

create table events.mt_streams (
  tenant_id   varchar      not null default '*DEFAULT*',
  id          varchar      not null,
  type        varchar,
  version     bigint,
  timestamp   timestamptz  not null default now(),
  created     timestamptz  not null default now(),
  is_archived boolean      default false,
  constraint pkey_mt_streams_tenant_id_id primary key (tenant_id, id)
);

create table events.mt_events (
  seq_id         bigint       not null,
  id             uuid         not null,
  stream_id      varchar,
  version        bigint       not null,
  data           jsonb        not null,
  bdata          bytea,
  type           varchar(500) not null,
  timestamp      timestamptz  not null default now(),
  tenant_id      varchar      default '*DEFAULT*',
  mt_dotnet_type varchar,
  correlation_id varchar,
  causation_id   varchar,
  headers        jsonb,
  user_name      varchar,
  is_archived    boolean      default false,
  constraint pkey_mt_events_seq_id primary key (seq_id),
  constraint fkey_mt_events_stream_id_tenant_id foreign key (tenant_id, stream_id) references events.mt_streams (tenant_id, id)
);

-- A stream's events in order: loading a stream, and the last line of defence for versions.
create unique index pk_mt_events_stream_and_version on events.mt_events (tenant_id, stream_id, version);

-- CACHE 1: a cached block would hand out numbers long after the lock that the high-water mark relies on was taken by another number.
create sequence events.mt_events_sequence cache 1 owned by events.mt_events.seq_id;

create table events.mt_event_progression (
  name         varchar     not null,
  last_seq_id  bigint,
  last_updated timestamptz default transaction_timestamp(),
  constraint pk_mt_event_progression primary key (name)
);

create table events.mt_high_water_skips (
  ending_sequence   bigint not null,
  starting_sequence bigint not null,
  timestamp         timestamptz default transaction_timestamp(),
  constraint pkey_mt_high_water_skips_ending_sequence primary key (ending_sequence)
);

-- One batch may carry several tenants' appends, so the setting is a list; (select …) makes it one evaluation per statement.
-- Unset and '' (what a finished transaction leaves) both mean: no tenant.
alter table events.mt_streams enable row level security;
alter table events.mt_streams force row level security;
create policy tenant on events.mt_streams
  using (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]))
  with check (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]));

alter table events.mt_events enable row level security;
alter table events.mt_events force row level security;
create policy tenant on events.mt_events
  using (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]))
  with check (tenant_id = any ((select string_to_array(current_setting('app.current_organization_id', true), ','))::text[]));
