-- Organizations are spread over databases. The directory stands on the main one alone; elsewhere it is empty.
-- Reserves a slug as directory_reserve does, and says on which shard the organization is to live: the one of its first reservation, whatever a repeated
-- sign-up would choose now. Null when the slug is another's. Whether an organization of another database was founded only that database knows: its
-- reservation that has run out is taken over when the caller has looked there and names it.
create function nubabel.directory_place(wanted text, organization_id text, on_shard text, seconds integer, main_shard text, not_founded text) returns varchar
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  entry nubabel.directory%rowtype;
begin
  seconds := least(greatest(seconds, 1), 300);
  insert into nubabel.directory values (wanted, organization_id, on_shard, 'reserved', now() + make_interval(secs => seconds)) on conflict (slug) do nothing;
  select * into entry from nubabel.directory d where d.slug = wanted for update;
  if entry.organization = organization_id then return entry.shard; end if;
  if entry.state <> 'reserved' or entry.expires > now() then return null; end if;
  if entry.shard = main_shard then
    return case when nubabel.directory_reserve(wanted, organization_id, on_shard, seconds) then on_shard end;
  end if;
  if not_founded is distinct from entry.organization then return null; end if;
  update nubabel.directory d
     set organization = organization_id, shard = on_shard, expires = now() + make_interval(secs => seconds)
   where d.slug = wanted;
  return on_shard;
end $$;

-- How many organizations live on each shard, for placing the next one.
create function nubabel.directory_counts() returns table (shard varchar, organizations bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select d.shard, count(*) from nubabel.directory d where d.state <> 'closed' group by d.shard
$$;
