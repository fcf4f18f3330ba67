-- Gives up one claim, if this stream holds it. A function, so that its one-row statement is planned by itself: in a statement that writes many streams the
-- planner may join the table of claims as a whole, and keeps that plan while the table grows.
create function nubabel.release(tenant text, of_scope text, claimed text, by_stream text) returns void language plpgsql as $$
begin
  delete from nubabel.claims h where h.tenant_id = tenant and h.scope = of_scope and h.value = claimed and h.stream_id = by_stream;
end $$;

drop index nubabel.idempotency_created;
-- What is old is deleted over all tenants, and records are written in the order of their time: a summary of each range of pages finds it, and costs a
-- write next to nothing where a second tree was written with each record.
create index idempotency_created on nubabel.idempotency using brin (created) with (pages_per_range = 32, autosummarize = on);
