-- One organization that is placed twice at the same moment, by a repeated sign-up at two nodes, may meet itself at either of the directory's unique indexes. Both are a
-- reservation that is there already; the row that stands under the slug says whose. Under the slug nothing stands where the organization has another one.
-- directory_reserve stays as it is: it is called behind this, with the slug's row locked.
create or replace function nubabel.directory_place(wanted text, organization_id text, on_shard text, seconds integer, main_shard text, not_founded text) returns varchar
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  entry nubabel.directory%rowtype;
begin
  seconds := least(greatest(seconds, 1), 300);
  insert into nubabel.directory values (wanted, organization_id, on_shard, 'reserved', now() + make_interval(secs => seconds)) on conflict do nothing;
  select * into entry from nubabel.directory d where d.slug = wanted for update;
  if not found then return null; end if;
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
