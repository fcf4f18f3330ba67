-- The fences of all projections that go a page together, in one call: nine statements of a page were nine calls of two functions each. Rows are locked in the
-- order of the names given, which is the same on every node. The generations are read behind the locks, in a newer snapshot: what was committed while an update
-- waited for its row is seen. The fence of one projection stays for nodes of the release before.
create function nubabel.fences(projections varchar[], was bigint[], becomes bigint[], generations bigint[]) returns boolean language plpgsql as $$
declare
  fenced varchar;
begin
  for i in 1 .. cardinality(projections) loop
    update events.mt_event_progression set last_seq_id = becomes[i], last_updated = transaction_timestamp() where name = projections[i] and last_seq_id = was[i];
    if not found then
      fenced := projections[i];
      exit;
    end if;
  end loop;
  if fenced is null then
    select f.name into fenced from unnest(projections, generations) f (name, generation) left join nubabel.rebuilds r on r.progression = f.name
    where coalesce(r.generation, 0) <> f.generation limit 1;
  end if;
  if fenced is not null then
    raise exception using errcode = 'NB003', message = 'fenced', detail = fenced;
  end if;
  return true;
end $$;
