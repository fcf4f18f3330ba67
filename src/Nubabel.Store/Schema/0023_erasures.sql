-- What of the ledger of erasures, which stands outside of the database, this database has seen. A row is written when the entry is on disk and before a key is
-- destroyed; one that a restored backup lacks is carried out again, and one that the ledger lacks says that the ledger is not the right one.
create table nubabel.erasures (
  tenant_id varchar     not null,
  person    uuid        not null,               -- the account's id
  entered   timestamptz not null default now(),
  subjects  varchar[]   not null,               -- whose keys the ledger says are destroyed
  done      timestamptz,                        -- when nothing was left to do
  constraint erasures_pkey primary key (tenant_id, person)
);
alter table nubabel.erasures enable row level security;
alter table nubabel.erasures force row level security;
create policy tenant on nubabel.erasures
  using (tenant_id = current_setting('app.current_organization_id', true)) with check (tenant_id = current_setting('app.current_organization_id', true));

-- Erases messages by their ids, whatever has become of them, with what their handlers said about them; keys that a dead letter held go on.
create function nubabel.erase_messages_named(tenant varchar, named uuid[]) returns integer language plpgsql as $$
declare
  total integer;
  n integer;
  letter record;
begin
  -- One that runs now ends as one that was taken away.
  delete from nubabel.messages where tenant_id = tenant and id = any (named);
  get diagnostics total = row_count;
  delete from nubabel.deferred_messages where tenant_id = tenant and id = any (named);
  get diagnostics n = row_count;
  total := total + n;
  for letter in delete from nubabel.dead_letters where tenant_id = tenant and id = any (named) returning id, parks loop
    total := total + 1;
    if letter.parks then
      perform nubabel.unpark(letter.id);
    end if;
  end loop;
  delete from nubabel.message_runs where tenant_id = tenant and message = any (named);
  return total;
end $$;

-- The same of all messages that carry a person's data.
create or replace function nubabel.erase_messages(tenant varchar, person varchar) returns integer language plpgsql as $$
begin
  return nubabel.erase_messages_named(tenant, array(
    select id from nubabel.messages where tenant_id = tenant and subject = person
    union all select id from nubabel.deferred_messages where tenant_id = tenant and subject = person
    union all select id from nubabel.dead_letters where tenant_id = tenant and subject = person));
end $$;
