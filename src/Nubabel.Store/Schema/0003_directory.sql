-- Finds an organization before a tenant is known, so it has no tenant column and nobody may read it: only these functions do.
create table nubabel.directory (
  slug         varchar     not null check (slug !~ '^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$'),
  organization varchar     not null check (organization ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'),
  shard        varchar     not null,
  state        varchar     not null check (state in ('reserved', 'active', 'suspended', 'closed')),
  expires      timestamptz,          -- of a reservation
  constraint directory_pkey primary key (slug)
);
-- Sign-in by the organization's id, and confirming a reservation.
create unique index directory_organization on nubabel.directory (organization);

-- They run with their owner's rights, so their search path is fixed; pg_temp stands last in it, because where it is not named it comes first.
create function nubabel.directory_find(slug_or_id text) returns table (organization varchar, slug varchar, shard varchar, state varchar)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  -- No slug looks like an id (the table's check), so at most one of the two finds anything.
  select d.organization, d.slug, d.shard, d.state from nubabel.directory d where d.slug = slug_or_id
  union all
  select d.organization, d.slug, d.shard, d.state from nubabel.directory d where d.organization = slug_or_id
$$;

-- True when the slug is now this organization's. A reservation that ran out is taken over, unless its organization was founded after all
-- (its sign-up was cut off between the append and the confirmation).
create function nubabel.directory_reserve(wanted text, organization_id text, on_shard text, seconds integer) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  entry nubabel.directory%rowtype;
  was   text := current_setting('app.current_organization_id', true);
begin
  -- A login that is not ours to trust must not hold a slug for ever.
  seconds := least(greatest(seconds, 1), 300);
  insert into nubabel.directory values (wanted, organization_id, on_shard, 'reserved', now() + make_interval(secs => seconds)) on conflict (slug) do nothing;
  select * into entry from nubabel.directory d where d.slug = wanted for update;
  if entry.organization = organization_id then return true; end if;
  if entry.state <> 'reserved' or entry.expires > now() then return false; end if;
  perform set_config('app.current_organization_id', entry.organization, true);
  if exists (select from events.mt_streams s where s.tenant_id = entry.organization and s.id = 'organization-' || entry.organization) then
    update nubabel.directory d set state = 'active', expires = null where d.slug = wanted;
    perform set_config('app.current_organization_id', coalesce(was, ''), true);
    return false;
  end if;
  perform set_config('app.current_organization_id', coalesce(was, ''), true);
  update nubabel.directory d
     set organization = organization_id, shard = on_shard, expires = now() + make_interval(secs => seconds)
   where d.slug = wanted;
  return true;
end $$;

-- True when the entry is the organization's now; false when it has none any more: its reservation ran out and another took the slug.
create function nubabel.directory_confirm(organization_id text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update nubabel.directory d set state = 'active', expires = null where d.organization = organization_id and d.state = 'reserved';
  return exists (select from nubabel.directory d where d.organization = organization_id);
end $$;
