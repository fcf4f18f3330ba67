-- What every node watches about keys, one row. The number grows with each transaction that destroys keys and is written under the row's lock, so that numbers become
-- visible in their order: who has seen one has seen all before it. The master key that wraps what is written now stands beside it.
create table nubabel.key_watch (
  number bigint  not null,
  master varchar,           -- fingerprint; null until a node has served this database
  one    boolean not null default true check (one),
  constraint key_watch_pkey primary key (one)
);
insert into nubabel.key_watch (number) values (0);

-- The root secret under each master key that opens it: one, and two while the keys are re-wrapped from one master key to the next. What is looked up by a keyed hash, and
-- every token, is derived from the root and outlives the master keys.
create table nubabel.master_keys (
  fingerprint varchar     not null,
  root        bytea       not null, -- wrapped by that master key
  created     timestamptz not null default clock_timestamp(),
  constraint master_keys_pkey primary key (fingerprint)
);

-- Whether a key that is wrapped by this master key may still be written. Holds off the change to another one until the transaction has ended.
create function nubabel.wraps(wanted text) returns boolean language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(5642164);
  -- A statement of its own: it sees a change that was committed while this one waited.
  return (select coalesce(k.master = wanted, true) from nubabel.key_watch k);
end $$;

alter table nubabel.subject_keys add column destruction bigint;
-- What a node has not heard of yet.
create index subject_keys_destruction on nubabel.subject_keys (destruction) where destruction is not null;

-- However a key is destroyed, by a node or by hand, every node hears of it, and nothing brings it back.
create function nubabel.destroy_key() returns trigger language plpgsql as $$
declare
  counted bigint;
begin
  if tg_op = 'DELETE' then
    if old.wrapped is not null then return old; end if;
    raise exception using errcode = 'NB007', message = 'A destroyed key leaves its row behind.';
  end if;
  if tg_op = 'UPDATE' then
    if old.wrapped is null and (new.wrapped is not null or new.destroyed is null or new.tenant_id <> old.tenant_id or new.subject <> old.subject) then
      raise exception using errcode = 'NB007', message = 'A destroyed key does not come back.';
    end if;
    if old.wrapped is null then
      new.destruction := old.destruction;
      return new;
    end if;
    if new.wrapped is not null and new.destroyed is null then return new; end if;
  end if;
  -- Counted once in a transaction, whose end gives the row of the count free.
  counted := nullif(current_setting('nubabel.destruction', true), '')::bigint;
  if counted is null then
    update nubabel.key_watch set number = number + 1 returning number into counted;
    perform set_config('nubabel.destruction', counted::text, true);
  end if;
  new.wrapped := null;
  new.destruction := counted;
  new.destroyed := coalesce(new.destroyed, clock_timestamp());
  return new;
end $$;
create trigger destroy_inserted before insert on nubabel.subject_keys for each row when (new.wrapped is null or new.destroyed is not null) execute function nubabel.destroy_key();
create trigger destroy_changed before update or delete on nubabel.subject_keys for each row execute function nubabel.destroy_key();

-- Which destructions were known when a file was begun: it may hold what was read under the keys of all later ones.
alter table nubabel.sealed_files add column destructions bigint not null default 0;
