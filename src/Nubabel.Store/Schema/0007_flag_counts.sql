-- How often a flag was evaluated for an organization on a day, by value, over all nodes. No event each: what a node counts in memory it adds here every few
-- seconds. What found no room in a node's table of organizations is the platform's.
create table nubabel.flag_counts (
  tenant_id varchar     not null,
  flag      varchar     not null,
  day       date        not null, -- UTC
  enabled   bigint      not null,
  disabled  bigint      not null,
  last      timestamptz not null, -- when the last of them was added
  constraint flag_counts_pkey primary key (flag, day, tenant_id)
);
-- What is old is deleted by its day.
create index flag_counts_day on nubabel.flag_counts (day);

alter table nubabel.flag_counts enable row level security;
alter table nubabel.flag_counts force row level security;
create policy tenant on nubabel.flag_counts
  using (tenant_id = current_setting('app.current_organization_id', true))
  with check (tenant_id = current_setting('app.current_organization_id', true));
